"""Signals: an abort must reach the job, at whatever moment it comes.

Flyte aborts a task by deleting its pod: the process gets SIGTERM and, usually 30 seconds later,
SIGKILL. On somebody's own machine it is Ctrl-C, a closed terminal (SIGHUP) or SIGQUIT. Python as
process 1 ignores SIGTERM unless it has a handler. Ours only notes the signal until somebody is
ready to clean up; from then on it raises ``Terminated`` wherever the main thread is, also within a
blocking call; what is torn apart by that, the list of jobs mends afterwards. Once raised, further
signals are ignored, so that cleaning up is not interrupted. ``Terminated`` is not an ``Exception``:
no library may take it for a fault of its own.

A run on another thread (a local ``@eager`` workflow) cannot have handlers. It is told when the main
thread ends, as it does after Ctrl-C, and the program waits for it to clean up.
"""

import atexit
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

EXIT_SECONDS = 30.0
"""How long a program that ends waits for its runs on other threads to clean up."""

Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None


class Terminated(BaseException):
    """This process was asked to end.

    Attributes:
        name: of the signal, or what else ended it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"ended by {name}")
        self.name = name


class Termination:
    """Turns signals into ``Terminated`` (main thread only; only that one may have handlers)."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Handler] = {}
        self._elsewhere = 0
        self._changed = threading.Condition()
        self._exiting = threading.Event()
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
            with self._told_at_exit():
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
        if on_main_thread():
            time.sleep(seconds)
        else:
            self._exiting.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise if a signal has been noted, again if need be.

        Raises:
            Terminated: one has, or the program ends.
        """
        if on_main_thread():
            if self._ready and self._noted:
                self._raised = True
                raise Terminated(self._noted)
        elif self._exiting.is_set() or not threading.main_thread().is_alive():
            name = "the end of the program"
            raise Terminated(name)

    @contextmanager
    def _told_at_exit(self) -> Iterator[None]:
        """Let a run on another thread know when the program ends, and the program wait for it."""
        with self._changed:
            self._elsewhere += 1
            if self._elsewhere == 1:
                atexit.register(self._wait_for_others)
        try:
            yield
        finally:
            with self._changed:
                self._elsewhere -= 1
                if not self._elsewhere:
                    atexit.unregister(self._wait_for_others)
                self._changed.notify_all()

    def _wait_for_others(self) -> None:
        self._exiting.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._elsewhere, EXIT_SECONDS)

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
