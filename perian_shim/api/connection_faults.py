"""What an exception of ``requests`` and urllib3 means: was anything sent, was it time or TLS?

The libraries wrap causes in layers that differ between their versions; the questions here look
through all of them. In doubt the answer is that the request may have arrived.
"""

import http.client
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

_HANDSHAKE_FAULTS = frozenset(
    {
        "CERTIFICATE_VERIFY_FAILED",
        "HTTP_REQUEST",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNKNOWN_PROTOCOL",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)


def causes(fault: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of.

    ``__context__`` is left out: it may be an older error, handled by our caller when it called us.
    """
    seen: set[int] = set()
    todo: list[object] = [fault]
    while todo:
        cause = todo.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            todo += [getattr(cause, "reason", None), *cause.args, cause.__cause__]


def never_connected(fault: BaseException) -> bool:
    """Whether no connection was established: name resolution, refusal, timeout, proxy's no."""
    refused = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return any(
        isinstance(cause, refused)
        or (isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed"))
        for cause in causes(fault)
    )


def no_tls(fault: BaseException) -> bool:
    """Whether the TLS handshake failed, or the CA bundle is missing."""
    if isinstance(fault, OSError) and not isinstance(fault, requests.RequestException):
        return "TLS" in str(fault)
    return any(
        isinstance(cause, ssl.SSLError)
        and (isinstance(cause, ssl.SSLCertVerificationError) or cause.reason in _HANDSHAKE_FAULTS)
        for cause in causes(fault)
    )


def timed_out(fault: BaseException) -> bool:
    """Whether a timeout ended the exchange."""
    kinds = (TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout)
    return any(
        isinstance(cause, kinds) and not isinstance(cause, urllib3.exceptions.NewConnectionError)
        for cause in causes(fault)
    )


def was_closed(fault: BaseException) -> bool:
    """Whether the server had closed or reset the connection."""
    return any(
        isinstance(cause, (ConnectionError, http.client.BadStatusLine)) for cause in causes(fault)
    ) and not never_connected(fault)


def describe(fault: BaseException) -> str:
    """Return the innermost reason in words, without the layers around it."""
    words = type(fault).__name__
    for cause in causes(fault):
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException):
            words = cause.strerror or str(cause) or words
        elif isinstance(cause, urllib3.exceptions.NewConnectionError):
            words = str(cause).rpartition(": ")[2] or words  # urllib3 1 has no cause inside
        elif isinstance(cause, http.client.HTTPException):
            words = str(cause) or words
    return words
