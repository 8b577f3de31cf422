"""One HTTP exchange with the API: credentials, timeouts, connections, and what may go wrong.

Timeouts are in seconds. The read timeout bounds each silence, and some of them the whole answer
(``Call.patience``), however much of it comes. If all that is still missing by then is the rest of a
log (``KeepText.after``), the answer counts without it. A brief call (``Call.brief``) leaves its
answer there in any case, and the connection with it: the server stops sending.

One attempt per call, with one exception: a server may close an idle connection just when it is used
again, so a repeatable call that dies on a kept connection is sent once more on a new one. A call
that is not repeatable always gets a new connection, which makes that ambiguity impossible.

A token that is fetched (``perian_shim.api.tokens``) may be refused because it has ended (401): then
the call is made once more, whatever it is, if there is another token.

Redirects are never followed and ``.netrc`` is never consulted. Proxies and trusted certificates are
those of the environment (``perian_shim.wire``).
"""

import http.client
import json
import os
import time
import urllib.parse
import zlib
from typing import TYPE_CHECKING

from perian_shim.api.errors import ApiTimeout, ClientConfigError, TlsFailure, TransportError
from perian_shim.api.redaction import Redactor
from perian_shim.api.responses import CLIENT_ERROR, Answer, Call
from perian_shim.api.server_text import MAX_FOREIGN_TEXT, tidy
from perian_shim.api.trimming import Trimmer
from perian_shim.wire import (
    PIECE_BYTES,
    Connection,
    UnusableProxy,
    pieces,
    proxy_for,
    tls_context,
)
from perian_shim.wire.faults import CONNECTION_FAULTS, describe, no_tls, timed_out, was_closed

if TYPE_CHECKING:  # it can run programs, which a pod never does
    from perian_shim.api.tokens import TokenSource

UNAUTHORIZED = 401

SMALL_BYTES = 32 << 10
"""An answer that is no longer is parsed as it came: looking into it costs more than it saves."""

BRIEF_PIECE_BYTES = 4 << 10
"""How much is read at a time of an answer that is to be left early."""

MAX_KEPT_BYTES = 32 * 1024 * 1024
"""An answer is left if it is longer, not counting what is taken out."""


class Credentials:
    """Organization and token, and the only place that makes headers of them.

    Args:
        organization: name of the organization.
        token: its API token, or what gets one when it is needed.

    Raises:
        ClientConfigError: one of them is empty or cannot be a header; the value is not shown.
    """

    def __init__(self, organization: str, token: "str | TokenSource") -> None:
        self.organization = header_value("organization", organization)
        self._source = None if isinstance(token, str) else token
        self._used = [header_value("token", token)] if isinstance(token, str) else []

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def used(self) -> tuple[str, ...]:
        """All tokens that have ever been sent: each may come back in any later text."""
        return tuple(self._used)

    def token(self) -> str:
        """Return the token to send.

        Raises:
            ClientConfigError: it cannot be had, or cannot be a header.
        """
        return self._used[0] if self._source is None else self._noted(self._source.current())

    def renewed(self, refused: str) -> str | None:
        """Return another token than the one that was refused; None if there is no other.

        Raises:
            ClientConfigError: it cannot be had, or cannot be a header.
        """
        other = None if self._source is None else self._source.renewed(refused)
        return None if other is None or self._noted(other) == refused else self._noted(other)

    def headers(self, token: str) -> dict[str, str]:
        """Return what is sent with each call."""
        return {"X-PERIAN-AUTH-ORG": self.organization, "Authorization": f"Bearer {token}"}

    def _noted(self, token: str) -> str:
        value = header_value("token", token)
        if value not in self._used:
            self._used.append(value)
        return value


class Transport:
    """Sends calls below one base URL.

    Args:
        base_url: ``http`` or ``https``, without credentials, query or fragment.
        credentials: sent with each call.
        connect_timeout: seconds to establish a connection.
        read_timeout: seconds without a byte of the answer.
        user_agent: value of the header.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        connect_timeout: float,
        read_timeout: float,
        user_agent: str,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        parts = urllib.parse.urlsplit(self.base_url)
        self._path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~")
        self._has_tls = parts.scheme == "https"
        self._credentials = credentials
        self._timeouts = (connect_timeout, read_timeout)
        self._headers = {"Accept": "application/json", "User-Agent": user_agent}
        self._kept: Connection | None = None

    @property
    def organization(self) -> str:
        """The name of the organization."""
        return self._credentials.organization

    def close(self) -> None:
        """Close the connection that is kept."""
        self._keep(None)

    def redactor(self, call: Call) -> Redactor:
        """Return what must be applied to every text from outside before it is shown."""
        hidden = (self._credentials.organization, *call.confidential)
        return Redactor(self._credentials.used, hidden)

    def send(self, call: Call) -> Answer:
        """Send a call and return the answer, whatever its status.

        Raises:
            TransportError: no answer came, or not in time.
            ClientConfigError: the environment's proxy settings cannot be used, or no token can be
                had.
        """
        token = self._credentials.token()
        answer = self._send(call, token)
        if answer.status_code != UNAUTHORIZED:
            return answer
        # Who is not known has changed nothing: any call may be made again.
        other = self._credentials.renewed(token)
        return answer if other is None else self._send(call, other)

    def _send(self, call: Call, token: str) -> Answer:
        kept, self._kept = self._kept, None
        if kept is not None:
            if call.repeatable and kept.is_quiet():
                try:
                    return self._exchange(call, token, kept)
                except CONNECTION_FAULTS as fault:
                    if not was_closed(fault):
                        raise self._broken(call, fault) from self._harmless(call, fault)
            kept.close()
        connection = self._connect(call)
        try:
            return self._exchange(call, token, connection)
        except CONNECTION_FAULTS as fault:
            raise self._broken(call, fault) from self._harmless(call, fault)

    def _keep(self, connection: Connection | None) -> None:
        former, self._kept = self._kept, connection
        if former is not None:
            former.close()

    def _connect(self, call: Call) -> Connection:
        try:
            proxy = proxy_for(self.base_url, os.environ)
        except UnusableProxy as fault:
            message = f"{call}: {self.base_url} cannot be requested with these proxy settings"
            raise ClientConfigError(f"{message}: {fault}.", remedy=fault.remedy) from None
        try:
            context = tls_context(os.environ) if self._has_tls else None
        except OSError as fault:
            raise self._untrusted(call, fault) from fault
        try:
            return Connection(self.base_url, proxy, context, self._timeouts[0])
        except (*CONNECTION_FAULTS, UnicodeError) as fault:
            if no_tls(fault):
                raise self._untrusted(call, fault) from self._harmless(call, fault)
            raise self._unreached(call, fault) from self._harmless(call, fault)

    def _exchange(self, call: Call, token: str, connection: Connection) -> Answer:
        query = urllib.parse.urlencode(call.query)
        headers = {**self._headers, **self._credentials.headers(token)}
        body = None
        if call.body is not None:
            body = json.dumps(call.body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        whole = False
        try:
            response = connection.request(
                call.method,
                f"{self._path}{call.path}{'?' if query else ''}{query}",
                headers=headers,
                body=body,
                timeout=self._timeouts[1],
            )
            with response:
                answer = self._receive(call, response)
                whole = response.isclosed()
            return answer
        finally:  # also when a signal ends it: what is left of this answer is not the next one's
            if whole and connection.may_be_kept:
                self._keep(connection)
            else:
                connection.close()

    def _receive(self, call: Call, response: http.client.HTTPResponse) -> Answer:
        body = bytearray()
        brief = call.brief and response.status < CLIENT_ERROR
        trimmer = Trimmer(call.keep, small=0 if brief else SMALL_BYTES)
        fault = late = ""
        left, size = False, 0
        announced = None if response.headers.get("Content-Encoding") else response.length
        seconds = call.patience * self._timeouts[1]
        deadline = time.monotonic() + seconds
        cause: Exception | None = None
        rest: bytes | None = None
        try:
            for piece in pieces(response, BRIEF_PIECE_BYTES if brief else PIECE_BYTES):
                size += len(piece)
                body += trimmer.feed(piece)
                if brief and trimmer.is_in_expendable:
                    left, rest = True, trimmer.cut()
                    if rest is None:
                        body.clear()
                        rest = b""
                    break
                if len(body) > MAX_KEPT_BYTES:
                    fault = "was abandoned as too long"
                    break
                if time.monotonic() > deadline:
                    rest = trimmer.cut()
                    late = "" if rest is not None else f"had not ended after {seconds:g} s"
                    break
        except (*CONNECTION_FAULTS, zlib.error) as error:
            fault, cause = "breaks off", error
            late = "stopped arriving" if timed_out(error) else ""
        if late and response.status < CLIENT_ERROR:
            message = f"{call}: the answer of {self.base_url} {late}."
            raise ApiTimeout(
                message, method=call.method, path=call.path, status_code=response.status
            ) from cause
        body += trimmer.close() if rest is None else rest
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, bytes(body), fault or late, size, announced, left)

    def _harmless(self, call: Call, fault: Exception) -> Exception | None:
        """Return a cause that a traceback may show: None if it quotes a server quoting a secret."""
        return fault if self.redactor(call)(str(fault)) == str(fault) else None

    def _reason(self, call: Call, fault: Exception) -> str:
        return tidy(self.redactor(call)(describe(fault)), MAX_FOREIGN_TEXT)

    def _untrusted(self, call: Call, fault: Exception) -> TlsFailure:
        reason = self._reason(call, fault)
        message = f"{call}: no trusted TLS connection to {self.base_url} ({reason})."
        return TlsFailure(message, sent=False, method=call.method, path=call.path)

    def _unreached(self, call: Call, fault: Exception) -> TransportError:
        """Return our error for a connection that was not made."""
        kind: type[TransportError] = TransportError
        message = f"cannot connect to {self.base_url} ({self._reason(call, fault)})"
        if timed_out(fault):
            kind = ApiTimeout
            message = f"no connection to {self.base_url} within {self._timeouts[0]:g} s"
        return kind(f"{call}: {message}.", sent=False, method=call.method, path=call.path)

    def _broken(self, call: Call, fault: Exception) -> TransportError:
        """Return our error for what went wrong before an answer's headers came."""
        kind: type[TransportError] = TransportError
        reason = self._reason(call, fault)
        message = f"the connection to {self.base_url} broke before an answer came ({reason})"
        if timed_out(fault):
            kind = ApiTimeout
            message = f"no answer from {self.base_url} within {self._timeouts[1]:g} s"
        return kind(f"{call}: {message}.", sent=True, method=call.method, path=call.path)


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
    if parts.query or parts.fragment or not fits_a_url(base_url.strip()):
        raise bad_base_url("has a query, a fragment or spaces", base_url)
    return base_url.strip().rstrip("/")


def fits_a_url(text: str) -> bool:
    """Whether a text has neither spaces nor control characters."""
    return text.isprintable() and not any(character.isspace() for character in text)


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
