"""What the documentation shows can be pasted: each block is run, or says why it is not."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from support.doors import BIN
from support.pages import DOCS, ROOT, Block, Example, blocks_of, examples_of, shown
from support.waiting import LONG_SECONDS

from perian_shim import settings
from perian_shim.cli.app import COMMANDS, program

TESTED_ELSEWHERE = {
    "commands.md": "tests/cli/test_recorded_session.py",
    "guides/console.md": "tests/test_console_guide.py",
    "guides/costs.md": "tests/test_costs_guide.py",
    "guides/data-access.md": "tests/test_docs.py",
    "guides/environments.md": "tests/test_environments_guide.py",
    "guides/flyte2.md": "tests/test_flyte2_guide.py",
    "guides/jobs.md": "tests/test_jobs_guide.py",
    "guides/platform-rules.md": "tests/test_platform_rules_guide.py",
}
"""Pages whose blocks have a test module of their own."""

PAGES = [
    ROOT / "README.md",
    *(
        page
        for page in sorted(DOCS.rglob("*.md"))
        if str(page.relative_to(DOCS)) not in TESTED_ELSEWHERE
    ),
]
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
EXAMPLES = [example for page in PAGES for example in examples_of(page)]
SHELL = [block for block in BLOCKS if block.language == "bash"]
LANGUAGES = {"python", "bash", "yaml", "json", "text", "console", "dockerfile", "toml"}

ENVIRONMENT = {"PATH": f"{BIN}:/usr/bin:/bin", "COLUMNS": "100"}


def named(block: Block) -> str:
    return block.name


def functions_of(file: Path) -> list[str]:
    """Return the tests that a program consists of."""
    return re.findall(r"^def (test_\w+)\(\)", file.read_text(), re.MULTILINE)


def shows_a_failure(example: Example) -> bool:
    """Whether the command is shown for how it fails."""
    answer = "\n".join(example.answer)
    return "PERIAN:" in answer and "succeeded" not in answer


def files_of(page: Path, folder: Path) -> None:
    """Save the files that a page shows."""
    for block in blocks_of(page):
        if block.title and not block.reason:
            (folder / block.title).write_text(block.text)


def test_pages_that_are_tested_elsewhere_are() -> None:
    for page, module in TESTED_ELSEWHERE.items():
        assert (DOCS / page).is_file() == (ROOT / module).is_file()


def test_every_block_has_a_language_that_is_looked_at() -> None:
    fences = sum(page.read_text().count("```") for page in PAGES)
    assert fences == 2 * len(BLOCKS)
    assert {block.language for block in BLOCKS} <= LANGUAGES


@pytest.mark.parametrize("block", PYTHON, ids=named)
def test_every_program_is_python(block: Block) -> None:
    ast.parse(block.text, block.name)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({b.page for b in PYTHON}), ids=lambda page: page.stem)
def test_every_program_can_be_loaded(page: Path, tmp_path: Path) -> None:
    """In a process of its own, as files are when tasks are registered."""
    files_of(page, tmp_path)
    names = []
    for block in blocks_of(page):
        if block.language == "python" and not block.reason:
            names.append(Path(block.title).stem if block.title else f"program_{block.number}")
            (tmp_path / f"{names[-1]}.py").write_text(block.text)
    tests = [f"{name}.{test}()" for name in names for test in functions_of(tmp_path / f"{name}.py")]
    program = "; ".join([f"import {', '.join(names)}", *tests])
    ended = subprocess.run(
        [BIN / "python", "-W", "ignore", "-c", program],
        cwd=tmp_path,
        env={**ENVIRONMENT, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * LONG_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda each: f"{each.page.stem}-{each.command.split()[2]}"
)
def test_every_run_shown_prints_what_is_shown(example: Example, tmp_path: Path) -> None:
    files_of(example.page, tmp_path)
    ended = subprocess.run(
        ["/bin/sh", "-c", example.command],
        cwd=tmp_path,
        env={**ENVIRONMENT, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * LONG_SECONDS,
    )
    printed = ended.stdout + ended.stderr
    missing = [line for line in example.answer if not shown(line).search(printed)]
    assert missing == [], printed
    assert ended.returncode == int(shows_a_failure(example)), printed


@pytest.mark.parametrize("block", SHELL, ids=named)
def test_every_command_is_shell(block: Block) -> None:
    checked = subprocess.run(  # bounded: a shell that only reads
        ["/bin/bash", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert checked.stderr == ""


@pytest.mark.parametrize("block", SHELL, ids=named)
def test_every_command_of_ours_is_one_with_these_options(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["perian-shim"] and words[1:2] != ["--version"]:
            assert words[1] in COMMANDS
            options = {word.partition("=")[0] for word in words if word.startswith("--")}
            if words[1] != "run":  # whose options may be a workflow's inputs
                told = CliRunner().invoke(program, [words[1], "--help"]).output
                assert {option for option in options if option not in told} == set(), line
        elif words[:1] == ["make"] and len(words) > 1:
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "yaml"], ids=named)
def test_every_yaml_can_be_read(block: Block) -> None:
    assert all(isinstance(part, dict | list) for part in yaml.safe_load_all(block.text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_variable_named_exists(page: Path) -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "perian_shim").rglob("*.py"))
    known = {*settings.SETTINGS, *settings.MARKERS}
    for name in set(re.findall(r"\bPERIAN_[A-Z0-9_]+\b", page.read_text())):
        assert name in known or re.search(rf"\b{name}\b", source), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_code_named_exists(page: Path) -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "perian_shim").rglob("*.py"))
    for code in set(re.findall(r"`(PERIAN:[A-Z]\w+)`", page.read_text())):
        assert f'"{code}"' in source, code
