"""What the resolver container prints: redacted lines, and never a reason to fail.

A job's log may hold anything, a terminal's encoding may not; a run that is paid for must not end
because one of its lines could not be printed. On a terminal nothing of it is obeyed; a pod's log
gets it as the job printed it.
"""

import contextlib
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from perian_shim.api.redaction import Redactor, parts_of
from perian_shim.api.server_text import inert, printable

HURRIED_SECONDS = 0.5
"""How long a line may take to be printed when something waits for it."""


@dataclass
class Console:
    """Prints lines.

    Attributes:
        redact: takes confidential values out of text.
        hurried: whether no line may hold up what follows.
    """

    redact: Redactor = field(default_factory=lambda: Redactor(()))
    hurried: bool = field(default=False, init=False)

    def __call__(self, line: str) -> None:
        """Print a line."""
        if not self.hurried:
            self.show(line)
            return
        printing = threading.Thread(target=self.show, args=(line,), daemon=True)
        printing.start()
        printing.join(HURRIED_SECONDS)
        if printing.is_alive():  # nobody reads the pipe: the stuck line keeps the stream's lock
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - from now on

    def ours(self, text: str) -> None:
        """Print a line of ours."""
        self(f"[perian-shim] {text}")

    def hurry(self) -> None:
        """From now on give each line only a moment; when one is stuck, the rest is dropped."""
        self.hurried = True

    def show(self, line: str) -> None:
        """Print a line, however long that takes."""
        text = self.redact(printable(line))
        if is_terminal():
            text = self.redact(inert(text))  # what colours stood within is whole only now
        with contextlib.suppress(ValueError):  # closed: nobody is there to tell
            try:
                try:
                    print(text, flush=True)
                except UnicodeError:
                    print(text.encode("ascii", "backslashreplace").decode(), flush=True)
            except OSError:
                discard_output()


def is_terminal() -> bool:
    """Whether somebody's terminal shows what is printed."""
    try:
        return sys.stdout.isatty()
    except (ValueError, AttributeError):  # closed, or something else in its place
        return False


def discard_output() -> None:
    """Let nobody listen: what is still in the buffer would fail the process at its very end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def confidential_forms(values: list[str]) -> list[str]:
    """Return what must not be printed of confidential values: each one and its parts."""
    return sorted({part for value in values for part in (value, *parts_of(value))})
