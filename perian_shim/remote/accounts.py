"""What the launch records of a piece of work tell of one of its jobs: whether it was given up.

Only the latest record counts: an older pod may have written what a later one has undone.
"""

from dataclasses import dataclass

from perian_shim.lifecycle.launch_record import MAX_RECORD_BYTES, LaunchRecord, Owner, Stage
from perian_shim.storage import ObjectStore, join_uri


@dataclass(frozen=True)
class Account:
    """What the launch records tell of a job.

    Attributes:
        orphan: why nobody will follow it, "" if they do not say so.
        current: whether it is the one that the latest pod has.
        mark: changes whenever a pod writes; None if they could not be read.
        obstacle: why not.
    """

    orphan: str = ""
    current: bool = False
    mark: tuple[str, bytes] | None = None
    obstacle: str = ""


def account_of(job_id: str, records: str, store: ObjectStore) -> Account:
    """Read the launch records of a job's piece of work.

    Args:
        job_id: Perian's id.
        records: URI of their folder.
        store: that holds them.

    Raises:
        StorageFailed: they cannot be read.
    """
    owners = [Owner.from_uri(each.uri) for each in store.iter_objects(records)]
    latest = max((owner for owner in owners if owner is not None), default=None)
    if latest is None:
        return Account(obstacle=f"there are no launch records in {records}")
    content = store.read(join_uri(records, latest.name), MAX_RECORD_BYTES)
    if content is None:
        return Account(obstacle=f"the launch record {latest.name} is gone")
    try:
        record = LaunchRecord.from_json(content)
    except ValueError as error:
        return Account(obstacle=f"the launch record {latest.name} cannot be read: {error}")
    current = record.job_id == job_id
    return Account(verdict(job_id, record, latest.attempt), current, (latest.name, content))


def verdict(job_id: str, record: LaunchRecord, attempt: int) -> str:
    """Return why nobody will follow a job, by the latest record; "" if that does not say so."""
    by = f"attempt {attempt}"
    current = record.job_id == job_id
    if current and record.stage is Stage.REPORTED:
        return f"{by} has told Flyte how it ended"
    if current and record.stage is Stage.CANCELLING:
        return f"{by} asked it to end"
    if current:
        return ""  # whatever was said of it before, it has been taken since
    if job_id in record.reported:
        return "Flyte has been told how it ended"
    if job_id in record.losers:
        return f"{by} preferred job {record.job_id}" if record.job_id else f"{by} preferred another"
    return "it was asked to end by an attempt of its node" if job_id in record.cancelled else ""
