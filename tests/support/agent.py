"""Runs a function task's agent as a platform would: its files alone in a read-only directory."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import interpreters
import pytest
from support.waiting import LONG_SECONDS
from support.wrapper import Ended

from perian_shim.job import AGENT_ASSETS, read_asset

PYTHON = str(Path(sys.executable))
"""With all that is installed for the tests."""

PLAIN = (str(Path(sys.executable).resolve()), "-I", "-S")

OLDEST = "3.6"


def python_of(version: str) -> str:
    """Return a Python for the agent: "" for the tests' own. Skips if there is none."""
    if not version:
        return PLAIN[0]
    found = interpreters.interpreter(version, os.environ)
    if found is None:
        pytest.skip(f"there is no Python {version} on this machine")
    return str(found[0])


TELLS_ENVIRONMENT = (
    "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"
)


@dataclass
class Agent:
    """The agent, and what its job is given."""

    root: Path
    python: str = PLAIN[0]
    environment: dict[str, str] = field(default_factory=dict)

    def give(self, **variables: str) -> None:
        self.environment |= variables

    def install(self) -> Path:
        """Write the agent's directory, read-only and without an executable bit."""
        directory = self.root / "perian-shim"
        if not directory.exists():
            directory.mkdir()
            for name in AGENT_ASSETS:
                (directory / name).write_bytes(read_asset(name))
                (directory / name).chmod(0o444)
            directory.chmod(0o555)
        return directory / "agent.py"

    def argv(self, *command: str) -> list[str]:
        return [self.python, "-I", "-S", str(self.install()), *command]

    def start(self, *command: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Start the agent; the caller waits for it."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/no/such/home",
            "PERIAN_SHIM_PAUSE": "0.05",
            **self.environment,
        }
        return subprocess.Popen(
            [*prefix, *self.argv(*command)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )

    def run(self, *command: str) -> Ended:
        """Run the agent to its end."""
        with self.start(*command) as process:
            return ended(process)

    def shell(self, script: str, *arguments: str) -> Ended:
        """Run a script as the command."""
        return self.run("/bin/sh", "-c", script, "sh", *arguments)

    def script(self, script: str) -> "subprocess.Popen[str]":
        """Start a script of Python as the command, with all that is installed for the tests."""
        return self.start(PYTHON, "-c", script)

    def telling(self) -> "Telling":
        """Start a command that tells its environment and then waits for the end of its input."""
        process = self.start(*PLAIN, "-c", TELLS_ENVIRONMENT)
        line = line_of(process)
        if not line:
            raise AssertionError(ended(process).err)
        return Telling(process, json.loads(line))


@dataclass(frozen=True)
class Telling:
    """A command that runs, and what its environment is."""

    process: "subprocess.Popen[str]"
    environment: Mapping[str, str]

    def __enter__(self) -> "Telling":  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()

    def end(self) -> Ended:
        """Let it end."""
        return ended(self.process)


def ended(process: "subprocess.Popen[str]") -> Ended:
    """Close a process's input and wait for its end."""
    try:
        out, err = process.communicate(timeout=LONG_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ended(process.returncode, out, err)


def line_of(process: "subprocess.Popen[str]") -> str:
    """Return the next line of a process."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: "subprocess.Popen[str]", line: str = "") -> str:
    """Send a line and return the one that is answered."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return line_of(process)
