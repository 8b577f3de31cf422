"""Traps: doing something to a pod at an exact point of its run, without sleeping.

A trap waits for one request, to the API or to the object store, holds it (before the server acts on
it, or before the client learns that it did) and springs: most often it sends the pod a signal. What
the pod asked is then dropped, or goes on as if nothing had been. It is a behaviour of a front.
"""

import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from support.api_calls import Wanted, fits
from support.connections import until_gone
from support.front import Exchange, Received
from support.waiting import LONG_SECONDS

from perian_shim.sandbox.server.application import Response


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
        wanted: which requests.
        when: where in the exchange.
        spring: what to do, in the thread that serves the request.
        number: which of the requests, from 1.
        drop: whether the client never gets an answer.
        sprung: when it sprang, None before.
    """

    wanted: Wanted
    when: When
    spring: Callable[[], None]
    number: int = 1
    drop: bool = True
    sprung: datetime.datetime | None = None
    passed: int = 0
    late: "Callable[[], Response | None] | None" = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def catches(self, request: Received) -> bool:
        """Whether this request is the one; counted."""
        fitting = fits(self.wanted, request)
        with self.lock:
            self.passed += fitting
            return fitting and self.passed == self.number

    def go_off(self) -> None:
        """Spring."""
        self.sprung = datetime.datetime.now(datetime.timezone.utc)
        self.spring()

    def __call__(self, exchange: Exchange) -> Response | None:
        """Let a request pass, or catch it."""
        late, self.late = self.late, None
        if late is not None:
            late()
        if not self.catches(exchange.request):
            return exchange.answer()
        answer = exchange.answer() if self.when is When.AFTER else None
        self.go_off()
        if not self.drop:
            return answer if self.when is When.AFTER else exchange.answer()
        if self.when is When.LATE:
            self.late = exchange.answer
        until_gone(exchange.connection)
        return None


@dataclass
class Hold:
    """Stops a pod at a request, until it is let go."""

    reached: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    def spring(self) -> None:
        """Hold the request: what a trap does."""
        self.reached.set()
        assert self.free.wait(LONG_SECONDS), "what was held has not been let go"

    def until_reached(self) -> None:
        """Wait until the pod is held."""
        assert self.reached.wait(LONG_SECONDS), "the pod did not come to where it is held"
