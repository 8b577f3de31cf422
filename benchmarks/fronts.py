"""Fronts that note each request and its time, and change nothing: one for the API, one for the S3.

Times are seconds since the epoch, taken when a request has arrived and when its answer has begun to
come back, so they do not depend on what the contender says of itself.
"""

import collections
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import unquote, urlsplit

from perian_shim.sandbox.server.application import Request, Response
from perian_shim.sandbox.server.http import ApiServer, Exchange

PIECE_BYTES = 1 << 16
CONNECT_SECONDS = 30.0
SUBMISSION = "POST /job"

INTERIM = re.compile(rb"\A(?:HTTP/1\.1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*\r\n)+")
"""What comes before an answer to those who announced a body: one server sends it twice."""


@dataclass(frozen=True)
class RecordedCall:
    """One request.

    Attributes:
        name: method and kind of resource, e.g. ``GET /job/{id}``; for the S3 the method alone.
        target: the job's id, if known; for the S3 bucket and key.
        arrived: when it had arrived.
        answered: when the answer was there.
    """

    name: str
    target: str
    arrived: float
    answered: float


class Recorder:
    """The calls that a front has seen; may be asked while it serves."""

    def __init__(self) -> None:
        self.calls: list[RecordedCall] = []
        self.changed = threading.Condition()

    def add(self, call: RecordedCall) -> None:
        """Note a call."""
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()

    def select(self, wanted: Callable[[RecordedCall], bool]) -> list[RecordedCall]:
        """Return the calls of a kind, in the order in which they were answered."""
        with self.changed:
            return [call for call in self.calls if wanted(call)]

    def look_for(
        self, wanted: Callable[[RecordedCall], bool], number: int, seconds: float
    ) -> list[RecordedCall]:
        """Wait for so many calls of a kind, at most so many seconds; return those that came."""
        with self.changed:
            self.changed.wait_for(lambda: sum(map(wanted, self.calls)) >= number, seconds)
            return [call for call in self.calls if wanted(call)]

    def wait_for(
        self, wanted: Callable[[RecordedCall], bool], number: int, seconds: float
    ) -> list[RecordedCall]:
        """Wait until there are so many calls of a kind, and return them.

        Raises:
            TimeoutError: they did not come in so many seconds.
        """
        found = self.look_for(wanted, number, seconds)
        if len(found) < number:
            raise TimeoutError(f"{len(found)} of {number} requests came within {seconds:g} s")
        return found

    def counts(self, wanted: Callable[[RecordedCall], bool] = lambda _call: True) -> dict[str, int]:
        """Return how many calls of each name there were."""
        return dict(collections.Counter(call.name for call in self.select(wanted)))


class ApiFront(ApiServer):
    """A further address of a sandbox's API.

    Args:
        application: the sandbox's own.
    """

    def __init__(self, application: Callable[[Request], Response]) -> None:
        super().__init__(application)
        self.recorder = Recorder()
        self.middleware = self.record

    def record(self, exchange: Exchange, proceed: Callable[[], Response]) -> Response:
        """Answer as the sandbox does, and note it."""
        arrived = time.time()
        response = proceed()
        request = exchange.request
        job_id = request.path.removeprefix("/job").strip("/")
        name = f"{request.method} /job" + ("/{id}" if job_id else "")
        if name == SUBMISSION:
            job_id = str(json.loads(response.body).get("id", ""))
        self.recorder.add(RecordedCall(name, job_id, arrived, time.time()))
        return response

    def __enter__(self) -> "ApiFront":  # noqa: PYI034 - Self needs Python 3.11
        self.start()
        return self

    def __exit__(self, *_exit: object) -> None:
        self.stop()


class StorageFront:
    """A relay in front of an S3 endpoint. Clients must not ask again before they are answered.

    Args:
        endpoint: URL of the server behind.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self.behind = (str(parts.hostname), int(parts.port or 80))
        self.recorder = Recorder()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.sockets: set[socket.socket] = set()
        self.relays: set[threading.Thread] = set()
        self.acceptor = threading.Thread(target=self.accept, name="storage-front")

    def __enter__(self) -> "StorageFront":  # noqa: PYI034 - Self needs Python 3.11
        self.acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        hang_up(self.listener)
        self.acceptor.join()
        self.listener.close()
        with self.lock:
            for connection in self.sockets:
                hang_up(connection)
            relays = list(self.relays)
        for relay in relays:
            relay.join()

    def accept(self) -> None:
        """Accept connections until closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            relay = threading.Thread(target=self.relay, args=(client,), name="storage-relay")
            with self.lock:
                self.sockets.add(client)
                self.relays.add(relay)
            relay.start()

    def relay(self, client: socket.socket) -> None:
        """Relay one connection until either side ends it."""
        with client, socket.create_connection(self.behind, CONNECT_SECONDS) as server:
            server.settimeout(None)
            with self.lock:
                self.sockets.add(server)
            state = Relay(client, server, self.recorder)
            back = threading.Thread(target=state.answers, name="storage-relay-back")
            back.start()
            state.requests()
            hang_up(server)
            back.join()
            with self.lock:
                self.sockets.discard(server)
        with self.lock:
            self.sockets.discard(client)
            self.relays.discard(threading.current_thread())


@dataclass
class Relay:
    """One relayed connection.

    Attributes:
        client: towards the contender.
        server: towards the S3.
        recorder: notes the requests.
        asked: method, path and time of the request under way.
    """

    client: socket.socket
    server: socket.socket
    recorder: Recorder
    asked: tuple[str, str, float] | None = None

    def requests(self) -> None:
        """Pass on what the client sends."""
        with contextlib.suppress(OSError):
            while piece := self.client.recv(PIECE_BYTES):
                match = re.match(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n", piece)
                if match:
                    path = urlsplit(match[2].decode("ascii")).path
                    self.asked = (match[1].decode("ascii"), unquote(path), time.time())
                self.server.sendall(piece)

    def answers(self) -> None:
        """Pass on what the server answers."""
        with contextlib.suppress(OSError):
            while piece := self.server.recv(PIECE_BYTES):
                if self.asked and INTERIM.sub(b"", piece):
                    (method, path, arrived), self.asked = self.asked, None
                    self.recorder.add(RecordedCall(method, path, arrived, time.time()))
                self.client.sendall(piece)
        hang_up(self.client)


def hang_up(connection: socket.socket) -> None:
    """Wake up whoever waits for a socket."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
