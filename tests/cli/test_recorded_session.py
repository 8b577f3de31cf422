"""What ``docs/commands.md`` shows is what the commands print.

``pytest tests/cli/test_recorded_session.py --record`` runs the commands of the page and writes what
they print into it.
"""

from pathlib import Path

import pytest
from support.doors import BIN
from support.recorded_page import Recorded, commands, comparable, with_outputs
from support.recorded_session import WIDTH, session
from support.terminal import Terminal

from perian_shim.cli.app import COMMANDS

pytestmark = pytest.mark.thorough

PAGE = Path(__file__).parents[2] / "docs/commands.md"

DEMO = "perian-shim demo"


def in_session(page: str, home: Path) -> dict[str, str]:
    """Run all commands of a page but the demo, in order, and return what they print."""
    (program,) = page.split("```python\n")[1:]
    typed = [each.command for each in commands(page) if each.command != DEMO]
    with session(home) as terminal:
        (terminal.folder / "train.py").write_text(program.split("```")[0])
        return {command: terminal.type(command) for command in typed}


def demo(home: Path) -> dict[str, str]:
    """Run the demo."""
    environ = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home)}
    with Terminal(
        "/bin/sh", "-c", DEMO, columns=WIDTH, plain=True, environ=environ, folder=home
    ) as terminal:
        assert terminal.wait() == 0, terminal.printed
    return {DEMO: terminal.printed.replace("\r\n", "\n").strip("\n")}


def compare(printed: dict[str, str], page: Path, *, record: bool) -> None:
    """Compare what was printed with what a page shows, or write it there."""
    text = page.read_text()
    if record:

        def output_of(each: Recorded) -> str:
            return printed.get(each.command, each.output)

        page.write_text(with_outputs(text, output_of))
        return
    for each in commands(text):
        if each.command in printed:
            told = [each.command, *comparable(each.output)]
            assert [each.command, *comparable(printed[each.command])] == told


def test_every_command_is_on_the_page_once_typed_in_one_way() -> None:
    typed = [each.command for each in commands(PAGE.read_text())]
    assert len(set(typed)) == len(typed)
    assert {words.split()[1] for words in typed if words.startswith("perian-shim")} == set(COMMANDS)


@pytest.mark.slow
def test_the_commands_print_what_the_page_shows(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    printed = in_session(PAGE.read_text(), tmp_path)
    compare(printed, PAGE, record=request.config.getoption("--record"))


@pytest.mark.slow
def test_the_demo_prints_what_the_page_shows(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    compare(demo(tmp_path), PAGE, record=request.config.getoption("--record"))
