"""Runs without a backend: ``pyflyte run`` and programs of the user's own, as processes."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.waiting import LONG_SECONDS, wait_until

BIN = Path(sys.executable).parent


@dataclass
class LocalRun:
    """A process of somebody's own machine, and what it prints."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line)

    @property
    def text(self) -> str:
        return "".join([*self.lines])

    def wait_for(self, words: str) -> None:
        """Wait until it has printed these words."""
        wait_until(lambda: words in self.text, LONG_SECONDS, lambda: f"{words!r} in {self.text}")

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(LONG_SECONDS)
        self._reader.join(LONG_SECONDS)
        return code

    def send(self, number: int) -> None:
        self.process.send_signal(number)


def start(command: list[str], folder: Path, environment: Mapping[str, str]) -> LocalRun:
    """Start a program in a folder of its own, with a session of its own.

    Signals are heard however the tests were started, see ``support.signals``.
    """
    variables = {
        "PATH": os.pathsep.join([str(BIN), os.defpath]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        **environment,
    }
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    return LocalRun(process)
