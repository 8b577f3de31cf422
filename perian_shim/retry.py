"""Asking the API again: a policy as data, and a client that follows it. Times are in seconds.

Calls that change nothing, and cancelling, which may be repeated, are tried again after a passing
fault. Pauses double and are fully jittered, so that many executors do not come back together; a
``Retry-After`` is kept. A submission is only sent again when the first one cannot have taken
effect; anything else is for the caller, who must look before asking again. Credentials that are
refused are read anew once, because mounted secrets rotate.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from perian_shim.api import ApiError, CreateJobRequest, Job, PerianClient, Unauthorized

T = TypeVar("T")

PAGE_SIZE = 100
"""Jobs per page when looking through the list."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a call is repeated.

    Attributes:
        attempts: how often it is tried in all.
        first: longest pause before the second attempt; doubled for each further one.
        longest: bound of the pauses.
        longest_wait: bound of what a server may ask for with ``Retry-After``.
    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 20.0
    longest_wait: float = 120.0

    def pause(self, failures: int, chance: float, asked: float | None) -> float:
        """Return the pause after a failure.

        Args:
            failures: how many attempts have failed, at least 1.
            chance: a random number in [0, 1).
            asked: what the server asked for.
        """
        # 2**10 times any sensible pause is beyond the bound; more would overflow one day.
        doubled: float = self.first * 2 ** min(failures - 1, 10)
        jittered = min(doubled, self.longest) * chance
        # Whoever was told the same must not come back at the same moment.
        return jittered if asked is None else min(asked, self.longest_wait) + jittered


@dataclass
class RetryingClient:
    """A ``PerianClient`` that asks again.

    Attributes:
        connect: makes a client with the credentials as they are now.
        policy: how often calls are repeated.
        sleep: waits.
        chance: a random number in [0, 1).
    """

    connect: Callable[[], PerianClient]
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    client: PerianClient | None = None

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

    def _repeat(self, call: Callable[[PerianClient], T]) -> T:
        failures = 0
        renewed = False
        while True:
            if self.client is None:
                self.client = self.connect()
            try:
                return call(self.client)
            except Unauthorized:
                if renewed:
                    raise
                renewed = True
                self.close()
                continue
            except ApiError as error:
                failures += 1
                if error.outcome_unknown and error.changes_state and error.method == "POST":
                    raise
                if not error.retryable or failures >= self.policy.attempts:
                    raise
                self.sleep(self.policy.pause(failures, self.chance(), error.retry_after))
