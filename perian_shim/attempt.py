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

from perian_shim.api import ApiError, Job, PerianError
from perian_shim.config import DETACH
from perian_shim.console import Console
from perian_shim.context import JobKind, Run
from perian_shim.errors import (
    JobCancelled,
    JobTimedOut,
    PlatformFailed,
    StorageFailed,
    TaskError,
    Terminating,
)
from perian_shim.identity import work_key
from perian_shim.journal import Journal, Stage
from perian_shim.lifecycle import Lifecycle, ResourceMeta
from perian_shim.logs import LogPosition, LogTail
from perian_shim.polling import PollPolicy
from perian_shim.request import Labels, Private, build_request
from perian_shim.retry import RetryingClient
from perian_shim.status import Phase
from perian_shim.storage import join_uri
from perian_shim.submission import Submission
from perian_shim.termination import Terminated
from perian_shim.watcher import Patience, Watcher

FAREWELL_SECONDS = 20.0
"""How long cleaning up after a signal may take; Kubernetes kills 30 seconds after it asked."""

FAREWELL_LOOK_SECONDS = 0.5
"""Pause between two looks while cleaning up."""

LOG_NAME = "job.log"

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
    submission: Submission = field(init=False)
    tail: LogTail = field(init=False, default_factory=LogTail)
    recorded: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        place = self.run.place
        journal = Journal(self.run.store, place.raw_prefix, place.previous_prefix, self.warn)
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
            return self.attempt()
        except Terminated as signal:
            raise self.farewell(signal) from None
        except TaskError as error:
            error.log_tail = error.log_tail or "\n".join(self.tail.last)
            if error.spends_job:
                error.after_report = lambda: self.submission.mark(Stage.REPORTED)
            raise

    def attempt(self) -> LiteralMap:
        """Find or submit the job, follow it, and read what it left."""
        adopted = self.submission.adopt() if self.run.place.attempt else None
        meta = self.submit() if adopted is None else self.rejoin(adopted)
        watcher = Watcher(
            Lifecycle(self.client),
            self.policy,
            self.console,
            self.patience(adopted),
            self.record_log,
            clock=self.clock,
            sleep=self.sleep,
            tail=self.tail,
        )
        try:
            job = watcher.follow(meta)
        except Exception as error:
            self.abandon(meta, error)
            raise
        self.keep_log(job)
        return self.finish(meta, job)

    def submit(self) -> ResourceMeta:
        """Submit a new job."""
        staging = self.kind.stage()
        self.warn_about_expiry()
        place = self.run.place
        labels = Labels(self.submission.key, place.raw_prefix, place.handed_on)
        request = build_request(
            self.run.spec, staging, labels, self.private, self.run.timeout_seconds
        )
        self.warn(f"submitting {self.run.template.id.name}, image {self.run.spec.image}")
        return self.submission.submit(request)

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
        try:
            if Lifecycle(self.client).delete(meta):
                self.warn(f"job {meta.job_id}: cancelled, since nobody waits for it any more")
                self.submission.mark(Stage.CANCELLING)
        except PerianError as failure:
            said = f" Job {meta.job_id} could not be cancelled and may go on: {failure.message}"
            self.warn(said.strip())
            if isinstance(error, PerianError):
                error.message += said

    def farewell(self, signal: Terminated) -> Terminating:
        """Do what a signal leaves time for, and return the error to report."""
        deadline = self.clock() + FAREWELL_SECONDS
        record = self.submission.record
        job_id = record.job_id if record else None
        self.warn(f"{signal}")
        if self.run.spec.config.on_terminate == DETACH:
            self.submission.mark(Stage.DETACHED)
            said = f"Job {job_id} goes on; the next attempt rejoins it." if job_id else ""
            return Terminating(f"The run was {signal}. {said}", job_id=job_id)
        try:
            ended = self.cancel_all(job_id, deadline)
        except PerianError as error:
            return Terminating(
                f"The run was {signal}. Job {job_id or '(not known)'} could not be cancelled and"
                f" may go on: {error.message}",
                job_id=job_id,
            )
        self.submission.mark(Stage.CANCELLING)
        said = f"Cancelled: job {', '.join(ended)}." if ended else "No job was submitted."
        return Terminating(f"The run was {signal}. {said}", job_id=job_id)

    def cancel_all(self, job_id: str | None, deadline: float) -> list[str]:
        """Cancel the job, or whatever a submission in flight turns into; return what was ended."""
        lifecycle = Lifecycle(self.hurried)
        ended = [] if job_id is None else [job_id]
        looking = self.submission.in_flight
        self.submission.lifecycle = lifecycle
        while looking and self.clock() < deadline:
            ended = [job.id for job in self.submission.find(self.submission.record)]
            looking = not ended
            if looking:
                self.sleep(FAREWELL_LOOK_SECONDS)
        metas = [ResourceMeta(each, self.submission.key, self.submission.output) for each in ended]
        for meta in metas:
            lifecycle.delete(meta)
        for meta in metas:
            self.confirm(lifecycle, meta, deadline)
        return ended

    def confirm(self, lifecycle: Lifecycle, meta: ResourceMeta, deadline: float) -> None:
        """Wait until a cancelled job has ended, as long as there is time."""
        while self.clock() < deadline:
            try:
                job = lifecycle.get(meta)
            except ApiError:
                return
            if lifecycle.status(job).terminal:
                self.warn(f"job {meta.job_id}: {job.status}")
                return
            self.sleep(FAREWELL_LOOK_SECONDS)

    def record_log(self) -> None:
        """Record how far the log has been printed, now and then."""
        record = self.submission.record
        if record is None or self.clock() - self.recorded < RECORD_SECONDS:
            return
        self.recorded = self.clock()
        place = self.tail.position()
        self.submission.record = replace(record, log_length=place.length, log_digest=place.digest)
        self.submission.keep()

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
