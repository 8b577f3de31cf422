"""What a signal leaves time for: cancelling the job, whatever was going on when it came.

First the job that is known, then what may live beside it: a submission that was in flight, a job of
an attempt before. All within ``FAREWELL_SECONDS``; neither a store that hangs nor a pipe that
nobody reads may hold it up. A job that cannot be cancelled, or that goes on although it was asked
to end, is named in the error that is reported.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from perian_shim.api import ApiError, PerianError
from perian_shim.api.phases import Phase, phase_of
from perian_shim.errors import ApiUnavailable, Terminating
from perian_shim.lifecycle.adoption import is_spent
from perian_shim.lifecycle.jobs import Lifecycle, ResourceMeta
from perian_shim.lifecycle.launch_record import LaunchRecord, Stage
from perian_shim.lifecycle.retrying import RetryingClient
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.submission import Submission, Warn

T = TypeVar("T")

Beside = Callable[[Callable[[], object]], None]

FAREWELL_SECONDS = 20.0
"""How long cleaning up after a signal may take; Kubernetes kills 30 seconds after it asked."""

RECORD_PATIENCE_SECONDS = 2.0
"""How long a job that is to be cancelled may wait for the record of that."""

LOOK_SECONDS = 0.5
"""Pause between two looks."""


def beside(act: Callable[[], object]) -> None:
    """Do something, and go on before it is done if it takes too long."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(RECORD_PATIENCE_SECONDS)


@dataclass
class Farewell:
    """The end of an attempt that got a signal.

    Attributes:
        submission: the attempt's way to its job; its calls go through ``hurried`` from now on.
        hurried: the REST API with short timeouts.
        later: whether there were attempts before this one.
        warn: prints a line.
        clock: monotonic time, in seconds.
        beside: does something that must not hold up for long what follows.
    """

    submission: Submission
    hurried: RetryingClient
    later: bool
    warn: Warn
    clock: Callable[[], float] = time.monotonic
    beside: Beside = beside
    lifecycle: Lifecycle = field(init=False)
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.submission.lifecycle = self.lifecycle = Lifecycle(self.hurried)
        self.deadline = self.clock() + FAREWELL_SECONDS

    def detach(self, signal: Terminated) -> Terminating:
        """Leave the job to the next attempt, and return the error to report."""
        record = self.submission.record
        job_id = record.job_id if record else None
        self.beside(lambda: self.submission.mark(Stage.DETACHED))
        said = f"Job {job_id} goes on; the next attempt rejoins it." if job_id else ""
        return Terminating(f"The run was {signal}. {said}", job_id=job_id)

    def cancel(self, signal: Terminated) -> Terminating:
        """Cancel whatever lives of this work, and return the error to report."""
        record = self.submission.record
        job_id = record.job_id if record else None
        try:
            ended = self.cancel_all(job_id)
        except PerianError as error:
            return Terminating(
                f"The run was {signal}. Job {job_id or '(not known)'} could not be cancelled and"
                f" may go on: {error.message}",
                job_id=job_id,
            )
        if ended and all(p.terminal and p is not Phase.CANCELLED for p in ended.values()):
            # It ended by itself: it is the next attempt's.
            self.beside(lambda: self.submission.mark(Stage.SUBMITTED))
        elif not ended and self.submission.record is not None:
            self.beside(self.submission.keep)  # nor may what the attempt before left be forgotten
        said = ", ".join(f"job {each} {told_of(phase)}" for each, phase in ended.items())
        return Terminating(
            f"The run was {signal}: {said or 'no job was submitted'}.", job_id=job_id
        )

    def cancel_all(self, job_id: str | None) -> dict[str, Phase]:
        """Cancel the job, or whatever a submission in flight turns into; return how each ended.

        Other jobs of this work are cancelled too: a pod before may have died and left one.
        """
        ids = [] if job_id is None else [job_id]
        for each in ids:
            self.end(each)
        try:
            for each in self.others(ids):
                self.end(each)
                ids.append(each)
        except ApiUnavailable as error:
            if job_id is None:
                raise
            self.warn(f"could not look for other jobs of the same work: {error.message}")
        return {each: self.confirm(each) for each in ids}

    def others(self, known: list[str]) -> list[str]:
        """Return the ids of further jobs that are to be cancelled."""
        submission = self.submission
        if submission.record is None and self.later:
            self.recall()
        record, in_flight = submission.record, submission.in_flight
        if not (self.later or in_flight or submission.doubtful):
            return []
        while True:
            wanted = in_flight and not known
            found = [
                job.id
                for job in self.insist(lambda: submission.find(record))
                if job.id not in known
                and (not phase_of(job.status).terminal or (wanted and not is_spent(job, record)))
            ]
            if found or not wanted or self.clock() >= self.deadline:
                return found
            self.hurried.rest(LOOK_SECONDS)

    def recall(self) -> None:
        """Go on from the attempt before's record, if the store tells it in time.

        Without it all jobs are looked through, which takes longer but finds the same.
        """
        found: list[LaunchRecord | None] = []
        submission = self.submission
        self.beside(lambda: found.append(submission.journal.before(submission.key)))
        if found:
            submission.go_on_from(found[0])

    def insist(self, act: Callable[[], T]) -> T:
        """Do something again and again while there is time and it may help."""
        while True:
            try:
                return act()
            except (ApiError, ApiUnavailable) as error:
                hopeless = isinstance(error, ApiError) and not error.retryable
                if hopeless or self.clock() >= self.deadline:
                    raise
            self.hurried.rest(LOOK_SECONDS)

    def end(self, job_id: str) -> None:
        """Record that it is us who cancel a job, and cancel it.

        The record comes first: without it the next attempt, if we are killed here or the answer is
        lost, would take it for somebody else's wish. But a store that hangs must not keep the job
        alive, so it is waited for only a little.
        """
        if self.submission.record is not None:
            self.submission.record = replace(self.submission.record, job_id=job_id)
            self.beside(lambda: self.submission.mark(Stage.CANCELLING))
        self.insist(lambda: self.lifecycle.delete(self.meta(job_id)))

    def confirm(self, job_id: str) -> Phase:
        """Wait until a job that was cancelled has ended, as long as there is time.

        A new job is not known everywhere at once, and what does not know it cannot cancel it: it is
        asked to end again for as long as it lives. Returns the phase seen last.
        """
        phase = Phase.UNKNOWN
        meta = self.meta(job_id)
        while self.clock() < self.deadline:
            with contextlib.suppress(ApiError):
                phase = self.lifecycle.status(self.lifecycle.get(meta))
                if phase.terminal:
                    self.warn(f"job {job_id}: {phase.value}")
                    return phase
                self.lifecycle.delete(meta)
            self.hurried.rest(LOOK_SECONDS)
        return phase

    def meta(self, job_id: str) -> ResourceMeta:
        """Return what is needed to get and cancel a job of this work."""
        return ResourceMeta(job_id, self.submission.key, self.submission.output)


def told_of(phase: Phase) -> str:
    """Return how a job is that was asked to end."""
    if phase.terminal:
        return f"is {phase.value}"
    if phase is Phase.UNKNOWN:
        return "was asked to end, and what became of it is not known"
    return f"was asked to end and is still {phase.value}; cancel it in Perian's console if it stays"
