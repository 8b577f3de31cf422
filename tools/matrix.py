"""Tests the oldest and the newest flytekit on every Python that this machine has, as a table.

    matrix.py [--python 3.11,3.13] [--flytekit 1.14.9] [--jobs 2] [--anew] [TEST …]
    matrix.py --sdk flyte [--version 2.0.0] …     the same for Flyte 2's SDK

A cell is one Python with one version of an SDK. Its environment is made once from a hash-locked
file below ``requirements/`` and kept in a cache folder. A Python that flytekit's metadata excludes
is tested against its word, and the table says so: users cannot have it, but our image without
flytekit can.
Cells run one after the other. The table goes to standard output, progress to standard error; what
pip and pytest said is kept in the cache folder. Exits with 1 if a cell failed or none was tested,
with 0 otherwise: a Python that is not here is named in the table and is no failure.
"""

import argparse
import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree as ET

from interpreters import interpreter

CHECKOUT = Path(__file__).resolve().parent.parent
REQUIREMENTS = CHECKOUT / "requirements"
NEED_PYFLYTE = ("tests/flyte1/test_registration.py", "tests/flyte1/test_registration_paths.py")
"""What registers with flytekit's `pyflyte`, which does not start on a Python that it excludes."""

NEWEST = "dev.txt"
LOCKS = ("flytekit-1.14.txt", NEWEST)
"""One for each flytekit, the oldest first; all hold what the tests need."""

FLYTE2_LOCKS = ("flyte-2.0.txt", "flyte-2.8.txt", NEWEST)
"""The same for each flyte."""

FLYTE2_TESTS = (
    "tests/flyte2",
    "tests/pod/test_action_invocation.py",
    "tests/work/test_entry_points.py",
    "tests/system/test_flyte2_functions.py",
    "tests/system/test_flyte2_local.py",
    "tests/system/test_flyte2_values.py",
)
"""What depends on Flyte 2's SDK."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13")

TESTS = (
    "tests/api",
    "tests/flyte1",
    "tests/pod",
    "tests/storage",
    "tests/template",
    "tests/values",
    "tests/wire",
    "tests/work",
    "tests/test_resolver_options.py",
    "tests/test_spec.py",
    "tests/system/test_both_doors.py",
    "tests/system/test_entrypoint.py",
    "tests/system/test_function_types.py",
    "tests/system/test_old_templates.py",
    "tests/system/test_round_trip.py",
    "tests/system/test_without_an_sdk.py",
)
"""What depends on Python or flytekit: definitions, values, templates, HTTP, pods as processes."""

LONGEST_REASON = 300
INSTALL_SECONDS = 1800.0
TEST_SECONDS = 3600.0

Command: TypeAlias = "Sequence[str | Path]"

PASSED, FAILED, BROKEN, MISSING = "passed", "FAILED", "NOT INSTALLED", "no such Python here"


@dataclass(frozen=True)
class Cell:
    """One Python with one version of an SDK.

    Attributes:
        python: Python's minor version, e.g. ``"3.11"``.
        flytekit: the SDK's version.
        lock: the file that pins it and everything else.
        sdk: the SDK's package.
    """

    python: str
    flytekit: str
    lock: Path
    sdk: str = "flytekit"

    @property
    def name(self) -> str:
        """Name of its folder in the cache."""
        return f"python{self.python}-{self.sdk}{self.flytekit}"

    @property
    def leniency(self) -> list[str]:
        """Options for pytest: an old flytekit uses what has been deprecated since."""
        return [] if self.lock.name == NEWEST else ["-W", "default::DeprecationWarning"]


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Attributes:
        cell: the cell.
        state: one of the four words of this module.
        passed: tests that passed.
        failed: ids of the tests that failed.
        skipped: tests that this machine cannot run.
        seconds: how long the tests took.
        note: Python's full version and what is special about it, or why nothing was tested.
    """

    cell: Cell
    state: str
    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def row(self) -> list[str]:
        """Its line in the table."""
        cell = self.cell
        tested = self.state in {PASSED, FAILED}
        counts = (self.passed, len(self.failed), self.skipped, f"{self.seconds:.0f} s")
        shown = [str(count) if tested else "-" for count in counts]
        sdk = f"{cell.sdk} {cell.flytekit}"
        return [cell.python, sdk, self.state, *shown, self.note]


@dataclass(frozen=True)
class Environment:
    """Where a cell's tests run.

    Attributes:
        python: the program.
        version: its full version.
        excluded_by: which Pythons flytekit asks for, if this one is not among them.
    """

    python: Path
    version: str
    excluded_by: str = ""

    @property
    def note(self) -> str:
        """What is to be said of it."""
        if not self.excluded_by:
            return self.version
        asked = f"{self.version}, though flytekit asks for Python {self.excluded_by}"
        return f"{asked}: registration left out, since `pyflyte` does not start"

    def options(self) -> list[str]:
        """Return options for pytest: what is left out."""
        return [f"--ignore={file}" for file in NEED_PYFLYTE] if self.excluded_by else []


class CellBrokenError(Exception):
    """A cell's environment or its tests could not be run; the text says why."""


def flytekit_of(lock: Path, sdk: str = "flytekit") -> str:
    """Return the version of an SDK that a lock file pins.

    Raises:
        ValueError: it pins none.
    """
    found = re.search(rf"^{sdk}==([^ \\;]+)", lock.read_text(), re.MULTILINE)
    if not found:
        raise ValueError(f"{lock} pins no {sdk}: `make lock` writes it")
    return found[1]


def all_cells(sdk: str = "flytekit") -> list[Cell]:
    """Return every cell, those of one version together."""
    locks = [REQUIREMENTS / name for name in (LOCKS if sdk == "flytekit" else FLYTE2_LOCKS)]
    return [Cell(python, flytekit_of(lock, sdk), lock, sdk) for lock in locks for python in PYTHONS]


def chosen(
    cells: Iterable[Cell], pythons: Sequence[str] | None, flytekits: Sequence[str] | None
) -> list[Cell]:
    """Return the cells of some Pythons and some versions of flytekit; None stands for all."""
    return [
        cell
        for cell in cells
        if (pythons is None or cell.python in pythons)
        and (flytekits is None or cell.flytekit in flytekits)
    ]


def fingerprint(cell: Cell, full: str) -> str:
    """Return a digest of what a cell's environment is made of."""
    return hashlib.sha256(full.encode() + cell.lock.read_bytes()).hexdigest()


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without traces of other Pythons or of a Perian."""
    traces = ("PYTHON", "VIRTUAL_ENV", "PERIAN_", "FLYTE_", "PYTEST_")
    return {name: value for name, value in environ.items() if not name.startswith(traces)}


def run(command: Command, log: Path, seconds: float) -> int:
    """Run a command in the checkout, add what it says to a file, and return its exit code.

    Raises:
        CellBrokenError: it did not end in time.
    """
    with log.open("a") as file:
        try:
            return subprocess.run(
                command,
                cwd=CHECKOUT,
                env=clean_environ(os.environ),
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise CellBrokenError(f"not done after {seconds:.0f} s, see {log}") from error


def reason(log: str) -> str:
    """Return the line of pip's output that says best why it failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR|error|fatal)\b", line)]
    return (errors or lines or ["nothing was said"])[-1][:LONGEST_REASON]


def excluded(cell: Cell, log: str) -> str:
    """Return which Pythons flytekit asks for if that is why pip refused it, else nothing."""
    found = re.search(rf"\b{re.escape(cell.flytekit)} Requires-Python ([^;\s]+)", log)
    return found[1] if found and "No matching distribution found for flytekit==" in log else ""


def environment(cell: Cell, program: Path, full: str, folder: Path) -> Environment:
    """Make a cell's environment if need be: everything that its lock pins.

    Raises:
        CellBrokenError: something could not be installed.
    """
    place, log, stamp = folder / "venv", folder / "install.log", folder / "made-of"
    python = place / "bin" / "python"
    wanted = fingerprint(cell, full)
    if stamp.is_file():
        made_of, _, excluded_by = stamp.read_text().partition("\n")
        if made_of == wanted:
            return Environment(python, full, excluded_by)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    excluded_by = ""
    step(log, program, CHECKOUT / "tools" / "make_venv.py", place)
    locked = ["--require-hashes", "-r", str(cell.lock)]
    try:
        install(python, log, *locked)
    except CellBrokenError:
        excluded_by = excluded(cell, log.read_text())
        if not excluded_by:
            raise
        install(python, log, *locked, "--ignore-requires-python")
    stamp.write_text(f"{wanted}\n{excluded_by}")
    return Environment(python, full, excluded_by)


def install(python: Path, log: Path, *arguments: str) -> None:
    """Install something into the environment of a Python.

    Raises:
        CellBrokenError: it could not be installed.
    """
    step(log, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def step(log: Path, *command: str | Path) -> None:
    """Run one step of an installation.

    Raises:
        CellBrokenError: it failed.
    """
    if run(command, log, INSTALL_SECONDS) != 0:
        raise CellBrokenError(f"{reason(log.read_text())} (all of it: {log})")


def verdict(cell: Cell, report: str, note: str) -> Outcome:
    """Return what pytest's report in JUnit's form says of a cell.

    Args:
        cell: the cell.
        report: the XML.
        note: what is to be said of its environment.
    """
    root = ET.fromstring(report)  # noqa: S314 - pytest has just written it
    suite = root if root.tag == "testsuite" else root[0]
    failed = tuple(
        f"{case.get('classname')}::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    )
    skipped = int(suite.get("skipped", "0"))
    passed = len(list(suite.iter("testcase"))) - len(failed) - skipped
    state = FAILED if failed or not passed else PASSED
    seconds = float(suite.get("time", "0"))
    return Outcome(cell, state, passed, failed, skipped, seconds, note)


def tested(
    cell: Cell, place: Environment, folder: Path, tests: Sequence[str], jobs: int
) -> Outcome:
    """Run the tests in a cell's environment.

    Raises:
        CellBrokenError: pytest did not get as far as a report.
    """
    report, log = folder / "report.xml", folder / "pytest.log"
    for old in (report, log):
        old.unlink(missing_ok=True)
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    spread = ["-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else []
    options = [*cell.leniency, *place.options(), *spread]
    code = run([place.python, *pytest, *options, *tests], log, TEST_SECONDS)
    if not report.is_file():
        raise CellBrokenError(f"pytest ended with {code} and without a report, see {log}")
    outcome = verdict(cell, report.read_text(), place.note)
    if code and outcome.state == PASSED:
        note = f"{place.note}: pytest ended with {code}, see {log}"
        return dataclasses.replace(outcome, state=FAILED, note=note)
    return outcome


def measure(cell: Cell, options: argparse.Namespace) -> Outcome:
    """Make a cell's environment, run the tests in it, and say what came of it."""
    found = interpreter(cell.python, os.environ)
    if found is None:
        return Outcome(cell, MISSING, note=f"no python{cell.python} on the PATH, none of pyenv's")
    program, full = found
    folder = options.cache.absolute() / cell.name
    if options.anew:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        place = environment(cell, program, full, folder)
        checkout = ["--no-deps", "--no-build-isolation", "-e", str(CHECKOUT)]
        install(place.python, folder / "install.log", *checkout)
    except CellBrokenError as error:
        return Outcome(cell, BROKEN, note=f"{full}: {error}")
    say(f"{cell.name}: installed, testing")
    try:
        return tested(cell, place, folder, options.tests, options.jobs)
    except CellBrokenError as error:
        return Outcome(cell, FAILED, note=f"{place.note}: {error}")


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the outcomes as a Markdown table, the tests that failed below it."""
    header = ["Python", "SDK", "", "passed", "failed", "skipped", "tests took", ""]
    outcomes = list(outcomes)
    lines = [header, ["---"] * len(header), *(outcome.row for outcome in outcomes)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
    for outcome in outcomes:
        if outcome.failed:
            text += f"\nFailed in {outcome.cell.name}:\n"
            text += "".join(f"- {test}\n" for test in outcome.failed)
    return text


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if some cell passed and none failed, else 1."""
    states = {outcome.state for outcome in outcomes}
    return 0 if PASSED in states and not states & {FAILED, BROKEN} else 1


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def listed(text: str) -> list[str]:
    """Read a list with commas."""
    return [part for part in text.split(",") if part]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    options = argparse.ArgumentParser("matrix", description=str(__doc__).partition("\n")[0])
    versions = ", ".join(flytekit_of(REQUIREMENTS / name) for name in LOCKS)
    add = options.add_argument
    add("tests", nargs="*", help="tests to run; default: what depends on Python or flytekit")
    add("--python", type=listed, help=f"some of {', '.join(PYTHONS)}; default all")
    add("--flytekit", "--version", type=listed, help=f"some of {versions}; default all")
    add("--sdk", choices=["flytekit", "flyte"], default="flytekit", help="default %(default)s")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="tests at once; default %(default)s")
    add("--cache", type=Path, default=CHECKOUT / ".matrix", help="folder of the environments")
    add("--anew", action="store_true", help="make the environments anew")
    return options


def main(arguments: Sequence[str]) -> int:
    """Test the cells that were asked for, print the table, and return a process exit code."""
    options = parser().parse_args(arguments)
    options.tests = options.tests or (TESTS if options.sdk == "flytekit" else FLYTE2_TESTS)
    cells = chosen(all_cells(options.sdk), options.python, options.flytekit)
    if not cells:
        known = ", ".join(cell.name for cell in all_cells(options.sdk))
        print(f"matrix: there is no such cell; there are {known}", file=sys.stderr)
        return 1
    outcomes = []
    for cell in cells:
        say(f"{cell.name}: begun")
        outcomes.append(measure(cell, options))
        say(f"{cell.name}: {outcomes[-1].state} {outcomes[-1].note}")
    print(table(outcomes), end="")
    return exit_code(outcomes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
