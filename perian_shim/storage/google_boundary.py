"""Credential Access Boundaries: what a token of Google's is narrowed down to. Pure.

https://cloud.google.com/iam/docs/downscoping-short-lived-credentials
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import split_uri
from perian_shim.storage.reach import Reach

READER = "inRole:roles/storage.objectViewer"
WRITER = "inRole:roles/storage.objectUser"

MOST_RULES = 10
"""So many rules a boundary may have."""

LONGEST_EXPRESSION = 2048
"""So many characters the condition of a rule may have."""

MOST_TERMS = 13
"""So many terms it may have: Google allows a condition twelve logical operators."""

_OR = " || "


@dataclass(frozen=True)
class _Part:
    """One object of a bucket, or all below a prefix.

    Attributes:
        bucket: the bucket's name.
        key: the object's, or the prefix.
        single: whether it is one object.
        listed: whether what it is may be listed.
    """

    bucket: str
    key: str
    single: bool = False
    listed: bool = False

    def terms(self) -> list[str]:
        """Return the conditions one of which must hold."""
        name = literal(f"projects/_/buckets/{self.bucket}/objects/{self.key}")
        if self.single:
            return [f"resource.name == {name}"]
        found = [f"resource.name.startsWith({name})"]
        if self.listed:
            attribute = "api.getAttribute('storage.googleapis.com/objectListPrefix', '')"
            found.append(f"{attribute}.startsWith({literal(self.key)})")
        return found

    def covers(self, other: "_Part") -> bool:
        """Whether it allows all that another one does."""
        if self == other:
            return True
        below = not self.single and other.key.startswith(self.key)
        return self.bucket == other.bucket and below and self.listed >= other.listed


def access_boundary(reach: Reach) -> dict[str, Any]:
    """Return the boundary for what a job may reach in Google's storage.

    - What may be read gets ``roles/storage.objectViewer``: objects can be fetched, and those below
      a prefix listed, if the listing asks for that prefix or one below it.
    - What may be written gets ``roles/storage.objectUser``: the same, and objects can be created,
      replaced, composed, given other metadata and deleted. Clients do all of these to write a
      large file. It also allows setting an object's access list, in buckets that have those. A
      resumable upload, once begun, outlives its token.

    Nothing else of these buckets, and no other bucket, can be reached. A boundary only narrows:
    what the account itself may not do stays forbidden. Other stores' URIs are left out.

    Where too many objects are to be read for the boundary to name each, their folders are named
    instead, which cannot be listed. What may be written is always named exactly.

    Raises:
        InvalidInput: even so it is too much for one boundary, or it is nothing.
    """
    writes = without_covered(parts(reach.write, listed=True), ())
    reads = without_covered(parts(reach.read, listed=True), writes)
    objects = without_covered(parts(reach.objects, single=True), [*writes, *reads])
    written = rules(WRITER, writes)
    found = written + rules(READER, [*reads, *objects])
    if len(found) > MOST_RULES and all("/" in each.key for each in objects):
        folders = [_Part(each.bucket, each.key[: each.key.rfind("/") + 1]) for each in objects]
        found = written + rules(READER, [*reads, *without_covered(folders, ())])
    if len(found) > MOST_RULES:
        raise too_much(reach)
    if not found:  # a boundary without rules might be none
        message = "A token was to be narrowed down to nothing in Google Cloud Storage."
        raise InvalidInput(message, remedy="Give the job a prefix or an object there.")
    return {"accessBoundary": {"accessBoundaryRules": found}}


def parts(uris: Iterable[str], *, single: bool = False, listed: bool = False) -> list[_Part]:
    """Return what URIs name; those of other stores are left out."""
    own = [uri for uri in uris if uri.startswith(("gs://", "gcs://"))]
    return [_Part(*split_uri(uri), single=single, listed=listed) for uri in own]


def without_covered(found: Iterable[_Part], others: Iterable[_Part]) -> list[_Part]:
    """Return each part once, and none that another one or one of the others covers."""
    once = list(dict.fromkeys(found))
    wide = [each for each in (*others, *once) if not each.single]
    covered = {each for each in once if any(o.covers(each) for o in wide if o is not each)}
    return [each for each in once if each not in covered]


def rules(role: str, given: Sequence[_Part]) -> list[dict[str, Any]]:
    """Return as few rules as it takes to allow a role for all parts."""
    found = []
    for bucket in dict.fromkeys(part.bucket for part in given):
        terms = [term for part in given if part.bucket == bucket for term in part.terms()]
        found += [
            {
                "availablePermissions": [role],
                "availableResource": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
                "availabilityCondition": {"expression": expression},
            }
            for expression in expressions(terms)
        ]
    return found


def expressions(terms: Iterable[str]) -> list[str]:
    """Return conditions that hold where one of the terms does.

    Raises:
        InvalidInput: one by itself is too long.
    """
    found: list[list[str]] = []
    for term in terms:
        if len(term) > LONGEST_EXPRESSION:
            message = f"A name is too long for an access boundary of Google's: {term[:200]}…"
            raise InvalidInput(message, remedy="Use shorter names.")
        longer = [*found[-1], term] if found else []
        if found and len(longer) <= MOST_TERMS and len(_OR.join(longer)) <= LONGEST_EXPRESSION:
            found[-1] = longer
        else:
            found.append([term])
    return [_OR.join(each) for each in found]


def literal(text: str) -> str:
    """Return a text as the Common Expression Language writes it: nothing in it ends it."""
    plain = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + "".join(c if c.isprintable() else escaped(c) for c in plain) + "'"


def escaped(character: str) -> str:
    """Return one character by its number."""
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - CEL's forms


def too_much(reach: Reach) -> InvalidInput:
    """Return the error for what no boundary has room for."""
    message = (
        f"The job is to reach {len(reach.objects)} objects and {len(reach.read)} folders to read"
        f" and {len(reach.write)} to write: a token of Google's can be narrowed down to"
        f" {MOST_RULES} rules of {LONGEST_EXPRESSION} characters only."
    )
    remedy = "Put the inputs below fewer folders, and give these as directories."
    return InvalidInput(message, remedy=remedy)
