"""Requests to an object store over HTTP: bounded, tried a few times, whole or an error.

One request is tried ``ATTEMPTS`` times, with pauses that double and are jittered, while there is no
answer, the store says that it has too much to do, or the answer breaks off. Longer outages are for
the caller to ride out. Python's signal handlers run at any time meanwhile.

Certificates are checked against ``AWS_CA_BUNDLE``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` or
``SSL_CERT_FILE``, the first that is set, otherwise against certifi's. Proxies are those of
``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``.
"""

import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import urllib3
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

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
        environ: names certificates.
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
        self._context: ssl.SSLContext | None = None
        self._sleep = sleep
        self._chance = chance
        self._lock = threading.Lock()
        self._managers: dict[tuple[str | None, bool], urllib3.PoolManager] = {}

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
        proxy = None if direct else select_proxy(url, get_environ_proxies(url))
        tls = parts.scheme == "https" or (proxy or "").startswith("https:")
        target = url.partition(parts.netloc)[2] or "/"
        if proxy and parts.scheme == "http":
            target = url
        try:
            response = (
                self._manager(proxy, tls=tls)
                .connection_from_url(f"{parts.scheme}://{parts.netloc}/")
                .urlopen(
                    method,
                    target,
                    body=body or None,
                    headers={"Accept-Encoding": "identity", **headers},
                    retries=False,
                    redirect=False,
                    assert_same_host=False,  # it is the proxy's, which is asked for a whole URL
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                    preload_content=False,
                    decode_content=False,
                )
            )
        except (HTTPError, OSError) as error:
            raise no_answer(parts.netloc, error) from error
        except ValueError:  # it would tell the header: a key may be in it
            message = f"no request can be made to {parts.netloc}: a header is malformed"
            raise NoAnswer(message, passing=False) from None
        try:
            return whole_answer(response, method, limit)
        finally:
            response.close()  # a connection whose answer was read to its end is in the pool by now
            response.release_conn()

    def _manager(self, proxy: str | None, *, tls: bool) -> urllib3.PoolManager:
        with self._lock:
            if tls and self._context is None:
                self._context = trusting(self._environ)
            place = (proxy, tls)
            if place not in self._managers:
                self._managers[place] = pool_manager(proxy, self._context if tls else None)
            return self._managers[place]


def pool_manager(proxy: str | None, context: ssl.SSLContext | None) -> urllib3.PoolManager:
    """Return connections, through a proxy if there is one."""
    if proxy is None:
        return urllib3.PoolManager(maxsize=CONNECTIONS, ssl_context=context)
    url = proxy if "://" in proxy else f"http://{proxy}"
    user, password = get_auth_from_url(url)
    said = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
    return urllib3.ProxyManager(
        url,
        maxsize=CONNECTIONS,
        ssl_context=context,
        proxy_ssl_context=context,
        proxy_headers=said,
    )


def whole_answer(
    response: "urllib3.response.BaseHTTPResponse", method: str, limit: int | None
) -> Answer:
    """Read an answer.

    Raises:
        BrokenOff: it ends early.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    wanted = limit if response.status < 300 else None  # noqa: PLR2004 - an error is read whole
    try:
        body = b"" if wanted == 0 else response.read(wanted)
    except (HTTPError, OSError) as error:
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
    cause: BaseException | None = error
    for _ in range(8):  # the reason is within: urllib3's error, perhaps a proxy's, the socket's
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"the certificate of {host} is not trusted: {cause.verify_message}"
            return NoAnswer(message, passing=False)
        if cause is None:
            break
        inner = next((item for item in cause.args if isinstance(item, BaseException)), None)
        cause = inner or cause.__cause__ or cause.__context__
    said = str(error.args[-1]) if error.args else ""
    said = said.rpartition(">: ")[2] or said  # urllib3 puts an object in front
    return NoAnswer(f"no answer from {host}: {said or type(error).__name__}", passing=True)


def trusting(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return what servers' certificates are checked with; made once, for it holds all authorities.

    Raises:
        NoAnswer: the certificates that are to be trusted cannot be read.
    """
    names = (name for name in CA_BUNDLES if environ.get(name))
    variable = next(names, None)
    bundle = environ[variable] if variable else certifi.where()
    context = create_urllib3_context()
    try:
        if Path(bundle).is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:
        message = (
            f"the certificates to trust, {variable}={bundle}, cannot be read: {error.strerror}"
        )
        raise NoAnswer(message, passing=False) from error
    return context
