"""Traps: doing something to a pod at an exact point of its run, without sleeping.

A trap waits for one request, to the API or to the object store, holds it (before the server acts on
it, or before the client learns that it did) and springs: most often it sends the pod a signal. What
the pod asked is then dropped, or goes on as if nothing had been.
"""

import contextlib
import datetime
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from urllib.parse import urlsplit

from support.faults import LONG_SECONDS, Call, Rest, until_gone

from perian_shim.sandbox.server.application import Response
from perian_shim.sandbox.server.http import Exchange


class When(str, Enum):
    """Where in an exchange a trap springs."""

    BEFORE = "not acted"
    """The request has arrived; it is dropped."""
    LATE = "acted late"
    """The request has arrived; it is acted on when the next request comes."""
    AFTER = "acted"
    """It has been acted on; the answer is dropped."""


@dataclass
class Trap:
    """Springs once, at the n-th request of its kind.

    Attributes:
        wanted: a ``Call``, or a pattern of ``METHOD path`` of a request to the object store.
        when: where in the exchange.
        spring: what to do, in the thread that serves the request.
        number: which of the requests, from 1.
        drop: whether the client never gets an answer.
        sprung: when it sprang, None before.
    """

    wanted: "Call | re.Pattern[str]"
    when: When
    spring: Callable[[], None]
    number: int = 1
    drop: bool = True
    sprung: datetime.datetime | None = None
    passed: int = 0
    late: Rest | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def catches(self, request: "Call | str") -> bool:
        """Whether this request is the one; counted."""
        if isinstance(self.wanted, Call) or isinstance(request, Call):
            fits = self.wanted is request
        else:
            fits = self.wanted.search(request) is not None
        with self.lock:
            self.passed += fits
            return fits and self.passed == self.number

    def go_off(self) -> None:
        """Spring."""
        self.sprung = datetime.datetime.now(datetime.timezone.utc)
        self.spring()

    def intercept(self, call: Call, exchange: Exchange, go: Rest) -> Response | None:
        """Stand before an API's answers: a ``FaultyApi.intercept``."""
        late, self.late = self.late, None
        if late is not None:
            late()
        if not self.catches(call):
            return go()
        answer = go() if self.when is When.AFTER else None
        self.go_off()
        if not self.drop:
            return answer if self.when is When.AFTER else go()
        if self.when is When.LATE:
            self.late = go
        until_gone(exchange.connection)
        return None


class StorageFront:
    """A relay in front of an S3 endpoint, with at most one trap.

    Args:
        endpoint: URL of the server behind.
        trap: None to pass everything on.
    """

    def __init__(self, endpoint: str, trap: Trap | None = None) -> None:
        parts = urlsplit(endpoint)
        self.behind = (str(parts.hostname), int(parts.port or 80))
        self.trap = trap
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.sockets: set[socket.socket] = {self.listener}
        self.threads: list[threading.Thread] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> "StorageFront":  # noqa: PYI034 - Self needs Python 3.11
        self.run(self.accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self.lock:
            for each in self.sockets:
                hang_up(each)
        for thread in self.threads:
            thread.join()
        self.listener.close()

    def run(self, target: Callable[..., None], *arguments: object) -> None:
        """Run in a thread."""
        thread = threading.Thread(target=target, args=arguments, name="storage-front")
        self.threads.append(thread)
        thread.start()

    def accept(self) -> None:
        """Accept connections until closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.run(self.relay, client)

    def relay(self, client: socket.socket) -> None:
        """Relay one connection, one request at a time, until either side ends it."""
        with client, socket.create_connection(self.behind, LONG_SECONDS) as server:
            with self.lock:
                self.sockets |= {client, server}
            state = Relay(client, server, self.trap)
            back = threading.Thread(target=state.answers, name="storage-front-back")
            back.start()
            state.requests()
            hang_up(server)
            back.join()
            with self.lock:
                self.sockets -= {client, server}


@dataclass
class Relay:
    """One relayed connection."""

    client: socket.socket
    server: socket.socket
    trap: Trap | None
    armed: bool = False
    gone: threading.Event = field(default_factory=threading.Event)

    def requests(self) -> None:
        """Pass on what the client sends."""
        with contextlib.suppress(OSError):
            while piece := self.client.recv(1 << 16):
                # A client waits for an answer before it asks again: requests begin with a piece.
                match = re.match(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n", piece)
                if self.trap and match and self.trap.catches(b" ".join(match.groups()).decode()):
                    if self.trap.when is When.AFTER:
                        self.armed = True
                    else:
                        self.trap.go_off()
                        if self.trap.drop:
                            until_gone(self.client)
                            break
                self.server.sendall(piece)
        self.gone.set()

    def answers(self) -> None:
        """Pass on what the server answers."""
        with contextlib.suppress(OSError):
            while piece := self.server.recv(1 << 16):
                if self.armed and self.trap and not is_interim(piece):
                    self.armed = False
                    self.trap.go_off()
                    if self.trap.drop:
                        self.gone.wait(LONG_SECONDS)
                        break
                self.client.sendall(piece)
        hang_up(self.client)


def is_interim(piece: bytes) -> bool:
    """Whether a server has only said that it is ready for the body; the answer may come along."""
    while piece.startswith(b"HTTP/1.1 100"):
        piece = piece.partition(b"\r\n\r\n")[2]
    return not piece


def hang_up(connection: socket.socket) -> None:
    """Wake up whoever waits for a socket."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class JobGate:
    """Jobs wait here until their execution is let go."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.free: set[str] = set()
        self.waiting: list[tuple[str, socket.socket]] = []
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.accept, name="job-gate")

    @property
    def command(self) -> str:
        """Bash that waits at the gate."""
        port = self.listener.getsockname()[1]
        say = 'echo "$FLYTE_INTERNAL_EXECUTION_ID" >&3'
        return f"exec 3<>/dev/tcp/127.0.0.1/{port}; {say}; read -r _ <&3"

    def open(self, execution: str) -> None:
        """Let go the execution's jobs, those that wait and those that come."""
        with self.changed:
            self.free.add(execution)
            stay = []
            for name, job in self.waiting:
                if name == execution:
                    let_go(job)
                else:
                    stay.append((name, job))
            self.waiting = stay

    def wait_for(self, execution: str, number: int = 1) -> None:
        """Wait until so many of an execution's jobs wait here."""
        with self.changed:
            arrived = self.changed.wait_for(
                lambda: sum(name == execution for name, _ in self.waiting) >= number, LONG_SECONDS
            )
        assert arrived, f"no job of {execution} came to the gate"

    def accept(self) -> None:
        """Accept connections until closed."""
        while True:
            try:
                job, _ = self.listener.accept()
            except OSError:
                return
            with job.makefile("r") as lines:
                execution = lines.readline().strip()
            with self.changed:
                if execution in self.free:
                    let_go(job)
                else:
                    self.waiting.append((execution, job))
                self.changed.notify_all()

    def __enter__(self) -> "JobGate":  # noqa: PYI034 - Self needs Python 3.11
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        hang_up(self.listener)
        self.thread.join()
        self.listener.close()
        for _, job in self.waiting:
            job.close()


def let_go(job: socket.socket) -> None:
    """Send a job the line that it waits for."""
    with job, contextlib.suppress(OSError):
        job.sendall(b"go\n")
