"""A real HTTP server that misbehaves as told: one behaviour for each request it gets.

``FaultyServer(reply(...), reset(), silence())`` answers the first request, resets the connection of
the second and never answers the third; the last behaviour is repeated. Connections are kept alive
unless the behaviour ends them. All requests are recorded, with the number of their connection.
"""

import itertools
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import parse_qs, urlsplit


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


@dataclass(frozen=True)
class Situation:
    """What a behaviour may use: the connection, the request, and whether the server stops."""

    connection: socket.socket
    request: Received
    stopping: threading.Event = field(repr=False)


Behaviour = Callable[[Situation], bool]
"""Handles one request; returns whether the connection is kept."""


def reply(
    status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Answer properly. A body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    lines = {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return send(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + content, keep=True)


def send(content: bytes, *, keep: bool = False) -> Behaviour:
    """Send exactly these bytes."""

    def behave(situation: Situation) -> bool:
        situation.connection.sendall(content)
        return keep

    return behave


def stream(
    head: bytes,
    piece: bytes,
    tail: bytes = b"",
    *,
    times: int | None = None,
    pause: float = 0.0,
    status: int = 200,
) -> Behaviour:
    """Answer with a body that begins and ends like this and has many equal pieces between.

    Args:
        head: sent first.
        piece: sent again and again.
        tail: sent last.
        times: how often the piece is sent; None: for ever.
        pause: seconds before each piece.
        status: of the answer.
    """

    def behave(situation: Situation) -> bool:
        send = situation.connection.sendall
        send(f"HTTP/1.1 {status} Status\r\n".encode())
        if times is not None:
            length = len(head) + len(piece) * times + len(tail)
            send(f"Content-Length: {length}\r\n".encode())
        send(b"\r\n" + head)
        for _ in itertools.count() if times is None else range(times):
            if situation.stopping.wait(pause):
                return False
            send(piece)
        send(tail)
        return times is not None

    return behave


def half_body(status: int = 200, head: bytes = b'{"status": "Suc') -> Behaviour:
    """Announce a body and send only its head."""
    return send(f"HTTP/1.1 {status} Status\r\nContent-Length: 1000\r\n\r\n".encode() + head)


def close() -> Behaviour:
    """Close the connection without an answer."""
    return lambda _: False


def reset() -> Behaviour:
    """Reset the connection without an answer."""

    def behave(situation: Situation) -> bool:
        lingers_for_no_time = struct.pack("ii", 1, 0)
        situation.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingers_for_no_time)
        return False

    return behave


def silence(head: bytes = b"") -> Behaviour:
    """Send ``head``, then nothing until the client gives up."""

    def behave(situation: Situation) -> bool:
        situation.connection.sendall(head)
        while not situation.stopping.is_set() and situation.connection.recv(1024):
            pass
        return False

    return behave


def by_request(choose: Callable[[Received], Behaviour]) -> Behaviour:
    """Choose the behaviour from the request."""
    return lambda situation: choose(situation.request)(situation)


class FaultyServer:
    """Listens on a free port of the loopback interface while entered; with ``tls``, for HTTPS."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Received] = []
        self._behaviours = list(behaviours)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()

    def __enter__(self) -> "FaultyServer":  # noqa: PYI034 - Self needs Python 3.11
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for sock in (self._listener, *self._connections):
            shut_down(sock)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self._connections)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection, len(self._connections))

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._tls:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:  # the client does not trust us
                connection.close()
                return
        with connection, connection.makefile("rb") as stream:
            try:
                while request := read_request(stream.readline, stream.read, number):
                    with self._lock:
                        self.requests.append(request)
                        index = min(len(self.requests), len(self._behaviours)) - 1
                    if not self._behaviours[index](Situation(connection, request, self._stopping)):
                        return
            except OSError:
                return


def read_request(
    readline: Callable[[], bytes], read: Callable[[int], bytes], number: int
) -> Received | None:
    """Read one request; None at the end of the connection."""
    first = readline().decode().split()
    if not first:
        return None
    headers: dict[str, str] = {}
    while line := readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = read(int(headers.get("content-length", "0")))
    return Received(first[0], first[1], headers, body, number)


def shut_down(sock: socket.socket) -> None:
    """Wake up whoever waits for this socket."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def unused_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
