"""What the resolver container prints: redacted lines, and never a reason to fail.

A job's log may hold anything, a terminal's encoding may not; a run that is paid for must not end
because one of its lines could not be printed.
"""

import contextlib
import os
import sys
from dataclasses import dataclass, field

from perian_shim.api.wording import Redactor


@dataclass
class Console:
    """Prints lines.

    Attributes:
        redact: takes confidential values out of text.
    """

    redact: Redactor = field(default_factory=lambda: Redactor(()))

    def __call__(self, line: str) -> None:
        """Print a line."""
        text = self.redact(printable(line))
        with contextlib.suppress(ValueError):  # closed: nobody is there to tell
            try:
                try:
                    print(text, flush=True)
                except UnicodeError:
                    print(text.encode("ascii", "backslashreplace").decode(), flush=True)
            except OSError:
                discard_output()


def discard_output() -> None:
    """Let nobody listen: what is still in the buffer would fail the process at its very end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def printable(text: str) -> str:
    """Return text that can be encoded: lone surrogates, which JSON may hold, are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def confidential_forms(values: list[str]) -> list[str]:
    """Return the values and, of those with several lines, each line: logs are printed by line."""
    lines = [line.strip() for value in values if "\n" in value for line in value.splitlines()]
    return [*values, *(line for line in lines if len(line) >= 8)]  # noqa: PLR2004 - shorter ones are no secrets
