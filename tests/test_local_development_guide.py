"""The guide to local development: two terminals, with the lines that it shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.doors import BIN
from support.pages import DOCS, blocks_of
from support.waiting import LONG_SECONDS

PAGE = DOCS / "guides/local-development.md"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home, with the files of the page in it."""
    for block in blocks_of(PAGE):
        if block.title:
            (tmp_path / block.title).write_text(block.text)
    return tmp_path


def line_of(beginning: str) -> str:
    """Return the first line of the page that begins so."""
    found = re.search(rf"^{re.escape(beginning)}.*", PAGE.read_text(), re.MULTILINE)
    assert found is not None
    return found[0]


def variables_of(home: Path) -> dict[str, str]:
    """Return what a user's shell has."""
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home)}


@pytest.mark.thorough
@pytest.mark.slow
def test_one_terminal_serves_and_another_runs(home: Path) -> None:
    """Start the sandbox as shown, export what it prints, run the program as shown."""
    command = ["/bin/sh", "-ec", f"exec {line_of('perian-shim sandbox')}"]
    variables = variables_of(home)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as server:
        try:
            assert server.stdout is not None
            exports = "".join(iter(server.stdout.readline, "\n"))
            done = subprocess.run(
                ["/bin/sh", "-ec", f"{exports}\n{line_of('pyflyte run --raw')}"],
                cwd=home,
                env={**variables, "PERIAN_POLL_MIN_SECONDS": "0.2"},
                capture_output=True,
                timeout=5 * LONG_SECONDS,
                text=True,
                check=False,
            )
        finally:
            server.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("4")
    assert done.stdout.count("-> Done") == 1
    assert "image registry.example.org/team/score:1 was not pulled" in done.stdout
    assert f"the Python environment {sys.prefix} stand for every image" in exports
    assert server.returncode == 0
    state = home / ".local/state/perian-shim/sandbox"
    assert state.stat().st_mode & 0o777 == 0o700
