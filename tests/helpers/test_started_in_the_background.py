"""Tests end, and hear signals, however they are started: from a background job, with nohup."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import LONG_SECONDS, on_this_machine

ROOT = Path(__file__).parent.parent.parent

SIGNALS = "tests/job/test_signals.py::test_a_request_to_stop_ends_the_command[dash-{}]"
SELECTION = [
    *(SIGNALS.format(name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")),
    "tests/lifecycle/test_signals.py",
    "tests/sandbox/test_restart.py::test_a_job_that_ran_through_a_restart_can_be_cancelled",
    "tests/system/test_entrypoint.py::test_a_signal_to_another_command_is_that_commands_own",
    "tests/system/test_bad_input.py::test_a_missing_secret_is_named",
]
"""Tests that send signals, and that start a sandbox and a pod."""

IGNORED = "trap '' INT QUIT HUP TERM PIPE; exec \"$@\""
"""What ``nohup`` and ``&`` make a process ignore, and more."""


@pytest.mark.slow
def test_a_selection_of_the_tests_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SELECTION]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with subprocess.Popen(
        ["sh", "-c", IGNORED, "sh", *command, f"--basetemp={tmp_path / 'inner'}"],
        cwd=ROOT,
        env=kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            printed, _ = shell.communicate(timeout=on_this_machine(5 * LONG_SECONDS))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, printed
