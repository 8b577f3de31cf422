"""The ways out for a run that does not wait for its job's end: what is done, and what is told.

A signal, an error, a limit that has passed: each asks for something else, and each is told to Flyte
in other words. Jobs are ended in one place only (``shutdown``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from perian_shim.api.errors import PerianError
from perian_shim.errors import (
    ApiUnavailable,
    JobVanished,
    StatusUnknown,
    Superseded,
    TaskError,
    Terminating,
)
from perian_shim.lifecycle.bill import Bill
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.launch_record import LaunchRecords, Stage
from perian_shim.lifecycle.policies import END_SECONDS, GIVE_UPS
from perian_shim.lifecycle.shutdown import Beside, Left, Shutdown
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.strays import Strays
from perian_shim.lifecycle.submission import Submission
from perian_shim.lifecycle.terms import Terms
from perian_shim.lifecycle.upkeep import Upkeep


@dataclass
class WaysOut:
    """The ways out of one pod's run.

    Attributes:
        submission: how far the pod came with getting a job.
        jobs: the API.
        hurried: the same for when there is little time: calls that do not take long.
        terms: on which terms the job is followed.
        beside: does something that must not hold up for long what follows.
        bill: is told how the job was when it ended.
        upkeep: takes its access from a job that has ended.
    """

    submission: Submission
    jobs: Jobs
    hurried: Jobs
    terms: Terms
    beside: Beside
    bill: Bill
    upkeep: Upkeep

    @property
    def strays(self) -> Strays:
        """The jobs of this work."""
        return self.submission.strays

    @property
    def records(self) -> LaunchRecords:
        """The launch records."""
        return self.submission.records

    def by_error(self, error: PerianError) -> PerianError:
        """Do with the job what an error asks for, and return the error to report.

        What another attempt may mend leaves the job to it; not for ever, if none can see the job.
        """
        record = self.records.record
        recoverable = isinstance(error, TaskError) and error.outcome.recoverable
        blind = isinstance(error, ApiUnavailable | JobVanished | StatusUnknown)
        job_id = None if record.job_id in record.reported else record.job_id
        if not recoverable or (blind and job_id and record.unseen >= GIVE_UPS):
            return self.given_up(error)
        if self.records.saved:
            self.records.keep(unseen=record.unseen + (blind and job_id is not None))
        if job_id is not None and isinstance(error, TaskError):
            error.job_id = job_id
            error.remedy += f" The job goes on; to end it: perian-shim cancel {job_id}"
        elif (self.records.taken or self.records.owner.attempt) and self.strays.in_doubt:
            error.remedy += f" A job may exist. {Left(record.key, unseen=True).remedy}"
        return error

    def given_up(self, error: PerianError) -> PerianError:
        """End the job that nobody will wait for; say in the error what became of it."""
        try:
            left = self.cancel(END_SECONDS)
            self.finish(left)
        except Superseded as superseded:
            return superseded
        if left.phases or left.unseen:
            error.message += f" Nobody will wait for the job: {left}."
            error.remedy += f" {left.remedy}" if left.remedy else ""
        return error

    def by_signal(
        self, signal: Terminated, note: Callable[[], None], *, over: bool = False
    ) -> TaskError:
        """Do what a signal leaves time for, and return the error to report.

        Args:
            signal: what has ended the run.
            note: records how far the job has come.
            over: whether the job is known to have ended.
        """
        shutdown = self.shutdown_within(self.terms.grace)
        over = over or self.records.record.stage is Stage.CANCELLING
        try:
            if self.terms.detach and not over:
                job_id = self.job_to_leave(shutdown)
                if job_id is not None or self.in_doubt:
                    return self.detached(shutdown, signal, job_id, note)
            left = self.end_all(shutdown)
        except Superseded as superseded:
            return superseded
        said = f"{left}" or "no job was submitted"
        job_id = self.records.record.job_id
        return Terminating(f"The run was {signal}: {said}.", job_id=job_id, remedy=left.remedy)

    @property
    def in_doubt(self) -> bool:
        """Whether a job may exist that is not known."""
        return not self.records.taken or self.submission.in_flight or self.strays.in_doubt

    def job_to_leave(self, shutdown: Shutdown) -> str | None:
        """Return the id of the job that a detached run leaves, None if it is not known.

        The signal may have come before the pod has read what an attempt before has left.
        """
        if not self.records.taken:
            shutdown.learn()
        self.submission.withdraw(self.beside)
        return self.submission.followed(self.beside)

    def detached(
        self, shutdown: Shutdown, signal: Terminated, job_id: str | None, note: Callable[[], None]
    ) -> Terminating:
        """Leave to the next attempt the job, or the submission whose answer is not known yet.

        What is not needed beside it is ended.

        Raises:
            Superseded: a later pod has the work; nothing was ended.
        """

        def record() -> None:
            note()
            self.records.keep(stage=Stage.SUBMITTED)

        if job_id is not None:  # else the record says already that one was asked for
            self.beside(record)
        others = shutdown.cancel_others(job_id)
        return left_to_the_next(signal, job_id, others, in_doubt=self.in_doubt)

    def cancel(self, seconds: float) -> Left:
        """End every job of this work, within so many seconds.

        Raises:
            Superseded: a later pod has the work; nothing was ended.
        """
        return self.end_all(self.shutdown_within(seconds))

    def shutdown_within(self, seconds: float) -> Shutdown:
        """Return what ends jobs within so many seconds from now; no call takes long any more."""
        self.strays.jobs = self.hurried
        return Shutdown(self.strays, seconds, self.beside)

    def end_all(self, shutdown: Shutdown) -> Left:
        """End every job of this work.

        Raises:
            Superseded: a later pod has the work; nothing was ended.
        """
        self.submission.withdraw(self.beside)
        left = shutdown.cancel(in_flight=self.submission.in_flight)
        self.bill.note(left.seen.get(self.records.record.job_id or ""))
        if left.phases and not left.alive:
            self.beside(lambda: self.upkeep.end(self.records.record.output))
        return left

    def finish(self, left: Left) -> None:
        """Wait also for jobs that may show late, when no signal presses.

        Raises:
            Superseded: a later pod has the work.
        """
        self.strays.jobs = self.jobs
        if left.unseen:
            self.strays.finish(None)
            left.unseen = self.strays.in_doubt


def left_to_the_next(
    signal: Terminated, job_id: str | None, others: Left, *, in_doubt: bool
) -> Terminating:
    """Return what is told when a job, or a submission without an answer, is left to go on.

    Args:
        signal: what has ended the run.
        job_id: the job's id, None while it is not known.
        others: what became of the jobs that are not needed.
        in_doubt: whether another one may exist.
    """
    unseen = Left(others.key, unseen=True)
    if job_id is None:
        message = f"The run was {signal}: {unseen}. The next attempt looks for it."
        remedy = f"If there is no next attempt: {unseen.remedy}"
    else:
        message = f"The run was {signal}. Job {job_id} goes on; the next attempt rejoins it."
        remedy = f"If no attempt and no such local run follows: perian-shim cancel {job_id}"
        if in_doubt:
            remedy += f". Another one may exist. {unseen.remedy}"
    if others.phases:
        message += f" Not needed any more: {others}."
    if others.remedy:
        remedy += f". {others.remedy}"
    return Terminating(message, job_id=job_id, remedy=remedy)
