"""From measurements to tables: medians, spreads and the goals, as Markdown."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks import goals
from benchmarks.records import CONTENDERS, FLOOR, OURS, OURS_FLYTEKIT, Crowd, Results, Run

NONE = "-"
NAIVE = "naive"


def heading(contender: str) -> str:
    """Return how a contender is called in a table."""
    return contender.replace("-", ", ")


def spread(values: Sequence[float], digits: int) -> str:
    """Return median and range, e.g. ``1.20 (1.10 to 1.45)``."""
    if not values:
        return NONE
    middle, low, high = (
        f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float | None:
    """Return the ratio of two medians, None where there is nothing to compare."""
    if not ours or not floor or not statistics.median(floor):
        return None
    return statistics.median(ours) / statistics.median(floor)


def calls(runs: Iterable[Run], pick: Callable[[Run], Mapping[str, int]]) -> str:
    """Return the medians of calls, in all and split by name."""
    counted = [pick(run) for run in runs]
    names = sorted({name for each in counted for name in each})
    if not names:
        return NONE
    medians = {name: statistics.median(each.get(name, 0) for each in counted) for name in names}
    total = statistics.median(sum(each.values()) for each in counted)
    return f"{total:g}: " + ", ".join(f"{count:g} {name}" for name, count in medians.items())


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


class Summary:
    """The tables of a benchmark.

    Args:
        results: the measurements.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        runs = {run.contender for run in results.runs}
        measured = runs | {crowd.contender for crowd in results.crowds}
        self.contenders = [name for name in CONTENDERS if name in measured]
        self.ours = [name for name in (OURS, OURS_FLYTEKIT) if name in measured]
        self.lengths = sorted({run.length for run in results.runs})

    def runs(self, contender: str, length: float | None = None) -> list[Run]:
        """Return the runs of a contender, of jobs of one length if given."""
        return [
            run
            for run in self.results.runs
            if run.contender == contender and length in {None, run.length}
        ]

    def row(
        self,
        title: str,
        pick: Callable[[Run], float | None],
        length: float | None = None,
        digits: int = 2,
        goal: goals.Judge | None = None,
    ) -> list[str]:
        """Return one row of numbers.

        Args:
            title: what is measured.
            pick: takes it from a run; None where it was not.
            length: only jobs of this length.
            digits: after the point.
            goal: judges perian-shim without flytekit.
        """
        values = {
            name: [value for run in self.runs(name, length) if (value := pick(run)) is not None]
            for name in self.contenders
        }
        floor = values.get(FLOOR, [])
        ratios = {name: ratio(values[name], floor) for name in self.ours}
        ours = values.get(OURS, [])
        verdict = goal(ratios.get(OURS), ours) if goal and ours else ""
        shown = (NONE if each is None else f"{each:.2f}" for each in ratios.values())
        return [title, *(spread(values[name], digits) for name in self.contenders), *shown, verdict]

    def table_of_runs(self) -> str:
        """Return the table of single jobs."""
        row, by_calls = self.row, self.row_of_calls
        start, cpu = goals.of_floor(0.50, aim=0.35), goals.of_floor(0.40)
        memory_share, waiting = goals.of_floor(0.45, aim=0.30), goals.of_floor(1.00)
        rows = [
            row("process start → POST, s", lambda run: run.start_to_post, digits=3, goal=start),
            row("CPU until then, s", lambda run: run.cpu_to_post, digits=3, goal=cpu),
        ]
        for length in self.lengths:
            title, goal = f"job end → outputs, {length:g} s job, s", goals.end_of(length)
            rows.append(row(title, lambda run: run.end_to_outputs, length, goal=goal))
        rows.append(row("outputs → end of process, s", lambda run: run.outputs_to_exit))
        rows += [
            by_calls(f"API calls, {length:g} s job", length, lambda run: run.api_calls)
            for length in self.lengths
        ]
        rows.append(by_calls("storage requests", None, lambda run: run.storage_calls))
        rows += [
            row(f"CPU, {length:g} s job, s", lambda run: run.cpu, length) for length in self.lengths
        ]
        rows += [
            row(
                "CPU while waiting, s per hour",
                lambda run: run.waiting_cpu,
                digits=1,
                goal=waiting,
            ),
            row("PSS while waiting, MiB", memory("pss"), digits=1, goal=memory_share),
            row("private while waiting, MiB", memory("private"), digits=1),
            row("anonymous while waiting, MiB", memory("anonymous"), digits=1),
        ]
        if self.results.imports:
            rows.append(self.row_of_imports())
        if self.results.image_sizes:
            rows.append(self.row_of_images())
        ratios = (f"{heading(name)} / {FLOOR}" for name in self.ours)
        return markdown(["", *map(heading, self.contenders), *ratios, "goal"], rows)

    def row_of_calls(
        self, title: str, length: float | None, pick: Callable[[Run], Mapping[str, int]]
    ) -> list[str]:
        """Return one row of calls."""
        shown = (calls(self.runs(name, length), pick) for name in self.contenders)
        return [title, *shown, *("" for _ in self.ours), ""]

    def row_of_imports(self) -> list[str]:
        """Return the row of what a task's definition imports."""
        values = self.results.imports
        shown = [spread(values.get(name, []), 3) for name in self.contenders]
        compared = ratio(values.get(OURS_FLYTEKIT, []), values.get(FLOOR, []))
        ratios = {OURS_FLYTEKIT: NONE if compared is None else f"{compared:.2f}"}
        verdict = goals.of_floor(1.05)(compared, [])
        title = "imports of a task's definition, CPU s"
        return [title, *shown, *(ratios.get(name, "") for name in self.ours), verdict]

    def row_of_images(self) -> list[str]:
        """Return the row of image sizes."""
        sizes = self.results.image_sizes
        shown = [f"{sizes[name]:.0f}" if name in sizes else NONE for name in self.contenders]
        verdict = goals.image(sizes[OURS], sizes.get(NAIVE)) if OURS in sizes else ""
        return ["image, MB", *shown, *("" for _ in self.ours), verdict]

    def table_of_crowds(self) -> str:
        """Return the table of many at once."""
        columns: list[tuple[str, Callable[[Crowd], str]]] = [
            ("first start → last POST, s", lambda crowd: f"{crowd.start_to_last_post:.1f}"),
            ("CPU until all wait, s", lambda crowd: f"{crowd.cpu:.1f}"),
            ("CPU while waiting, s per hour", lambda crowd: f"{crowd.waiting_cpu:.0f}"),
            ("PSS in all, MiB", lambda crowd: f"{crowd.memory.pss:.0f}"),
            ("PSS each, MiB", lambda crowd: f"{crowd.memory.pss / crowd.number:.1f}"),
            ("private in all, MiB", lambda crowd: f"{crowd.memory.private:.0f}"),
            ("jobs' end → last outputs, s", lambda crowd: f"{crowd.end_to_last_outputs:.1f}"),
            ("goal", goal_of),
        ]
        crowds = sorted(
            self.results.crowds, key=lambda each: (each.number, CONTENDERS.index(each.contender))
        )
        rows = [
            [str(crowd.number), heading(crowd.contender), *(show(crowd) for _, show in columns)]
            for crowd in crowds
        ]
        return markdown(["at once", "contender", *(title for title, _ in columns)], rows)

    def text(self) -> str:
        """Return the tables with what they were measured on."""
        parts = []
        if self.results.runs:
            parts.append(f"One job at a time; median (least to most).\n\n{self.table_of_runs()}")
        if self.results.crowds:
            parts.append(f"Many at once, one measurement each.\n\n{self.table_of_crowds()}")
        parts.append("\n".join(f"- {condition}" for condition in self.results.conditions))
        return "\n\n".join(parts) + "\n"


def goal_of(crowd: Crowd) -> str:
    """Judge a crowd of pods without flytekit."""
    return goals.crowd(crowd.number, crowd.memory.pss) if crowd.contender == OURS else ""


def memory(kind: str) -> Callable[[Run], float | None]:
    """Return what takes one kind of memory from a run, by the name of its field."""
    return lambda run: getattr(run.memory, kind) if run.memory else None
