"""Warnings about tasks that can be run, but most likely not as meant.

They are Python's own warnings, of the category ``PerianWarning``: ``warnings.filterwarnings`` or
``PYTHONWARNINGS`` silence them or make them errors. Each names the task, what is wrong and the form
that is right. They point to the first line of code outside perian-shim and Flyte's SDKs.
"""

import warnings

from perian_shim.pyflyte import users_frame

_said: set[str] = set()


class PerianWarning(UserWarning):
    """Something about a task will most likely not do what its author means."""


def warn(text: str) -> None:
    """Warn, naming the line of the user's that leads here."""
    level, _ = users_frame()
    warnings.warn(text, PerianWarning, stacklevel=level + 1)


def warn_once(kind: str, text: str) -> None:
    """Warn, but only once of each kind in a process."""
    if kind not in _said:
        _said.add(kind)
        warn(text)
