"""Which job is this piece of work's: pure decisions, no network, no clock.

Jobs with our key are looked at together with what the attempt before recorded. At most one of them
goes on living: of several live ones the oldest wins, so that two pods which find each other's jobs
decide alike. A job that ended is harvested unless it is spent: its failure was reported to Flyte,
or we cancelled it ourselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from perian_shim.api import Job
from perian_shim.journal import LaunchRecord, Stage
from perian_shim.status import Phase, phase_of


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        adopt: the job to follow or to harvest, None to submit a new one.
        cancel: live jobs that lose.
    """

    adopt: Job | None = None
    cancel: tuple[Job, ...] = ()


def decide(jobs: Sequence[Job], record: LaunchRecord | None) -> Decision:
    """Choose among the jobs that have our key.

    Args:
        jobs: every job with our key, in any order.
        record: what the attempt before left, None if it left nothing.
    """
    ordered = sorted(jobs, key=age_order)
    live = [job for job in ordered if not phase_of(job.status).terminal]
    if live:
        return Decision(live[0], tuple(live[1:]))
    ended = [job for job in ordered if not is_spent(job, record)]
    done = [job for job in ended if phase_of(job.status) is Phase.SUCCEEDED]
    # A finished job's outputs are paid for; a newer failure does not make them wrong.
    chosen = done[-1] if done else ended[-1] if ended else None
    return Decision(chosen)


def is_spent(job: Job, record: LaunchRecord | None) -> bool:
    """Whether an ended job has served: its failure is Flyte's already, or we ended it."""
    if record is None:
        return False
    return job.id in record.spent or (job.id == record.job_id and ended_by_us(job, record))


def ended_by_us(job: Job, record: LaunchRecord) -> bool:
    """Whether the attempt that left the record was done with its own job."""
    if record.stage is Stage.CANCELLING:
        return phase_of(job.status) is not Phase.SUCCEEDED  # it may have been faster than we were
    return record.stage is Stage.REPORTED


def age_order(job: Job) -> tuple[float, str]:
    """Sort key: the oldest first, and the same order for everyone who looks."""
    created = job.created_at.timestamp() if job.created_at else float("inf")
    return created, job.id
