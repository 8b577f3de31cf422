"""One pod's run of a piece of work, from taking it over to what its job has left.

Order matters, and money depends on it: take over before looking, look before submitting, record
before asking, and cancel before giving up. A job whose end is reported to Flyte has served, so that
a retry gets a new one; a job that this run can merely not see any more is left to the next attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from perian_shim.api.errors import PerianError
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import (
    ApiUnavailable,
    InternalError,
    JobTimedOut,
    QueuedTooLong,
    Superseded,
    TaskError,
    WrongMachine,
)
from perian_shim.lifecycle import policies
from perian_shim.lifecycle.bill import Bill
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.launch_record import LaunchRecords, Stage, latest
from perian_shim.lifecycle.log_copy import LogCopy
from perian_shim.lifecycle.logs import LogPosition, LogTail
from perian_shim.lifecycle.shutdown import Beside, beside
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.strays import Strays, refuse_when_superseded
from perian_shim.lifecycle.submission import Submission
from perian_shim.lifecycle.terms import Terms, Work
from perian_shim.lifecycle.upkeep import AccessRunsOut, Upkeep, longest_wait
from perian_shim.lifecycle.verdicts import verdict
from perian_shim.lifecycle.watcher import Ages, Watcher
from perian_shim.lifecycle.ways_out import WaysOut
from perian_shim.lifecycle.witness import Discreet, Sighting

T = TypeVar("T")

LIMITS_PASSED = (QueuedTooLong, JobTimedOut, WrongMachine)


@dataclass
class Attempt(Generic[T]):
    """One pod's run.

    Attributes:
        work: what the job is given and what it leaves.
        records: the launch records.
        jobs: the API.
        hurried: the same for when a signal presses: calls that do not take long.
        policy: when to look at the job.
        terms: on which terms.
        prefix: URI of the pod's own prefix, in which its jobs write.
        console: prints lines.
        beside: does something that must not hold up for long what follows.
        ready: called when signals may be raised, because there is somebody to clean up.
        logs: URI of the folder where jobs' logs are kept, out of the jobs' reach; "" to keep none.
        witness: is told of each look.
        upkeep: sees to the job's access to its data.
        bill: says what the job runs on and costs.
        ended: the job when it has ended.
        spent: whether what is reported is how it ended: then it has served.
        following: id of the job that is followed, None before there is one.
        replaces: whether the job followed last is replaced, since it could not begin any more.
        wait: how long the followed job may wait for a machine until then.
        waited: how long those have waited that were replaced.
    """

    work: Work[T]
    records: LaunchRecords
    jobs: Jobs
    hurried: Jobs
    policy: policies.PollPolicy
    terms: Terms
    prefix: str
    console: Console
    beside: Beside = beside
    ready: Callable[[], None] = lambda: None
    logs: str = ""
    witness: Discreet = field(default_factory=Discreet)
    submission: Submission = field(init=False)
    strays: Strays = field(init=False)
    tail: LogTail = field(init=False, default_factory=LogTail)
    ages: Ages = field(init=False, default_factory=Ages)
    ended: Job | None = field(init=False, default=None)
    spent: bool = field(init=False, default=False)
    recorded: float = field(init=False)
    checked: float = field(init=False)
    upkeep: Upkeep = field(init=False)
    bill: Bill = field(init=False)
    ways_out: WaysOut = field(init=False)
    following: str | None = field(init=False, default=None)
    replaces: bool = field(init=False, default=False)
    wait: float = field(init=False, default=float("inf"))
    waited: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.recorded = self.checked = self.now
        self.jobs.retrier.warn = self.hurried.retrier.warn = self.records.warn = self.warn
        self.strays = Strays(self.jobs, self.records)
        self.bill = Bill(self.terms.rental, self.jobs, self.hurried, self.warn, self.beside)
        self.upkeep = Upkeep(self.work, self.warn, self.jobs.retrier.clock.monotonic)
        self.submission = Submission(self.strays, self.records, self.prefix, self.terms.turns)
        self.ways_out = WaysOut(
            self.submission,
            self.jobs,
            self.hurried,
            self.terms,
            self.beside,
            self.bill,
            self.upkeep,
        )

    @property
    def now(self) -> float:
        """The time, in seconds since some moment."""
        return self.jobs.retrier.clock.monotonic()

    def warn(self, text: str) -> None:
        """Print a line of ours."""
        self.console(f"[perian-shim] {text}")

    def run(self) -> T:
        """Return what the piece of work has left.

        Raises:
            PerianError: it failed; see ``perian_shim.errors``.
        """
        try:
            try:
                self.ready()
                return self.harvested(self.end())
            except Superseded:
                raise
            except PerianError as error:
                raise self.leave(error) from error.__cause__
            except Exception as error:
                fault = InternalError.of(error, self.records.record.job_id)
                raise self.leave(fault) from error
        except Terminated as signal:  # also while an error is being seen to
            raise self.interrupted(signal) from None
        except PerianError as error:
            self.with_log(error)
            raise

    def reported(self) -> None:
        """Note that Flyte, or the caller, has been told what the run came to.

        The job has served only if that was how it ended: after an error of another kind the next
        attempt still has to harvest it.
        """
        record = self.records.record
        if record.job_id is not None and self.spent:
            reported = latest([*record.reported, record.job_id])
            self.records.keep(stage=Stage.REPORTED, reported=reported)

    def end(self) -> Job:
        """Find or submit the job and follow it to its end."""
        self.records.take_over(to_submit=self.terms.turns is None)
        job = None
        if self.records.record.stage is Stage.LOOKING:
            job = self.submission.adopt()
            if job is not None:
                self.warn(f"rejoining job {job.id} ({job.status}), which was submitted before")
            self.strays.resume(job.id if job else None)
        left = policies.SUCCESSORS
        while left:
            ended = self.follow(job or self.submission.submit(self.work.request))
            left -= not self.replaces
            if ended.phase is not Phase.CANCELLED or not left:
                break
            ours, job = self.submission.succeed(ended)
            if not ours:
                break
            if not self.replaces:
                self.warn(f"job {ended.id} was cancelled by another pod of the same node")
        self.ended = ended
        refuse_when_superseded(self.records)
        self.strays.finish(ended)
        if ended.phase is not Phase.SUCCEEDED:
            self.ended = self.success() or ended
        return self.ended

    def success(self) -> Job | None:
        """Return another job that has done the work, if one has been found."""
        other = self.strays.choose().adopt
        if other is None or other.phase is not Phase.SUCCEEDED:
            return None
        self.warn(f"job {other.id} does the same work and has succeeded")
        return self.submission.take(self.jobs.read(other.id))

    def harvested(self, job: Job) -> T:
        """Return what a job that has ended has left, or raise what it ended with."""
        self.bill.close(job)
        store = self.records.at_once or self.records.store
        LogCopy(store, self.logs, self.console.redact, self.warn).keep(job)
        self.upkeep.end(self.records.record.output)
        error = verdict(job, self.terms.limits_of(job).running)
        if error is not None:
            raise error
        harvest = self.work.harvest(job, self.records.record.output)
        self.spent = True
        return harvest

    def follow(self, job: Job) -> Job:
        """Follow a job to its end, or another one that does the same work better."""
        while True:
            record = self.records.record
            self.replaces, self.wait = False, longest_wait(job.env_variables)
            self.tail = LogTail(LogPosition(record.log_length, record.log_digest))
            self.ages = Ages(record.queued_seconds, record.running_seconds)
            self.following = job.id
            watcher = Watcher(
                self.jobs,
                self.policy,
                self.console,
                self.terms.limits_of(job).after(self.waited),
                self.ages,
                self.tail,
                self.between,
                self.check_machine,
            )
            try:
                seen = watcher.follow(job.id)
            except AccessRunsOut as error:
                return self.replaced(job, error)
            except LIMITS_PASSED as error:
                return self.end_early(job, error)
            self.tell(seen)
            if seen.phase.terminal and seen.id == job.id:
                return seen
            self.warn(f"job {seen.id} does the same work and stays instead of {job.id}")
            job = self.submission.take(seen)

    def end_early(self, job: Job, error: TaskError) -> Job:
        """End a job that must not go on; raise why, unless it has ended by itself meanwhile."""
        left = self.ways_out.cancel(policies.END_SECONDS)
        if left.phases.get(job.id) in {Phase.SUCCEEDED, Phase.FAILED}:
            self.strays.jobs = self.jobs
            return self.jobs.read(job.id)
        self.ways_out.finish(left)
        if left.alive:
            message = f"{error.message} It could not be cancelled and may go on: {left}."
            raise ApiUnavailable(message, job_id=job.id, remedy=left.remedy)
        other = self.success()
        if other is not None:
            return other
        self.ended = job
        error.message += " It was cancelled."
        raise error

    def replaced(self, job: Job, error: TaskError) -> Job:
        """End a job that waits for too long to begin; it has cost nothing. Return it as ended."""
        self.warn(error.message)
        waited = self.waited + self.ages.queued
        try:
            ended = self.end_early(job, error)
        except AccessRunsOut:
            self.replaces, self.waited = True, waited
            ended, self.ended = replace(job, status="Cancelled"), None
        return ended

    def between(self, job: Job) -> Job | None:
        """Do what has to be done between two looks; return a job to follow instead, if any.

        Raises:
            AccessRunsOut: the job has waited for so long that it could not begin.
        """
        self.tell(job)
        self.upkeep.tend(self.records.record.output)
        if job.phase is Phase.QUEUED and self.ages.queued >= self.wait:
            message = f"Job {job.id} has waited {self.ages.queued:.0f} s for a machine, and its"
            raise AccessRunsOut(f"{message} access to its data would end: it is submitted anew.")
        if self.now - self.checked >= policies.CHECK_SECONDS:
            self.checked = self.now
            refuse_when_superseded(self.records)
        if self.now - self.recorded >= policies.RECORD_SECONDS or not self.records.saved:
            self.note()
        return self.strays.tick(job)

    def note(self) -> None:
        """Record how far the log has been printed and how long the job has taken."""
        self.recorded = self.now
        place, record = self.tail.position(), self.records.record
        changed = record
        if self.following == record.job_id:  # else what is known is of another job, or of none
            changed = replace(
                record,
                unseen=record.unseen if self.ages.phase in {None, Phase.UNKNOWN} else 0,
                queued_seconds=self.ages.queued,
                running_seconds=self.ages.running,
                log_length=place.length or record.log_length,
                log_digest=place.digest or record.log_digest,
            )
        if changed != record or not self.records.saved:
            self.records.record = changed
            self.records.keep()

    def tell(self, job: Job) -> None:
        """Tell the witness how the job was seen."""
        ages = self.ages
        sighting = Sighting(job, ages.queued, ages.running, tuple(self.tail.last))
        self.witness.seen(sighting)

    def check_machine(self, job: Job) -> None:
        """Expect the machine that was asked for; raise ``WrongMachine`` if it is another one."""
        self.tell(job)
        self.bill.open(job)

    def leave(self, error: PerianError) -> PerianError:
        """Do with the job what an error asks for, and return the error to report."""
        if self.ended is None:
            return self.ways_out.by_error(error)
        if isinstance(error, TaskError) and error.spends_job:
            self.spent = True
            self.records.keep(patient=True, stage=Stage.REPORTING)
        return error

    def interrupted(self, signal: Terminated) -> PerianError:
        """Do what a signal leaves time for, and return the error to report.

        ``run`` does so itself, unless the signal comes in the moment in which it is left.
        """
        self.console.hurry()
        self.warn(f"{signal}")
        self.spent = False
        error = self.ways_out.by_signal(signal, self.note, over=self.ended is not None)
        return self.with_log(error)

    def with_log(self, error: PerianError) -> PerianError:
        """Give an error the job's last log lines, and what it cost."""
        if isinstance(error, TaskError):
            error.message = self.bill.added_to(error.message)
            error.log_tail = error.log_tail or "\n".join(self.tail.last)
        return error
