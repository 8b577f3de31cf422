"""What is said when a store cannot be reached, refuses, or is in trouble."""

from perian_shim.errors import StorageFailed
from perian_shim.storage.web import Answer, NoAnswer

LONGEST_REASON = 300
"""How many characters of what a store said are told."""

NO_SUCH_PART = 416
"""HTTP's status for a part of an empty object."""

_WHOLE = 200

_UNREACHED = "Check the way to the store (endpoint, proxy, egress rules), or the store's own state."
_UNTRUSTED = "Name a file with the certificates of the store's authority in AWS_CA_BUNDLE."


def failed(uri: str, why: str, *, passing: bool) -> StorageFailed:
    """Return our error for the store's.

    Args:
        uri: what was accessed.
        why: what the store said, in one line.
        passing: whether the same access may succeed later.
    """
    failure = StorageFailed(
        f"Access to {uri} failed: {why}", remedy=_UNREACHED if passing else None
    )
    failure.passing = passing
    return failure


def unanswered(uri: str, error: NoAnswer) -> StorageFailed:
    """Return our error for a store that gave no answer."""
    failure = StorageFailed(
        f"Access to {uri} failed: {error}", remedy=_UNREACHED if error.passing else _UNTRUSTED
    )
    failure.passing = error.passing
    return failure


def told(status: int, said: str) -> str:
    """Return what a store answered, in one line.

    Args:
        status: HTTP status.
        said: what it said of it, if anything.
    """
    line = " ".join(said.split())[:LONGEST_REASON]
    return f"HTTP {status} ({line})" if line else f"HTTP {status}"


def end_of(uri: str, answer: Answer, length: int) -> bytes:
    """Return the end of an object from the answer to a request for it.

    Raises:
        StorageFailed: the store has sent its beginning.
    """
    size = answer.headers.get("content-length", "")
    if answer.status == _WHOLE and not (size.isdecimal() and int(size) <= length):
        raise failed(uri, "the store does not send a part of an object", passing=False)
    return answer.body
