"""Run the fault matrix and print it as a table: ``make faults``; ``--only WORD …`` for a part.

Each cell is a node of a workflow, run by real ``pyflyte-execute`` processes against a sandbox, with
one fault and Flyte's retries. The table says for each how many jobs were created, how many were
live when the first attempt had ended and after the last, for how long two were live that could
both be known, and what the node ended in. The exit code is 1 if any cell broke a rule: more jobs
at a time than when nobody could know better, a job left running, a healthy one cancelled, a wrong
final state.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.cells import open_lab
from support.doors import Door
from support.flyte import harness_on, running_sandbox
from support.matrix import all_cells
from support.matrix_rows import Cell, Row
from support.matrix_stages import Stage
from support.signals import hear_signals

COLUMNS = (("jobs", 4), ("live", 4), ("left", 4), ("tries", 5), ("twin", 5), ("time", 6))

HEAD = " ".join([f"{'cell':<56}", *(f"{name:>{width}}" for name, width in COLUMNS), " final state"])


def main(arguments: Sequence[str]) -> int:
    """Run the cells and return a process exit code."""
    parser = argparse.ArgumentParser(description="Run the fault matrix.")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="WORD",
        help="cells whose name has all of these words",
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cells at a time (2)")
    parser.add_argument(
        "--door",
        type=Door,
        choices=list(Door),
        default=Door.ENTRYPOINT,
        help="what the pods run",
    )
    parser.add_argument("--log", action="store_true", help="print what the pods of bad cells said")
    options = parser.parse_args(arguments)
    hear_signals()
    cells = [
        cell
        for cell in all_cells()
        if all(word in cell.name for word in options.only)
        # There a pod has its task among its arguments.
        and not (options.door is Door.A0 and Stage.LOADING.value in cell.name)
    ]
    printing = threading.Lock()
    print("live: jobs running when the first attempt had ended; left: ... after the last one")
    print("twin: for how many of the API's seconds two jobs went on that could both be known")
    print(HEAD, flush=True)

    with (
        tempfile.TemporaryDirectory(prefix="fault-matrix-") as folder,
        running_sandbox(Path(folder)) as sandbox,
        harness_on(sandbox, Path(folder), options.door) as harness,
        open_lab(harness) as lab,
        ThreadPoolExecutor(options.jobs) as pool,
    ):

        def run(cell: Cell) -> Row:
            row = cell.run(lab)
            with printing:
                print(line(row), flush=True)
                if row.problems and options.log:
                    print(row.outcome.log, flush=True)
            return row

        rows = list(pool.map(run, cells))
    bad = [row for row in rows if row.problems]
    print(summary(rows, bad))
    return 1 if bad else 0


def line(row: Row) -> str:
    """Return one row as text, what is wrong below it."""
    outcome = row.outcome
    numbers = f"{len(outcome.jobs):>4} {outcome.endings[0].live:>4} {outcome.left:>4}"
    times = f"{outcome.twin:>5.0f} {row.seconds:>5.1f}s"
    text = f"{row.name:<56} {numbers} {len(outcome.attempts):>5} {times}  {outcome.final}"
    return "\n".join([text, *(f"    !! {problem}" for problem in row.problems)])


def summary(rows: Sequence[Row], bad: Sequence[Row]) -> str:
    """Return the last line, and the names of what is bad."""
    outcomes = [row.outcome for row in rows]
    counts = (
        f"{len(rows)} cells",
        f"{sum(len(each.jobs) for each in outcomes)} jobs created",
        f"{sum(bool(each.beyond) for each in outcomes)} doubled beyond the knowable",
        f"{sum(each.left for each in outcomes)} left running",
        f"{sum(len(each.healthy) for each in outcomes)} healthy cancelled",
        f"{len(bad)} bad",
    )
    return ", ".join(counts) + "".join(f"\n  {row.name}" for row in bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
