"""One attempt at a piece of work, from looking for its job to its outputs.

Order matters, and money depends on it: adopt before submitting, record before asking, cancel before
giving up. Whatever ends the attempt before its job has ended cancels the job first (or leaves it to
the next attempt, where the user chose so); a job whose failure has been reported is recorded as
spent, so that a user's retry gets a new one.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from flytekit.models.literals import LiteralMap

from perian_shim.adoption import is_spent
from perian_shim.api import ApiError, Job, PerianError
from perian_shim.config import DETACH
from perian_shim.console import Console
from perian_shim.context import JobKind, Run
from perian_shim.errors import (
    ApiUnavailable,
    InternalError,
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
from perian_shim.status import Phase, phase_of
from perian_shim.storage import join_uri
from perian_shim.submission import Submission
from perian_shim.termination import Terminated
from perian_shim.watcher import Patience, Watcher

T = TypeVar("T")

FAREWELL_SECONDS = 20.0
"""How long cleaning up after a signal may take; Kubernetes kills 30 seconds after it asked."""

RECORD_PATIENCE_SECONDS = 2.0
"""How long a job that is to be cancelled may wait for the record of that."""

FAREWELL_LOOK_SECONDS = 0.5
"""Pause between two looks while cleaning up."""

LOG_NAME = "job.log"

SUCCESSORS = 3
"""How many jobs an attempt follows at most when other pods of its node cancel them."""

RECORD_SECONDS = 10.0
"""How often the place in the log is recorded at most."""


def beside(act: Callable[[], None]) -> None:
    """Do something, and go on before it is done if it takes too long."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(RECORD_PATIENCE_SECONDS)


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
    beside: Callable[[Callable[[], None]], None] = beside
    ready: Callable[[], None] = lambda: None
    submission: Submission = field(init=False)
    tail: LogTail = field(init=False, default_factory=LogTail)
    recorded: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        place = self.run.place
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
                clock=self.clock,
                sleep=self.sleep,
                tail=self.tail,
                before_cancel=lambda: self.submission.mark(Stage.CANCELLING),
            )
            return meta, watcher.follow(meta)
        except Exception as error:
            record = self.submission.record
            if record is None or record.job_id is None:
                raise
            told = (
                error if isinstance(error, PerianError) else InternalError.of(error, record.job_id)
            )
            self.abandon(self.meta(record.job_id), told)
            if told is error:
                raise
            raise told from error

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
        deadline = self.clock() + FAREWELL_SECONDS
        record = self.submission.record
        job_id = record.job_id if record else None
        self.warn(f"{signal}")
        self.note_log()
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
        if ended and Phase.CANCELLED not in ended.values():
            self.submission.mark(Stage.SUBMITTED)  # it ended by itself: it is the next attempt's
        elif not ended and self.submission.record is not None:
            self.submission.keep()  # nor may what the attempt before left be forgotten
        said = ", ".join(f"job {each} is {phase.value}" for each, phase in ended.items())
        return Terminating(
            f"The run was {signal}: {said or 'no job was submitted'}.", job_id=job_id
        )

    def cancel_all(self, job_id: str | None, deadline: float) -> dict[str, Phase]:
        """Cancel the job, or whatever a submission in flight turns into; return how each ended.

        Other jobs of this work are cancelled too: a pod before may have died and left one.
        """
        self.submission.lifecycle = lifecycle = Lifecycle(self.hurried)
        ids = [] if job_id is None else [job_id]
        for each in ids:
            self.cancel(lifecycle, each, deadline)
        try:
            for each in self.others(ids, deadline):
                self.cancel(lifecycle, each, deadline)
                ids.append(each)
        except ApiUnavailable as error:
            if job_id is None:
                raise
            self.warn(f"could not look for other jobs of the same work: {error.message}")
        return {each: self.confirm(lifecycle, self.meta(each), deadline) for each in ids}

    def others(self, known: list[str], deadline: float) -> list[str]:
        """Return the ids of further jobs that are to be cancelled."""
        later = self.run.place.attempt > 0
        if self.submission.record is None and later:
            self.submission.recall()
        record, in_flight = self.submission.record, self.submission.in_flight
        if record is None or not (later or in_flight or self.submission.doubtful):
            return []
        while True:
            wanted = in_flight and not known
            found = [
                job.id
                for job in self.insist(lambda: self.submission.find(record), deadline)
                if job.id not in known
                and (not phase_of(job.status).terminal or (wanted and not is_spent(job, record)))
            ]
            if found or not wanted or self.clock() >= deadline:
                return found
            self.sleep(FAREWELL_LOOK_SECONDS)

    def insist(self, act: Callable[[], T], deadline: float) -> T:
        """Do something again and again while there is time and it may help."""
        while True:
            try:
                return act()
            except (ApiError, ApiUnavailable) as error:
                hopeless = isinstance(error, ApiError) and not error.retryable
                if hopeless or self.clock() >= deadline:
                    raise
            self.sleep(FAREWELL_LOOK_SECONDS)

    def cancel(self, lifecycle: Lifecycle, job_id: str, deadline: float) -> None:
        """Record that it is us who cancel a job, and cancel it.

        The record comes first: without it the next attempt, if we are killed here or the answer is
        lost, would take it for somebody else's wish. But a store that hangs must not keep the job
        alive, so it is waited for only a little.
        """
        if self.submission.record is not None:
            self.submission.record = replace(self.submission.record, job_id=job_id)
            self.beside(lambda: self.submission.mark(Stage.CANCELLING))
        self.insist(lambda: lifecycle.delete(self.meta(job_id)), deadline)

    def meta(self, job_id: str) -> ResourceMeta:
        """Return what is needed to get and cancel a job of this work."""
        return ResourceMeta(job_id, self.submission.key, self.submission.output)

    def confirm(self, lifecycle: Lifecycle, meta: ResourceMeta, deadline: float) -> Phase:
        """Wait until a job that was cancelled has ended, as long as there is time."""
        while self.clock() < deadline:
            phase = Phase.UNKNOWN
            with contextlib.suppress(ApiError):
                phase = lifecycle.status(lifecycle.get(meta))
            if phase.terminal:
                self.warn(f"job {meta.job_id}: {phase.value}")
                return phase
            self.sleep(FAREWELL_LOOK_SECONDS)
        return Phase.CANCELLED  # the cancellation was accepted

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
