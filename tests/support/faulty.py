"""A small HTTP server that answers as a test tells it to."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Seen:
    """A request that arrived, body included."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to send back.

    `announced` is the Content-Length claimed, when it is to be a lie. With `hold`, the connection
    stays open after the body until the test sets `Faulty.release`.
    """

    status: int = 200
    body: bytes = b""
    announced: int | None = None
    hold: bool = False
    headers: dict[str, str] = field(default_factory=dict)


Behaviour = Callable[[Seen], Answer]


class Faulty:
    """The server's address, and all that was asked of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self.release = threading.Event()


def s3_error(code: str, message: str, extra: str = "") -> bytes:
    """An error body as S3 sends it."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{message}</Message>{extra}<RequestId>4442587FB7D0A2F9</RequestId></Error>"
    ).encode()


@contextmanager
def faulty_server(
    behave: Behaviour, *, refuse_unread: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[Faulty]:
    """Serve on a free port of the loopback interface until the block ends.

    With `refuse_unread` the answer is sent before the request's body is read, and the connection
    is closed, as S3 does with an upload that it does not want.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # their name
            """Stay quiet."""

        def respond(self) -> None:
            length = 0 if refuse_unread else int(self.headers.get("Content-Length", 0))
            seen = Seen(self.command, self.path, dict(self.headers), self.rfile.read(length))
            faulty.seen.append(seen)
            answer = behave(seen)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            announced = len(answer.body) if answer.announced is None else answer.announced
            self.send_header("Content-Length", str(announced))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()
            if answer.hold:
                faulty.release.wait()
            self.close_connection = True

        do_GET = do_POST = respond  # noqa: N815  # the names that http.server calls

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that gives up, or does not trust the certificate, is part of the tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        faulty = Faulty(f"{scheme}://localhost:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield faulty
        finally:
            server.shutdown()
            thread.join()
