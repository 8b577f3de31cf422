"""The object store as it may be: a front to an S3 endpoint that misbehaves, or one that only does.

``StorageFront(endpoint, Spell(UNWELL, re.compile("launch.json"), seconds=6))`` passes on what its
behaviours let through; ``faulty_server(behave)`` has nothing behind it: a function says what is
answered.
"""

import http.client
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

from support.connections import until_gone
from support.front import Behaviour, Exchange, Front, Received, serialized
from support.waiting import LONG_SECONDS

from perian_shim.sandbox.server.application import Response

OF_ONE_CONNECTION = frozenset({"connection", "content-length", "expect", "transfer-encoding"})
"""Headers that are not passed on."""


class StorageFront(Front):
    """A front to an S3 endpoint.

    Args:
        endpoint: URL of the server behind.
        *behaviours: what it does otherwise.
        speed: how many of its seconds a real second has.
    """

    def __init__(self, endpoint: str, *behaviours: Behaviour, speed: float = 1.0) -> None:
        super().__init__(*behaviours, behind=forwarding(endpoint), speed=speed)

    def __enter__(self) -> "StorageFront":  # noqa: PYI034 - Self needs Python 3.11
        super().__enter__()
        return self


def forwarding(endpoint: str) -> Behaviour:
    """Pass requests on to a server."""
    parts = urlsplit(endpoint)

    def ask(exchange: Exchange) -> Response:
        request = exchange.request
        kept = {k: v for k, v in request.headers.items() if k not in OF_ONE_CONNECTION}
        server = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=LONG_SECONDS)
        try:
            server.request(request.method, request.target, request.body or None, kept)
            answer = server.getresponse()
            body = answer.read()
            headers = {
                k: v for k, v in answer.headers.items() if k.lower() not in OF_ONE_CONNECTION
            }
            if request.method == "HEAD" and (length := answer.headers["Content-Length"]):
                headers["Content-Length"] = length
            return Response(answer.status, body, headers)
        finally:
            server.close()

    return ask


@dataclass(frozen=True)
class Answer:
    """What to send back.

    `announced` is the Content-Length claimed, when it is to be a lie. With `hold`, the connection
    stays open after the body until the other side ends it.
    """

    status: int = 200
    body: bytes = b""
    announced: int | None = None
    hold: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, exchange: Exchange) -> Response | None:
        """Answer so, as a behaviour."""
        length = len(self.body) if self.announced is None else self.announced
        headers = {"Content-Type": "application/xml", "Content-Length": str(length)}
        headers |= {"Connection": "close", **self.headers}
        response = Response(self.status, self.body, headers)
        if not self.hold:
            return response
        exchange.connection.sendall(serialized(response))
        until_gone(exchange.connection)
        return None


Seen = Received

Answering: TypeAlias = Callable[[Seen], Answer]


def in_turn(*answers: Answer) -> Answering:
    """One answer after the other, the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


class FaultyStorage(Front):
    """An object store of which nothing is there but what a function answers."""

    def __init__(self, behave: Answering, *, unread: bool, tls: ssl.SSLContext | None) -> None:
        super().__init__(behind=lambda at: behave(at.request)(at), tls=tls, unread=unread)
        self.seen = self.requests

    def __enter__(self) -> "FaultyStorage":  # noqa: PYI034 - Self needs Python 3.11
        super().__enter__()
        return self

    @property
    def url(self) -> str:
        """Where it is, by the name that its certificate has."""
        return super().url.replace("127.0.0.1", "localhost")


def faulty_server(
    behave: Answering, *, refuse_unread: bool = False, tls: ssl.SSLContext | None = None
) -> FaultyStorage:
    """Make an object store that answers as a function says.

    With `refuse_unread` the answer is sent before the request's body is read, and the connection
    is closed, as S3 does with an upload that it does not want.
    """
    return FaultyStorage(behave, unread=refuse_unread, tls=tls)


def s3_error(code: str, message: str, extra: str = "") -> bytes:
    """An error body as S3 sends it."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{message}</Message>{extra}<RequestId>4442587FB7D0A2F9</RequestId></Error>"
    ).encode()


UNWELL = Answer(503, s3_error("SlowDown", "Please reduce your request rate."))
"""What an S3 that has too much to do answers."""
