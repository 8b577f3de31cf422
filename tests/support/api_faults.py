"""Misbehaviours of the Perian API, as data: which calls, what happens to them, and for how long.

Each is a behaviour of a front, and they can be combined: the first one stands before all others.
Seconds are those of the front's own clock.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias

from support.answers import reply
from support.api_calls import EVERY, Call, Wanted, fits, job_of, requested
from support.connections import reset, until_gone
from support.front import Behaviour, Exchange

from perian_shim.sandbox.server.application import NO_JOB as NO_JOB_WORDS
from perian_shim.sandbox.server.application import Response
from perian_shim.sandbox.server.views import failure

JobView: TypeAlias = dict[str, Any]

UNAUTHORIZED = reply(401, failure(401, "The provided organization or token is not valid"))
FORBIDDEN = reply(403, failure(403, "This organization may not do that"))
NO_JOB = reply(400, failure(400, NO_JOB_WORDS))
"""As Perian says it."""
NOT_FOUND = reply(404, failure(404, NO_JOB_WORDS))
UNAVAILABLE = reply(503, {"detail": "no healthy upstream"})
PAGE = reply(200, b"<html><head><title>Login</title></head><body>Please log in.</body></html>")


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

    def __call__(self, exchange: Exchange) -> Response | None:
        """Answer, or misbehave if it is this call's turn."""
        if self.strikes(requested(exchange.request)):
            return misbehave(self.fault, exchange)
        return exchange.answer()


def misbehave(fault: Fault, exchange: Exchange) -> Response | None:
    """Answer as a fault has it."""
    response = exchange.answer() if fault in ACTED else None
    match fault:
        case Fault.UNAVAILABLE:
            return UNAVAILABLE(exchange)
        case Fault.LIMITED:
            return reply(429, {"detail": "slow down"}, {"Retry-After": "1"})(exchange)
        case Fault.BROKEN:
            return reply(500, {"detail": "Internal Server Error"})(exchange)
        case Fault.HTML:
            return PAGE(exchange)
        case Fault.SILENCE:
            until_gone(exchange.connection)
        case Fault.HALF:
            assert response is not None
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(response.body)}\r\n\r\n".encode()
            exchange.connection.sendall(head + response.body[: len(response.body) // 2])
        case _:
            with contextlib.suppress(OSError):
                reset(exchange.connection)
    return None


@dataclass
class Spell:
    """Some requests are answered otherwise, for a while.

    ``Spell(UNAUTHORIZED, seconds=70)``, ``Spell(NO_JOB, Call.CANCEL, seconds=5, young=True)``.

    Attributes:
        otherwise: what is answered.
        calls: to which calls.
        seconds: how long; None for no end.
        times: to how many calls; None for no bound.
        after: so many of the calls are answered well before it begins.
        young: the seconds count from the creation of the job that a call is about, not from the
            first call that is answered otherwise.
        armed: while false, nothing happens.
        happened: to how many calls it has happened.
    """

    otherwise: Behaviour
    calls: Wanted = EVERY
    seconds: float | None = None
    times: int | None = None
    after: int = 0
    young: bool = False
    armed: bool = True
    happened: int = 0
    passed: int = 0
    began: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, exchange: Exchange) -> Response | None:
        """Answer one way or the other."""
        return self.otherwise(exchange) if self.strikes(exchange) else exchange.answer()

    def strikes(self, exchange: Exchange) -> bool:
        """Whether it happens to this call; counted."""
        with self.lock:
            if not self.armed or not fits(self.calls, exchange.request):
                return False
            self.passed += 1
            if self.passed <= self.after or self.happened == self.times:
                return False
            if self.seconds is not None and self.age(exchange) >= self.seconds:
                return False
            self.happened += 1
            return True

    def age(self, exchange: Exchange) -> float:
        """Return how long it has lasted, for this call."""
        front = exchange.front
        if self.young:
            job = job_of(exchange.request)
            return float("inf") if job is None else front.age_of(job)
        self.began = front.now() if self.began is None else self.began
        return front.now() - self.began


def acted(otherwise: Behaviour) -> Behaviour:
    """Have a call acted upon before it is answered otherwise."""

    def behave(exchange: Exchange) -> Response | None:
        exchange.answer()
        return otherwise(exchange)

    return behave


@dataclass(frozen=True)
class Bend:
    """What one answer about a job may be changed with.

    Attributes:
        view: the job as the API shows it, to be changed in place.
        looks: how often jobs have been shown, this time included.
        seconds: since the first look.
    """

    view: JobView
    looks: int
    seconds: float


@dataclass
class Bent:
    """Jobs look other than they are.

    Attributes:
        change: changes what is shown; a response that it returns is sent in its place.
        calls: in the answers to which calls.
        only: which jobs.
    """

    change: Callable[[Bend], "Response | None"]
    calls: Wanted = Call.READ
    only: Callable[[JobView], bool] = lambda _: True
    looks: int = 0
    began: float | None = None

    def __call__(self, exchange: Exchange) -> Response | None:
        """Change what is answered."""
        response = exchange.answer()
        if response is None or not fits(self.calls, exchange.request):
            return response
        document = json.loads(response.body)
        now = exchange.front.now()
        self.began = now if self.began is None else self.began
        for view in filter(self.only, document.get("jobs") or []):
            self.looks += 1
            other = self.change(Bend(view, self.looks, now - self.began))
            if other is not None:
                return other
        return replace(response, body=json.dumps(document).encode())


def bent(change: Callable[[Bend], "Response | None"], calls: Wanted = Call.READ) -> Bent:
    """Change what is shown of jobs."""
    return Bent(change, calls)


def showing(
    fields: Mapping[str, object], *, once: str = "", logged: bool = False, calls: Wanted = Call.READ
) -> Bent:
    """Show some fields of a job otherwise.

    Args:
        fields: the fields.
        once: only when it really has this status.
        logged: only when it has a log.
        calls: in the answers to which calls.
    """

    def change(bend: Bend) -> None:
        if once in {"", bend.view["status"]} and (bend.view["logs"] or not logged):
            bend.view.update(fields)

    return Bent(change, calls)


LIVING = frozenset({"Queued", "Initializing", "Running", "Paused", "Resumed", "ModelLoading"})


def statuses(*sequence: str, each: int = 1, calls: Wanted = Call.READ) -> Bent:
    """Show one status after the other, each for so many looks, and then what is so."""

    def change(bend: Bend) -> None:
        position = (bend.looks - 1) // each
        if position < len(sequence):
            show_status(bend.view, sequence[position])

    return Bent(change, calls)


def timeline(*sequence: tuple[str, float], calls: Wanted = Call.READ) -> Bent:
    """Show one status after the other, each for so many seconds, and then what is so."""

    def change(bend: Bend) -> None:
        until = 0.0
        for status, seconds in sequence:
            until += seconds
            if bend.seconds < until:
                show_status(bend.view, status)
                return

    return Bent(change, calls)


def show_status(view: JobView, status: str) -> None:
    """Show a status, and nothing that contradicts it."""
    view["status"] = status
    if status in LIVING:
        view["done_at"] = view["errors"] = None
