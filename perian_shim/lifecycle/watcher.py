"""Following one job to its end: look, print what is new, decide, wait.

The watcher prints the job's log lines as they come and one line of its own for each change of
status, and enforces what the platform might not: how long a job may wait for a machine and how long
it may run. Both are measured as time *seen* in a phase, by this process's own monotonic clock and
by those of the attempts before; nobody's wall clock is compared with anybody else's. Outages are
ridden out below, by the retry machine, and how much of a long log is read is decided in ``looks``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import JobTimedOut, QueuedTooLong, StatusUnknown, TaskError
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.logs import LogTail
from perian_shim.lifecycle.looks import Looks
from perian_shim.lifecycle.policies import Limits, PollPolicy, TrafficPolicy

DRAIN_READS = 5
"""How often a job that has ended well is read again at most, until its log stops growing."""

EXPLAINED = frozenset({Phase.SUCCEEDED, Phase.CANCELLED})
"""Ends for whose reason nobody looks in the log."""


@dataclass
class Ages:
    """How long the job has been seen in each phase.

    Attributes:
        queued: seconds seen waiting for a machine, in all.
        running: seconds seen running, in all.
        unknown: seconds for which the status has not been understood, without a break.
        phase: the phase seen last.
        seen: when it was seen.
    """

    queued: float = 0.0
    running: float = 0.0
    unknown: float = 0.0
    phase: Phase | None = None
    seen: float = 0.0

    def note(self, phase: Phase, now: float) -> None:
        """Note a look: the time since the last one counts for the phase that was seen then."""
        passed = now - self.seen if self.phase is not None else 0.0
        if self.phase is Phase.QUEUED:
            self.queued += passed
        elif self.phase is Phase.RUNNING:
            self.running += passed
        both = phase is Phase.UNKNOWN and self.phase is Phase.UNKNOWN
        self.unknown = self.unknown + passed if both else 0.0
        self.phase, self.seen = phase, now


@dataclass
class Watcher:
    """Follows one job to its end.

    Attributes:
        jobs: the API.
        policy: when to look again.
        emit: prints a line.
        limits: how long the job may take.
        ages: how long it has been seen in each phase.
        tail: the log lines printed so far.
        between: called after each look at a job that goes on; returns a job that is to be followed
            in its place, if any.
        check: called when the job has a machine, once; raises if it must not go on.
        traffic: how much of a long log is read how often.
        started: when the job was first looked at.
        changed: when its status changed last.
    """

    jobs: Jobs
    policy: PollPolicy
    emit: Callable[[str], None]
    limits: Limits
    ages: Ages = field(default_factory=Ages)
    tail: LogTail = field(default_factory=LogTail)
    between: Callable[[Job], Job | None] = lambda _: None
    check: Callable[[Job], None] = lambda _: None
    traffic: TrafficPolicy = field(default_factory=TrafficPolicy)
    started: float = field(default=0.0, init=False)
    changed: float = field(default=0.0, init=False)
    checked: bool = field(default=False, init=False)

    def follow(self, job_id: str) -> Job:
        """Return the job as it is when it has ended, or the one to be followed instead.

        Raises:
            ApiUnavailable: no good answer for as long as an outage is ridden out.
            JobVanished: Perian no longer knows the job.
            QueuedTooLong: the job has waited for too long and must be ended.
            JobTimedOut: the job runs on after its timeout and must be ended.
            StatusUnknown: nobody knows what the job's status means, for too long.
        """
        clock = self.jobs.retrier.clock
        self.started = self.changed = clock.monotonic()
        status = ""
        looks = Looks(self.jobs, job_id, self.traffic)
        while True:
            job = looks.look()
            now = clock.monotonic()
            if job.status != status:
                change = f"{status} -> {job.status}" if status else job.status
                after = f"after {now - self.started:.1f} s"
                self.emit(f"[perian-shim] job {job_id}: {change} {after}")
                status, self.changed = job.status, now
            self.print_lines(self.tail.feed(job.logs))
            self.ages.note(job.phase, now)
            if job.phase.terminal:
                return self.drain(job, looks)
            self.check_machine(job)
            self.check_limits(job)
            other = self.between(job)
            if other is not None:
                return other
            age = clock.monotonic() - self.changed
            stretch = self.jobs.retrier.pace.stretch
            longest = looks.longest_pause
            clock.sleep(self.policy.pause(age, clock.chance(), stretch, longest))

    def check_machine(self, job: Job) -> None:
        """Hold the machine against what was asked for, once it is known."""
        if not self.checked and job.phase in {Phase.STARTING, Phase.RUNNING}:
            self.checked = True
            self.check(job)

    def check_limits(self, job: Job) -> None:
        """Raise if a job takes too long, or if nobody understands its status."""
        error: TaskError | None = None
        ages, limits = self.ages, self.limits
        if job.phase is Phase.QUEUED and limits.queued is not None and ages.queued > limits.queued:
            error = QueuedTooLong(
                f"Job {job.id} waited {ages.queued:.0f} s for a machine, and max_queued_time is"
                f" {limits.queued:.0f} s."
            )
        bound = None if limits.running is None else limits.running + limits.slack
        if job.phase is Phase.RUNNING and bound is not None and ages.running > bound:
            error = JobTimedOut(
                f"Job {job.id} ran for {ages.running:.0f} s, its limit of {limits.running:.0f} s"
                " passed unheeded."
            )
        if job.phase is Phase.UNKNOWN and ages.unknown > self.policy.unknown:
            error = StatusUnknown(
                f"Job {job.id} has had the status {job.status!r} for {ages.unknown:.0f} s."
            )
        if error is not None:
            error.job_id = job.id
            raise error

    def drain(self, job: Job, looks: Looks) -> Job:
        """Look at the job that has ended until its log stands still, and print what is left of it.

        The status that ended it stays, whatever a stale answer says later.
        """
        job, unread = self.settled(job, looks)
        last = looks.whole() if unread else None
        if last is not None:
            job = self.with_last_words(job, last)
        elif unread:
            self.emit(f"[perian-shim] job {job.id}: the end of its log could not be read")
        self.print_lines(self.tail.flush())
        return job

    def settled(self, job: Job, looks: Looks) -> tuple[Job, bool]:
        """Wait until the log of a job that has ended stands still.

        What explains a failure may come later than the status, and is waited for.

        Returns:
            The job with what was seen of it, and whether its log is still to be read.
        """
        clock = self.jobs.retrier.clock
        waits = job.phase not in EXPLAINED
        began = moved = clock.monotonic()
        mark, reads = (job.logs, job.errors, looks.announced), 0
        unread = job.logs is None and looks.brief
        while True:
            if waits:
                now = clock.monotonic()
                if now - moved >= self.policy.settling or now - began >= self.policy.settled:
                    return job, unread
                clock.sleep(min(self.policy.shortest, self.policy.settling / 5))
            elif unread or reads >= DRAIN_READS:
                return job, unread
            again, reads = looks.again(), reads + 1
            before = mark
            if again is not None:
                job = self.with_last_words(job, again)
                mark = (job.logs, job.errors, looks.announced)
            if mark != before:
                moved = clock.monotonic()
                unread = unread or looks.brief
            elif not waits:
                return job, unread

    def with_last_words(self, job: Job, again: Job) -> Job:
        """Return a job that has ended with what a later look tells of its end and log; print it."""
        self.print_lines(self.tail.feed(again.logs))
        return replace(
            job,
            logs=again.logs if again.logs is not None else job.logs,
            errors=again.errors or job.errors,
            started_at=job.started_at or again.started_at,
            done_at=job.done_at or again.done_at,
            price=job.price or again.price,
        )

    def print_lines(self, lines: list[str]) -> None:
        """Print lines of the job's log."""
        for line in lines:
            self.emit(line)
