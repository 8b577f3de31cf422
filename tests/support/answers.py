"""Raw answers of a front that has nothing behind it: one behaviour for each request it gets."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping

from support.connections import reset as reset_connection
from support.connections import until_gone
from support.front import Behaviour, Exchange, Received

from perian_shim.sandbox.server.application import Response


def reply(
    status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Answer properly. A body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    response = Response(status, content, {"Content-Type": kind, **(headers or {})})
    return lambda _: response


def send(content: bytes) -> Behaviour:
    """Send exactly these bytes and close the connection."""

    def behave(exchange: Exchange) -> None:
        exchange.connection.sendall(content)

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
        times: how often the piece is sent; None: until the other side is gone.
        pause: seconds before each piece.
        status: of the answer.
    """

    def behave(exchange: Exchange) -> None:
        say = exchange.connection.sendall
        say(f"HTTP/1.1 {status} Status\r\n".encode())
        if times is not None:
            length = len(head) + len(piece) * times + len(tail)
            say(f"Content-Length: {length}\r\n".encode())
        say(b"\r\n" + head)
        for _ in itertools.count() if times is None else range(times):
            time.sleep(pause)
            say(piece)
        say(tail)

    return behave


def half_body(status: int = 200, head: bytes = b'{"status": "Suc') -> Behaviour:
    """Announce a body and send only its head."""
    return send(f"HTTP/1.1 {status} Status\r\nContent-Length: 1000\r\n\r\n".encode() + head)


def close() -> Behaviour:
    """Close the connection without an answer."""
    return lambda _: None


def reset() -> Behaviour:
    """Reset the connection without an answer."""

    def behave(exchange: Exchange) -> None:
        reset_connection(exchange.connection)

    return behave


def silence(head: bytes = b"") -> Behaviour:
    """Send ``head``, then nothing until the client gives up."""

    def behave(exchange: Exchange) -> None:
        exchange.connection.sendall(head)
        until_gone(exchange.connection)

    return behave


def by_request(choose: Callable[[Received], Behaviour]) -> Behaviour:
    """Choose the behaviour from the request."""
    return lambda exchange: choose(exchange.request)(exchange)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Answer the first request with the first behaviour, and so on; the last one is repeated."""
    left = list(behaviours)
    lock = threading.Lock()

    def behave(exchange: Exchange) -> Response | None:
        with lock:
            behaviour = left.pop(0) if len(left) > 1 else left[0]
        return behaviour(exchange)

    return behave
