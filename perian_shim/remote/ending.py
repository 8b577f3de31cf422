"""Ending a job: asked for until it is seen ended.

An answer to a cancellation is no proof: one that comes too early for a new job says that there is
none, and one that was taken may not be acted on. Only the job itself tells.
"""

from dataclasses import dataclass

from perian_shim.api.errors import ApiError, JobAlreadyDone, JobNotFound, PerianError
from perian_shim.api.jobs import Job as Seen
from perian_shim.lifecycle.clock import Clock
from perian_shim.remote.asking import ask, for_people, may_pass
from perian_shim.remote.connection import Connection

ENDING_SECONDS = 60.0
"""How long a job is asked to end and looked at."""

FIRST_PAUSE, LONGEST_PAUSE = 0.3, 2.0


@dataclass(frozen=True)
class Ended:
    """What became of a job that was asked to end.

    Attributes:
        job: as it was seen last, None if Perian knows none of this id.
        before: whether it had ended before it was asked.
        error: why it could be neither asked nor seen, None if it could.
    """

    job: Seen | None = None
    before: bool = False
    error: PerianError | None = None

    @property
    def over(self) -> bool:
        """Whether no such job goes on."""
        return self.error is None and (self.job is None or self.job.phase.terminal)


def end(
    connection: Connection,
    job_id: str,
    *,
    seconds: float = ENDING_SECONDS,
    known: bool = False,
    clock: Clock | None = None,
) -> Ended:
    """Ask a job to end until it is seen ended.

    Args:
        connection: who asks.
        job_id: Perian's id.
        seconds: after how long to give up; at 0 it is asked and looked at once.
        known: whether it has been seen: then "no such job" is believed only of a job that could be
            neither ended nor seen for as long as an outage is ridden out.
        clock: time and chance.

    Returns:
        What became of it; nothing is raised.
    """
    clock = clock or Clock()
    outage = for_people().outage
    began = clock.monotonic()
    pause = FIRST_PAUSE
    before, first = False, True
    while True:
        error: ApiError | None = None
        missing, absent = False, False
        try:
            ask(connection, lambda client: client.cancel_job(job_id), passes=at_once, clock=clock)
        except JobAlreadyDone:
            before = before or first
        except JobNotFound as refusal:
            missing, error = True, refusal
        except ApiError as failure:
            error = failure
        try:
            job = look(connection, job_id, clock)
        except JobNotFound:
            job, absent = None, True
        waited = clock.monotonic() - began
        if job is not None and job.phase.terminal:
            return Ended(job, before)
        if missing and absent and waited >= (outage if known else 0.0):
            return Ended(error=None if known else error)
        if error is not None and not missing and (not may_pass(error) or waited >= outage):
            return Ended(job, error=error)
        if waited + pause > seconds:
            return Ended(job, error=error if job is None else None)
        first = False
        clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def look(connection: Connection, job_id: str, clock: Clock) -> Seen | None:
    """Return a job without its log if that can be had, None if the job cannot be seen.

    Raises:
        JobNotFound: Perian says that there is none.
    """
    try:
        glance = ask(connection, lambda client: client.glance(job_id), passes=at_once, clock=clock)
        if glance.job is not None:
            return glance.job
        return ask(connection, lambda client: client.get_job(job_id), passes=at_once, clock=clock)
    except JobNotFound:
        raise
    except ApiError:
        return None


def at_once(error: PerianError) -> bool:
    """Make nothing again: the next round does."""
    del error
    return False
