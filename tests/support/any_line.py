"""A signal at the n-th line that a run executes: also between two that no event can tell apart.

CPython raises what a handler raises between two instructions of the main thread. Here it is raised
at a line, or where a function returns, of the rooms that decide about a job.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from typing_extensions import Self

import perian_shim.lifecycle
from perian_shim.lifecycle.signals import Terminated

ROOMS = Path(perian_shim.lifecycle.__file__).parent
LEFT_OUT = {"clock.py", "console.py", "logs.py", "policies.py", "signals.py", "witness.py"}
"""What decides about no job."""

NOT_INTERRUPTED = {"beside", "interrupted"}
"""What runs on another thread, and what runs after a signal: no further one is raised there."""


@dataclass
class AnyLine:
    """Raises at one line, between ``begin`` and the end of the block.

    Attributes:
        number: of the line, counted from ``begin``; 0 for none.
        passed: how many have been passed.
        where: the line, "" if it was not reached.
    """

    number: int = 0
    passed: int = 0
    where: str = ""
    _on: bool = field(default=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def begin(self) -> None:
        """Count from now on, in the functions that run already too."""
        self._on = True
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            frame.f_trace = self.seen(frame, "call", None)
            frame = frame.f_back
        sys.settrace(self.seen)

    def end(self) -> None:
        """Count no more."""
        self._on = False
        sys.settrace(None)

    def seen(self, frame: FrameType, event: str, _arg: object) -> Any:
        """Take note of what runs, as ``sys.settrace`` has it."""
        path = Path(frame.f_code.co_filename)
        if not self._on or path.parent != ROOMS or path.name in LEFT_OUT:
            return None
        if event in {"line", "return"} and not is_beside(frame):
            self.passed += 1
            if self.passed == self.number:
                self.where = f"{path.name}:{frame.f_lineno} in {frame.f_code.co_name}, {event}"
                self.end()
                name = "SIGTERM"
                raise Terminated(name)
        return self.seen


def is_beside(frame: FrameType | None) -> bool:
    """Whether no signal is raised here."""
    while frame is not None:
        if frame.f_code.co_name in NOT_INTERRUPTED:
            return True
        frame = frame.f_back
    return False
