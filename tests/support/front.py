"""A real HTTP/1.1 server that misbehaves as told; the API's front and the storage's are made of it.

What a front does with a request is said by behaviours, which stand one before the other: each gets
the exchange and answers it, or lets ``exchange.answer()`` do so, which is the next one; the last
one is what is behind the front. What a behaviour returns is sent and the connection kept; if it
returns None, it has spoken on the raw socket, or not at all, and the connection is closed.

All requests are recorded. A front has a clock of its own, whose seconds may be shorter than real
ones: what lasts for half a minute is tested in a second.
"""

import contextlib
import datetime
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import BinaryIO, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from support.connections import Listener

from perian_shim.sandbox.server.application import Request, Response


@dataclass(frozen=True)
class Received:
    """One request: header names in lower case, query as single values."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def line(self) -> str:
        """Method and target."""
        return f"{self.method} {self.target}"

    @property
    def parsed(self) -> Request:
        """The request as an ``Application`` takes it."""
        parts = urlsplit(self.target)
        query = parse_qs(parts.query, keep_blank_values=True)
        return Request(self.method, unquote(parts.path), query, self.headers, self.body)


@dataclass(frozen=True)
class Exchange:
    """A request that is to be answered.

    Attributes:
        request: what has been received.
        connection: the raw socket.
        front: that received it.
        answer: gives the answer of whatever stands behind this behaviour.
    """

    request: Received
    connection: socket.socket = field(repr=False)
    front: "Front" = field(repr=False)
    answer: "Callable[[], Response | None]" = field(repr=False)


Behaviour: TypeAlias = Callable[[Exchange], "Response | None"]


class Front:
    """Serves on a free port of the loopback interface while entered.

    Args:
        *behaviours: the first one stands before all others.
        behind: answers what no behaviour has answered.
        tls: for HTTPS.
        speed: how many of its seconds a real second has.
        unread: answer before a request's body is read, as whoever does not want an upload.

    Attributes:
        behaviours: may be changed at any time; a request meets those that there are when it comes.
        requests: what has been received.
    """

    def __init__(
        self,
        *behaviours: Behaviour,
        behind: Behaviour,
        tls: ssl.SSLContext | None = None,
        speed: float = 1.0,
        unread: bool = False,
    ) -> None:
        self.behaviours = list(behaviours)
        self.behind = behind
        self.tls = tls
        self.speed = speed
        self.unread = unread
        self.requests: list[Received] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.listener: Listener | None = None
        self.opened = self.opened_at = 0.0
        # Bound but never listening: keeps the port ours while connections are refused.
        self.place = socket.socket()
        self.place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Front":  # noqa: PYI034 - Self needs Python 3.11
        self.stack.enter_context(self.place)
        self.place.bind(("127.0.0.1", 0))
        self.opened, self.opened_at = time.monotonic(), time.time()
        self.listen(True)
        self.stack.callback(self.listen, False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stack.close()

    @property
    def url(self) -> str:
        """Where it is; the name is the one that a certificate can have."""
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port, also while it refuses."""
        port: int = self.place.getsockname()[1]
        return port

    def now(self) -> float:
        """Seconds of its own clock since it was entered."""
        return (time.monotonic() - self.opened) * self.speed

    def age(self, stamp: str) -> float:
        """Return how many of its seconds ago a moment was, which is given in ISO 8601."""
        ago = time.time() - datetime.datetime.fromisoformat(stamp).timestamp()
        return ago * self.speed

    def age_of(self, job_id: str) -> float:  # noqa: ARG002 - there are none
        """Return the age of a job."""
        return math.inf

    def stamped(self, stamp: str) -> str:
        """Turn a real moment into what a clock as fast as its own showed then."""
        opened = datetime.datetime.fromtimestamp(self.opened_at, datetime.timezone.utc)
        since = datetime.datetime.fromisoformat(stamp) - opened
        return (opened + since * self.speed).isoformat()

    def meet_first(self, *behaviours: Behaviour) -> None:
        """Have requests meet these before all that they have met so far."""
        self.behaviours = [*behaviours, *self.behaviours]

    def listen(self, wanted: bool) -> None:
        """Accept connections, or end all and refuse them."""
        listener = self.listener
        if wanted and listener is None:
            listening = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self.listener = Listener(self.serve, listening).__enter__()
        elif not wanted and listener is not None:
            self.listener = None
            listener.__exit__(None, None, None)

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection."""
        with self.lock:
            self.connections += 1
            number = self.connections
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as stream:
            while request := self.read(stream, connection, number):
                self.requests.append(request)
                response = self.respond(request, connection)
                if response is None:
                    return
                connection.sendall(serialized(response))
                if "close" in (
                    response.headers.get("Connection"),
                    request.headers.get("connection"),
                ):
                    return

    def read(self, stream: BinaryIO, connection: socket.socket, number: int) -> Received | None:
        """Read one request; None at the end of the connection."""
        first = stream.readline().decode().split()
        if not first:
            return None
        headers: dict[str, str] = {}
        while line := stream.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if not self.unread:
            if headers.get("expect", "").lower() == "100-continue":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = read_body(stream, headers)
        return Received(first[0], first[1], headers, body, number)

    def respond(self, request: Received, connection: socket.socket) -> Response | None:
        """Let the behaviours answer, one before the other."""
        chain = [*self.behaviours, self.behind]

        def ask(position: int) -> Response | None:
            behind = partial(ask, position + 1)
            return chain[position](Exchange(request, connection, self, behind))

        return ask(0)


def read_body(stream: BinaryIO, headers: Mapping[str, str]) -> bytes:
    """Read a request's body, in one piece or in chunks."""
    if "transfer-encoding" not in headers:
        return stream.read(int(headers.get("content-length", "0")))
    chunks = []
    while size := int(stream.readline().partition(b";")[0], 16):
        chunks.append(stream.read(size))
        stream.readline()
    while stream.readline().strip():
        pass
    return b"".join(chunks)


def serialized(response: Response) -> bytes:
    """Return a response as it is sent."""
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(response.body)),
        **response.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Status"
    return f"HTTP/1.1 {response.status} {reason}\r\n{head}\r\n".encode() + response.body
