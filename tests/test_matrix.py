"""The matrix of Pythons and flytekits: which cells there are, and what is said of them."""

import os
import sys
from pathlib import Path

import interpreters
import matrix
import pytest
from matrix import BROKEN, FAILED, MISSING, PASSED, Cell, Environment, Outcome

CELL = Cell("3.13", "1.16.31", Path("dev.txt"))

REFUSED = """\
ERROR: Ignored the following versions that require a different python version: 1.16.3 \
Requires-Python <3.12,>=3.9; 1.16.31 Requires-Python <3.13,>=3.10; 1.9.1 Requires-Python <3.12
ERROR: No matching distribution found for flytekit==1.16.31
"""

REPORT = """\
<testsuites><testsuite errors="1" failures="1" skipped="1" tests="4" time="12.5">
<testcase classname="tests.a" name="good"/>
<testcase classname="tests.a" name="bad"><failure message="no"/></testcase>
<testcase classname="tests.b" name="broken"><error message="no"/></testcase>
<testcase classname="tests.b" name="elsewhere"><skipped message="no"/></testcase>
</testsuite></testsuites>
"""


def python_in(folder: Path, script: str, name: str = "python3.11") -> Path:
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_every_lock_makes_a_cell_with_every_python() -> None:
    cells = matrix.all_cells()
    assert len({cell.name for cell in cells}) == len(matrix.LOCKS) * len(matrix.PYTHONS)
    assert cells[0].flytekit.startswith("1.14.")


def test_cells_are_chosen_by_python_and_by_flytekit() -> None:
    [cell] = matrix.chosen(matrix.all_cells(), ["3.12"], ["1.14.9"])
    assert (cell.python, cell.flytekit, cell.lock.name) == ("3.12", "1.14.9", "flytekit-1.14.txt")


def test_a_cell_that_does_not_exist_is_an_error_that_names_those_that_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert matrix.main(["--flytekit", "0.1"]) == 1
    assert "python3.10-flytekit1.14.9" in capsys.readouterr().err


def test_a_python_is_found_on_the_path(tmp_path: Path) -> None:
    program = python_in(tmp_path, "echo 3.11.2")
    assert interpreters.interpreter("3.11", {"PATH": str(tmp_path)}) == (program, "3.11.2")


def test_a_python_on_the_path_that_does_not_run_gives_way_to_pyenvs_newest(tmp_path: Path) -> None:
    shims, versions = tmp_path / "shims", tmp_path / "root" / "versions"
    python_in(shims, "exit 127")
    python_in(versions / "3.11.9" / "bin", "echo 3.11.9")
    newest = python_in(versions / "3.11.10" / "bin", "echo 3.11.10")
    environ = {"PATH": str(shims), "PYENV_ROOT": str(tmp_path / "root")}
    assert interpreters.interpreter("3.11", environ) == (newest, "3.11.10")


def test_a_python_that_is_not_here_is_none(tmp_path: Path) -> None:
    assert interpreters.interpreter("3.11", {"PATH": str(tmp_path)}) is None


def test_a_program_of_another_version_is_not_taken(tmp_path: Path) -> None:
    python_in(tmp_path, "echo 3.1.1")
    assert interpreters.interpreter("3.11", {"PATH": str(tmp_path)}) is None


def test_the_pythons_that_flytekit_asks_for_are_read_from_pips_refusal() -> None:
    assert matrix.excluded(CELL, REFUSED) == "<3.13,>=3.10"


def test_another_failure_of_pip_is_no_exclusion() -> None:
    assert matrix.excluded(CELL, "ERROR: Could not install packages: disk full") == ""


def test_the_last_error_of_pip_is_the_reason() -> None:
    assert matrix.reason(REFUSED) == "ERROR: No matching distribution found for flytekit==1.16.31"


def test_tests_of_registration_are_left_out_where_flytekit_excludes_the_python() -> None:
    excluded = Environment(Path("python"), "3.13.0", "<3.13")
    assert [option.partition("=")[2] for option in excluded.options()] == [*matrix.NEED_PYFLYTE]
    assert "flytekit asks for Python <3.13" in excluded.note
    assert Environment(Path("python"), "3.12.1").options() == []


def test_what_the_matrix_runs_or_leaves_out_exists() -> None:
    paths = [*matrix.TESTS, *matrix.NEED_PYFLYTE]
    assert [path for path in paths if not (matrix.CHECKOUT / path).exists()] == []


def test_a_report_is_counted_and_its_failures_are_named() -> None:
    outcome = matrix.verdict(CELL, REPORT, "3.13.0")
    assert outcome.state == FAILED
    assert outcome.failed == ("tests.a::bad", "tests.b::broken")
    assert (outcome.passed, outcome.skipped, outcome.seconds) == (1, 1, 12.5)


def test_a_report_without_tests_is_a_failure() -> None:
    report = '<testsuites><testsuite skipped="0" time="0.1"/></testsuites>'
    assert matrix.verdict(CELL, report, "").state == FAILED


def test_the_table_has_a_line_for_every_cell_and_names_what_failed() -> None:
    outcomes = [
        Outcome(CELL, PASSED, 7, (), 1, 12.4, "3.13.0"),
        Outcome(CELL, FAILED, 6, ("tests.a::bad",), 1, 12.4, "3.13.0"),
        Outcome(CELL, MISSING, note="none of pyenv's"),
    ]
    lines = matrix.table(outcomes).splitlines()
    assert lines[2] == "| 3.13 | flytekit 1.16.31 | passed | 7 | 0 | 1 | 12 s | 3.13.0 |"
    assert (
        lines[4]
        == "| 3.13 | flytekit 1.16.31 | no such Python here | - | - | - | - | none of pyenv's |"
    )
    assert lines[-1] == "- tests.a::bad"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([PASSED], 0),
        ([PASSED, MISSING], 0),
        ([PASSED, FAILED], 1),
        ([PASSED, BROKEN], 1),
        ([MISSING], 1),
    ],
)
def test_exit_code_is_0_only_if_something_passed_and_nothing_failed(
    states: list[str], code: int
) -> None:
    assert matrix.exit_code([Outcome(CELL, state) for state in states]) == code


def test_a_cell_hears_nothing_of_other_pythons_or_of_a_perian() -> None:
    environ = {"PATH": "/bin", "PYTHONPATH": "/x", "VIRTUAL_ENV": "/x", "PERIAN_TOKEN": "secret"}
    assert matrix.clean_environ(environ) == {"PATH": "/bin"}


def test_an_environment_that_is_made_of_the_same_is_not_made_again(tmp_path: Path) -> None:
    version, lock = "3.11.7", tmp_path / "lock.txt"
    lock.write_text("flytekit==1\n")
    cell = Cell("3.11", "1", lock)
    (tmp_path / "made-of").write_text(f"{matrix.fingerprint(cell, version)}\n<3.13")
    made = matrix.environment(cell, Path(sys.executable), version, tmp_path)
    assert made == Environment(tmp_path / "venv" / "bin" / "python", version, "<3.13")


def test_a_failing_step_says_what_failed_and_where_all_of_it_is(tmp_path: Path) -> None:
    log = tmp_path / "install.log"
    with pytest.raises(matrix.CellBrokenError, match=r"ERROR: no wheel \(all of it: .*install"):
        matrix.step(log, "sh", "-c", "echo 'ERROR: no wheel'; exit 1")
    assert log.read_text() == "ERROR: no wheel\n"


def test_a_python_of_pyenvs_own_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    assert interpreters.pyenv_roots(os.environ) == []
