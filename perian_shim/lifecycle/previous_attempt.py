"""The job of an attempt before, when this attempt fails for good before it could look for it.

A secret that has gone, an input that cannot be read: nothing will be tried again, and a job that
the attempt before left running (a lost node, ``on_terminate="detach"``) would be nobody's. What the
attempt before recorded is enough to find and cancel it. Never fails: the attempt's own error
stands, and where nothing can be done, a line says which job to look at.
"""

from collections.abc import Callable

from perian_shim.api import PerianError
from perian_shim.api.phases import phase_of
from perian_shim.errors import TaskError
from perian_shim.lifecycle.jobs import Lifecycle, ResourceMeta
from perian_shim.lifecycle.launch_record import MAX_RECORD_BYTES, LaunchRecord, Stage, record_uri
from perian_shim.lifecycle.retrying import RetryingClient
from perian_shim.settings import JOB_KEY
from perian_shim.storage import ObjectStore

Warn = Callable[[str], None]


def is_final(error: PerianError) -> bool:
    """Whether Flyte will not try again after this."""
    return not (isinstance(error, TaskError) and error.outcome.recoverable)


def cancel_earlier(
    previous_prefix: str | None,
    open_store: Callable[[str], ObjectStore],
    connect: Callable[[], RetryingClient],
    warn: Warn,
) -> None:
    """Cancel what lives of the work that the attempt before recorded.

    Args:
        previous_prefix: URI of the raw prefix of the attempt before, None at the first.
        open_store: returns the object store of a URI.
        connect: returns the REST API.
        warn: prints a line.
    """
    if previous_prefix is None:
        return
    try:
        record = read_record(open_store(previous_prefix), previous_prefix)
    except (PerianError, ValueError) as error:
        warn(f"what the attempt before left cannot be read ({error}): it may have left a job")
        return
    if record is None or record.stage is Stage.REPORTED:
        return
    try:
        cancel_living(Lifecycle(connect()), record, warn)
    except PerianError as error:
        job = f"job {record.job_id}" if record.job_id else f"a job with key {record.key}"
        warn(f"{job} of the attempt before may go on, and could not be cancelled: {error.message}")


def read_record(store: ObjectStore, prefix: str) -> LaunchRecord | None:
    """Return what an attempt recorded.

    Raises:
        StorageFailed: it cannot be read.
        ValueError: it is damaged, or a newer version's.
    """
    content = store.read(record_uri(prefix), MAX_RECORD_BYTES)
    return None if content is None else LaunchRecord.from_json(content)


def cancel_living(lifecycle: Lifecycle, record: LaunchRecord, warn: Warn) -> None:
    """Cancel the record's job, and those with its key.

    Raises:
        ApiError: they cannot be found, or not be cancelled.
    """
    found = lifecycle.find(JOB_KEY, record.key, None)
    ids = [job.id for job in found if not phase_of(job.status).terminal]
    if record.job_id is not None and record.job_id not in {job.id for job in found}:
        ids.append(record.job_id)
    for job_id in ids:
        if lifecycle.delete(ResourceMeta(job_id, record.key, record.output)):
            warn(f"job {job_id} of the attempt before is cancelled, since nobody will wait for it")
