"""The newest jobs that somebody wants to see, out of a listing of any length.

The API lists the newest jobs first, but promises nothing. So the listing is read to its end, unless
the jobs themselves show its order: while each job is older than the one before it, by the
platform's own stamps, what follows is older than all that has been seen. Nothing is held but the
jobs that are wanted, and the ids of all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import ApiError, JobNotFound, MalformedResponse, PerianError
from perian_shim.api.jobs import Job as Seen
from perian_shim.api.pages import Page
from perian_shim.api.paging import Pager
from perian_shim.api.phases import Phase
from perian_shim.lifecycle.clock import Clock
from perian_shim.owners import JobOrigin
from perian_shim.remote.asking import ask, may_pass
from perian_shim.remote.connection import Connection

PAGE = 100
"""Jobs to ask for at a time."""

OLDEST = datetime.min.replace(tzinfo=timezone.utc)

Phases: TypeAlias = Phase | str | Iterable[Phase | str]


@dataclass(frozen=True)
class Wanted:
    """Which jobs are wanted: those that meet all that is said.

    Attributes:
        origin: fields of ``JobOrigin`` and what they are to be.
        phases: None for any.
        since: when it was submitted at the earliest.
        ours: whether only jobs of Flyte tasks are.
    """

    origin: tuple[tuple[str, str], ...] = ()
    phases: frozenset[Phase] | None = None
    since: datetime | None = None
    ours: bool = False

    @property
    def asks_whose(self) -> bool:
        """Whether it matters whose a job is."""
        return self.ours or bool(self.origin)

    def may_be(self, job: Seen) -> bool:
        """Whether what any listing shows of a job fits."""
        in_time = self.since is None or job.created_at is None or job.created_at >= self.since
        return in_time and (self.phases is None or job.phase in self.phases)

    def is_whose(self, job: Seen) -> bool:
        """Whether a job is of those to whom it is to belong."""
        if not self.asks_whose:
            return True
        origin = JobOrigin.of(job)
        return origin is not None and all(
            getattr(origin, name) == value for name, value in self.origin
        )


def wanted(
    *,
    in_phase: Phases | None = None,
    since: datetime | timedelta | None = None,
    ours: bool = False,
    **origin: str | None,
) -> Wanted:
    """Return which jobs are wanted.

    Args:
        in_phase: a phase or several, or their names.
        since: a moment, or how long ago; a time without a zone is this machine's.
        ours: whether only jobs of Flyte tasks are.
        origin: fields of ``JobOrigin``.

    Raises:
        ValueError: a phase has no such name.
    """
    phases = None
    if in_phase is not None:
        several = [in_phase] if isinstance(in_phase, Phase | str) else list(in_phase)
        phases = frozenset(Phase(each) for each in several)
    if isinstance(since, timedelta):
        since = datetime.now(timezone.utc) - since
    moment = None if since is None else since.astimezone(timezone.utc)
    asked = tuple((name, value) for name, value in origin.items() if value is not None)
    return Wanted(asked, phases, moment, ours)


@dataclass
class Order:
    """Whether a listing is the newest first, as far as it has been seen.

    Attributes:
        proven: whether each job is at most as new as the one before it, and one is older.
        last: when the last one was submitted.
    """

    broken: bool = False
    falls: bool = False
    last: datetime | None = None

    def note(self, job: Seen) -> None:
        """Look at the next job."""
        created = job.created_at
        if created is None or (self.last is not None and created > self.last):
            self.broken = True
        elif self.last is not None and created < self.last:
            self.falls = True
        self.last = created

    @property
    def proven(self) -> bool:
        """Whether the jobs that follow are older."""
        return self.falls and not self.broken


@dataclass
class Listing:
    """Reads the organization's jobs.

    Attributes:
        connection: who asks.
        clock: time and chance.
        order: how the listing is ordered.
    """

    connection: Connection
    clock: Clock = field(default_factory=Clock)
    order: Order = field(default_factory=Order, init=False)

    def newest(self, which: Wanted, limit: int | None) -> list[Seen]:
        """Return the newest jobs that are wanted, the newest first.

        Raises:
            MalformedResponse: the listing has no end, or shows the same again and again.
            ApiError: it could not be had.
        """
        found: list[Seen] = []
        for page in self.pages():
            found += [job for each in page if (job := self.fitting(each, which)) is not None]
            found.sort(key=age, reverse=True)
            if limit is not None:
                del found[limit:]
            if self.order.proven and self.suffices(found, which, limit):
                break
        return [self.whole(job) for job in found]

    def suffices(self, found: list[Seen], which: Wanted, limit: int | None) -> bool:
        """Whether older jobs than those seen so far do not matter."""
        enough = limit is not None and len(found) >= limit
        last = self.order.last
        return enough or bool(which.since and last and last < which.since)

    def all(self) -> Iterator[Seen]:
        """Yield all jobs, in the order of the listing; raises what ``newest`` does."""
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[Seen]]:
        """Yield the jobs page by page, each once."""
        pager = Pager(PAGE)
        while (request := pager.next_request()) is not None:
            may_shrink = request[1] > 1
            try:
                page = self.ask(lambda client: client.list_jobs(*request), may_shrink)
            except ApiError as error:
                if not (error.smaller_may_succeed and pager.shrink()):
                    raise
                continue
            fresh = pager.take(page)
            for job in fresh:
                self.order.note(job)
            yield fresh
        if not pager.complete:
            message = "GET /job: the listing has no end, or keeps showing the same jobs."
            raise MalformedResponse(message, method="GET", path="/job")

    def ask(self, act: Callable[[PerianClient], Page[Seen]], may_shrink: bool) -> Page[Seen]:
        """Ask for a page; one that may be too big is not asked for again as it is."""

        def passes(error: PerianError) -> bool:
            too_big = isinstance(error, ApiError) and error.smaller_may_succeed
            return may_pass(error) and not (may_shrink and too_big)

        return ask(self.connection, act, passes=passes, clock=self.clock)

    def fitting(self, job: Seen, which: Wanted) -> Seen | None:
        """Return a job if it is wanted, looked at by itself if the listing does not say whose."""
        if not which.may_be(job):
            return None
        if which.asks_whose:
            job = self.whole(job)
        return job if which.is_whose(job) else None

    def whole(self, job: Seen) -> Seen:
        """Return a job from which can be told whose it is, as far as it can be had."""
        if job.env_complete or settings.JOB_KEY in job.env_variables:
            return job
        try:
            return ask(self.connection, lambda client: client.get_job(job.id), clock=self.clock)
        except (JobNotFound, MalformedResponse):
            return job


def age(job: Seen) -> datetime:
    """Sort key: when a job was submitted."""
    return job.created_at or OLDEST
