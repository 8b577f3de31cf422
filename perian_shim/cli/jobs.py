"""The commands about jobs: ``jobs`` and ``cancel``. Credentials come from the environment."""

import itertools
import sys
from collections.abc import Iterator
from datetime import datetime, timezone

import click

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import ApiError, JobAlreadyDone, JobNotFound
from perian_shim.api.jobs import Job
from perian_shim.api.server_text import tidy
from perian_shim.remote.connection import init

COLUMNS = ("JOB", "STATUS", "CREATED", "KEY", "EXECUTION")

PAGE = 100
"""Jobs to ask for at a time."""


@click.command()
@click.option("--key", help=f"Only jobs that carry this {settings.JOB_KEY}.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
def jobs(key: str | None, limit: int) -> int:
    """List jobs at Perian, the newest first."""
    with init().client() as client:
        found = client.iter_jobs(min(limit, PAGE)) if key is None else jobs_with(client, key)
        shown = sorted(itertools.islice(found, limit), key=age, reverse=True)
    rows = [COLUMNS, *map(row, shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("  ".join(padded).rstrip())
    return 0


def jobs_with(client: PerianClient, key: str) -> Iterator[Job]:
    """Yield the jobs that carry a key."""
    for listed in client.iter_jobs(PAGE):
        job = listed
        if settings.JOB_KEY not in job.env_variables and not job.env_complete:
            try:
                job = client.get_job(job.id)
            except JobNotFound:
                continue
        if job.env_variables.get(settings.JOB_KEY) == key:
            yield job


def age(job: Job) -> datetime:
    """Sort key: when a job was submitted."""
    return job.created_at or datetime.min.replace(tzinfo=timezone.utc)


def row(job: Job) -> tuple[str, ...]:
    """Return what is shown of a job: nothing in it can move the cursor."""
    created = job.created_at.astimezone(timezone.utc) if job.created_at else None
    variables = (settings.JOB_KEY, settings.EXECUTION_ID)
    cells = (
        job.id,
        job.status,
        created.strftime("%Y-%m-%d %H:%M:%SZ") if created else "",
        *(job.env_variables.get(name, "") for name in variables),
    )
    return tuple(tidy(cell) or "-" for cell in cells)


@click.command()
@click.argument("job_ids", nargs=-1, metavar="[JOB_ID ...]")
@click.option("--key", help=f"All jobs that carry this {settings.JOB_KEY}.")
def cancel(job_ids: tuple[str, ...], key: str | None) -> int:
    """Cancel jobs by their ids or by their key."""
    if bool(job_ids) == bool(key):
        message = "expected either job ids or --key"
        raise click.UsageError(message)
    with init().client() as client:
        if key is None:
            ended = [cancel_one(client, job_id) for job_id in job_ids]
        else:
            ended = [
                already_ended(job.id, job.status)
                if job.phase.terminal
                else cancel_one(client, job.id)
                for job in jobs_with(client, key)
            ]
    if not ended:
        print(f"perian-shim cancel: no job has the key {key!r}", file=sys.stderr)
    return 0 if ended and all(ended) else 1


def cancel_one(client: PerianClient, job_id: str) -> bool:
    """Cancel a job and say what came of it; return whether it has ended or will."""
    try:
        client.cancel_job(job_id)
    except JobAlreadyDone:
        return already_ended(job_id)
    except ApiError as error:
        print(f"{tidy(job_id)}: {error}")
        return False
    print(f"{job_id}: cancelling")
    return True


def already_ended(job_id: str, status: str = "") -> bool:
    """Say that a job had ended before."""
    print(f"{job_id}: ended already{f' ({tidy(status)})' if status else ''}")
    return True
