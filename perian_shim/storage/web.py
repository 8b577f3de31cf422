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
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

import certifi
import urllib3
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError

ATTEMPTS = 5
"""How often one request is made."""

LONGEST_PAUSE = 20.0
"""Longest pause between two attempts, in seconds."""

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0

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


class Trust(TypedDict, total=False):
    """The certificates that are trusted, in urllib3's terms."""

    ca_certs: str
    ca_cert_dir: str


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
        self._trust = trust(environ)
        self._sleep = sleep
        self._chance = chance
        self._managers: dict[str | None, urllib3.PoolManager] = {}

    def ask(
        self,
        method: str,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        body: bytes = b"",
        *,
        limit: int | None = None,
        busy: Callable[[Answer], bool] = is_busy,
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """Make a request until there is an answer that is not to pass.

        Args:
            method: HTTP method.
            url: where to; sent as it is, without any normalization.
            headers: makes the headers, for each attempt anew: a signature has a time.
            body: to send.
            limit: how many bytes of the answer are wanted.
            busy: whether an answer may be another one later.
            attempts: how often it is tried.

        Raises:
            NoAnswer: there was none.
            BrokenOff: the last one was not whole.
        """
        for attempt in range(1, attempts + 1):
            try:
                answer = self._ask_once(method, url, headers(), body, limit)
            except (NoAnswer, BrokenOff) as error:
                if attempt == attempts or not getattr(error, "passing", True):
                    raise
            else:
                if attempt == attempts or not busy(answer):
                    return answer
            self._sleep(min(2.0 ** (attempt - 1), LONGEST_PAUSE) * self._chance())
        raise AssertionError  # the last attempt has returned or raised

    def _ask_once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, limit: int | None
    ) -> Answer:
        parts = urlsplit(url)
        proxy = select_proxy(url, get_environ_proxies(url))
        target = url.partition(parts.netloc)[2] or "/"
        if proxy and parts.scheme == "http":
            target = url
        try:
            response = (
                self._manager(proxy)
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
        try:
            return whole_answer(response, method, limit)
        finally:
            response.close()  # a connection whose answer was read to its end is in the pool by now
            response.release_conn()

    def _manager(self, proxy: str | None) -> urllib3.PoolManager:
        if proxy not in self._managers:
            common = {"maxsize": 8, "cert_reqs": "CERT_REQUIRED", **self._trust}
            if proxy is None:
                manager = urllib3.PoolManager(**common)  # type: ignore[arg-type]
            else:
                proxy_url = proxy if "://" in proxy else f"http://{proxy}"
                user, password = get_auth_from_url(proxy_url)
                said = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
                manager = urllib3.ProxyManager(proxy_url, proxy_headers=said, **common)  # type: ignore[arg-type]
            self._managers[proxy] = manager
        return self._managers[proxy]


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


def trust(environ: Mapping[str, str]) -> Trust:
    """Return which certificates are trusted."""
    bundle = (
        next((environ[name] for name in CA_BUNDLES if environ.get(name)), None) or certifi.where()
    )
    return {"ca_cert_dir": bundle} if Path(bundle).is_dir() else {"ca_certs": bundle}
