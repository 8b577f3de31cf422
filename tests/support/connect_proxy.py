"""A proxy for HTTPS: whatever host is asked for, there is one server of the test behind it."""

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator

from support.connections import Listener
from support.waiting import LONG_SECONDS


class ConnectProxy:
    """Takes CONNECT only.

    Args:
        port: of the server on this machine that is behind it.

    Attributes:
        asked: the hosts and ports that were asked for.
        said: users and passwords that were given, as ``user:password``.
    """

    def __init__(self, port: int) -> None:
        self.behind = port
        self.asked: list[str] = []
        self.said: list[str] = []

    def serve(self, client: socket.socket) -> None:
        """Serve one tunnel."""
        client.settimeout(LONG_SECONDS)
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        lines = head.decode().split("\r\n")
        self.asked.append(lines[0].split()[1])
        for line in lines:
            name, _, value = line.partition(": Basic ")
            if name.lower() == "proxy-authorization":
                self.said.append(base64.b64decode(value).decode())
        with socket.create_connection(("127.0.0.1", self.behind), LONG_SECONDS) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join(LONG_SECONDS)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until it ends."""
    with contextlib.suppress(OSError):
        source.settimeout(LONG_SECONDS)
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def connect_proxy(port: int) -> Iterator[tuple[ConnectProxy, str]]:
    """Run one; gives it and where it listens, as ``host:port``."""
    proxy = ConnectProxy(port)
    with Listener(proxy.serve) as listener:
        yield proxy, f"127.0.0.1:{listener.port}"
