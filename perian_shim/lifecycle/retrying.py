"""Asking the API again: a policy as data, and a client that follows it. Times are in seconds.

Calls that change nothing, and cancelling, which may be repeated, are tried again after a passing
fault. Pauses double and are fully jittered, so that many executors do not come back together; a
``Retry-After`` is kept, and the jitter comes on top. A submission is only sent again when the first
one cannot have taken effect; anything else is for the caller, who must look before asking again.
Credentials that are refused are read anew once, because mounted secrets rotate.

Attempts are counted, except those that were one too many for a rate limit (429): the server is
there and has done nothing, so these go on for as long as an outage is ridden out. Whoever is
refused also asks less often from then on (``Pace``), until a crowd fits the limit that it shares.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from perian_shim import settings
from perian_shim.api import (
    ApiError,
    CreateJobRequest,
    Job,
    PerianClient,
    RateLimited,
    Unauthorized,
)

T = TypeVar("T")

PAGE_SIZE = 100
"""Jobs per page when looking through the list."""

SLOWER = 1.5
"""By which factor a client asks less often after a call that was refused."""

FASTER = 0.004
"""What is added, for each planned pause that passes without a refusal, to the share of its planned
rate that a client asks at. Divided by a factor and added to evenly in time, the rates of a crowd
become alike; of a hundred that want 2.5 times what they may, 1 call in 12 is then refused."""

SLOWEST = 64.0
"""Bound of the factor by which pauses grow."""

LONGEST_REST = 2.0
"""Bound of a pause while there is little time left."""

REFUSALS_UNSAID = 5
"""How often a call is refused before people are told that it waits."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a call is repeated.

    Attributes:
        attempts: how often it is tried in all.
        first: longest pause before the second attempt; doubled for each further one.
        longest: bound of the pauses.
        longest_wait: bound of what a server may ask for with ``Retry-After``, and of how long
            those that it refuses are spread out after that.
        outage: for how long a call is repeated that is refused only because there were too many,
            whatever ``attempts`` says.
    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 20.0
    longest_wait: float = 120.0
    outage: float = 0.0

    @classmethod
    def from_environment(cls) -> "RetryPolicy":
        """Return the policy that rides out as long an outage as the environment says.

        Raises:
            ConfigError: that is no number of seconds.
        """
        return cls(outage=settings.seconds(settings.OUTAGE_SECONDS, 1800.0))

    def pause(
        self, failures: int, chance: float, asked: float | None, stretch: float = 1.0
    ) -> float:
        """Return the pause after a failure.

        Args:
            failures: how many attempts have failed, at least 1.
            chance: a random number in [0, 1).
            asked: what the server asked for.
            stretch: how much longer than planned the client's pauses are.
        """
        least = min(asked or 0.0, self.longest_wait)
        # 2**10 times any sensible pause is beyond the bound; more would overflow one day.
        doubled: float = min(self.first * 2 ** min(failures - 1, 10), self.longest)
        # Whoever was told the same must not come back at the same moment.
        return least + min(max(doubled, least) * stretch, self.longest_wait) * chance


@dataclass
class Pace:
    """How much less often than planned a client asks, because it has asked too often.

    Attributes:
        stretch: factor by which pauses are longer, at least 1.
        asked: how long the server asked to be left alone when it refused the last call, None if it
            did not refuse it.
    """

    stretch: float = 1.0
    asked: float | None = None

    def refused(self, asked: float | None, *, again: bool) -> None:
        """Note a refusal; of one call's many only the first makes the pace slower."""
        self.asked = asked or 0.0
        if not again:
            self.stretch = min(self.stretch * SLOWER, SLOWEST)

    def answered(self, *, at_once: bool) -> None:
        """Note an answer; one that came at once makes the pace a little faster."""
        self.asked = None
        if at_once:
            # So many planned pauses have passed since the call before.
            self.stretch = max(1 / (1 / self.stretch + FASTER * self.stretch), 1.0)


@dataclass
class Tries:
    """How one call has gone so far.

    Attributes:
        began: when it was first tried.
        failures: how often it has failed, refusals apart.
        refusals: how often it was refused because there were too many.
        renewed: whether the credentials have been read anew.
    """

    began: float
    failures: int = 0
    refusals: int = 0
    renewed: bool = False


@dataclass
class RetryingClient:
    """A ``PerianClient`` that asks again.

    Attributes:
        connect: makes a client with the credentials as they are now.
        policy: how often calls are repeated; unless given, as the environment says.
        sleep: waits.
        chance: a random number in [0, 1).
        clock: monotonic time.
        warn: prints a line.
        pace: how much less often than planned it asks.
    """

    connect: Callable[[], PerianClient]
    policy: RetryPolicy = field(default_factory=RetryPolicy.from_environment)
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic
    warn: Callable[[str], None] = lambda _: None
    pace: Pace = field(default_factory=Pace)
    client: PerianClient | None = field(default=None, init=False)

    def get_job(self, job_id: str) -> Job:
        """Read a job."""
        return self._repeat(lambda client: client.get_job(job_id))

    def cancel_job(self, job_id: str) -> None:
        """Cancel a job."""
        self._repeat(lambda client: client.cancel_job(job_id))

    def create_job(self, request: CreateJobRequest) -> str:
        """Submit a job; sent again only if it cannot have taken effect.

        Raises:
            ApiError: it failed; ``outcome_unknown`` tells whether a job may exist all the same.
        """
        return self._repeat(lambda client: client.create_job(request))

    def iter_jobs(self) -> Iterator[Job]:
        """Yield all jobs of the organization, page by page, each once.

        A page that brings nothing new ends the listing, whatever the server says of further ones.
        """
        seen: set[str] = set()
        page, more = 1, True
        while more:
            number = page
            found = self._repeat(lambda client, n=number: client.list_jobs(n, PAGE_SIZE))  # type: ignore[misc]  # mypy cannot infer a lambda's default
            fresh = {job.id: job for job in found.items if job.id not in seen}
            yield from fresh.values()
            seen |= fresh.keys()
            more = found.has_next and bool(fresh)
            page += 1

    def close(self) -> None:
        """Close the connections."""
        if self.client is not None:
            self.client.close()
            self.client = None

    def pause(self, failures: int) -> float:
        """Return the pause after so many failures in a row of what is made of several calls."""
        return self.policy.pause(failures, self.chance(), None, self.pace.stretch)

    def rest(self, seconds: float) -> None:
        """Wait between two calls when there is little time; longer if the last one was refused."""
        pause = seconds
        if self.pace.asked is not None:
            spread = seconds * self.pace.stretch * (0.5 + self.chance())
            pause = min(self.pace.asked + spread, max(seconds, LONGEST_REST))
        self.sleep(pause)

    def _repeat(self, call: Callable[[PerianClient], T]) -> T:
        tries = Tries(self.clock())
        while True:
            if self.client is None:
                self.client = self.connect()
            try:
                answer = call(self.client)
            except Unauthorized:
                if tries.renewed:
                    raise
                tries.renewed = True
                self.close()
            except ApiError as error:
                self.sleep(self._pause_after(error, tries))
            else:
                self.pace.answered(at_once=not tries.refusals)
                return answer

    def _pause_after(self, error: ApiError, tries: Tries) -> float:
        """Count a failure and return the pause after it; raise it if it is not to be repeated."""
        if isinstance(error, RateLimited):
            self.pace.refused(error.retry_after, again=tries.refusals > 0)
            tries.refusals += 1
            patient = self.clock() - tries.began < self.policy.outage
            spent = tries.failures + tries.refusals >= self.policy.attempts and not patient
            if tries.refusals == REFUSALS_UNSAID and not spent:
                self.warn(f"{error.message} Asking again, and less often.")
        else:
            tries.failures += 1
            spent = tries.failures >= self.policy.attempts
        heard = error.outcome_unknown and error.changes_state and error.method == "POST"
        if heard or spent or not error.retryable:
            raise error
        failures = tries.failures + tries.refusals
        return self.policy.pause(failures, self.chance(), error.retry_after, self.pace.stretch)
