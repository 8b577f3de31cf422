"""The image's entrypoint runs what it is given and loses no signal meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import LONG_SECONDS

from perian_shim.entrypoint import SHARED_MEMORY, temporary_places

SLOW_FLYTEKIT = """\
import os, signal
os.kill(os.getpid(), signal.SIGTERM)
def execute_task_cmd(prog_name):
    from perian_shim.lifecycle.signals import TERMINATION, Terminated
    import sys
    try:
        with TERMINATION.handled():
            print("not heard")
    except Terminated as end:
        print(end.name, *sys.argv)
"""


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perian_shim.entrypoint", *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
        timeout=LONG_SECONDS,
    )


def test_without_a_command_it_says_how_it_is_used() -> None:
    ended = run()
    assert ended.returncode == 64
    assert "give a command" in ended.stderr


def test_another_command_takes_its_place() -> None:
    ended = run("sh", "-c", 'echo "$1"; exit 7', "sh", "two words")
    assert (ended.returncode, ended.stdout) == (7, "two words\n")


def test_a_command_that_does_not_exist_is_named() -> None:
    ended = run("no-such-program")
    assert ended.returncode == 127
    assert "no-such-program: No such file" in ended.stderr


def test_what_pyflyte_execute_is_asked_for_otherwise_it_does_itself(tmp_path: Path) -> None:
    program = tmp_path / "pyflyte-execute"
    program.write_text('#!/bin/sh\necho "$0" "$@"\n')
    program.chmod(0o755)
    ended = run("pyflyte-execute", "--help", PATH=f"{tmp_path}:{os.defpath}")
    assert ended.stdout.split() == [str(program), "--help"]


def test_an_image_without_it_says_which_image_has_it() -> None:
    ended = run("pyflyte-execute", "--help", PATH=os.defpath)
    assert ended.returncode == 127
    assert "--target flytekit" in ended.stderr


def test_an_executor_of_somebodys_own_is_run_by_flytekit() -> None:
    options = ["--inputs", "s3://b/in", "--output-prefix", "s3://b/0", "--test"]
    resolver = ["--resolver", "perian_shim.executor.template_resolver"]
    ended = run("pyflyte-execute", *options, *resolver, "--", "s3://b/task.pb", "acme.Executor")
    assert ended.returncode == 0, ended.stderr


def test_an_image_without_flytekit_says_which_image_has_it(tmp_path: Path) -> None:
    (tmp_path / "flytekit.py").write_text("raise ModuleNotFoundError('no flytekit')\n")
    resolver = ["--resolver", "perian_shim.executor.template_resolver"]
    ended = run("pyflyte-execute", *resolver, "--", "t", "a.B", PYTHONPATH=str(tmp_path))
    assert ended.returncode == 127
    assert "no flytekit" in ended.stderr
    assert "--target flytekit" in ended.stderr


def test_a_store_that_only_flytekit_reaches_is_left_to_flytekit(tmp_path: Path) -> None:
    (tmp_path / "flytekit.py").write_text("raise ModuleNotFoundError('no flytekit')\n")
    options = ["--inputs", "abfs://c/in", "--output-prefix", "abfs://c/0"]
    options += ["--raw-output-data-prefix", "abfs://c/raw"]
    options += ["--resolver", "perian_shim.executor.template_resolver"]
    task = ["abfs://c/task.pb", "perian_shim.executor.PerianExecutor"]
    ended = run("pyflyte-execute", *options, "--", *task, PYTHONPATH=str(tmp_path))
    assert ended.returncode == 127
    assert "other resolvers, executors and object stores" in ended.stderr


def test_a_signal_that_comes_while_flytekit_loads_is_acted_upon_later(tmp_path: Path) -> None:
    package = tmp_path / "flytekit/bin"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "entrypoint.py").write_text(SLOW_FLYTEKIT)
    ended = run("/usr/bin/pyflyte-execute", "perian_shim.x", PYTHONPATH=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["SIGTERM", "/usr/bin/pyflyte-execute", "perian_shim.x"]


def test_handlers_are_there_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys, perian_shim.entrypoint\n"
        "print([m for m in ('flytekit', 'http.client', 'flyteidl', 'importlib.metadata', 'asyncio')"
        " if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, check=True, timeout=LONG_SECONDS)
    assert ended.stdout.decode().strip() == "[]"


def test_temporary_files_stay_where_they_can_be_written(tmp_path: Path) -> None:
    assert temporary_places({"TMPDIR": str(tmp_path)}) == {}


def test_temporary_files_go_to_memory_where_nothing_else_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    places = temporary_places({})
    assert places == {"TMPDIR": SHARED_MEMORY, "HOME": SHARED_MEMORY}


def test_a_signal_to_another_command_is_that_commands_own() -> None:
    command = [sys.executable, "-m", "perian_shim.entrypoint", "sh", "-c", "echo ready; sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
