"""SIGTERM and SIGINT: an abort must reach the job, at whatever moment it comes.

Flyte aborts a task by deleting its pod: the process gets SIGTERM and, usually 30 seconds later,
SIGKILL. Python as process 1 ignores SIGTERM unless it has a handler. Ours only notes the signal
until somebody is ready to clean up; from then on it raises ``Terminated`` wherever the main thread
is, also within a blocking call; what is torn apart by that, the list of jobs mends afterwards. Once
raised, further signals are ignored, so that cleaning up is not interrupted. ``Terminated`` is no
``Exception``: no library may take it for a fault of its own.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

SIGNALS = (signal.SIGTERM, signal.SIGINT)

Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None


class Terminated(BaseException):
    """A signal asked this process to end.

    Attributes:
        name: of the signal.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"ended by {name}")
        self.name = name


class Termination:
    """Turns signals into ``Terminated`` (main thread only; only that one may have handlers)."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Handler] = {}
        self._forget()

    def _forget(self) -> None:
        self._before.clear()
        self._noted: str | None = None
        self._ready = False
        self._raised = False

    def note(self) -> None:
        """Install the handlers: from now on signals are noted.

        Repeatable, and to be repeated when somebody may have put a handler of their own in between.
        """
        if on_main_thread():
            for number in SIGNALS:
                before = signal.signal(number, self._on_signal)
                self._before.setdefault(number, before)

    def release(self) -> None:
        """Raise from now on, and at once if a signal has been noted.

        Raises:
            Terminated: one has.
        """
        if on_main_thread():
            self._ready = True
            self._raise()

    @contextmanager
    def handled(self, *, at_once: bool = True) -> Iterator[None]:
        """Handle signals, and in the end put back what was there before the first ``note``.

        Args:
            at_once: whether they are raised from the beginning, or after ``release``.
        """
        if not on_main_thread():
            yield
            return
        self.note()
        try:
            if at_once:
                self.release()
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._forget()  # there may be another run in this process

    def sleep(self, seconds: float) -> None:
        """Wait; raise also what has been raised before and was lost.

        CPython discards what is raised within a finalizer, and a signal may come within one.

        Raises:
            Terminated: a signal has been noted.
        """
        self.check()
        time.sleep(seconds)
        self.check()

    def check(self) -> None:
        """Raise if a signal has been noted, again if need be.

        Raises:
            Terminated: one has.
        """
        if self._ready and self._noted and on_main_thread():
            self._raised = True
            raise Terminated(self._noted)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._noted = self._noted or signal.Signals(number).name
        self._raise()

    def _raise(self) -> None:
        if self._ready and self._noted and not self._raised:
            self._raised = True
            raise Terminated(self._noted)


def on_main_thread() -> bool:
    """Whether this is the thread that has the handlers."""
    return threading.current_thread() is threading.main_thread()


TERMINATION = Termination()
"""This process's."""
