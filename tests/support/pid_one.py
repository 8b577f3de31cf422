"""Pods whose process is number 1 of a PID namespace, as in a real container."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.tools import require_tool
from support.waiting import LONG_SECONDS, wait_until

NAMESPACE = ("--pid", "--fork", "--mount-proc", "--kill-child")


def namespaced_bin(folder: Path, bin_dir: Path, entrypoint: Sequence[str] = ()) -> Path:
    """Return a folder whose ``pyflyte-execute`` runs the real one as process 1.

    Args:
        folder: to be made.
        bin_dir: where the real one is.
        entrypoint: what the image puts before the command.

    Without the right to make a namespace the calling test is skipped; with CI=true it fails.
    """
    unshare = require_tool("unshare")
    probe = subprocess.run(
        [unshare, *NAMESPACE, "true"], capture_output=True, check=False, timeout=LONG_SECONDS
    )
    if probe.returncode != 0:
        reason = f"cannot make a PID namespace (root can): {probe.stderr.decode().strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder.mkdir()
    script = folder / "pyflyte-execute"
    real = str(shutil.which("pyflyte-execute", path=str(bin_dir)))
    command = shlex.join([unshare, *NAMESPACE, *entrypoint, real])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
    return folder


def inner_process(outer: int) -> int:
    """Return the process that is number 1 inside, by its number out here."""
    children = Path(f"/proc/{outer}/task/{outer}/children")
    inner = int(wait_until(lambda: children.read_text().split(), LONG_SECONDS, "no child")[0])
    status = Path(f"/proc/{inner}/status").read_text()
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
    assert numbers[-1] == "1", f"process {inner} is not number 1 in its namespace: {numbers}"
    return inner
