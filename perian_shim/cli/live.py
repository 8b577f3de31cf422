"""Jobs shown again and again: a table that is redrawn on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Sequence

from perian_shim.api.errors import PerianError
from perian_shim.cli.output import Column, console, note, on_terminal, table
from perian_shim.remote.jobs import Job

PAUSE_SECONDS = 3.0

List = Callable[[], Sequence[Job]]


def watch(
    listed: List,
    columns: Sequence[Column],
    row: Callable[[Job], Sequence[object]],
    change: Callable[[Job], str],
) -> None:
    """Show jobs until the process is interrupted.

    Args:
        listed: returns them as they are now.
        columns: of the table.
        row: returns a job's cells.
        change: returns a line about a job that is new or has changed.

    Raises:
        PerianError: they cannot be listed, the first time.
    """
    found = listed()
    if on_terminal():
        redraw(found, listed, columns, row)
    else:
        report(found, listed, change)


def redraw(
    found: Sequence[Job],
    listed: List,
    columns: Sequence[Column],
    row: Callable[[Job], Sequence[object]],
) -> None:
    """Draw the table again whenever time has passed; what does not fit is left out."""
    from rich.live import Live  # noqa: PLC0415 - only on a terminal

    def drawn(jobs: Sequence[Job]) -> object:
        return table(columns, [row(job) for job in jobs], console().width)

    with Live(drawn(found), console=console(), auto_refresh=False) as shown:  # type: ignore[arg-type]
        while True:
            time.sleep(PAUSE_SECONDS)
            found = again(listed, found)
            shown.update(drawn(found), refresh=True)  # type: ignore[arg-type]


def report(found: Sequence[Job], listed: List, change: Callable[[Job], str]) -> None:
    """Print a line for each job that is new or has changed."""
    before: dict[str, str] = {}
    while True:
        for job in reversed(found):  # the newest last, as in a log
            if before.get(job.id) != job.status:
                print(change(job), flush=True)
        before = {job.id: job.status for job in found}
        time.sleep(PAUSE_SECONDS)
        found = again(listed, found)


def again(listed: List, found: Sequence[Job]) -> Sequence[Job]:
    """Return the jobs as they are now, or as they were if that cannot be had."""
    try:
        return listed()
    except PerianError as error:
        note(error.message)
        return found
