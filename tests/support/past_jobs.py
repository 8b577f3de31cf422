"""Jobs that have run: put into a sandbox's store as they would have been left there."""

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from perian_shim import settings
from perian_shim.sandbox.folder import JobFolder
from perian_shim.sandbox.records import Execution, JobRecord, JobState, Json, Status
from perian_shim.sandbox.server.store import JobStore


def origin(
    project: str = "", execution: str = "", task: str = "", owner: str = ""
) -> dict[str, str]:
    """The variables of a job of perian-shim's."""
    given = {
        settings.JOB_KEY: "key",
        settings.EXECUTION_PROJECT: project,
        settings.EXECUTION_DOMAIN: "production" if project else "",
        settings.EXECUTION_ID: execution,
        settings.TASK_NAME: task,
        settings.JOB_OWNER: owner,
    }
    return {name: value for name, value in given.items() if value}


def price(
    amount: str = "1",
    currency: str = "EUR",
    granularity: str = "PER_HOUR",
    billed_by: str | None = None,
) -> dict[str, Json]:
    """A machine's price."""
    return {
        "unit_price": amount,
        "currency": currency,
        "granularity": granularity,
        "provider_billing_granularity": billed_by,
    }


def put(
    store: JobStore,
    started: datetime,
    ended: datetime | None,
    cost: Mapping[str, Json],
    variables: Mapping[str, str],
) -> str:
    """Put a job into a store; one that has no end needs somebody who holds it."""
    job_id = str(uuid.uuid4())
    view: dict[str, Json] = {
        "price": dict(cost),
        "docker_metadata": {
            "docker_run_parameters": {"image_name": "debian", "env_variables": dict(variables)}
        },
    }
    began = started.isoformat()
    end = None if ended is None else ended.isoformat()
    status = Status.RUNNING if ended is None else Status.DONE
    record = JobRecord(job_id, began, time.time_ns(), view, Execution("none", "debian", None))
    state = JobState(status, end or began, began, end)
    JobFolder.create(Path(store.directory, job_id), record, state)
    return job_id


@contextmanager
def running(store: JobStore, started: datetime, cost: Mapping[str, Json]) -> Iterator[str]:
    """Put a job into a store that runs meanwhile."""
    job_id = put(store, started, None, cost, origin("vision"))
    lock = store.folder(job_id).lock()
    try:
        yield job_id
    finally:
        os.close(lock)
