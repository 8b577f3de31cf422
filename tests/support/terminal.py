"""A command on a terminal of its own."""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from support.waiting import LONG_SECONDS, wait_until


class Terminal:
    """Runs a command on a terminal while entered.

    Args:
        *command: program and arguments.
        columns: how wide the terminal is.
        plain: it knows neither colours nor how to move the cursor.
        environ: the command's variables, this process's by default.
        folder: its working directory.
    """

    def __init__(
        self,
        *command: str,
        columns: int = 200,
        plain: bool = False,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.command = command
        kind = "dumb" if plain else "xterm-256color"
        size = {"COLUMNS": str(columns), "LINES": "50"}
        self.environ = {**(os.environ if environ is None else environ), "TERM": kind, **size}
        self.folder = folder
        self.printed = ""

    def __enter__(self) -> "Terminal":  # noqa: PYI034 - Self needs Python 3.11
        self._end, child = pty.openpty()
        self.process = subprocess.Popen(
            self.command,
            stdin=child,
            stdout=child,
            stderr=child,
            env=self.environ,
            cwd=self.folder,
            start_new_session=True,
        )
        os.close(child)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(LONG_SECONDS)
        os.close(self._end)

    def wait_for(self, text: str) -> None:
        """Wait until a text has been printed."""
        wait_until(lambda: text in self.read(), LONG_SECONDS, lambda: f"{text!r} in {self.printed}")

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._end, text.encode())

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self) -> int:
        """Wait for the command's end and return its exit code."""

        def ended() -> bool:
            self.read()  # a full terminal would hold it up
            return self.process.poll() is not None

        wait_until(ended, LONG_SECONDS, lambda: f"it ends: {self.printed}")
        self.read()
        return self.process.returncode

    def read(self) -> str:
        """Return all that has been printed so far."""
        while select.select([self._end], [], [], 0)[0]:
            try:
                piece = os.read(self._end, 1 << 16)
            except OSError:  # Linux's way to say that nobody has it open any more
                break
            if not piece:
                break
            self.printed += piece.decode(errors="replace")
        return self.printed
