"""``job``: all that is known of one."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import click

from perian_shim.api.errors import InvalidRequest, JobNotFound, PerianError
from perian_shim.cli.jobs import status, utc
from perian_shim.cli.output import (
    Column,
    Styled,
    output_option,
    show_facts,
    show_json,
    show_table,
    shown,
)
from perian_shim.lifecycle.bill import described
from perian_shim.remote.connection import init
from perian_shim.remote.flyte import console, link
from perian_shim.remote.jobs import Job


@click.command(
    epilog="""\b
Examples:
  perian-shim job 0b9e4c1e-…
  perian-shim job 0b9e4c1e-… -o json | jq .cost

\b
The link to Flyte needs PERIAN_FLYTE_CONSOLE_URL, or what pyflyte is configured with.
Exit codes: 0 well, 1 it failed or there is no such job, 2 wrong arguments."""
)
@click.argument("job_id", metavar="JOB")
@output_option
def job(job_id: str, output: str) -> int:
    """Show a job: what and whose it is, where it runs, what it costs and when it did what."""
    init()
    found = job_of(job_id)
    if output == "name":
        print(shown(found.id))
        return 0
    base = console() if found.origin and found.origin.execution else ""
    if output == "json":
        show_json({**found.to_dict(), "flyte": flyte_link(found, base) or None})
        return 0
    show_facts(facts(found, base))
    print()
    show_table((Column("WHEN"), Column("WHAT"), Column("AFTER", right=True)), timeline(found))
    return 0


def job_of(job_id: str) -> Job:
    """Return a job.

    Raises:
        JobNotFound: there is none, or nothing of this form can be an id.
    """
    try:
        return Job.get(job_id)
    except InvalidRequest:
        message = f"There is no job {job_id!r}; ids are taken whole."
        raise JobNotFound(message, remedy="See `perian-shim jobs`.") from None


def facts(found: Job, base: str) -> Iterator[tuple[str, object]]:
    """Yield what is known of a job."""
    yield "job", found.id
    yield "status", status(found)
    yield "error", Styled(found.errors, "red") if found.errors else None
    yield "image", found.image
    origin = found.origin
    if origin is None:
        yield "origin", "not of a Flyte task"
    else:
        named = f"{origin.task} {origin.version}".strip()
        attempt = None if origin.attempt is None else str(origin.attempt)
        place = "/".join(part for part in (origin.project, origin.domain) if part)
        yield "task", named or None
        yield "project", place or None
        yield "execution", origin.execution or "a run on somebody's own machine"
        yield "node", origin.node or None
        yield "attempt", attempt
        yield "pod", origin.pod or None
        yield "owner", origin.owner or None
        yield "outputs", origin.output or None
        yield "key", origin.key
        yield "flyte", flyte_link(found, base) or None
    yield "machine", machine(found)
    cost = found.cost
    if cost is not None:
        lasted = timedelta(seconds=int(cost.seconds))
        yield "cost", f"{cost} for {lasted}" if cost.final else f"about {cost} so far, {lasted}"


def flyte_link(found: Job, base: str) -> str:
    """Return the URL of a job's execution, "" if that is not known."""
    origin = found.origin
    return link(base, origin.project, origin.domain, origin.execution) if origin else ""


def machine(found: Job) -> str | None:
    """Return what a job runs on, as far as that can be told."""
    if found.machine is None:
        return None
    try:
        kind = found.instance_type()
    except PerianError as error:
        print(f"perian-shim job: {error.message}", file=sys.stderr)
        kind = None
    return found.machine if kind is None else described(kind, found.price)


def timeline(found: Job) -> list[tuple[object, ...]]:
    """Return when a job did what."""
    steps = [("submitted", found.created_at), ("started", found.started_at)]
    if found.done():
        steps.append((found.phase.value, found.done_at))
    rows: list[tuple[object, ...]] = []
    before: datetime | None = None
    for what, when in steps:
        after = (
            None
            if when is None or before is None
            else timedelta(seconds=int((when - before).total_seconds()))
        )
        if when is not None or what == found.phase.value:
            rows.append((utc(when), what, after))
        before = when or before
    if not found.done():
        rows.append(
            (utc(datetime.now(timezone.utc)), f"{found.phase.value} ({found.status})", None)
        )
    return rows
