"""The retry machine: the only place that decides to make a call again. Times are in seconds.

It serves calls that change nothing, or that may be made twice, to Perian and to the object store
alike. A call is repeated for as long as an outage is ridden out; pauses double and are fully
jittered, a ``Retry-After`` is kept with the jitter on top. Refusals because of too many requests
(429) also slow down all that follows (``Pace``), until a crowd of executors fits the rate limit
that it shares.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from perian_shim.api.errors import ApiError, PerianError, RateLimited, TransportError
from perian_shim.errors import StorageFailed
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.storage.base import ObjectInfo, ObjectStore, Signing, UploadPolicy

T = TypeVar("T")

SLOWER = 1.5
"""By which factor a client asks less often after a call that was refused."""

FASTER = 0.004
"""What is added, for each planned pause that passes without a refusal, to the share of its planned
rate that a client asks at. Divided by a factor and added to evenly in time, the rates of a crowd
become alike; of a hundred that want 2.5 times what they may, 1 call in 12 is then refused."""

SLOWEST = 64.0
"""Bound of the factor by which pauses grow."""

REFUSALS_UNSAID = 5
"""How often a call is refused before people are told that it waits."""

TELL_SECONDS = 60.0
"""How often people are told that an outage goes on."""


@dataclass
class Pace:
    """How much less often than planned calls are made, because there were too many.

    Attributes:
        stretch: factor by which pauses are longer, at least 1.
    """

    stretch: float = 1.0

    def refused(self) -> None:
        """Note a call that was refused, however often."""
        self.stretch = min(self.stretch * SLOWER, SLOWEST)

    def answered_at_once(self) -> None:
        """Note an answer that came at once: the pace becomes a little faster."""
        # So many planned pauses have passed since the call before.
        self.stretch = max(1 / (1 / self.stretch + FASTER * self.stretch), 1.0)


@dataclass
class Retrier:
    """Makes calls again.

    Attributes:
        policy: how often, and for how long.
        clock: time and chance.
        warn: prints a line.
        pace: how much less often than planned calls are made.
        deadline: when no call is made again any more.
        reached: whether there is somebody at the other end: a call has been answered, or may have
            arrived.
    """

    policy: RetryPolicy
    clock: Clock = field(default_factory=Clock)
    warn: Callable[[str], None] = lambda _: None
    pace: Pace = field(default_factory=Pace)
    deadline: float = float("inf")
    reached: bool = field(default=False, init=False)

    @property
    def patience(self) -> float:
        """How long a call is repeated without one good answer, as things stand."""
        policy = self.policy
        return policy.outage if self.reached else min(policy.outage, policy.unreached)

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Ride out no outage for longer than this meanwhile."""
        policy = self.policy
        self.policy = replace(policy, outage=min(policy.outage, seconds))
        try:
            yield
        finally:
            self.policy = policy

    def call(self, act: Callable[[], T], passes: Callable[[PerianError], bool]) -> T:
        """Make a call until it succeeds or its failure is final.

        Args:
            act: the call.
            passes: whether a failure may pass by itself; called once for each.

        Raises:
            PerianError: the last failure.
        """
        began = told = self.clock.monotonic()
        failures = refusals = 0
        while True:
            try:
                answer = act()
            except PerianError as error:
                silence = self.clock.monotonic() - began
                self.reached = self.reached or has_reached(error)
                if not passes(error) or silence >= self.patience:
                    raise
                failures += 1
                limited = isinstance(error, RateLimited)
                refusals += limited
                if limited and refusals == 1:
                    self.pace.refused()
                asked = error.retry_after if isinstance(error, ApiError) else None
                chance, stretch = self.clock.chance(), self.pace.stretch
                pause = self.policy.pause(failures, chance, asked, stretch)
                if self.patience < self.policy.outage:  # somebody waits
                    pause = min(pause, self.patience - silence)
                if began + silence + pause >= self.deadline:
                    raise
                said = self.clock.monotonic() - told < TELL_SECONDS
                if failures == (REFUSALS_UNSAID if limited else 1) or not said:
                    told = self.clock.monotonic()
                    left = self.patience - silence
                    self.warn(f"{error.message} {error.remedy} Trying again, for {minutes(left)}.")
                self.clock.sleep(pause)
            else:
                self.reached = True
                if not refusals:
                    self.pace.answered_at_once()
                return answer


def has_reached(error: PerianError) -> bool:
    """Whether a failure shows that the other side is there: it is too busy, or may have acted."""
    return isinstance(error, RateLimited) or (isinstance(error, TransportError) and error.sent)


def minutes(seconds: float) -> str:
    """Return a duration as people say it."""
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"  # noqa: PLR2004


def store_may_recover(error: PerianError) -> bool:
    """Whether a failure of the object store may pass by itself."""
    return isinstance(error, StorageFailed) and error.passing


@dataclass(frozen=True)
class PatientStore:
    """An object store whose outages are ridden out as the platform's are.

    Attributes:
        store: the store.
        retrier: the machine.
    """

    store: ObjectStore
    retrier: Retrier

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:
        """Return for each object a URL that reads it."""
        return self._call(lambda: self.store.presign(uris, expires_in))

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        """Return leave to create objects below a prefix."""
        return self._call(lambda: self.store.upload_policy(prefix, expires_in))

    def signing(self) -> Signing:
        """Return for how long what is signed stays good."""
        return self._call(self.store.signing)

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a folder."""
        yield from self._call(lambda: list(self.store.iter_objects(prefix)))

    def size(self, uri: str) -> int | None:
        """Return an object's size, or None if there is none."""
        return self._call(lambda: self.store.size(uri))

    def read(self, uri: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of an object, or None if there is none."""
        return self._call(lambda: self.store.read(uri, limit))

    def read_end(self, uri: str, length: int) -> bytes | None:
        """Return the last ``length`` bytes of an object, or None if there is none."""
        return self._call(lambda: self.store.read_end(uri, length))

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:
        """Create or replace an object."""
        self._call(lambda: self.store.write(uri, content, content_type))

    def delete(self, uri: str) -> None:
        """Delete an object, if it is there."""
        self._call(lambda: self.store.delete(uri))

    def join(self, parts: Sequence[str], uri: str) -> None:
        """Make one object of several."""
        self._call(lambda: self.store.join(parts, uri))

    def _call(self, act: Callable[[], T]) -> T:
        return self.retrier.call(act, store_may_recover)
