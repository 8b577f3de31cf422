"""What can go wrong: the root of every error of the project, and the leaves for one REST call.

::

    PerianError                     anything that goes wrong in perian-shim
    ├── ClientConfigError           base URL, organization or token cannot be used
    └── ApiError                    one call failed; method, path, status_code, detail, retry_after
        ├── TransportError          no usable answer came; ``sent``: may the request have arrived
        │   ├── ApiTimeout          no answer in time
        │   └── TlsFailure          no trusted TLS connection; nothing was sent
        ├── MalformedResponse       an answer that is no JSON, half a body, or of another shape
        ├── Redirected              the API points elsewhere; never followed
        ├── RateLimited             429
        ├── ServerFault             5xx
        ├── Unauthorized            401, 403, or a 400 that names the credentials
        └── InvalidRequest          other 4xx, or an argument that cannot be sent
            ├── JobNotFound
            ├── JobAlreadyDone
            ├── InsufficientCredit
            └── InstanceTypeNotFound

``code`` is stable and made for programs, ``retryable`` says whether the same call may succeed
later, ``remedy`` is a sentence for people. ``outcome_unknown`` says whether a call that changes
something may have taken effect all the same: then look before asking again. Texts are bounded and
never contain the token. All errors can be pickled. ``smaller_may_succeed`` says whether the answer
may have been too big: then asking for fewer items at a time may help.

Messages are put together from words of others, which may end as they like. ``sentence`` ends them,
so that what to do next always begins a sentence of its own.
"""

import re
from typing import ClassVar

READ_ONLY_METHODS = frozenset({"", "GET", "HEAD", "OPTIONS"})

QUERY_PATHS = frozenset({"/instance-type", "/accelerator-type"})
"""Paths to which POST only carries a query."""

GAVE_UP = frozenset({500, 502, 504})
"""Statuses of a server or gateway that may have found an answer too big or too slow to make."""


_ENDED = re.compile(r"[.!?…][\"')\]]*\Z")
_DANGLING = " \t\r\n,;:"


def sentence(text: str) -> str:
    """Return text that ends as a sentence does, whatever words of others it ends with."""
    text = text.rstrip(_DANGLING)
    if text.endswith("..") and not text.endswith("..."):
        return text[:-1]
    return text if not text or _ENDED.search(text[-4:]) else f"{text}."


class PerianError(Exception):
    """Anything that goes wrong in perian-shim.

    Args:
        message: what happened, and to what; it is ended as a sentence.
        remedy: what to do next; the class has a default.

    Attributes:
        code: stable name for programs, e.g. ``"PERIAN:Unauthorized"``.
        retryable: whether the same call may succeed later.
        remedy: a sentence: what to do next.
        message: what happened, and to what.
    """

    code: ClassVar[str] = "PERIAN:Error"
    retryable: ClassVar[bool] = False
    remedy: str = "Read the message; if it does not help, report it as a bug of perian-shim."
    message: str

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        self.message = sentence(message)
        super().__init__(self.message)
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:
        return self.advised(self.message)

    def advised(self, message: str) -> str:
        """Return a message, as it is to be shown, with what to do next behind it."""
        # After many lines, as a traceback's or a program's, it would not be seen in the last one.
        return f"{message}{chr(10) if chr(10) in message else ' '}{self.remedy}".strip()

    @property
    def outcome_unknown(self) -> bool:
        """Whether a call that changes something may have taken effect although it failed."""
        return False


class ClientConfigError(PerianError, ValueError):
    """The base URL, the organization or the token cannot be used at all."""

    code = "PERIAN:ClientConfig"
    remedy = "Correct the value."


class ApiError(PerianError):
    """One call of the REST API failed.

    Args:
        message: what happened, with the server's own words.
        method: HTTP method of the call, empty if there was no call.
        path: path below the base URL, without query.
        status_code: HTTP status, or the one inside the body; None if no answer came.
        detail: the server's ``detail`` (else its ``message``), bounded and redacted.
        retry_after: seconds the server asks to wait; None if it does not say.
        remedy: what to do next; the class has a default.
    """

    code = "PERIAN:Api"
    remedy = "Check the base URL of the API."

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        path: str = "",
        status_code: int | None = None,
        detail: str = "",
        retry_after: float | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.method = method
        self.path = path
        self.status_code = status_code
        self.detail = detail
        self.retry_after = retry_after

    @property
    def changes_state(self) -> bool:
        """Whether the call is one that changes something on the server."""
        return self.method not in READ_ONLY_METHODS and self.path not in QUERY_PATHS

    @property
    def smaller_may_succeed(self) -> bool:
        """Whether the call may have failed because its answer was too big."""
        return False


class TransportError(ApiError):
    """No usable answer came: connection failed, reset or closed.

    Args:
        message: what happened.
        sent: may the request have reached the server; False only if certainly not.
        method: HTTP method of the call.
        path: path below the base URL.
        status_code: HTTP status, if that much of the answer came.
        remedy: what to do next; the class has a default.
    """

    code = "PERIAN:Transport"
    retryable = True
    remedy = "Check the base URL of the API and the way there (DNS, proxy, egress rules)."

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        method: str = "",
        path: str = "",
        status_code: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, method=method, path=path, status_code=status_code, remedy=remedy)
        self.sent = sent

    @property
    def outcome_unknown(self) -> bool:
        """Whether the request may have arrived and taken effect."""
        return self.sent and self.changes_state

    @property
    def smaller_may_succeed(self) -> bool:
        """Whether the server had the request, so that the answer may be what failed."""
        return self.sent


class ApiTimeout(TransportError):
    """No connection, or no answer, in time."""

    code = "PERIAN:ApiTimeout"
    remedy = "Try again; if it lasts, check the way to the API or raise the timeouts."


class TlsFailure(TransportError):
    """No trusted TLS connection could be made; the request was not sent."""

    code = "PERIAN:TlsFailure"
    retryable = False
    remedy = "Check the base URL's scheme, or name your CA bundle in REQUESTS_CA_BUNDLE."


class MalformedResponse(ApiError):
    """An answer that is no JSON, breaks off, or has not the expected shape.

    Args:
        message: what is wrong with it.
        method: HTTP method of the call.
        path: path below the base URL.
        status_code: HTTP status.
        incomplete: whether it breaks off, or was left because it is too long.
        remedy: what to do next; the class has a default.
    """

    code = "PERIAN:MalformedResponse"
    retryable = True
    remedy = (
        "Check that the base URL is that of the Perian API and that no proxy answers in its"
        " place; a newer perian-shim may know a newer API."
    )

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        path: str = "",
        status_code: int | None = None,
        incomplete: bool = False,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, method=method, path=path, status_code=status_code, remedy=remedy)
        self.incomplete = incomplete

    @property
    def smaller_may_succeed(self) -> bool:
        """Whether it is its length that was wrong."""
        return self.incomplete

    @property
    def outcome_unknown(self) -> bool:
        """Whether the call changes something: the server answered, so it may have done it."""
        return self.changes_state


class Redirected(ApiError):
    """The API answered with a redirect: following it could hand the token to another host."""

    code = "PERIAN:Redirected"
    remedy = "Set the base URL to where the API really is."


class RateLimited(ApiError):
    """Too many requests (429)."""

    code = "PERIAN:RateLimited"
    retryable = True
    remedy = "Wait and try again, or poll less often."


class ServerFault(ApiError):
    """The server failed (5xx)."""

    code = "PERIAN:ServerFault"
    retryable = True
    remedy = "Try again later; if it lasts, ask Perian's support."

    @property
    def smaller_may_succeed(self) -> bool:
        """Whether the status may mean that."""
        return self.status_code in GAVE_UP

    @property
    def outcome_unknown(self) -> bool:
        """Whether the call changes something: it may have failed halfway, or behind a gateway."""
        return self.changes_state


class Unauthorized(ApiError):
    """The organization or the token was refused."""

    code = "PERIAN:Unauthorized"
    remedy = "Check that organization and token are right, belong together and have not expired."


class InvalidRequest(ApiError):
    """The server refuses the request as it is, or it cannot be sent at all."""

    code = "PERIAN:InvalidRequest"
    remedy = "Correct what the message names."


class JobNotFound(InvalidRequest):
    """There is no job of this id in this organization."""

    code = "PERIAN:JobNotFound"
    remedy = "Check the job id, and that it belongs to this organization."


class JobAlreadyDone(InvalidRequest):
    """The job has ended already: there is nothing to cancel."""

    code = "PERIAN:JobAlreadyDone"
    remedy = "Nothing needs to be done."


class InsufficientCredit(InvalidRequest):
    """The organization's credit does not suffice."""

    code = "PERIAN:InsufficientCredit"
    remedy = "Top up the organization's credit at Perian."


class InstanceTypeNotFound(InvalidRequest):
    """No instance type has this id or fits the requirements."""

    code = "PERIAN:InstanceTypeNotFound"
    remedy = "Ask for less, for another place or a higher price, or check the instance type's id."
