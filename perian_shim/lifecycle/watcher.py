"""Following one job to its end: the loop over the lifecycle's operations.

It asks until the job has ended, prints its log lines as they come and one line of its own per
change of status, and enforces what the platform might not: how long a job may wait for a machine,
and how long it may run. Clock, sleep and randomness come from outside; times are in seconds.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from perian_shim.api import ApiError, Job, JobNotFound, Unauthorized
from perian_shim.api.phases import Phase
from perian_shim.errors import (
    ApiUnavailable,
    JobRejected,
    JobTimedOut,
    JobVanished,
    QueuedTooLong,
    StatusUnknown,
    TaskError,
)
from perian_shim.lifecycle.jobs import CREDENTIALS_REMEDY, Emit, Lifecycle, ResourceMeta
from perian_shim.lifecycle.logs import LogTail
from perian_shim.lifecycle.policies import PollPolicy

DRAIN_READS = 5
"""How often a finished job is read again at most, until its log stops growing."""

ODD_ANSWERS_SECONDS = 60.0
"""How long a job may be unknown, or we may be refused, before that is believed: a new job may not
be listed everywhere at once, and a proxy in between may answer for the API."""

TIMEOUT_SLACK_SECONDS = 60.0
"""How long after its timeout the platform may take to end a job before we do."""


@dataclass(frozen=True)
class Patience:
    """How long a job may take.

    Attributes:
        queued: bound of the time in the queue, None for any time.
        running: bound of the run, None for any time.
        queued_before: how long the job had been queued when we began to follow it.
        ran_before: how long it had been running.
    """

    queued: float | None = None
    running: float | None = None
    queued_before: float = 0.0
    ran_before: float = 0.0


@dataclass
class Ages:
    """How long the job has been in a phase; an unknown status in between is no new phase.

    Attributes:
        entered: when the phase began that was known last.
        phase: that phase.
        unknown: since when the status is unknown, None while it is not.
    """

    entered: float
    phase: Phase | None = None
    unknown: float | None = None

    def of(self, phase: Phase, now: float) -> float:
        """Return the age of the phase that the job is in.

        Args:
            phase: that phase.
            now: the time.
        """
        if phase is Phase.UNKNOWN:
            self.unknown = now if self.unknown is None else self.unknown
            return now - self.unknown
        self.unknown = None
        if phase is not self.phase:
            self.entered = now if self.phase is not None else self.entered
            self.phase = phase
        return now - self.entered


@dataclass
class Watcher:
    """Follows one job to its end.

    Attributes:
        lifecycle: the operations.
        policy: when to look again, and how long an outage is ridden out.
        emit: prints a line.
        patience: how long the job may take.
        on_progress: called after lines have been printed.
        on_look: called after each look at the job.
        clock: monotonic time.
        sleep: waits.
        chance: a random number in [0, 1).
        tail: the log lines printed so far.
        before_cancel: called before the job is cancelled.
        verdict: why the job was to be cancelled; the answer to that may have been lost.
        odd: since when the job is unknown or we are refused, and what the answer is each time.
    """

    lifecycle: Lifecycle
    policy: PollPolicy
    emit: Emit
    patience: Patience = field(default_factory=Patience)
    on_progress: Callable[[], None] = lambda: None
    on_look: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    tail: LogTail = field(default_factory=LogTail)
    before_cancel: Callable[[], None] = lambda: None
    verdict: TaskError | None = field(default=None, init=False)
    odd: tuple[type[ApiError], float] | None = field(default=None, init=False)

    def follow(self, meta: ResourceMeta) -> Job:
        """Return the job as it is when it has ended.

        Raises:
            ApiUnavailable: no good answer for as long as the policy allows.
            JobRejected: Perian no longer knows us.
            JobVanished: Perian no longer knows the job.
            QueuedTooLong: the job waited for too long; it was cancelled.
            JobTimedOut: the job ran on after its timeout; it was cancelled.
            StatusUnknown: nobody knows what the job's status means, for too long.
        """
        start = changed = answered = self.clock()
        ages = Ages(start)
        status = ""
        while True:
            asked = 0.0
            try:
                job = self.lifecycle.get(meta)
            except ApiError as error:
                asked = self.after_failure(error, meta, self.clock() - answered)
            else:
                answered = self.clock()
                self.odd = None
                if job.status != status:
                    self.say(meta, status, job.status, answered - start)
                    status, changed = job.status, answered
                self.print_lines(self.tail.feed(job.logs))
                self.on_look()
                phase = self.lifecycle.status(job)
                if phase.terminal:
                    ended = self.drain(meta, job)
                    if phase is Phase.CANCELLED and self.verdict is not None:
                        raise self.verdict
                    return ended
                self.check_patience(meta, job, phase, ages.of(phase, answered))
            age = self.clock() - changed
            stretch = self.lifecycle.client.pace.stretch
            # On top, since many may have been asked for the same.
            self.sleep(asked + self.policy.pause(age, self.chance(), stretch))

    def after_failure(self, error: ApiError, meta: ResourceMeta, silence: float) -> float:
        """Return how long the API asked to be left alone, or raise what ends the run."""
        # The job is known to exist: any other answer than these two is somebody else's, who stands
        # in between, or will pass. It is not believed until the outage has lasted for too long.
        kind = type(error) if isinstance(error, JobNotFound | Unauthorized) else None
        if kind is None:
            self.odd = None
        elif self.odd is None or self.odd[0] is not kind:
            self.odd = (kind, self.clock())
        odd_for = self.clock() - self.odd[1] if self.odd else 0.0
        if self.odd and odd_for > min(ODD_ANSWERS_SECONDS, self.policy.outage):
            if isinstance(error, JobNotFound):
                message = f"Perian has not known job {meta.job_id} for {odd_for:.0f} s."
                raise JobVanished(message, job_id=meta.job_id) from error
            raise JobRejected(
                error.message, job_id=meta.job_id, remedy=CREDENTIALS_REMEDY
            ) from error
        # What is odd has its own, later end: a doubt that began in an outage is not that outage.
        if silence > self.policy.outage + (ODD_ANSWERS_SECONDS if self.odd else 0.0):
            message = (
                f"Perian gave no good answer for {silence:.0f} s about job {meta.job_id}, last:"
                f" {error.message}"
            )
            raise ApiUnavailable(message, job_id=meta.job_id) from error
        self.emit(f"[perian-shim] job {meta.job_id}: {error.message} (trying again)")
        return min(error.retry_after or 0.0, self.lifecycle.client.policy.longest_wait)

    def check_patience(self, meta: ResourceMeta, job: Job, phase: Phase, age: float) -> None:
        """Cancel a job that takes too long, and raise that; give up on a status nobody knows."""
        limits = self.patience
        waited, ran = limits.queued_before + age, limits.ran_before + age
        if phase is Phase.QUEUED and limits.queued is not None and waited > limits.queued:
            what = (
                f"Job {meta.job_id} waited {waited:.0f} s for a machine, and max_queued_time is"
                f" {limits.queued:.0f} s."
            )
            self.cancel(meta, what, QueuedTooLong(f"{what} It was cancelled.", job_id=meta.job_id))
        bound = None if limits.running is None else limits.running + TIMEOUT_SLACK_SECONDS
        if phase is Phase.RUNNING and bound is not None and ran > bound:
            what = (
                f"Job {meta.job_id} ran for {ran:.0f} s, its limit of {limits.running:.0f} s passed"
                " unheeded."
            )
            self.cancel(meta, what, JobTimedOut(f"{what} It was cancelled.", job_id=meta.job_id))
        if phase is Phase.UNKNOWN and age > self.policy.outage:
            message = f"Job {meta.job_id} has had the status {job.status!r} for {age:.0f} s."
            raise StatusUnknown(message, job_id=meta.job_id)

    def cancel(self, meta: ResourceMeta, what: str, verdict: TaskError) -> None:
        """Cancel the job and raise the verdict; not when it has ended, so that a look will tell."""
        self.before_cancel()
        self.verdict = verdict
        try:
            if self.lifecycle.delete(meta):
                raise verdict
        except ApiError as error:
            message = f"{what} It could not be cancelled and may go on: {error.message}"
            raise ApiUnavailable(message, job_id=meta.job_id) from error

    def drain(self, meta: ResourceMeta, job: Job) -> Job:
        """Read the finished job until its log stops growing, and print what is left of it.

        The status that ended it stays, whatever a stale answer says later.
        """
        logs = job.logs
        for _ in range(DRAIN_READS):
            try:
                again = self.lifecycle.get(meta).logs
            except ApiError:
                break
            self.print_lines(self.tail.feed(again))
            if again == logs:
                break
            logs = again if again is not None else logs
        self.print_lines(self.tail.flush())
        return replace(job, logs=logs)

    def say(self, meta: ResourceMeta, before: str, now: str, elapsed: float) -> None:
        """Print one line about a change of status."""
        change = f"{before} -> {now}" if before else now
        self.emit(f"[perian-shim] job {meta.job_id}: {change} after {elapsed:.1f} s")

    def print_lines(self, lines: list[str]) -> None:
        """Print lines of the job's log."""
        for line in lines:
            self.emit(line)
        if lines:
            self.on_progress()
