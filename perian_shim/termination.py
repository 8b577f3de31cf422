"""SIGTERM and SIGINT: an abort must reach the job, at whatever moment it comes.

Flyte aborts a task by deleting its pod: the process gets SIGTERM and, usually 30 seconds later,
SIGKILL. Python as process 1 ignores SIGTERM unless it has a handler. Ours raises ``Terminated``
wherever the main thread is, also within a blocking call; what is torn apart by that, the list of
jobs mends afterwards. Once raised, further signals are ignored, so that cleaning up is not
interrupted. ``Terminated`` is no ``Exception``: no library may take it for a fault of its own.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Terminated(BaseException):
    """A signal asked this process to end.

    Attributes:
        name: of the signal.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"ended by {name}")
        self.name = name


class Termination:
    """Turns signals into ``Terminated`` while its context is entered (main thread only)."""

    def __init__(self) -> None:
        self._raised = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Install the handlers, and put back what was there."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may have handlers; a pod's executor is on it
            return
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._raised:
            self._raised = True
            raise Terminated(signal.Signals(number).name)
