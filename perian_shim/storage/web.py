"""Requests to an object store over HTTP: bounded, tried a few times, whole or an error.

One request is tried ``ATTEMPTS`` times, with pauses that double and are jittered, while there is no
answer, the store says that it has too much to do, or the answer breaks off. Longer outages are for
the caller to ride out. Python's signal handlers run at any time meanwhile.

Certificates are checked against ``AWS_CA_BUNDLE``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` or
``SSL_CERT_FILE``, the first that is set, otherwise against the machine's. Proxies are those of
``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` (``perian_shim.wire``).
"""

import http.client
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from perian_shim.wire import Connection, UnusableProxy, proxy_for, tls_context
from perian_shim.wire.faults import CONNECTION_FAULTS, describe, was_closed

ATTEMPTS = 5
"""How often one request is made."""

LONGEST_PAUSE = 20.0
"""Longest pause between two attempts, in seconds."""

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0

CONNECTIONS = 8
"""How many connections to one server are kept."""

TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500

CA_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Answer:
    """What a store answered.

    Attributes:
        status: HTTP status.
        headers: by name in lower case.
        body: all of it, or as much as was wanted.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class NoAnswer(Exception):
    """There was no answer.

    Attributes:
        passing: whether there may be one later.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


class BrokenOff(Exception):
    """There were answers, but none was whole."""


def is_busy(answer: Answer) -> bool:
    """Whether the same request may get another answer later."""
    return answer.status >= SERVER_ERROR or answer.status == TOO_MANY_REQUESTS


class Web:
    """Connections to servers; may be used by several threads.

    Args:
        environ: names certificates and proxies.
        sleep: waits between attempts, in seconds.
        chance: returns a number from 0 to 1 to stretch pauses by.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._environ = environ
        self._sleep = sleep
        self._chance = chance
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, bool], list[Connection]] = {}

    def ask(
        self,
        method: str,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        body: bytes = b"",
        *,
        limit: int | None = None,
        busy: Callable[[Answer], bool] = is_busy,
        direct: bool = False,
    ) -> Answer:
        """Make a request until there is an answer that is not to pass.

        Args:
            method: HTTP method.
            url: where to; sent as it is, without any normalization.
            headers: makes the headers, for each attempt anew: a signature has a time.
            body: to send.
            limit: how many bytes of the answer are wanted.
            busy: whether an answer may be another one later.
            direct: past any proxy: the server is on our node.

        Raises:
            NoAnswer: there was none.
            BrokenOff: the last one was not whole.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._ask_once(method, url, headers(), body, limit, direct=direct)
            except (NoAnswer, BrokenOff) as error:
                if attempt == ATTEMPTS or not getattr(error, "passing", True):
                    raise
            else:
                if attempt == ATTEMPTS or not busy(answer):
                    return answer
            self._sleep(min(2.0 ** (attempt - 1), LONGEST_PAUSE) * self._chance())
        raise AssertionError  # the last attempt has returned or raised

    def _ask_once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        limit: int | None,
        *,
        direct: bool,
    ) -> Answer:
        parts = urlsplit(url)
        place = (f"{parts.scheme}://{parts.netloc}", direct)
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            message = f"no request can be made to {parts.netloc}: a header is malformed"
            raise NoAnswer(message, passing=False) from None  # the value may be a key
        target = url.partition(parts.netloc)[2] or "/"
        sent = {"Accept-Encoding": "identity", **headers}
        try:
            kept = self._kept(place)
            if kept is not None:
                try:
                    return self._exchange(place, kept, method, target, sent, body, limit)
                except CONNECTION_FAULTS as error:
                    if not was_closed(error):
                        raise
            # The server may close a connection just when it is used again: that is no attempt.
            connection = self._connection(place)
            return self._exchange(place, connection, method, target, sent, body, limit)
        except UnusableProxy as error:
            raise NoAnswer(f"no way to {parts.netloc}: {error}", passing=False) from None
        except CONNECTION_FAULTS as error:
            raise no_answer(parts.netloc, error) from error

    def _exchange(
        self,
        place: tuple[str, bool],
        connection: Connection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        limit: int | None,
    ) -> Answer:
        whole = False
        try:
            with connection.request(
                method, target, headers=headers, body=body or None, timeout=READ_SECONDS
            ) as response:
                answer = whole_answer(response, method, limit)
                whole = response.isclosed()
            return answer
        finally:
            if not (whole and connection.may_be_kept and self._keep(place, connection)):
                connection.close()

    def _kept(self, place: tuple[str, bool]) -> Connection | None:
        """Return a connection of before that nobody else uses."""
        while kept := self._take(place):
            if kept.is_quiet():
                return kept
            kept.close()
        return None

    def _connection(self, place: tuple[str, bool]) -> Connection:
        """Return a new connection."""
        url, direct = place
        try:
            proxy = None if direct else proxy_for(url, self._environ)
            context = self._context() if url.startswith("https:") else None
            return Connection(url, proxy, context, CONNECT_SECONDS)
        except (UnusableProxy, ssl.SSLCertVerificationError):  # ValueErrors too
            raise
        except ValueError as error:  # a port that is no number, a host that is no name
            message = f"no request can be made to {url}: {error}"
            raise NoAnswer(message, passing=False) from None

    def _context(self) -> ssl.SSLContext:
        try:
            return tls_context(self._environ, CA_BUNDLES)
        except OSError as error:
            set_ = (f"{n}={v}" for n in CA_BUNDLES if (v := self._environ.get(n)))
            named = next(set_, "the machine's own")
            reason = error.strerror or "there is nothing"
            message = f"the certificates to trust, {named}, cannot be read: {reason}"
            raise NoAnswer(message, passing=False) from error

    def _take(self, place: tuple[str, bool]) -> Connection | None:
        with self._lock:
            idle = self._idle.get(place)
            return idle.pop() if idle else None

    def _keep(self, place: tuple[str, bool], connection: Connection) -> bool:
        with self._lock:
            idle = self._idle.setdefault(place, [])
            if len(idle) >= CONNECTIONS:
                return False
            idle.append(connection)
            return True


def whole_answer(response: http.client.HTTPResponse, method: str, limit: int | None) -> Answer:
    """Read an answer.

    Raises:
        BrokenOff: it ends early.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    wanted = limit if response.status < 300 else None  # noqa: PLR2004 - an error is read whole
    try:
        body = b"" if wanted == 0 else response.read(wanted)
    except CONNECTION_FAULTS as error:
        message = f"the answer broke off: {type(error).__name__}"
        raise BrokenOff(message) from error
    length = headers.get("content-length", "")
    if method != "HEAD" and length.isdecimal():
        expected = int(length) if wanted is None else min(int(length), wanted)
        if len(body) < expected:
            message = f"the answer broke off after {len(body)} of {expected} bytes"
            raise BrokenOff(message)
    return Answer(response.status, headers, body)


def no_answer(host: str, error: Exception) -> NoAnswer:
    """Return our error for a request that got none."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the certificate of {host} is not trusted: {error.verify_message}"
        return NoAnswer(message, passing=False)
    return NoAnswer(f"no answer from {host}: {describe(error)}", passing=True)
