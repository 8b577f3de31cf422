"""The first command of the README: the example workflow on an embedded Perian and S3."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.waiting import LONG_SECONDS

pytestmark = pytest.mark.slow


def test_the_demo_shows_what_its_jobs_have_computed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perian_shim.cli", "demo"]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=2 * LONG_SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "rows = 333" in ended.stdout
    assert "error_g = 392.16" in ended.stdout
