"""Container image references: ``[registry[:port]/]path[:tag][@digest]``.

The grammar is that of the OCI distribution specification and of Docker. A reference that breaks it
raises ``ImageReferenceError``, a ValueError that names the part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_NAME_LENGTH = 255
DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}

REGISTRY = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)
PATH_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
HEX = re.compile(r"[0-9a-f]+")


class ImageReferenceError(ValueError):
    """Text that is no image reference."""


@dataclass(frozen=True)
class ImageReference:
    """A container image.

    Attributes:
        name: registry, if any, and path: ``registry:5000/team/image``.
        tag: None when the reference has none.
        digest: with its algorithm, ``sha256:…``; None when the reference has none.

    Raises:
        ImageReferenceError: when a part is not valid.
    """

    name: str
    tag: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.tag is not None and not TAG.fullmatch(self.tag):
            raise ImageReferenceError(
                f"image {self.name!r}: the tag {self.tag!r} is not valid; a tag has up to 128 "
                "letters, digits, '_', '.' and '-', and begins with none of the last two"
            )
        if self.digest is not None:
            check_digest(self.name, self.digest)

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read a reference such as ``python``, ``host:5000/a/b:1.2`` or ``a/b@sha256:…``.

        Raises:
            ImageReferenceError: when it is none.
        """
        if text != text.strip() or not text:
            raise ImageReferenceError(f"image {text!r}: expected a name without spaces around it")
        rest, at, digest = text.partition("@")
        # A colon before the last slash belongs to the registry's port.
        head, slash, last = rest.rpartition("/")
        path, colon, tag = last.partition(":")
        return cls(f"{head}{slash}{path}", tag if colon else None, digest if at else None)

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.name}{tag}{digest}"

    def perian_name_and_tag(self) -> tuple[str, str | None]:
        """Split for Perian's ``image_name`` and ``image_tag``, which it joins with a colon.

        A digest is split at its own colon, so that joining gives ``name@sha256:…`` again. With tag
        and digest the tag is left out: the digest alone decides which image is pulled.

        Returns:
            Name and tag; None as tag when the reference has neither tag nor digest.
        """
        if self.digest is None:
            return self.name, self.tag
        algorithm, _, value = self.digest.partition(":")
        return f"{self.name}@{algorithm}", value


def check_name(name: str) -> None:
    """Check registry and path.

    Raises:
        ImageReferenceError: naming the part that is wrong.
    """
    if len(name) > MAX_NAME_LENGTH:
        raise ImageReferenceError(
            f"image {name[:40]!r}…: the name has {len(name)} characters, {MAX_NAME_LENGTH} are "
            "allowed"
        )
    first, slash, rest = name.partition("/")
    has_registry = bool(slash) and (
        "." in first or ":" in first or first == "localhost" or first != first.lower()
    )
    if has_registry and not REGISTRY.fullmatch(first):
        raise ImageReferenceError(f"image {name!r}: {first!r} is not a registry's host[:port]")
    for part in (rest if has_registry else name).split("/"):
        if PATH_PART.fullmatch(part):
            continue
        if not part:
            reason = "the name has an empty part"
        elif part != part.lower():
            reason = f"{part!r} must be in lower case"
        else:
            reason = (
                f"{part!r} is not valid; a part of the name has lower-case letters and digits, "
                "separated by '.', '_', '__' or '-'"
            )
        raise ImageReferenceError(f"image {name!r}: {reason}")


def check_digest(name: str, digest: str) -> None:
    """Check a digest's algorithm and length.

    Raises:
        ImageReferenceError: naming what is wrong.
    """
    algorithm, _, value = digest.partition(":")
    length = DIGEST_LENGTHS.get(algorithm)
    if length is None:
        known = ", ".join(DIGEST_LENGTHS)
        raise ImageReferenceError(
            f"image {name!r}: the digest {digest!r} begins with none of {known}"
        )
    if len(value) != length or not HEX.fullmatch(value):
        raise ImageReferenceError(
            f"image {name!r}: the digest {digest!r} needs {length} lower-case hexadecimal digits "
            f"after {algorithm}:"
        )
