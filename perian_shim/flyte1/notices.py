"""Warnings about tasks that can be run, but most likely not as meant.

They are Python's own warnings, of the category ``PerianWarning``: ``warnings.filterwarnings`` or
``PYTHONWARNINGS`` silence them or make them errors. Each names the task, what is wrong and the form
that is right. They point to the first line of code outside flytekit and perian-shim.
"""

import sys
import warnings
from pathlib import Path

import flytekit

PACKAGES = tuple(
    f"{Path(file).parent}/" for file in (flytekit.__file__, Path(__file__).parent) if file
)
"""Folders whose lines are not where a user would look."""

_said: set[str] = set()


class PerianWarning(UserWarning):
    """Something about a task will most likely not do what its author means."""


def warn(text: str) -> None:
    """Warn, naming the line of the user's that leads here."""
    level, frame = 1, sys._getframe(0)  # noqa: SLF001 - as warnings.warn does it
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGES):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, PerianWarning, stacklevel=level)


def warn_once(kind: str, text: str) -> None:
    """Warn, but only once of each kind in a process."""
    if kind not in _said:
        _said.add(kind)
        warn(text)
