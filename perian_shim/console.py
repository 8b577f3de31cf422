"""What the resolver container prints: redacted lines, and never a reason to fail.

A job's log may hold anything, a terminal's encoding may not; a run that is paid for must not end
because one of its lines could not be printed.
"""

import contextlib
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
        with contextlib.suppress(OSError, ValueError):  # closed or full: nobody is there to tell
            try:
                print(text, flush=True)
            except UnicodeError:
                print(text.encode("ascii", "backslashreplace").decode(), flush=True)


def printable(text: str) -> str:
    """Return text that can be encoded: lone surrogates, which JSON may hold, are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def confidential_forms(values: list[str]) -> list[str]:
    """Return the values and, of those with several lines, each line: logs are printed by line."""
    lines = [line.strip() for value in values if "\n" in value for line in value.splitlines()]
    return [*values, *(line for line in lines if len(line) >= 8)]  # noqa: PLR2004 - shorter ones are no secrets
