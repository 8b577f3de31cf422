"""A job's life: four operations over a small record, and the loop that drives them.

``create`` submits and returns a ``ResourceMeta``, ``get`` reads the job, ``delete`` cancels it and
never fails on one that has ended, ``status`` is pure. ``Watcher.follow`` asks until the job has
ended, prints its log lines as they come and one line of its own per change of status. Clock, sleep
and randomness are given from outside; times are in seconds.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from perian_shim.api import (
    ApiError,
    CreateJobRequest,
    InvalidRequest,
    Job,
    JobAlreadyDone,
    JobNotFound,
    PerianClient,
    Unauthorized,
)
from perian_shim.errors import (
    ApiUnavailable,
    JobRejected,
    QueuedTooLong,
    StatusUnknown,
    SubmissionUnclear,
)
from perian_shim.logs import LogTail
from perian_shim.polling import PollPolicy
from perian_shim.status import Phase, phase_of

Emit = Callable[[str], None]

CREDENTIALS_REMEDY = (
    "Check the Flyte secrets perian_organization and perian_token (or PERIAN_ORGANIZATION and"
    " PERIAN_TOKEN): they must be right, belong together and not have expired."
)

DRAIN_READS = 5
"""How often a finished job is read again at most, until its log stops growing."""


@dataclass(frozen=True)
class ResourceMeta:
    """What is enough to get, judge and cancel a job.

    Attributes:
        job_id: Perian's id.
        key: the idempotency key.
        output: URI of the prefix below which the job leaves what it produced.
    """

    job_id: str
    key: str
    output: str


@dataclass(frozen=True)
class Lifecycle:
    """The four operations.

    Attributes:
        client: the REST API.
    """

    client: PerianClient

    def create(self, request: CreateJobRequest, key: str, output: str) -> ResourceMeta:
        """Submit a job.

        Raises:
            JobRejected: Perian refused; another attempt would be refused as well.
            SubmissionUnclear: the answer was lost; a job may exist.
            ApiUnavailable: nothing was submitted.
        """
        try:
            job_id = self.client.create_job(request)
        except Unauthorized as error:
            raise JobRejected(error.message, remedy=CREDENTIALS_REMEDY) from error
        except InvalidRequest as error:
            raise JobRejected(error.message, remedy=error.remedy) from error
        except ApiError as error:
            if error.outcome_unknown:
                message = f"{error.message} The job with {key=} may have been created."
                raise SubmissionUnclear(message) from error
            raise ApiUnavailable(error.message, remedy=error.remedy) from error
        return ResourceMeta(job_id, key, output)

    def get(self, meta: ResourceMeta) -> Job:
        """Read the job.

        Raises:
            ApiError: this one call failed.
        """
        return self.client.get_job(meta.job_id)

    def delete(self, meta: ResourceMeta) -> None:
        """Cancel the job; one that has ended or is unknown is as good as cancelled.

        Raises:
            ApiError: this one call failed.
        """
        try:
            self.client.cancel_job(meta.job_id)
        except (JobAlreadyDone, JobNotFound):
            return

    @staticmethod
    def status(job: Job) -> Phase:
        """Return what the job's status means."""
        return phase_of(job.status)


@dataclass
class Watcher:
    """Follows one job to its end.

    Attributes:
        lifecycle: the operations.
        policy: when to look again, and how long an outage is ridden out.
        emit: prints a line.
        max_queued: how long the job may wait for a machine, None for any time.
        clock: monotonic time.
        sleep: waits.
        chance: a random number in [0, 1).
        tail: the log lines printed so far.
    """

    lifecycle: Lifecycle
    policy: PollPolicy
    emit: Emit
    max_queued: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    tail: LogTail = field(default_factory=LogTail)

    def follow(self, meta: ResourceMeta) -> Job:
        """Return the job as it is when it has ended.

        Raises:
            ApiUnavailable: no good answer for as long as the policy allows.
            JobRejected: Perian no longer knows us or the job.
            QueuedTooLong: the job waited for too long; it was cancelled.
            StatusUnknown: nobody knows what the job's status means, for too long.
        """
        start = changed = answered = self.clock()
        status = ""
        while True:
            pause = 0.0
            try:
                job = self.lifecycle.get(meta)
            except ApiError as error:
                pause = self.after_failure(error, meta, self.clock() - answered)
            else:
                answered = self.clock()
                if job.status != status:
                    self.say(meta, status, job.status, answered - start)
                    status, changed = job.status, answered
                self.print_lines(self.tail.feed(job.logs))
                phase = self.lifecycle.status(job)
                if phase.terminal:
                    return self.drain(meta, job)
                self.check_patience(
                    meta, job, phase, waited=answered - start, age=answered - changed
                )
            age = self.clock() - changed
            self.sleep(max(pause, self.policy.pause(age, self.chance())))

    def after_failure(self, error: ApiError, meta: ResourceMeta, silence: float) -> float:
        """Return how long the API asked to be left alone, or raise what ends the run."""
        if not error.retryable:
            raise JobRejected(error.message, job_id=meta.job_id, remedy=error.remedy) from error
        if silence > self.policy.outage:
            message = (
                f"Perian gave no good answer for {silence:.0f} s about job {meta.job_id}, last:"
                f" {error.message}"
            )
            raise ApiUnavailable(message, job_id=meta.job_id) from error
        self.emit(f"[perian-shim] job {meta.job_id}: {error.message} (trying again)")
        return error.retry_after or 0.0

    def check_patience(
        self, meta: ResourceMeta, job: Job, phase: Phase, *, waited: float, age: float
    ) -> None:
        """Raise when a job waits for a machine, or has an unknown status, for too long."""
        if phase is Phase.QUEUED and self.max_queued is not None and waited > self.max_queued:
            self.lifecycle.delete(meta)
            message = (
                f"Job {meta.job_id} was still {job.status} after {waited:.0f} s, and"
                f" max_queued_time is {self.max_queued:.0f} s. It was cancelled."
            )
            raise QueuedTooLong(message, job_id=meta.job_id)
        if phase is Phase.UNKNOWN and age > self.policy.outage:
            message = f"Job {meta.job_id} has had the status {job.status!r} for {age:.0f} s."
            raise StatusUnknown(message, job_id=meta.job_id)

    def drain(self, meta: ResourceMeta, job: Job) -> Job:
        """Read the finished job until its log stops growing, and print what is left of it."""
        for _ in range(DRAIN_READS):
            try:
                again = self.lifecycle.get(meta)
            except ApiError:
                break
            self.print_lines(self.tail.feed(again.logs))
            if again.logs == job.logs:
                break
            job = again
        self.print_lines(self.tail.flush())
        return job

    def say(self, meta: ResourceMeta, before: str, now: str, elapsed: float) -> None:
        """Print one line about a change of status."""
        change = f"{before} -> {now}" if before else now
        self.emit(f"[perian-shim] job {meta.job_id}: {change} after {elapsed:.1f} s")

    def print_lines(self, lines: list[str]) -> None:
        """Print lines of the job's log."""
        for line in lines:
            self.emit(line)
