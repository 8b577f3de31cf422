"""Requests for keys: to AWS's security token service, and to the agent on a pod's node."""

import re
from collections.abc import Callable, Mapping

from perian_shim.errors import StorageFailed
from perian_shim.storage.web import Answer, BrokenOff, NoAnswer, Web, is_busy

OK = 200
_BUSY = (b"IDPCommunicationError", b"Throttling")
_LONGEST_REASON = 300
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")
_ECHO = re.compile(r"Value '[^']*'")
"""What AWS repeats of a parameter that it does not like."""

Headers = Callable[[], Mapping[str, str]]


def asked(
    web: Web,
    method: str,
    url: str,
    what: str,
    headers: Headers,
    body: bytes = b"",
    *,
    direct: bool = False,
) -> Answer:
    """Ask for keys and return the answer, be it a refusal.

    Args:
        web: makes the request.
        method: HTTP method.
        url: where to.
        what: names what is done, for errors.
        headers: makes the headers, for each attempt anew.
        body: to send.
        direct: past any proxy.

    Raises:
        StorageFailed: there was no answer.
    """
    try:
        return web.ask(method, url, headers, body, direct=direct)
    except (NoAnswer, BrokenOff) as error:
        failure = StorageFailed(f"{what} failed: {error}")
        failure.passing = getattr(error, "passing", True)
        raise failure from error


def refused(what: str, answer: Answer, remedy: str | None = None) -> StorageFailed:
    """Return our error for a refusal; it tells nothing of what was sent."""
    said = _MESSAGE.search(answer.body)
    reason = " ".join(said[1].decode(errors="replace").split()) if said else ""
    reason = _ECHO.sub("Value '…'", reason)[:_LONGEST_REASON]
    message = f"{what} failed: HTTP {answer.status} {reason}".rstrip()
    failure = StorageFailed(message, remedy=remedy)
    failure.passing = is_busy(answer) or any(code in answer.body for code in _BUSY)
    return failure


def code_of(answer: Answer) -> str:
    """Return AWS's own code for a refusal, empty if it has none."""
    found = _CODE.search(answer.body)
    return found[1].decode(errors="replace") if found else ""
