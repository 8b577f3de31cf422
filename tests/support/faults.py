"""Scripted faults of the Perian API: which call, which fault, how often.

``FaultyApi`` is a server of its own in front of a sandbox's jobs, so that several can misbehave in
different ways at once. All faults are real: sockets are reset, answers break off, ports refuse.
"""

import contextlib
import os
import re
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.server.application import Application, Response
from perian_shim.sandbox.server.http import ApiServer, Exchange

CONNECTING = Path(__file__).parent / "connecting"

LONG_SECONDS = 60.0
"""Bound of waiting for what happens at once unless the test fails."""

Proceed: TypeAlias = Callable[[], Response]
Rest: TypeAlias = Callable[[], "Response | None"]


class Call(str, Enum):
    """The calls that a run makes."""

    SUBMIT = "POST /job"
    READ = "GET /job/{id}"
    LIST = "GET /job"
    CANCEL = "PATCH cancel"


class Fault(str, Enum):
    """What may happen to a call."""

    UNAVAILABLE = "503"
    LIMITED = "429"
    BROKEN = "500 acted"
    REFUSED = "refused"
    RESET = "reset"
    RESET_AFTER = "reset acted"
    HALF = "half a body"
    HTML = "HTML"
    SILENCE = "silence"


ACTED = frozenset({Fault.BROKEN, Fault.RESET_AFTER, Fault.HALF})
"""Faults before which the server has done what it was asked."""

PAGE = b"<html><head><title>Login</title></head><body>Please log in.</body></html>"


def call_of(method: str, path: str) -> Call | None:
    """Return which call a request is."""
    if path == "/job":
        return {"POST": Call.SUBMIT, "GET": Call.LIST}.get(method)
    if method == "PATCH" and path.endswith("/cancel"):
        return Call.CANCEL
    return Call.READ if method == "GET" and path.startswith("/job/") else None


Interceptor: TypeAlias = Callable[[Call, Exchange, Rest], "Response | None"]


@dataclass
class Script:
    """A fault of one kind of call, for the first so many times.

    Attributes:
        call: the kind of call.
        fault: what happens to it.
        times: how often; then all is well.
        armed: while false, nothing happens.
        happened: how often it has happened.
    """

    call: Call
    fault: Fault
    times: int
    armed: bool = True
    happened: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def strikes(self, call: Call | None, *, connecting: bool = False) -> bool:
        """Whether it is this call's turn; counted."""
        with self.lock:
            refusing = self.fault is Fault.REFUSED
            if not self.armed or call is not self.call or refusing is not connecting:
                return False
            if self.happened >= self.times:
                return False
            self.happened += 1
            return True


class FaultyApi:
    """A front to a sandbox's jobs that misbehaves by a script.

    Args:
        sandbox: started.
        script: the fault, None for none.
        queued_seconds: how long jobs submitted here stay Queued.

    Attributes:
        intercept: stands before the script; gets the call, the exchange and what answers it.
        seen: the calls that arrived.
    """

    def __init__(
        self, sandbox: Sandbox, script: Script | None = None, queued_seconds: float = 0.0
    ) -> None:
        assert sandbox.server is not None
        application = sandbox.server.application
        assert isinstance(application, Application)
        policy = replace(application.policy, queued_seconds=queued_seconds)
        self.application = Application(application.store, policy, application.credentials)
        self.script = script
        self.intercept: Interceptor = lambda _call, _exchange, go: go()
        self.seen: list[Call] = []
        self.server: ApiServer | None = None
        self.place = socket.socket()
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "FaultyApi":  # noqa: PYI034 - Self needs Python 3.11
        # Bound but never listening: keeps the port ours while connections are refused.
        self.stack.enter_context(self.place)
        self.place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.place.bind(("127.0.0.1", 0))
        self.listen(True)
        self.stack.callback(self.listen, False)
        if self.script is not None and self.script.fault is Fault.REFUSED:
            folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="connecting-"))
            self.door = Path(folder) / "socket"
            self.stack.enter_context(doorkeeper(self.door, self.before_connecting))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stack.close()

    @property
    def port(self) -> int:
        """The port, also while it refuses."""
        port: int = self.place.getsockname()[1]
        return port

    @property
    def environment(self) -> Mapping[str, str]:
        """What a pod needs to come here."""
        variables = {"PERIAN_API_URL": f"http://127.0.0.1:{self.port}"}
        if hasattr(self, "door"):
            variables["PYTHONPATH"] = str(CONNECTING)
            variables["CONNECTING"] = str(self.door)
            variables["CONNECTING_TO"] = str(self.port)
        return variables

    def listen(self, wanted: bool) -> None:
        """Accept connections, or refuse them."""
        if wanted and self.server is None:
            self.server = ApiServer(self.application, port=self.port)
            self.server.middleware = self.answer
            self.server.start()
        elif not wanted and self.server is not None:
            self.server.stop()
            self.server = None

    def before_connecting(self, line: str) -> None:
        """Refuse or accept the connection that is about to be made."""
        match = re.match(r"([A-Z]+) ([^ ?]+)", line)
        call = call_of(match[1], match[2]) if match else None
        assert self.script is not None
        self.listen(not self.script.strikes(call, connecting=True))

    def answer(self, exchange: Exchange, proceed: Proceed) -> Response | None:
        """Answer one request."""
        call = call_of(exchange.request.method, exchange.request.path)
        if call is None:
            return proceed()
        self.seen.append(call)
        return self.intercept(call, exchange, lambda: self.by_script(call, exchange, proceed))

    def by_script(self, call: Call, exchange: Exchange, proceed: Proceed) -> Response | None:
        """Answer, or misbehave if it is this call's turn."""
        if self.script is not None and self.script.strikes(call):
            return misbehave(self.script.fault, exchange, proceed)
        response = proceed()
        if hasattr(self, "door"):  # each call has a connection of its own, which can be refused
            return replace(response, headers={**response.headers, "Connection": "close"})
        return response


def misbehave(fault: Fault, exchange: Exchange, proceed: Proceed) -> Response | None:
    """Answer as a fault has it."""
    response = proceed() if fault in ACTED else None
    match fault:
        case Fault.UNAVAILABLE:
            return Response.of(503, {"detail": "no healthy upstream"})
        case Fault.LIMITED:
            return replace(Response.of(429, {"detail": "slow down"}), headers={"Retry-After": "1"})
        case Fault.BROKEN:
            return Response.of(500, {"detail": "Internal Server Error"})
        case Fault.HTML:
            return Response(200, PAGE, {"Content-Type": "text/html"})
        case Fault.SILENCE:
            until_gone(exchange.connection)
        case Fault.HALF:
            assert response is not None
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(response.body)}\r\n\r\n".encode()
            exchange.connection.sendall(head + response.body[: len(response.body) // 2])
        case _:
            reset(exchange.connection)
    return None


def until_gone(connection: socket.socket) -> None:
    """Say nothing until the other side gives up."""
    with contextlib.suppress(OSError):
        while connection.recv(1024):
            pass


def reset(connection: socket.socket) -> None:
    """Reset a connection at once, whoever else holds it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


@contextlib.contextmanager
def doorkeeper(door: Path, decide: Callable[[str], None]) -> Iterator[None]:
    """Serve ``connecting/sitecustomize.py``: decide about each connection before it is made."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(door))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    asker, _ = listener.accept()
                except OSError:
                    return
                with asker, asker.makefile("r") as lines:
                    decide(lines.readline())
                    with contextlib.suppress(OSError):
                        asker.sendall(b".")

        thread = threading.Thread(target=serve, name="doorkeeper")
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
