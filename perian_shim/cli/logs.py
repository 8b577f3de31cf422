"""``logs``: what jobs print."""

import queue
import re
import threading
from collections.abc import Iterator

import click

from perian_shim.api.errors import InvalidRequest, JobNotFound
from perian_shim.api.server_text import inert, printable
from perian_shim.cli.output import note, shown
from perian_shim.remote.connection import init
from perian_shim.remote.jobs import Job

MOST_JOBS = 20
"""So many jobs of an execution are shown at most, the newest."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@click.command(
    epilog="""\b
Examples:
  perian-shim logs 0b9e4c1e-…
  perian-shim logs 0b9e4c1e-… -f --tail 20
  perian-shim logs a7x9f2                        all jobs of an execution
  perian-shim logs a7x9f2 -f

\b
Exit codes: 0 well (however the job ended), 1 it failed or there is no such job,
2 wrong arguments, 130 ended by Ctrl-C."""
)
@click.argument("what", metavar="JOB|EXECUTION")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only the last N lines of what is there already.",
)
def logs(what: str, follow: bool, tail: int | None) -> int:
    """Print the log of a job, or of all jobs of an execution, the oldest first.

    Of several jobs each line begins with its node. Nothing that a job prints is obeyed by the
    terminal; signatures that give access to an object store are left out.
    """
    init()
    found = named(what)
    if len(found) == 1:
        for line in found[0].logs(follow=follow, tail=tail):
            say(line)
        return 0
    labels = [label(job) for job in found]
    width = max(map(len, labels))
    if follow:
        return together(found, [f"{each.ljust(width)} | " for each in labels], tail)
    for job, each in zip(found, labels, strict=True):
        for line in job.logs(tail=tail):
            say(f"{each.ljust(width)} | {line}")
    return 0


def named(what: str) -> list[Job]:
    """Return the job of this id, or those of an execution of this name, the oldest first.

    Raises:
        JobNotFound: there is neither.
    """
    if _ID.fullmatch(what):
        return [Job.get(what)]
    found = list(Job.listall(execution=what, limit=MOST_JOBS))
    if len(found) == MOST_JOBS:
        note(f"perian-shim logs: the newest {MOST_JOBS} jobs of {what}; there may be more")
    if found:
        return found[::-1]
    try:
        return [Job.get(what)]
    except InvalidRequest:  # there is none, or nothing of this form can be an id
        message = f"There is no job {what!r}, nor one of an execution of this name."
        raise JobNotFound(message, remedy="See `perian-shim jobs`.") from None


def label(job: Job) -> str:
    """Return what tells a job from the others of its execution."""
    origin = job.origin
    node = origin.node if origin and origin.node else job.id[:8]
    attempt = f"/{origin.attempt}" if origin and origin.attempt else ""
    return shown(f"{node}{attempt}")


def together(found: list[Job], prefixes: list[str], tail: int | None) -> int:
    """Follow several jobs at once; return an exit code."""
    lines: queue.Queue[str | Exception | None] = queue.Queue(maxsize=1000)

    def read(job: Job, prefix: str) -> None:
        try:
            for line in job.logs(follow=True, tail=tail):
                lines.put(prefix + line)
        except Exception as error:  # noqa: BLE001 - told by who waits for the end of all
            lines.put(error)
        finally:
            lines.put(None)

    for job, prefix in zip(found, prefixes, strict=True):
        threading.Thread(target=read, args=(job, prefix), daemon=True).start()
    return printed(lines, len(found))


def printed(lines: "queue.Queue[str | Exception | None]", jobs: int) -> int:
    """Print lines until all jobs have ended; return an exit code."""
    failed = 0
    for line in until_ended(lines, jobs):
        if isinstance(line, Exception):
            failed = 1
            note(f"perian-shim logs: {line}")
        else:
            say(line)
    return failed


def until_ended(
    lines: "queue.Queue[str | Exception | None]", jobs: int
) -> Iterator[str | Exception]:
    """Yield what comes until so many jobs have ended."""
    while jobs:
        line = lines.get()
        if line is None:
            jobs -= 1
        else:
            yield line


def say(line: str) -> None:
    """Print a line of which a terminal obeys nothing."""
    print(inert(printable(line)), flush=True)
