"""The README's path is one that a newcomer can walk; what it shows is tried with all pages."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import image
import pytest
from support.pages import ROOT, blocks_of, examples_of, shown
from support.waiting import LONG_SECONDS, on_this_machine

PAGE = ROOT / "README.md"
README = PAGE.read_text()

HERE = README.split("## On your cluster")[0]
"""What needs nothing but a clone."""

FIVE_MINUTES = 300.0
"""What a newcomer is asked for at most, in seconds of a machine that does nothing else."""


def test_it_begins_with_two_commands() -> None:
    first = next(block for block in blocks_of(PAGE) if block.language == "bash")
    makefile = (ROOT / "Makefile").read_text()
    targets = [line.removeprefix("make ") for line in first.text.splitlines()]
    assert targets == ["demo", "test"]
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", README))
def test_every_link_to_a_file_of_ours_leads_there(target: str) -> None:
    assert (ROOT / target).is_file()


def test_the_version_shown_is_the_package_s() -> None:
    shown_versions = set(re.findall(r"perian-shim-executor:(\d[\d.]*\d)", README))
    assert shown_versions == {image.version()}


def newcomers_commands() -> list[str]:
    """Return the lines of the part that needs nothing but a clone; the tests may be left out."""
    lines = [
        line
        for block in blocks_of(PAGE)
        if block.language == "bash" and block.text in HERE
        for line in block.text.splitlines()
    ]
    return [line for line in lines if line != "make test"]


def test_a_newcomer_has_three_commands_to_type() -> None:
    assert len(newcomers_commands()) == 3


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout as somebody else gets it, with the file that the README shows."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(
        listed, cwd=ROOT, capture_output=True, check=True, text=True, timeout=LONG_SECONDS
    ).stdout
    folder = tmp_path / "perian-shim"
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for block in blocks_of(PAGE):
        if block.title:
            (folder / block.title).write_text(block.text)
    return folder


@pytest.mark.thorough
@pytest.mark.slow
def test_a_newcomer_has_run_a_workflow_of_their_own_within_five_minutes(clone: Path) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-e"],
        input="\n".join(newcomers_commands()),
        cwd=clone,
        # Compiled is what is imported: the install is shorter, the demo longer by less.
        env={**without_our_environment(), "HOME": str(clone.parent), "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=on_this_machine(FIVE_MINUTES),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (example,) = examples_of(PAGE)
    missing = [line for line in example.answer if not shown(line).search(ended.stdout)]
    assert missing == [], ended.stdout


def without_our_environment() -> dict[str, str]:
    """Return this process's variables, as they are without the tests' virtual environment."""
    names = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in names and not name.startswith(("PERIAN_", "FLYTE_", "AWS_", "PYTEST_"))
    }
    own = str(ROOT / ".venv")
    path = [each for each in variables["PATH"].split(os.pathsep) if not each.startswith(own)]
    return {**variables, "PATH": os.pathsep.join(path)}
