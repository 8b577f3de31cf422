"""One attempt at a piece of work, from looking for its job to its outputs.

Order matters, and money depends on it: adopt before submitting, record before asking, cancel before
giving up. Whatever ends the attempt before its job has ended cancels the job first (or leaves it to
the next attempt, where the user chose so); a job whose failure has been reported is recorded as
spent, so that a user's retry gets a new one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flytekit.models.literals import LiteralMap

from perian_shim.api import CreateJobRequest, Job, PerianError
from perian_shim.api.phases import Phase
from perian_shim.config import DETACH
from perian_shim.errors import (
    InternalError,
    JobCancelled,
    JobTimedOut,
    PlatformFailed,
    StorageFailed,
    TaskError,
    Terminating,
)
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.jobs import Lifecycle, ResourceMeta
from perian_shim.lifecycle.launch_record import Journal, Stage
from perian_shim.lifecycle.logs import LogPosition, LogTail
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.retrying import RetryingClient
from perian_shim.lifecycle.shutdown import Beside, Farewell, beside
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.submission import Submission
from perian_shim.lifecycle.watcher import Patience, Watcher
from perian_shim.storage import join_uri
from perian_shim.work.idempotency import work_key
from perian_shim.work.request import Labels, Private, build_request
from perian_shim.work.task_run import JobKind, Run

LOG_NAME = "job.log"

SUCCESSORS = 3
"""How many jobs an attempt follows at most when other pods of its node cancel them."""

RECORD_SECONDS = 10.0
"""How often the place in the log is recorded at most."""


@dataclass
class Attempt:
    """One attempt.

    Attributes:
        run: what is known before a job exists.
        kind: what differs between kinds of tasks.
        client: the REST API.
        hurried: the same with short timeouts, for cleaning up.
        policy: when to look at the job.
        private: what the request carries and nobody may see.
        console: prints lines.
        clock: monotonic time, in seconds.
        now: seconds since the epoch.
        sleep: waits.
        beside: does something that must not hold up for long what follows.
        ready: called when signals may be raised, because there is somebody to clean up.
    """

    run: Run
    kind: JobKind
    client: RetryingClient
    hurried: RetryingClient
    policy: PollPolicy
    private: Private
    console: Console
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    beside: Beside = beside
    ready: Callable[[], None] = lambda: None
    submission: Submission = field(init=False)
    tail: LogTail = field(init=False, default_factory=LogTail)
    recorded: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.recorded = self.clock()
        place = self.run.place
        self.client.warn = self.warn
        journal = Journal(
            self.run.store,
            place.raw_prefix,
            place.previous_prefix,
            self.warn,
            place.earlier_reports,
        )
        key = work_key(place.node, self.run.spec, LiteralMap(dict(self.run.inputs)))
        self.submission = Submission(
            Lifecycle(self.client), journal, key, place.raw_prefix, self.warn, self.sleep, self.now
        )

    def warn(self, text: str) -> None:
        """Print a line of ours."""
        self.console(f"[perian-shim] {text}")

    def outputs(self) -> LiteralMap:
        """Return the outputs of the piece of work.

        Raises:
            TaskError: it failed.
        """
        try:
            self.ready()
            return self.attempt()
        except Terminated as signal:
            raise self.with_log(self.farewell(signal)) from None
        except TaskError as error:
            if error.spends_job:
                error.after_report = lambda: self.submission.mark(Stage.REPORTED)
            self.with_log(error)
            raise
        except PerianError:
            raise
        except Exception as error:
            record = self.submission.record
            fault = InternalError.of(error, record.job_id if record else None)
            raise self.with_log(fault) from error

    def with_log(self, error: TaskError) -> TaskError:
        """Give an error the job's last log lines."""
        error.log_tail = error.log_tail or "\n".join(self.tail.last)
        return error

    def attempt(self) -> LiteralMap:
        """Find or submit the job, follow it, and read what it left."""
        adopted = self.submission.adopt() if self.run.place.attempt else None
        for _ in range(SUCCESSORS):
            meta, job = self.follow(adopted)
            self.submission.sweep()
            if Lifecycle.status(job) is not Phase.CANCELLED:
                break
            ours, adopted = self.submission.succeed(meta.job_id)
            if not ours:
                break
            self.warn(f"job {meta.job_id} was cancelled by another pod of the same node")
        self.keep_log(job)
        return self.finish(meta, job)

    def follow(self, adopted: Job | None) -> tuple[ResourceMeta, Job]:
        """Follow a job to its end: the adopted one, or a new one."""
        self.tail = LogTail()
        try:
            meta = self.submit() if adopted is None else self.rejoin(adopted)
            watcher = Watcher(
                Lifecycle(self.client),
                self.policy,
                self.console,
                self.patience(adopted),
                self.record_log,
                self.submission.recheck,
                clock=self.clock,
                sleep=self.sleep,
                tail=self.tail,
                before_cancel=lambda: self.submission.mark(Stage.CANCELLING),
            )
            return meta, watcher.follow(meta)
        except Exception as error:
            record = self.submission.record
            job_id = record.job_id if record else None
            told = error if isinstance(error, PerianError) else InternalError.of(error, job_id)
            if job_id is not None:
                self.abandon(self.submission.meta_of(job_id), told)
            self.submission.sweep()  # what a lost answer may have left is nobody's now
            if told is error:
                raise
            raise told from error

    def submit(self) -> ResourceMeta:
        """Submit a new job."""
        return self.submission.submit(self.request_for)

    def request_for(self, output: str) -> CreateJobRequest:
        """Return the request for a job that leaves what it produces below this URI."""
        staging = self.kind.stage(output)
        self.warn_about_expiry()
        self.warn(f"submitting {self.run.template.id.name}, image {self.run.spec.image}")
        labels = Labels(self.submission.key, output, self.run.place.handed_on)
        return build_request(self.run.spec, staging, labels, self.private, self.run.timeout_seconds)

    def rejoin(self, job: Job) -> ResourceMeta:
        """Go on with the job of an attempt before."""
        self.warn(f"rejoining job {job.id} of an attempt before ({job.status})")
        record = self.submission.record
        if record is not None:
            self.tail = LogTail(LogPosition(record.log_length, record.log_digest))
        return self.submission.meta(job)

    def patience(self, adopted: Job | None) -> Patience:
        """Return how long the job may take, less what an adopted one has had."""
        config = self.run.spec.config
        patience = Patience(config.max_queued_seconds, self.run.timeout_seconds)
        if adopted is None:
            return patience
        queued = self.now() - adopted.created_at.timestamp() if adopted.created_at else 0.0
        ran = self.now() - adopted.started_at.timestamp() if adopted.started_at else 0.0
        return replace(patience, queued_before=max(queued, 0.0), ran_before=max(ran, 0.0))

    def finish(self, meta: ResourceMeta, job: Job) -> LiteralMap:
        """Return the outputs of a job that has ended, or raise what it ended with."""
        reason = f": {job.errors}" if job.errors else "."
        match Lifecycle.status(job):
            case Phase.SUCCEEDED | Phase.FAILED:
                return self.kind.harvest(meta, job)
            case Phase.TIMED_OUT:
                limit = job.timeout_seconds or self.run.timeout_seconds
                message = f"Job {meta.job_id} ran into its limit of {limit} s"
                raise JobTimedOut(f"{message} and was stopped{reason}", job_id=meta.job_id)
            case Phase.CANCELLED:
                message = f"Job {meta.job_id} was cancelled, and not by this run{reason}"
                raise JobCancelled(message, job_id=meta.job_id)
            case _:
                message = f"Perian could not run job {meta.job_id} ({job.status}){reason}"
                raise PlatformFailed(message, job_id=meta.job_id)

    def abandon(self, meta: ResourceMeta, error: Exception) -> None:
        """Cancel a job that nobody will wait for; say in the error when that fails."""
        lifecycle = Lifecycle(self.client)
        try:
            # A cancellation whose answer was lost looks like a job that had ended by itself.
            if lifecycle.delete(meta) or lifecycle.status(lifecycle.get(meta)) is Phase.CANCELLED:
                self.warn(f"job {meta.job_id}: cancelled, since nobody waits for it any more")
                self.submission.mark(Stage.CANCELLING)
        except PerianError as failure:
            said = f" Job {meta.job_id} could not be cancelled and may go on: {failure.message}"
            self.warn(said.strip())
            if isinstance(error, PerianError):
                error.message += said

    def farewell(self, signal: Terminated) -> Terminating:
        """Do what a signal leaves time for, and return the error to report."""
        self.console.hurry()
        self.note_log()
        end = Farewell(
            self.submission,
            self.hurried,
            self.run.place.attempt > 0,
            self.warn,
            self.clock,
            self.beside,
        )
        self.warn(f"{signal}")
        detaching = self.run.spec.config.on_terminate == DETACH
        return end.detach(signal) if detaching else end.cancel(signal)

    def record_log(self) -> None:
        """Record how far the log has been printed, now and then."""
        if self.clock() - self.recorded >= RECORD_SECONDS:
            self.recorded = self.clock()
            self.note_log()
            self.submission.keep()

    def note_log(self) -> None:
        """Put into the record how far the log has been printed."""
        place = self.tail.position()
        record = self.submission.record
        if record is not None and place.length:
            self.submission.record = replace(
                record, log_length=place.length, log_digest=place.digest
            )

    def keep_log(self, job: Job) -> None:
        """Keep the whole log beside the outputs."""
        if not job.logs:
            return
        uri = join_uri(self.run.place.raw_prefix, "_perian", LOG_NAME)
        try:
            content = self.console.redact(job.logs).encode("utf-8", "backslashreplace")
            self.run.store.write(uri, content)
        except StorageFailed as error:
            self.warn(f"the log was not kept: {error.message}")

    def warn_about_expiry(self) -> None:
        """Say when the job's access ends before the job has to."""
        lifetime = self.run.store.access_expires_in()
        if lifetime is not None and lifetime < self.run.access_seconds:
            self.warn(
                f"the credentials behind the job's access to {self.run.place.raw_prefix} expire in"
                f" {lifetime / 60:.0f} min: it must have left its outputs by then"
            )
