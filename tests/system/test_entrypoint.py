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


def test_pyflyte_execute_is_run_with_its_own_name_and_arguments() -> None:
    ended = run("pyflyte-execute", "--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: pyflyte-execute")


def test_a_signal_that_comes_while_flytekit_loads_is_acted_upon_later(tmp_path: Path) -> None:
    package = tmp_path / "flytekit/bin"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "entrypoint.py").write_text(SLOW_FLYTEKIT)
    ended = run("/usr/bin/pyflyte-execute", "--x", PYTHONPATH=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["SIGTERM", "/usr/bin/pyflyte-execute", "--x"]


def test_handlers_are_there_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys, perian_shim.entrypoint\n"
        "print([m for m in ('flytekit', 'requests', 'boto3', 'importlib.metadata', 'asyncio')"
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
