"""HTTP/1.1 in front of an `Application`: threads, keep-alive, and a seam for tests.

The seam is `ApiServer.middleware`: a callable that gets each exchange and a function that produces
the application's answer. It may wait, act before or after the application, answer something else,
or speak on the raw socket and return None, which closes the connection without another word.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from perian_shim.sandbox.server.application import Request, Response

MAX_BODY_BYTES = 64 << 20


@dataclass(frozen=True)
class Exchange:
    """A request being answered.

    Attributes:
        request: what was received.
        connection: the raw socket, for a middleware that misbehaves on purpose.
    """

    request: Request
    connection: socket.socket


Middleware = Callable[[Exchange, Callable[[], Response]], "Response | None"]


class Handler(BaseHTTPRequestHandler):
    """Reads requests off one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "perian-sandbox"
    sys_version = ""
    # Headers and body leave in one piece; without Nagle they leave at once.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "ApiServer"

    def answer(self) -> None:
        """Answer the request whose head was just read."""
        body = self.read_body()
        if body is None:
            return
        target = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(target.path),
            query=parse_qs(target.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            client=str(self.client_address[0]),
        )
        exchange = Exchange(request, self.connection)
        response = self.server.middleware(exchange, lambda: self.server.application(request))
        if response is None:
            self.close_connection = True
        else:
            self.write(response)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

    def read_body(self) -> bytes | None:
        """Read the body; None if the request was already refused."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            self.refuse(411, "Length Required")
            return None
        if not (length.isascii() and length.isdigit()):
            self.refuse(400, "Invalid Content-Length")
            return None
        if int(length) > MAX_BODY_BYTES:
            self.refuse(413, "Request Entity Too Large")
            return None
        return self.rfile.read(int(length))

    def refuse(self, status: int, detail: str) -> None:
        """Answer a request whose body was not read; the connection is of no more use."""
        self.close_connection = True
        self.write(Response.of(status, {"detail": detail}))

    def write(self, response: Response) -> None:
        """Send a response."""
        self.send_response(response.status)
        headers = {"Content-Type": "application/json", **response.headers}
        headers["Content-Length"] = str(len(response.body))
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def handle(self) -> None:
        """Answer until the client goes; that it goes at a bad moment is its own business."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        """Flush and close, also when the client is gone or the socket was closed by a test."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: a demo's terminal is not for access logs."""


class ApiServer(ThreadingHTTPServer):
    """Serves an application on a socket.

    Args:
        application: answers requests.
        host: address to listen on.
        port: 0 for a free one.

    Attributes:
        middleware: stands around the application; replace it to inject faults.

    Raises:
        OSError: the address is in use or not ours.
    """

    # Threads end with their connections, and `stop` ends those: nothing is left behind.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(
        self, application: Callable[[Request], Response], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.application = application
        self.middleware: Middleware = lambda _exchange, proceed: proceed()
        self.connections: set[socket.socket] = set()
        self.connections_lock = threading.Lock()
        self.thread: threading.Thread | None = None
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)

    @property
    def url(self) -> str:
        """Where the API is."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, (bytes, bytearray)) else str(host)
        # "Any address" is where to listen, not where to go.
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104 - not bound here
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def start(self) -> None:
        """Serve in a thread."""
        self.thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="perian-sandbox-api"
        )
        self.thread.daemon = True
        self.thread.start()

    def stop(self) -> None:
        """Stop serving, close every connection, wait for the threads. Repeatable."""
        if self.thread is not None:
            self.shutdown()
            self.thread.join()
            self.thread = None
        with self.connections_lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Remember the connection, then serve it in its thread."""
        if isinstance(request, socket.socket):
            with self.connections_lock:
                self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forget and close the connection."""
        if isinstance(request, socket.socket):
            with self.connections_lock:
                self.connections.discard(request)
        super().shutdown_request(request)
