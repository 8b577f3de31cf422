"""The protocol of an object store. Times are in seconds, sizes in bytes, names are whole URIs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol

from perian_shim.errors import StorageFailed

MAX_OBJECT_BYTES = 5 * 1024**3
"""Largest object that one POST or PUT may create on S3 (and so of one output file)."""


@dataclass(frozen=True)
class ObjectInfo:
    """One object.

    Attributes:
        uri: the object's URI.
        size: its size in bytes.
        modified: when it was written, by the store's own clock, in seconds since the epoch; None if
            the store does not tell. Does not count in comparisons.
    """

    uri: str
    size: int
    modified: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class UploadPolicy:
    """Leave to create objects below one prefix by HTML form POST.

    Attributes:
        url: where to POST to.
        key_prefix: what every ``key`` must begin with; ends in ``/``.
        fields: form fields that go with every POST, the signature among them.
        max_bytes: largest object allowed.
    """

    url: str
    key_prefix: str
    fields: Mapping[str, str] = field(repr=False)
    max_bytes: int = MAX_OBJECT_BYTES


@dataclass(frozen=True)
class Signing:
    """For how long what a store signs stays good.

    Attributes:
        seconds: until the credentials end that sign now; None if they do not end by themselves.
        renewed: whether others follow them. If not, ``seconds`` is all that there is, 0 where
            nobody knows when they end, and None only for credentials that are known to have no end.
    """

    seconds: float | None = None
    renewed: bool = True


class ObjectStore(Protocol):
    """What perian-shim asks of an object store.

    Every method may raise ``StorageFailed``, naming the URI and the store's own error.
    """

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:
        """Return for each object a URL that reads it without credentials for so many seconds."""
        ...

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        """Return leave to create objects below ``prefix`` for ``expires_in`` seconds."""
        ...

    def signing(self) -> Signing:
        """Return for how long what we sign stays good."""
        ...

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below the folder ``prefix``, in the order of their names.

        One whose name ends in a slash marks a folder that may be empty. Stores that are reached by
        fsspec do not show these.
        """
        ...

    def size(self, uri: str) -> int | None:
        """Return an object's size, or None if there is none."""
        ...

    def read(self, uri: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of an object, or None if there is none."""
        ...

    def read_end(self, uri: str, length: int) -> bytes | None:
        """Return the last ``length`` bytes of an object, all of a shorter one, None if none."""
        ...

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:
        """Create or replace an object.

        Args:
            uri: its URI.
            content: what it holds.
            content_type: what a browser is to take it for; stores behind fsspec do not keep it.
        """
        ...

    def delete(self, uri: str) -> None:
        """Delete an object; it is no fault if there is none."""
        ...

    def join(self, parts: Sequence[str], uri: str) -> None:
        """Make one object of several, in this order, within the store; they stay."""
        ...


def broken_off(uri: str) -> StorageFailed:
    """Return the error for a read that was never whole, however often it was tried."""
    message = f"Reading {uri} failed: the answers keep breaking off."
    failure = StorageFailed(
        message, remedy="Flyte tries again by itself; check the network if not."
    )
    failure.passing = True
    return failure


def moment(stamp: object) -> float | None:
    """Return a store's time stamp in seconds since the epoch, None if it is none.

    Args:
        stamp: that in seconds, a datetime, or text as in ISO 8601; without a time zone it is UTC.
    """
    if isinstance(stamp, int | float):
        return float(stamp)
    if isinstance(stamp, str):
        # Pythons before 3.11 read fractions of three or six digits only, and no "Z".
        text = re.sub(r"\.(\d+)", lambda part: f".{part[1][:6]:0<6}", stamp.strip())
        try:
            stamp = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(stamp, datetime):
        return None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)).timestamp()


def join_uri(base: str, *parts: str) -> str:
    """Join a URI and path segments with single slashes."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key.

    Raises:
        StorageFailed: it is no ``scheme://bucket/key``.
    """
    # A key may hold "?" and "#", which urlsplit would cut.
    match = re.fullmatch(r"[a-z0-9]+://([^/]+)(?:/(.*))?", uri, re.DOTALL)
    if match is None:
        message = f"Expected a URI like s3://bucket/key, got {uri!r}."
        raise StorageFailed(message)
    return match[1], match[2] or ""
