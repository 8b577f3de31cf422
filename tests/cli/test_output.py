"""How commands print: on a terminal, to a file, for programs; and what shells are told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Printed
from support.terminal import Terminal
from support.waiting import LONG_SECONDS

from perian_shim.cli import app, main
from perian_shim.cli.output import Column, Styled, show, show_facts

COMMAND = Path(sys.executable).with_name("perian-shim")

COLUMNS = (Column("JOB", keep=True), Column("PRICE", right=True), Column("WHAT"))

ROWS = [("j1", "1.50", Styled("runs", "green")), ("job-2", None, "a\x1b[2J\nb")]

PROGRAM = f"""
from perian_shim.cli.output import *
show_table(({COLUMNS!r}), {ROWS!r})
"""


def on_a_terminal(*command: str, columns: int = 80) -> str:
    """Run a command on a terminal and return what it printed there."""
    with Terminal(*command, columns=columns) as terminal:
        assert terminal.wait() == 0, terminal.printed
        return terminal.printed


def test_a_table_to_a_file_is_plain_lines(capsys: Printed) -> None:
    show("table", ROWS, columns=COLUMNS, row=lambda row: row, name=lambda row: str(row[0]))
    assert capsys.readouterr().out.splitlines() == [
        "JOB    PRICE  WHAT",
        "j1      1.50  runs",
        r"job-2      -  a\x1b[2J b",
    ]


def test_a_table_on_a_terminal_has_colours_and_obeys_nothing_else() -> None:
    printed = on_a_terminal(sys.executable, "-c", PROGRAM)
    assert "\x1b[32mruns" in printed
    assert r"a\x1b[2J b" in printed
    assert "\x1b[2J" not in printed


def test_what_people_copy_is_whole_on_a_narrow_terminal() -> None:
    printed = on_a_terminal(sys.executable, "-c", PROGRAM, columns=12)
    assert "job-2" in printed


WIDE = f"""
from perian_shim.cli.output import *
columns = (Column("JOB", keep=True), Column("WHY"), Column("COST", right=True))
show_table(columns, [("{"j" * 20}", "{"because " * 5}", "1.50 EUR")])
"""


def test_what_explains_is_shortened_if_the_table_then_fits() -> None:
    printed = on_a_terminal(sys.executable, "-c", WIDE, columns=50)
    _, row = printed.splitlines()
    assert row == f"{'j' * 20}  because because b…  1.50 EUR"


def test_a_table_that_cannot_fit_loses_nothing() -> None:
    printed = on_a_terminal(sys.executable, "-c", WIDE, columns=30)
    _, row = printed.splitlines()
    assert row == f"{'j' * 20}  {'because ' * 5} 1.50 EUR"


def test_names_are_one_a_line(capsys: Printed) -> None:
    show("name", ["a", "b\nc"], columns=(), row=lambda _: (), name=str)
    assert capsys.readouterr().out == "a\nb c\n"


def test_json_holds_no_character_that_a_terminal_obeys(capsys: Printed) -> None:
    show("json", [{"a": "\x9b2J\u202e"}], columns=(), row=lambda _: (), name=str)
    assert capsys.readouterr().out.isascii()


def test_facts_that_are_not_known_are_left_out(capsys: Printed) -> None:
    show_facts([("job", "j1"), ("owner", None), ("status", Styled("Done", "dim"))])
    assert capsys.readouterr().out == "job     j1\nstatus  Done\n"


@pytest.mark.parametrize("name", ["jobs", "job", "logs", "cancel", "completion"])
def test_each_command_tells_its_options_with_examples(name: str, capsys: Printed) -> None:
    assert main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "Examples:" in printed
    assert f"perian-shim {name}" in printed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str, capsys: Printed) -> None:
    assert main(["completion", shell]) == 0
    assert "_PERIAN_SHIM_COMPLETE" in capsys.readouterr().out


def test_a_shell_completes_commands() -> None:
    asked = {
        "_PERIAN_SHIM_COMPLETE": "bash_complete",
        "COMP_WORDS": "perian-shim ",
        "COMP_CWORD": "1",
    }
    ended = subprocess.run(
        [COMMAND],
        capture_output=True,
        check=True,
        env={**os.environ, **asked},
        text=True,
        timeout=LONG_SECONDS,
    )
    assert ended.stdout.split() == [f"plain,{name}" for name in app.COMMANDS]
