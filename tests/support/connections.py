"""Sockets of the tests' servers: accept, serve each connection in a thread, end them all."""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

from support.waiting import LONG_SECONDS, join_all


class Listener:
    """Accepts connections while entered; each is served, and then closed, in a thread of its own.

    Args:
        serve: serves one connection.
        listening: a listening socket; None for a free port of the loopback interface.
    """

    def __init__(
        self, serve: Callable[[socket.socket], None], listening: socket.socket | None = None
    ) -> None:
        self.serve = serve
        self.socket = listening or socket.create_server(("127.0.0.1", 0), backlog=128)
        self.connections: set[socket.socket] = set()
        self.threads: list[threading.Thread] = []
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.socket.getsockname()[1]
        return port

    def __enter__(self) -> "Listener":  # noqa: PYI034 - Self needs Python 3.11
        self.acceptor = threading.Thread(target=self.accept, name="listener", daemon=True)
        self.acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_accepting()
        with self.lock:
            for connection in self.connections:
                hang_up(connection)
        join_all(self.threads)

    def stop_accepting(self) -> None:
        """Refuse further connections; those that there are go on."""
        hang_up(self.socket)
        join_all([self.acceptor])
        self.socket.close()

    def accept(self) -> None:
        """Accept connections until there is an end to it."""
        while True:
            try:
                connection, _ = self.socket.accept()  # bounded by stop_accepting
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
            thread = threading.Thread(
                target=self.attend, args=(connection,), name="connection", daemon=True
            )
            self.threads = [each for each in self.threads if each.is_alive()]
            self.threads.append(thread)
            thread.start()

    def attend(self, connection: socket.socket) -> None:
        """Serve one connection."""
        try:
            # Whoever is at the other end may go at a bad moment, or not trust our certificate.
            with connection, contextlib.suppress(OSError):
                self.serve(connection)
        finally:
            with self.lock:
                self.connections.discard(connection)


def until_gone(connection: socket.socket, seconds: float = LONG_SECONDS) -> None:
    """Say nothing until the other side gives up."""
    with contextlib.suppress(OSError):
        connection.settimeout(seconds)
        while connection.recv(1 << 16):
            pass


def reset(connection: socket.socket) -> None:
    """Reset a connection at once, whoever else holds it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def hang_up(connection: socket.socket) -> None:
    """Wake up whoever waits for a socket."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def unused_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port
