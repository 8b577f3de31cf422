"""``cancel``: end jobs, and show what became of each."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import click

from perian_shim.cli.jobs import (
    COLUMNS,
    FOLLOWED,
    LIVE,
    judged,
    judged_row,
    row,
    silence_option,
)
from perian_shim.cli.output import (
    Column,
    busy,
    can_ask,
    confirmed,
    note,
    output_option,
    plain_lines,
    show,
    shown,
)
from perian_shim.remote.connection import Connection, init
from perian_shim.remote.ending import ENDING_SECONDS, Ended, end
from perian_shim.remote.followers import root_of
from perian_shim.remote.jobs import Job

AT_ONCE = 8
"""So many jobs are ended side by side."""

RESULT = (Column("JOB", keep=True), Column("RESULT"))


@click.command(
    epilog="""\b
Examples:
  perian-shim cancel 0b9e4c1e-… 77aa01c2-…
  perian-shim cancel --execution a7x9f2
  perian-shim cancel --key 5f1c… --yes
  perian-shim cancel --orphans

\b
Job ids are taken at their word; what is looked up is listed and asked about first,
which --yes answers. Without a terminal to ask on, --yes is needed.
Exit codes: 0 all have ended, 1 one goes on or could not be asked, there was none, or
the answer was no; 2 wrong arguments, or nobody to ask; 130 ended by Ctrl-C."""
)
@click.argument("job_ids", nargs=-1, metavar="[JOB]...")
@click.option("--key", help="All live jobs of this piece of work, by its key.")
@click.option("--execution", help="All live jobs of this execution.")
@click.option("--project", help="With --execution: of this Flyte project.")
@click.option("--domain", help="With --execution: of this Flyte domain.")
@click.option("--orphans", is_flag=True, help="All jobs that nobody follows: jobs --orphans.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@silence_option
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=ENDING_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long jobs are asked to end and looked at.",
)
@output_option
def cancel(
    job_ids: tuple[str, ...],
    key: str | None,
    execution: str | None,
    project: str | None,
    domain: str | None,
    orphans: bool,
    yes: bool,
    silence: float,
    wait: float,
    output: str,
) -> int:
    """End jobs, and show what became of each.

    Each job is asked to end until it is seen ended. Of --orphans only those are ended of which it
    is shown that nobody follows them; those of which that is not known are left alone.
    """
    if sum([bool(job_ids), bool(key), bool(execution), orphans]) != 1:
        message = "expected one of: job ids, --key, --execution, --orphans"
        raise click.UsageError(message)
    if (project or domain) and not execution:
        message = "--project and --domain go with --execution"
        raise click.UsageError(message)
    asks = init()
    if job_ids:
        return end_all(asks, list(dict.fromkeys(job_ids)), wait, output, known=False)
    with busy("looking for the jobs"):
        found, lines = doomed(silence, key=key, execution=execution, project=project, domain=domain)
    if not found:
        what = f"has the key {key!r}" if key else f"is of execution {execution!r}"
        note(f"perian-shim cancel: no live job {'is an orphan' if orphans else what}")
        return 0 if orphans else 1
    if not yes and not agreed(lines, len(found)):
        note("perian-shim cancel: nothing was cancelled")
        return 1
    return end_all(asks, [job.id for job in found], wait, output, known=True)


def doomed(silence: float, **which: str | None) -> tuple[list[Job], Iterable[str]]:
    """Return the live jobs that are to end, and lines that show them.

    Args:
        silence: as for ``--orphans``.
        which: the filters; none: the orphans.

    Raises:
        click.UsageError: they are of several executions that have one name.
    """
    if any(which.values()):
        found = list(Job.listall(in_phase=LIVE, limit=None, **which))  # type: ignore[arg-type]  # filters of texts only
        lines = list(plain_lines(COLUMNS, [row(job) for job in found]))
        executions = homes(found) if which["execution"] else []
        if len(executions) > 1:
            for line in lines:
                click.echo(line, err=True)
            message = f"executions of this name are in {', '.join(executions)}:"
            message += " give --project and --domain, or the jobs' ids"
            raise click.UsageError(message)
        return found, lines
    pairs = [each for each in judged((), silence) if each[1].kind == "orphan"]
    return [job for job, _ in pairs], plain_lines(FOLLOWED, [judged_row(each) for each in pairs])


def homes(jobs: Iterable[Job]) -> list[str]:
    """Return the homes of the jobs' executions: project and domain, and where its files are.

    The name of an execution is only its own within its project, its domain and its Flyte.
    """
    origins = [job.origin for job in jobs if job.origin is not None]
    places = {(origin.project, origin.domain): set[str]() for origin in origins}
    for origin in origins:  # jobs of older versions do not say it
        places[origin.project, origin.domain] |= {root_of(origin)} - {""}
    return sorted(
        shown("/".join(place) + (f" ({root})" if root else ""))
        for place, roots in places.items()
        for root in (roots or {""})
    )


def agreed(lines: Iterable[str], number: int) -> bool:
    """Show what would end, and ask.

    Raises:
        click.UsageError: there is nobody to ask.
    """
    for line in lines:
        click.echo(line, err=True)
    if not can_ask():
        message = "there is no terminal to ask on: give --yes to end these jobs"
        raise click.UsageError(message)
    return confirmed(f"End {number} job{'s' if number > 1 else ''}?")


def end_all(
    asks: Connection, job_ids: Sequence[str], wait: float, output: str, *, known: bool
) -> int:
    """End jobs side by side, show what became of each, and return an exit code."""
    act = partial(end, asks, seconds=wait, known=known)
    with busy(f"ending {len(job_ids)} jobs"), ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(zip(job_ids, pool.map(act, job_ids), strict=True))
    show(
        output,
        found,
        columns=RESULT,
        row=lambda each: (each[0], result(each[1])),
        name=lambda each: each[0],
        value=lambda each: {"id": each[0], "over": each[1].over, "result": result(each[1])},
    )
    return 0 if all(ended.over for _, ended in found) else 1


def result(ended: Ended) -> str:
    """Return what became of a job, in words."""
    if ended.error is not None:
        state = f"; {ended.job.status} when seen last" if ended.job else ""
        return f"failed: {ended.error}{state}"
    if ended.job is None:
        return "Perian knows no such job any more"
    status = shown(ended.job.status)
    if not ended.job.phase.terminal:
        return f"asked to end, goes on: {status}"
    return f"had ended already: {status}" if ended.before else f"ended: {status}"
