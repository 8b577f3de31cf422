"""``jobs``: the organization's jobs, and whether anybody follows them."""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import click

from perian_shim.api.phases import Phase
from perian_shim.cli import live
from perian_shim.cli.moments import Moment
from perian_shim.cli.output import (
    Column,
    Styled,
    busy,
    note,
    output_option,
    show,
    shown,
)
from perian_shim.remote.connection import init
from perian_shim.remote.followers import SILENT_SECONDS, Follower, followers
from perian_shim.remote.jobs import Job

COLUMNS = (
    Column("JOB", keep=True),
    Column("STATUS", keep=True),
    Column("CREATED", keep=True),
    Column("TASK"),
    Column("EXECUTION"),
    Column("NODE"),
    Column("OWNER"),
    Column("COST", right=True),
)

FOLLOWED = (
    Column("JOB", keep=True),
    Column("FOLLOWER", keep=True),
    *COLUMNS[2:4],
    Column("WHY", keep=True),
)

STYLES = {
    Phase.RUNNING: "green",
    Phase.STARTING: "cyan",
    Phase.QUEUED: "cyan",
    Phase.SUCCEEDED: "dim",
    Phase.CANCELLED: "yellow",
    Phase.UNKNOWN: "magenta",
}
"""How a status is shown; all others are red."""

KINDS = {"orphan": "red", "followed": "green", "unknown": "yellow"}

LIVE = tuple(phase for phase in Phase if not phase.terminal)

FILTERS: tuple[Callable[[Any], Any], ...] = (
    click.option("--project", help="Only jobs of this Flyte project."),
    click.option("--domain", help="Only jobs of this Flyte domain."),
    click.option("--execution", help="Only jobs of this execution."),
    click.option("--task", help="Only jobs of this task."),
    click.option("--owner", help="Only jobs for which this person or team answers."),
    click.option("--key", help="Only jobs of this piece of work, by its key."),
    click.option(
        "--phase",
        "phases",
        multiple=True,
        type=click.Choice([phase.value for phase in Phase]),
        help="Only jobs in this phase; may be repeated.",
    ),
    click.option(
        "--since", type=Moment(), help="Only jobs submitted since, e.g. 2h, 7d or a date (in UTC)."
    ),
    click.option("--ours", is_flag=True, help="Leave out jobs that are not of Flyte tasks."),
)


silence_option = click.option(
    "--silence",
    type=click.FloatRange(min=0),
    default=SILENT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="With --orphans, where Flyte does not know the execution: how long its pod was silent.",
)
"""``--silence SECONDS``, for how long ``remote.followers`` looks whether a pod writes."""


def filters(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the filters."""
    for option in reversed(FILTERS):
        command = option(command)
    return command


@click.command(
    epilog="""\b
Examples:
  perian-shim jobs                               the newest 25
  perian-shim jobs --phase running --owner vision
  perian-shim jobs --execution a7x9 -o json
  perian-shim jobs --since 7d --limit 1000 -o name
  perian-shim jobs --watch --phase running       until Ctrl-C
  perian-shim jobs --orphans                     those that nobody follows

\b
Exit codes: 0 well, 1 it failed, 2 wrong arguments, 130 ended by Ctrl-C."""
)
@filters
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
@click.option("--watch", is_flag=True, help="Show them again and again, until Ctrl-C.")
@click.option("--orphans", is_flag=True, help="Of the live ones, whether anybody follows them.")
@silence_option
@output_option
def jobs(
    phases: tuple[str, ...],
    limit: int,
    watch: bool,
    orphans: bool,
    silence: float,
    output: str,
    **which: Any,
) -> int:
    """List jobs at Perian, the newest first.

    Jobs that are not of Flyte tasks have no task; --ours leaves them out, as each filter by whose
    it is does. With --orphans only live jobs are shown: an "orphan" is a job of which its launch
    records or Flyte show that nobody will follow it any more; "unknown" is what neither can tell.
    """
    init()

    def listed() -> list[Job]:
        return list(Job.listall(in_phase=phases or None, limit=limit, **which))

    if watch and (orphans or output != "table"):
        message = "--watch goes with a table, and not with --orphans"
        raise click.UsageError(message)
    if watch:
        live.watch(listed, COLUMNS, row, change)
        return 0
    if orphans:
        with busy("looking for jobs that nobody follows"):
            found = judged(phases, silence, **which)[:limit]
        show_judged(output, found)
        return 0
    with busy("listing jobs"):
        found_jobs = listed()
    show(output, found_jobs, columns=COLUMNS, row=row, name=lambda job: job.id)
    return 0


def judged(phases: tuple[str, ...], silence: float, **which: Any) -> list[tuple[Job, Follower]]:
    """Return the live jobs of Flyte tasks that are asked for, and whether anybody follows them."""
    wanted = {**which, "ours": True, "in_phase": phases or LIVE, "limit": None}
    asked = [job for job in Job.listall(**wanted) if not job.done()]
    others = Job.listall(ours=True, limit=None)
    found = followers(asked, others, silence=silence, told=note)
    return [(job, found[job.id]) for job in asked if job.id in found]


def show_judged(output: str, found: list[tuple[Job, Follower]]) -> None:
    """Print jobs and whether anybody follows them; as names only those that nobody does."""
    if output == "name":
        found = [(job, follower) for job, follower in found if follower.kind == "orphan"]
    show(
        output,
        found,
        columns=FOLLOWED,
        row=judged_row,
        name=lambda each: each[0].id,
        value=lambda each: {
            **each[0].to_dict(),
            "follower": {"kind": each[1].kind, "why": each[1].why},
        },
    )


def judged_row(each: tuple[Job, Follower]) -> tuple[object, ...]:
    """Return what is shown of a job and its follower."""
    job, follower = each
    kind = Styled(follower.kind, KINDS[follower.kind])
    return (job.id, kind, *row(job)[2:4], follower.why)


def row(job: Job) -> tuple[object, ...]:
    """Return what is shown of a job."""
    origin = job.origin
    task, execution, node, owner = (
        (origin.task, origin.execution, origin.node, origin.owner) if origin else (None,) * 4
    )
    cost = job.cost
    about = None if cost is None else f"{cost}" if cost.final else f"~{cost}"
    created = utc(job.created_at)
    return (job.id, status(job), created, task, execution, node, owner, about)


def status(job: Job) -> Styled:
    """Return a job's status."""
    return Styled(job.status, STYLES.get(job.phase, "red"))


def change(job: Job) -> str:
    """Return a line that says how a job is."""
    now = utc(datetime.now(timezone.utc))
    origin = job.origin
    named = f" ({shown(origin.task)})" if origin and origin.task else ""
    return f"{now}  {shown(job.id)}  {shown(job.status)}{named}"


def utc(moment: datetime | None) -> str | None:
    """Return a moment as it is shown, in UTC."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ") if moment else None
