"""A call of a task, and what runs one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Submission:
    """One call of a task.

    Attributes:
        task: the task.
        inputs: a serialized ``flyteidl2.task.Inputs``.
    """

    task: Any
    inputs: bytes

    @property
    def name(self) -> str:
        """The task's name."""
        return str(self.task.name)


Runner: TypeAlias = Callable[[Submission], Awaitable[bytes]]
"""Runs a task to its end and returns a serialized ``flyteidl2.task.Outputs``."""
