"""Which job is this piece of work's: pure decisions, no network, no clock.

Jobs with our key are looked at together with what the attempt before recorded. At most one of them
goes on living: of several live ones the oldest wins, so that two pods which find each other's jobs
decide alike. A job that ended is harvested unless it is spent: its failure was reported to Flyte,
or we ended it ourselves. Of several failures only the newest counts, because whoever submitted
after an older one had done with that; outputs count whenever they were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from perian_shim.api import Job
from perian_shim.api.phases import Phase, phase_of
from perian_shim.lifecycle.launch_record import LaunchRecord, Stage


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        adopt: the job to follow or to harvest, None to submit a new one.
        cancel: live jobs that lose.
        spent: ids of the jobs that have served.
    """

    adopt: Job | None = None
    cancel: tuple[Job, ...] = ()
    spent: frozenset[str] = frozenset()


def decide(jobs: Sequence[Job], record: LaunchRecord | None, told: Sequence[str] = ()) -> Decision:
    """Choose among the jobs that have our key.

    Args:
        jobs: every job with our key, in any order.
        record: what the attempt before left, None if it left nothing.
        told: what Flyte has been told of jobs that ended, whatever the record says of them.
    """
    ordered = sorted(jobs, key=age_order)
    known = is_named if record is not None else is_told
    spent = {job.id for job in ordered if is_spent(job, record) or known(job, told)}
    fresh = [job for job in ordered if job.id not in spent]
    live = [job for job in fresh if not phase_of(job.status).terminal]
    done = [job for job in fresh if phase_of(job.status) is Phase.SUCCEEDED]
    chosen = None
    # A finished job's outputs are paid for: nothing need go on beside them. Without a record they
    # may be those that were found wanting, and what is live may be their successor.
    if done and (record is not None or not live):
        chosen = done[-1]
    elif live:
        chosen = live[0]
    else:
        failures = [job for job in ordered if is_failure(job, record)]
        chosen = failures[-1] if failures and failures[-1].id not in spent else None
    losers = [job for job in ordered if job != chosen and not phase_of(job.status).terminal]
    superseded = {
        job.id
        for job in fresh
        if job != chosen and job not in done and phase_of(job.status).terminal
    }
    return Decision(chosen, tuple(losers), frozenset(spent | superseded))


def is_spent(job: Job, record: LaunchRecord | None) -> bool:
    """Whether a job has served: its failure is Flyte's already, or we ended it."""
    if record is None:
        return False
    succeeded = phase_of(job.status) is Phase.SUCCEEDED  # it may have been faster than we were
    if job.id in record.losers:
        return not succeeded
    if job.id in record.spent:
        return True
    if job.id != record.job_id:
        return False
    if record.stage is Stage.CANCELLING:
        return phase_of(job.status).terminal and not succeeded
    return record.stage is Stage.REPORTED


def is_named(job: Job, told: Sequence[str]) -> bool:
    """Whether Flyte has been told of this very job: the record of that may have got lost."""
    return phase_of(job.status).terminal and any(job.id in text for text in told)


def is_told(job: Job, told: Sequence[str]) -> bool:
    """Whether Flyte knows already how an ended job failed, where there is no record.

    A function's own error does not name its job, which is Done all the same.
    """
    if phase_of(job.status) is Phase.SUCCEEDED:
        return any(job.id in text or not text.startswith("[PERIAN:") for text in told)
    return bool(told) and phase_of(job.status).terminal


def is_failure(job: Job, record: LaunchRecord | None) -> bool:
    """Whether a job ended in a way that Flyte may have to be told of.

    A cancelled job that nobody followed was cancelled by another pod of ours.
    """
    phase = phase_of(job.status)
    followed = record is not None and job.id == record.job_id
    return phase.terminal and (phase is not Phase.CANCELLED or followed)


def age_order(job: Job) -> tuple[float, str]:
    """Sort key: the oldest first, and the same order for everyone who looks."""
    created = job.created_at.timestamp() if job.created_at else float("inf")
    return created, job.id
