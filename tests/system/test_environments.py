"""Tasks of environments, as ``perian-shim run`` runs them: the same as those made by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import LONG_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "examples"


def run(folder: Path, *arguments: str | Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "perian_shim.cli", "run", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "_FSEC_MINE_KEY": "sesame"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * LONG_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_the_penguins_are_the_same_with_environments(tmp_path: Path) -> None:
    file, table = EXAMPLES / "penguins_environment.py", EXAMPLES / "data" / "penguins.csv"
    printed = run(tmp_path, file, "penguins", "--csv", table)
    assert "rows = 333" in printed
    assert "error_g = 392.16" in printed


def test_functions_containers_and_a_node_of_its_own(tmp_path: Path) -> None:
    file = TESTS / "support" / "functions" / "environments.py"
    printed = run(tmp_path, file, "all_of_them", "--n", "2")
    assert "o0 = 4" in printed
    assert "o1 = 4" in printed


def test_a_coroutine_function(tmp_path: Path) -> None:
    file = TESTS / "support" / "functions" / "environments.py"
    assert "o0 = 3" in run(tmp_path, file, "late", "--x", "3")
