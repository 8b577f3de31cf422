"""What is shown while somebody waits for a job: a spinner on a terminal, lines elsewhere.

On standard error, so that a script's output is its own.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from perian_shim.api.jobs import Job as Seen
from perian_shim.api.server_text import inert, tidy


class Tell(Protocol):
    """Takes note of a job."""

    def __call__(self, job: Seen) -> None:
        """Show how it is."""
        ...


@contextmanager
def progress(*, quiet: bool) -> Iterator[Tell]:
    """Give what shows how a job is, until the block is left."""
    if quiet:
        yield lambda job: None  # noqa: ARG005 - nothing is shown
    elif sys.stderr.isatty():
        with spinner() as tell:
            yield tell
    else:
        yield Lines()


@contextmanager
def spinner() -> Iterator[Tell]:
    """Give what shows a job on a terminal; nothing of it stays."""
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - the same

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("")
        yield lambda job: shown.update(task, description=state(job))


class Lines:
    """Prints a line when a job's status has changed."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, job: Seen) -> None:
        """Show how it is."""
        if state(job) != self._last:
            self._last = state(job)
            print(self._last, file=sys.stderr, flush=True)


def state(job: Seen) -> str:
    """Return a job and its status as one line."""
    return f"job {job.id}: {tidy(inert(job.status))}"
