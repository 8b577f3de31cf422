"""One HTTP exchange with the API: credentials, timeouts, connections, and what may go wrong.

Timeouts are in seconds. The read timeout bounds each silence, and some of them the whole answer
(``Call.patience``), however much of it comes. If all that is still missing by then is the rest of a
log (``KeepText.after``), the answer counts without it.

One attempt per call, with one exception: a server may close an idle connection just when it is used
again, so a repeatable call that dies on a kept connection is sent once more on a new one. A call
that is not repeatable always gets a new connection, which makes that ambiguity impossible.

Redirects are never followed and ``.netrc`` is never consulted (``requests`` would let it replace
the token). Proxies and CA bundles come from the usual environment of ``requests``.
"""

import time
import urllib.parse
from collections.abc import Iterator

import requests
import urllib3.exceptions

from perian_shim.api.connection_faults import (
    causes,
    describe,
    never_connected,
    no_tls,
    timed_out,
    was_closed,
)
from perian_shim.api.errors import ApiTimeout, ClientConfigError, TlsFailure, TransportError
from perian_shim.api.redaction import Redactor
from perian_shim.api.responses import CLIENT_ERROR, Answer, Call
from perian_shim.api.server_text import MAX_FOREIGN_TEXT, tidy
from perian_shim.api.trimming import Trimmer

MAX_KEPT_BYTES = 32 * 1024 * 1024
"""An answer is left if it is longer, not counting what is taken out."""

_PIECE_BYTES = 64 * 1024


class Credentials(requests.auth.AuthBase):
    """Puts organization and token on a request; the only place that does.

    Args:
        organization: name of the organization.
        token: its API token.

    Raises:
        ClientConfigError: one of them is empty or cannot be a header; the value is not shown.
    """

    def __init__(self, organization: str, token: str) -> None:
        self.organization = header_value("organization", organization)
        self.token = header_value("token", token)

    def __repr__(self) -> str:
        return "Credentials(…)"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers."""
        request.headers["X-PERIAN-AUTH-ORG"] = self.organization
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Transport:
    """Sends calls below one base URL.

    Args:
        base_url: ``http`` or ``https``, without credentials, query or fragment.
        credentials: sent with each call.
        connect_timeout: seconds to establish a connection.
        read_timeout: seconds without a byte of the answer.
        session: the caller's own, which stays open; None: one of ours.
        user_agent: value of the header.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        connect_timeout: float,
        read_timeout: float,
        session: requests.Session | None,
        user_agent: str,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        self._credentials = credentials
        self._timeouts = (connect_timeout, read_timeout)
        self._owns_session = session is None
        self._session = requests.Session() if session is None else session
        self._headers = {"Accept": "application/json", "User-Agent": user_agent}
        self._holds_connections = session is not None

    def close(self) -> None:
        """Close the connections of our own session."""
        if self._owns_session:
            self._session.close()

    def redactor(self, call: Call) -> Redactor:
        """Return what must be applied to every text from outside before it is shown."""
        hidden = (self._credentials.organization, *call.confidential)
        return Redactor((self._credentials.token,), hidden)

    def send(self, call: Call) -> Answer:
        """Send a call and return the answer, whatever its status.

        Raises:
            TransportError: no answer came, or not in time.
            ClientConfigError: the environment's proxy settings cannot be used.
        """
        if not call.repeatable:
            self._drop_connections()
        kept = self._holds_connections
        try:
            return self._exchange(call)
        except TransportError as fault:
            if not (kept and call.repeatable and was_closed(fault)):
                raise
        self._drop_connections()
        return self._exchange(call)

    def _drop_connections(self) -> None:
        self._session.get_adapter(self.base_url).close()
        self._holds_connections = False

    def _exchange(self, call: Call) -> Answer:
        try:
            response = self._session.request(
                call.method,
                self.base_url + call.path,
                params=dict(call.query),
                json=call.body,
                headers=self._headers,
                auth=self._credentials,
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            )
        except UNUSABLE:
            message = f"{call}: {self.base_url} cannot be requested with these proxy settings."
            remedy = "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY."
            # The cause is dropped: it quotes the proxy's URL, which may hold a password.
            raise ClientConfigError(message, remedy=remedy) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as fault:
            raise self._explain(call, fault) from self._harmless(call, fault)
        self._holds_connections = True
        with response:
            return self._receive(call, response)

    def _receive(self, call: Call, response: requests.Response) -> Answer:
        body = bytearray()
        trimmer = Trimmer(call.keep)
        fault = late = ""
        seconds = call.patience * self._timeouts[1]
        deadline = time.monotonic() + seconds
        cause: Exception | None = None
        rest: bytes | None = None
        try:
            for piece in pieces(response):
                body += trimmer.feed(piece)
                if len(body) > MAX_KEPT_BYTES:
                    fault = "was abandoned as too long"
                    break
                if time.monotonic() > deadline:
                    rest = trimmer.cut()
                    late = "" if rest is not None else f"had not ended after {seconds:g} s"
                    break
            else:
                # urllib3 before 2.0 does not complain about a body shorter than announced.
                fault = "breaks off" if getattr(response.raw, "length_remaining", 0) else ""
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            fault, cause = "breaks off", error
            late = "stopped arriving" if timed_out(error) else ""
        if late and response.status_code < CLIENT_ERROR:
            message = f"{call}: the answer of {self.base_url} {late}."
            raise ApiTimeout(
                message, method=call.method, path=call.path, status_code=response.status_code
            ) from cause
        body += trimmer.close() if rest is None else rest
        return Answer(response.status_code, response.headers, bytes(body), fault or late)

    def _harmless(self, call: Call, fault: Exception) -> Exception | None:
        """Return a cause that a traceback may show: None if it quotes a server quoting a secret."""
        redact = self.redactor(call)
        harmless = all(redact(str(cause)) == str(cause) for cause in causes(fault))
        return fault if harmless else None

    def _explain(self, call: Call, fault: Exception) -> TransportError:
        """Return our error for what went wrong before an answer's headers came."""
        kind: type[TransportError] = TransportError
        sent = not never_connected(fault)
        reason = tidy(self.redactor(call)(describe(fault)), MAX_FOREIGN_TEXT)
        if no_tls(fault):
            kind, sent = TlsFailure, False
            what = f"no trusted TLS connection to {self.base_url} ({reason})"
        elif timed_out(fault):
            kind = ApiTimeout
            what = (
                f"no answer from {self.base_url} within {self._timeouts[1]:g} s"
                if sent
                else f"no connection to {self.base_url} within {self._timeouts[0]:g} s"
            )
        elif sent:
            what = f"the connection to {self.base_url} broke before an answer came ({reason})"
        else:
            what = f"cannot connect to {self.base_url} ({reason})"
        return kind(f"{call}: {what}.", sent=sent, method=call.method, path=call.path)


def pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the decoded body as it arrives: a trickle too must not be waited for for ever."""
    read = getattr(response.raw, "read1", None)
    if read is None:  # urllib3 before 2.1 hands on full pieces only
        yield from response.iter_content(_PIECE_BYTES)
        return
    while piece := read(_PIECE_BYTES, decode_content=True):
        yield piece


UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
)


def checked_base_url(base_url: str) -> str:
    """Return the base URL without trailing slashes.

    Raises:
        ClientConfigError: it is none; credentials in it are not shown.
    """
    try:
        parts = urllib.parse.urlsplit(base_url.strip())
        port_is_valid = parts.port != 0
    except ValueError:
        raise bad_base_url("is no URL", base_url) from None
    if "@" in parts.netloc:
        message = "The base URL of the Perian API contains credentials."
        raise ClientConfigError(message, remedy="Give organization and token on their own.")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_valid:
        raise bad_base_url("is no http or https URL with a host", base_url)
    if parts.query or parts.fragment or any(ord(c) <= ord(" ") for c in base_url.strip()):
        raise bad_base_url("has a query, a fragment or spaces", base_url)
    return base_url.strip().rstrip("/")


def bad_base_url(fault: str, base_url: str) -> ClientConfigError:
    """Return the error for a base URL, shown unless it might hold credentials."""
    shown = "" if "@" in base_url else f": {tidy(base_url, MAX_FOREIGN_TEXT)!r}"
    remedy = 'Set it to a URL like "https://api.perian.cloud".'
    return ClientConfigError(f"The base URL of the Perian API {fault}{shown}.", remedy=remedy)


def header_value(name: str, value: str) -> str:
    """Return a credential without the white space around it that secret stores like to add.

    Raises:
        ClientConfigError: it is empty or has characters that a header cannot carry.
    """
    stripped = value.strip()
    if not stripped:
        raise ClientConfigError(f"The Perian {name} is empty.", remedy="Give the right one.")
    if not (stripped.isascii() and stripped.isprintable()):
        message = f"The Perian {name} contains characters that an HTTP header cannot carry."
        raise ClientConfigError(message, remedy="Check how the secret was stored.")
    return stripped
