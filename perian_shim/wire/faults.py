"""What an error of a connection means: was it time, was it TLS, had the server hung up?

In doubt a request may have arrived.
"""

import http.client
import ssl

CONNECTION_FAULTS = (OSError, http.client.HTTPException)
"""What breaks a connection, or keeps it from being made."""

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


def no_tls(fault: BaseException) -> bool:
    """Whether the two sides cannot agree on TLS; trying again does not help."""
    return isinstance(fault, ssl.SSLCertVerificationError) or (
        isinstance(fault, ssl.SSLError) and fault.reason in _HANDSHAKE_FAULTS
    )


def timed_out(fault: BaseException) -> bool:
    """Whether a timeout ended the exchange."""
    return isinstance(fault, TimeoutError)


def was_closed(fault: BaseException | None) -> bool:
    """Whether the server had closed or reset the connection."""
    return isinstance(fault, (ConnectionError, http.client.BadStatusLine))


def describe(fault: BaseException) -> str:
    """Return the reason in words."""
    words = fault.strerror if isinstance(fault, OSError) else ""
    return words or str(fault) or type(fault).__name__
