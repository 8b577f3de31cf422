"""From an HTTP answer to its JSON object, or to the one error that fits it.

Perian answers 400 to an unknown job, a finished job, missing credit and unknown instance types
alike; they are told apart by the words of ``detail`` and by the endpoint. The words are matched
tolerantly, but a match must name the thing: a bare "not found" from a wrong base URL is no unknown
job. An error inside a 2xx body is an error too. ``Retry-After`` is read as seconds or as a date.
"""

import email.utils
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from perian_shim.api.errors import (
    ApiError,
    ApiTimeout,
    InstanceTypeNotFound,
    InsufficientCredit,
    InvalidRequest,
    JobAlreadyDone,
    JobNotFound,
    MalformedResponse,
    RateLimited,
    Redirected,
    ServerFault,
    Unauthorized,
)
from perian_shim.api.fields import Fields
from perian_shim.api.redaction import Redactor
from perian_shim.api.server_text import MAX_FOREIGN_TEXT, foreign_text, server_words, tidy
from perian_shim.api.trimming import Keep

Clock = Callable[[], datetime]

OK, REDIRECT, CLIENT_ERROR, SERVER_ERROR = 200, 300, 400, 500
BAD_CREDENTIALS = frozenset({401, 403})
PAYMENT_REQUIRED, REQUEST_TIMEOUT, UNPROCESSABLE, TOO_MANY = 402, 408, 422, 429

LONGEST_RETRY_AFTER = 86400.0
"""Bound of what a ``Retry-After`` header may ask for, in seconds: a day."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


@dataclass(frozen=True)
class Call:
    """One request to be made.

    Attributes:
        method: HTTP method.
        path: below the base URL, without query.
        query: query parameters.
        body: JSON body, None for none.
        repeatable: whether sending it twice does the same as once.
        confidential: values of the body that no message may show.
        keep: what is kept of the answer; None: everything.
        patience: how long the whole answer may take to arrive, in read timeouts.
        brief: whether the answer is left where a string that is expendable begins
            (``KeepText.after``), and so does not arrive as a whole.
    """

    method: str
    path: str
    query: Mapping[str, int | str] = field(default_factory=dict)
    body: Mapping[str, object] | None = field(default=None, repr=False)
    repeatable: bool = True
    confidential: tuple[str, ...] = field(default=(), repr=False)
    keep: Keep | None = None
    patience: int = 10
    brief: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status_code: HTTP status.
        headers: by their names in small letters.
        body: decoded bytes; those that came, if it broke off.
        fault: why the body is not whole, e.g. ``"breaks off"``; empty if it is.
        size: how many bytes of it came.
        announced: how many bytes it has, None if the server does not say.
        left: whether it was left early because the call is brief. What came is a whole JSON text
            then, or nothing if what is needed of it stands behind the place where it was left.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    fault: str = ""
    size: int = 0
    announced: int | None = None
    left: bool = False


def read_answer(call: Call, answer: Answer, redact: Redactor, clock: Clock) -> Fields:
    """Return the JSON object of a good answer.

    Raises:
        ApiError: the leaf that fits any other answer.
    """
    document = json_object(answer)
    status = answer.status_code
    if OK <= status < REDIRECT and document is not None:
        status = inner_status(document, status)
        if status < CLIENT_ERROR:
            return Fields(document, "answer")
    if OK <= status < REDIRECT:
        raise not_json(call, answer, redact)
    if status < CLIENT_ERROR:
        raise redirected(call, answer, redact)
    raise refusal(call, answer, status=status, document=document, redact=redact, clock=clock)


def json_object(answer: Answer) -> Mapping[str, object] | None:
    """Return the body if it is a whole JSON object."""
    if answer.fault:
        return None
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def inner_status(document: Mapping[str, object], status: int) -> int:
    """Return the status that the body itself claims, if it claims an error."""
    inner = document.get("status_code")
    if isinstance(inner, int) and inner >= CLIENT_ERROR:
        return inner
    failed = str(document.get("status") or "").casefold() == "error"
    return CLIENT_ERROR if failed else status


def not_json(call: Call, answer: Answer, redact: Redactor) -> MalformedResponse:
    """Return the error for a good status with a bad body."""
    if answer.fault:
        fault = f"{answer.fault} after {len(answer.body)} bytes"
    elif not answer.body.strip():
        fault = "is empty instead of a JSON object"
    else:
        fault = f"is no JSON object: {foreign_text(answer.body, redact)}"
    return MalformedResponse(
        f"{call}: the answer (HTTP {answer.status_code}) {fault}.",
        method=call.method,
        path=call.path,
        status_code=answer.status_code,
        incomplete=bool(answer.fault),
    )


def redirected(call: Call, answer: Answer, redact: Redactor) -> Redirected:
    """Return the error for a redirect; of its target the query is not shown."""
    target = tidy(redact(answer.headers.get("location", "").partition("?")[0]), MAX_FOREIGN_TEXT)
    place = f" to {target}" if target else ""
    return Redirected(
        f"{call}: the server redirects{place} (HTTP {answer.status_code}), which is not followed.",
        method=call.method,
        path=call.path,
        status_code=answer.status_code,
        detail=target,
    )


def refusal(
    call: Call,
    answer: Answer,
    *,
    status: int,
    document: Mapping[str, object] | None,
    redact: Redactor,
    clock: Clock,
) -> ApiError:
    """Return the error for a status of 400 or more."""
    if document is not None:
        detail, words = server_words(document, redact)
    else:
        # Half a body may end within a secret, where no redaction finds it.
        detail = words = "" if answer.fault else foreign_text(answer.body, redact)
    verb = "failed" if status >= SERVER_ERROR else "was refused"
    message = f"{call} {verb} (HTTP {status}){': ' + words if words else ''}"
    if message[-1] not in ".!?…":
        message += "."
    if status == REQUEST_TIMEOUT:
        return ApiTimeout(message, method=call.method, path=call.path, status_code=status)
    leaf = leaf_for(call, status, detail)
    return leaf(
        message,
        method=call.method,
        path=call.path,
        status_code=status,
        detail=detail,
        retry_after=retry_after(answer.headers.get("retry-after"), clock),
    )


def leaf_for(call: Call, status: int, detail: str) -> type[ApiError]:
    """Return the error class for a status of 400 or more."""
    if status >= SERVER_ERROR:
        return ServerFault
    if status == TOO_MANY:
        return RateLimited
    words = detail.casefold().replace("_", " ").replace("-", " ")
    if status in BAD_CREDENTIALS or (status == CLIENT_ERROR and names_credentials(words)):
        return Unauthorized
    if status == UNPROCESSABLE:
        return InvalidRequest  # the words are those of a validator, about any field
    if call.path.startswith("/job/"):
        return job_leaf(call, words)
    return offer_leaf(status, words)


def names_credentials(words: str) -> bool:
    """Whether the words of a 400 are about who asks, not what is asked."""
    return any(name in words for name in ("x perian auth org", "authorization header")) or (
        "organization" in words and ("not valid" in words or "invalid" in words)
    )


def job_leaf(call: Call, words: str) -> type[ApiError]:
    """Return the error class for a refused call about one job."""
    ended = ("complete", "done", "finished", "ended", "cancel", "stopped", "terminated")
    if call.path.endswith("/cancel") and "already" in words and any(w in words for w in ended):
        return JobAlreadyDone
    if "job" in words and any(w in words for w in ("no job", "not found", "not exist", "unknown")):
        return JobNotFound
    return InvalidRequest


def offer_leaf(status: int, words: str) -> type[ApiError]:
    """Return the error class for a refused submission or query."""
    short = ("insufficient", "not enough", "exhausted", "exceed", "no remaining", "too low")
    money = ("credit", "balance", "funds")
    if status == PAYMENT_REQUIRED or (
        any(w in words for w in money) and any(w in words for w in short)
    ):
        return InsufficientCredit
    missing = ("not found", "no instance type", "no matching", "not available", "unavailable")
    if "instance type" in words and any(w in words for w in missing):
        return InstanceTypeNotFound
    return InvalidRequest


def retry_after(value: str | None, clock: Clock) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for.

    Returns:
        At least 0 and at most ``LONGEST_RETRY_AFTER``; None if it is unclear.
    """
    seconds = seconds_in(value or "", clock)
    if seconds is None or not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def seconds_in(value: str, clock: Clock) -> float | None:
    """Return the number, or how far off the date is; None if it is neither."""
    if _NUMBER.fullmatch(value.strip()):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        if date.tzinfo is None:  # "-0000" means UTC of unknown origin
            date = date.replace(tzinfo=timezone.utc)
        return (date - clock()).total_seconds()
    except (ValueError, TypeError, ArithmeticError, LookupError):  # Pythons differ
        return None
