"""The real flytekitplugins-perian-job, with the last ``perian`` that it can import.

Both lie in a folder that no other process sees: with them ``import flytekit`` loads the plugin, and
the newest ``perian``, which other tests compare with, has not what it needs.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.waiting import LONG_SECONDS

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_FOLDERS = (Path(sys.prefix, "official"), _CHECKOUT / ".venv" / "official")


def official_folder() -> Path:
    """Return the folder that has the plugin."""
    if find_spec("flytekit.extend.backend.base_connector") is None:
        pytest.skip("this flytekit is older than the plugin's: it has agents, no connectors")
    for folder in _FOLDERS:
        if (folder / "flytekitplugins" / "perian_job").is_dir():
            return folder
    reason = "needs flytekitplugins-perian-job: `make check` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run_beside(program: Path, *arguments: str, plugin: bool) -> Any:
    """Run a program that prints JSON, and return that.

    Args:
        program: the file.
        arguments: its arguments.
        plugin: whether the plugin is installed where it runs.
    """
    folders = [str(program.parent), *([str(official_folder())] if plugin else [])]
    ran = subprocess.run(
        [sys.executable, str(program), *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(folders)},
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])
