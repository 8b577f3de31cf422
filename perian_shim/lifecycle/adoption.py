"""Which job is this piece of work's: pure decisions, no network, no clock.

Jobs with our key are looked at together with what the launch records say. At most one of them goes
on living. Only the pod that has the work decides, so two pods need not decide alike: of several
live jobs the one stays that nobody has asked to end, that has come furthest, and that is older. A
job that ended is harvested unless it has served: Flyte was told of its end, or we ended it
ourselves. Of several failures only the newest counts, because a pod that submitted after an older
one had done with that; outputs count whenever they were made.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.lifecycle.launch_record import LaunchRecord


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        adopt: the job to follow or to harvest, None to submit a new one.
        end: live jobs that lose.
    """

    adopt: Job | None = None
    end: tuple[Job, ...] = ()


def decide(jobs: Iterable[Job], record: LaunchRecord, *, blind: bool = False) -> Decision:
    """Choose among the jobs that have our key.

    Args:
        jobs: every job with our key that is known, in any order.
        record: what the launch records say.
        blind: whether what an attempt before has left is not known.
    """
    ordered = sorted(jobs, key=age)
    fresh = [job for job in ordered if not has_served(job, record)]
    live = [job for job in fresh if not job.phase.terminal]
    done = [job for job in fresh if job.phase is Phase.SUCCEEDED]
    chosen = None
    # A finished job's outputs are paid for: nothing need go on beside them. Without a record they
    # may be those that were found wanting, and what is live may be their successor.
    if done and not (blind and live):
        chosen = done[-1]
    elif live:
        chosen = min(live, key=lambda job: (job.id in record.cancelled, progress(job), age(job)))
    elif ordered and not blind and ordered[-1] in fresh and was_a_failure(ordered[-1], record):
        chosen = ordered[-1]
    return Decision(
        chosen, tuple(job for job in ordered if job != chosen and not job.phase.terminal)
    )


def progress(job: Job) -> int:
    """Sort key: the live job first that has come furthest."""
    return {Phase.RUNNING: 0, Phase.STARTING: 1}.get(job.phase, 2)


def has_served(job: Job, record: LaunchRecord) -> bool:
    """Whether a job is not to be used again. One may have been faster than our wish to end it."""
    if job.id in record.reported:
        return True
    if job.id in record.losers:
        return job.phase is not Phase.SUCCEEDED
    return job.id in record.cancelled and job.phase.terminal and job.phase is not Phase.SUCCEEDED


def was_a_failure(job: Job, record: LaunchRecord) -> bool:
    """Whether a job ended in a way that Flyte has to be told of.

    A cancelled job that nobody followed was cancelled by another pod of ours.
    """
    return job.phase is not Phase.CANCELLED or job.id == record.job_id


def hidden(record: LaunchRecord, known: Iterable[str]) -> int:
    """Return how many jobs may exist that nobody has seen.

    Args:
        record: what the launch records say.
        known: ids of the jobs that are known beside those of the record.
    """
    current = () if record.job_id is None else (record.job_id,)
    return max(0, record.asked - len({*record.served, *current, *known}))


def age(job: Job) -> tuple[float, str]:
    """Sort key: the oldest first, by the platform's own stamps."""
    created = job.created_at.timestamp() if job.created_at else float("inf")
    return created, job.id
