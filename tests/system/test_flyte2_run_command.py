"""``perian-shim run`` of files for Flyte 2, as processes: what is printed, left and returned."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.local_runs import start
from support.waiting import LONG_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

TESTS = Path(__file__).parents[1]
FILE = TESTS / "support" / "flyte2_functions" / "whole_run.py"
EXAMPLES = TESTS.parent / "examples"

RUN = [sys.executable, "-m", "perian_shim.cli", "run"]


def run(
    *arguments: str | Path, folder: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * LONG_SECONDS,
        check=False,
    )


def test_the_example_shows_what_its_jobs_have_computed(tmp_path: Path) -> None:
    file, table = EXAMPLES / "flyte2" / "penguins.py", EXAMPLES / "data" / "penguins.csv"
    ended = run(file, "penguins", "--csv", table, folder=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "o0 = 333" in ended.stdout
    assert "o3 = 392.16" in ended.stdout


def test_outputs_are_shown_and_files_are_saved(tmp_path: Path) -> None:
    secret = {"MY_KEY": "sesame"}
    saved = tmp_path / "saved"
    ended = run("--output-dir", saved, FILE, "total", "--n", "4", folder=tmp_path, variables=secret)
    assert ended.returncode == 0, ended.stdout
    assert "o0 = 10" in ended.stdout
    assert "o3 = 6 letters" in ended.stdout
    assert (saved / "o1").read_text() == "1\n2\n3\n4\n"
    assert (saved / "o2" / "a").read_text() == "a\n"


def test_a_failure_is_tried_again_and_told(tmp_path: Path) -> None:
    ended = run(FILE, "failing", "--n", "3", folder=tmp_path, variables={"MY_KEY": "x"})
    assert ended.returncode == 1, ended.stdout
    assert "a0 attempt 0 failed, another one follows" in ended.stdout
    assert "perian.fail: failed in" in ended.stdout
    assert "cannot pour 3 cups" in ended.stdout
    assert "task failing failed: a0 failed: [ValueError]" in ended.stdout


def test_tasks_side_by_side_have_secrets_of_their_own_which_are_not_shown(tmp_path: Path) -> None:
    variables = {"MY_KEY": "sesame", "MY_OTHER_KEY": "abracadabra"}
    ended = run(FILE, "beside", folder=tmp_path, variables=variables)
    assert ended.returncode == 0, ended.stdout
    assert "o0 = ['6 letters', '11 letters']" in ended.stdout
    assert "with the word open" in ended.stdout
    assert "abracadabra" not in ended.stdout


def test_what_runs_beside_a_task_that_fails_is_ended(tmp_path: Path) -> None:
    ended = run(FILE, "beside_broken", folder=tmp_path)
    assert ended.returncode == 1, ended.stdout
    assert "task beside_broken failed: a1 failed: [PERIAN:JobFailed] The cont" in ended.stdout
    assert "a0 slow: ended before it was done" in ended.stdout


def test_nothing_is_cached_from_one_run_to_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        ended = run(FILE, "cached", "--n", "2", folder=tmp_path, variables={"MY_KEY": "x"})
        assert ended.returncode == 0, ended.stdout
        assert "a0 perian.cached: succeeded" in ended.stdout


def test_a_file_that_imports_the_sdk_by_another_module_is_run(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(
        "import flyte\n"
        "from perian_shim.flyte2 import PerianConfig\n"
        "env = flyte.TaskEnvironment('base', image='x:1', plugin_config=PerianConfig(cores=1))\n"
    )
    (tmp_path / "top.py").write_text(
        "from base import env\n@env.task\ndef twice(n: int) -> int:\n    return 2 * n\n"
    )
    ended = run("top.py", "twice", "--n", "2", folder=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "o0 = 4" in ended.stdout


def test_a_workflow_of_flytekits_is_run_from_a_file_that_imports_only_flyte_2(
    tmp_path: Path,
) -> None:
    (tmp_path / "older.py").write_text(
        "from flytekit import task\n\n\n@task\ndef double(n: int) -> int:\n    return 2 * n\n"
    )
    file = tmp_path / "newer.py"
    file.write_text("import flyte\nfrom older import double\n\nenv = flyte.TaskEnvironment('e')\n")
    ended = run(file, "double", "--n", "2", folder=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "o0 = 4" in ended.stdout


def test_ctrl_c_ends_a_task_that_waits_for_no_pod(tmp_path: Path) -> None:
    running = start([*RUN, str(FILE), "thinking"], tmp_path, {})
    running.wait_for("thinking\n")
    running.send(signal.SIGINT)
    assert running.end() == 128 + signal.SIGINT, running.text


def test_ctrl_c_ends_the_jobs(tmp_path: Path) -> None:
    running = start([*RUN, str(FILE), "long"], tmp_path, {})
    running.wait_for("begun")
    running.send(signal.SIGINT)
    assert running.end() == 128 + signal.SIGINT, running.text
    assert "PERIAN:Terminated" in running.text
    assert "a0 slow: ended before it was done" in running.text


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((FILE,), 2, "name what to run. It has tasks: count, slow, broken, add_up"),
        ((FILE, "nothing"), 2, "no 'nothing' in it. It has tasks: count"),
        ((FILE, "total", "--m", "3"), 2, "total: No such option '--m'"),
        ((FILE, "total", "--n", "x"), 2, "total: Invalid value for '--n'"),
        ((FILE, "failing"), 2, "failing: Missing option '--n'"),
        ((FILE, "when", "--late", "2h"), 2, "an input of when cannot be read"),
        ((FILE, "when", "--order", '{"cups": "no"}'), 2, "an input of when is not of its type"),
        ((FILE, "add_up", "--table", "/nowhere"), 2, "'--table': there is no /nowhere"),
        ((FILE, "total", "--help"), 0, "Count, and add up."),
        ((FILE, "count", "--help"), 0, "A container."),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_starts(
    arguments: tuple[str | Path, ...], code: int, told: str, tmp_path: Path
) -> None:
    ended = run(*arguments, folder=tmp_path)
    assert ended.returncode == code
    assert told in ended.stdout
    assert "sandbox:" not in ended.stdout
