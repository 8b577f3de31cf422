"""One HTTP connection to a server, straight or through a proxy: one request at a time.

The standard library's ``http.client`` speaks HTTP. What is here is what it leaves to its users:
the two ways through a proxy, two timeouts, whether a connection may be used again, and bodies in
pieces, unpacked, that are known to be whole.
"""

import http.client
import select
import ssl
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping

from perian_shim.wire.proxies import Proxy

ENCODINGS = "gzip"
"""What is sent as ``Accept-Encoding``."""

_GZIP = 16 + zlib.MAX_WBITS
PIECE_BYTES = 64 * 1024
"""How much of a body is read at a time, if nothing else is said."""


class Connection:
    """A connection that has been established.

    Args:
        url: of the server; only scheme, host and port matter.
        proxy: on the way there.
        context: for ``https``.
        timeout: seconds to get there, TLS included.

    Raises:
        OSError: it cannot be established; nothing was sent to the server.
        http.client.HTTPException: the proxy answered nonsense; as well.
    """

    def __init__(
        self, url: str, proxy: Proxy | None, context: ssl.SSLContext | None, timeout: float
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
        at, door = (proxy.host, proxy.port) if proxy is not None else (host, port)
        self._prefix = ""
        self._proxy_headers: Mapping[str, str] = {}
        self._http: http.client.HTTPConnection
        if context is not None:
            self._http = http.client.HTTPSConnection(at, door, timeout=timeout, context=context)
            if proxy is not None:
                self._http.set_tunnel(host, port or self._http.default_port, dict(proxy.headers))
        else:
            self._http = http.client.HTTPConnection(at, door, timeout=timeout)
            if proxy is not None:
                self._prefix = f"{parts.scheme}://{parts.netloc.encode('idna').decode()}"
                self._proxy_headers = proxy.headers
        self._cut_short = False
        self._http.auto_open = 0  # a new connection is a decision of whoever uses this
        try:
            self._http.connect()
        except BaseException:  # a signal too
            self._http.close()
            raise

    def close(self) -> None:
        """Close it. Closing twice is fine."""
        self._http.close()

    def __del__(self) -> None:
        if hasattr(self, "_http"):  # not if there was not even a host to name
            self.close()

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither an end nor a complaint."""
        if self._http.sock is None:
            return False
        poller = select.poll()  # selectors' default takes a descriptor of its own each time
        poller.register(self._http.sock, select.POLLIN)
        return not poller.poll(0)

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> http.client.HTTPResponse:
        """Send a request; return the answer as soon as its headers are there.

        Args:
            method: HTTP method.
            target: path and query.
            headers: to be sent.
            body: None for none.
            timeout: seconds without a byte, also of the body that follows.

        Raises:
            OSError: the connection broke, or fell silent.
            http.client.HTTPException: the answer is no HTTP, or none.
        """
        self._http.sock.settimeout(timeout)
        sent = {"Accept-Encoding": ENCODINGS, **headers, **self._proxy_headers}
        try:
            self._http.request(method, self._prefix + target, body=body, headers=sent)
        except (BrokenPipeError, ConnectionResetError):
            # The server may have refused before it had all of the body: its answer tells why.
            self._cut_short = True
        return self._http.getresponse()

    @property
    def may_be_kept(self) -> bool:
        """Whether the connection can be used again, now that the answer has been read."""
        return self._http.sock is not None and not self._cut_short


def pieces(response: http.client.HTTPResponse, longest: int = PIECE_BYTES) -> Iterator[bytes]:
    """Yield the body as it arrives and unpacked.

    Args:
        response: whose body it is.
        longest: bound of a piece's size in bytes, and of what is read ahead.

    Raises:
        OSError: the connection broke, or fell silent.
        http.client.HTTPException: the body is shorter than announced.
        zlib.error: it is packed badly, or in a way that was not asked for.
    """
    encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding == "identity":
        yield from raw_pieces(response, longest)
        return
    if encoding not in {"gzip", "x-gzip"}:
        message = "encoded in a way that was not asked for"
        raise zlib.error(message)
    unpacker = zlib.decompressobj(_GZIP)
    for packed in raw_pieces(response, longest):
        left = packed
        while left:
            if unpacker.eof:  # several may follow each other
                unpacker = zlib.decompressobj(_GZIP)
            yield unpacker.decompress(left, longest)
            left = unpacker.unconsumed_tail or unpacker.unused_data
    yield unpacker.flush()
    if not unpacker.eof:
        raise http.client.IncompleteRead(b"")


def raw_pieces(response: http.client.HTTPResponse, longest: int) -> Iterator[bytes]:
    """Yield the body as it arrives."""
    missing = response.length  # None: as long as it likes, or in chunks
    while missing != 0:
        # Before Python 3.12 read1 neither counts nor notices the end by itself.
        piece = response.read1(longest if missing is None else min(missing, longest))
        if not piece:
            break
        if missing is not None:
            missing -= len(piece)
        yield piece
    if missing:
        raise http.client.IncompleteRead(b"", missing)
    response.close()
