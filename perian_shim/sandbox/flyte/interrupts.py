"""Signals that end a run: Ctrl-C, and what ends a process from outside."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Protocol


class Endable(Protocol):
    """What can be ended, and ended hard; ``engine.Engine`` is one."""

    def abort(self) -> None:
        """End it in good order."""

    def kill(self) -> None:
        """End it at once."""


@contextlib.contextmanager
def ended_by_signals(engine: Endable, tell: Callable[[str], None]) -> Iterator[list[int]]:
    """End the run at a signal: the first one as deleting all pods does, the second one hard.

    Yields:
        The signals that came.
    """
    coming: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    received: list[int] = []

    def watch() -> None:
        # A signal's handler may interrupt whoever holds a lock; this thread may wait for it.
        while (number := coming.get()) is not None:
            received.append(number)
            if len(received) == 1:
                tell("ending: pods cancel their jobs (again to kill them)")
                engine.abort()
            else:
                engine.kill()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {
        number: signal.signal(number, lambda number, _frame: coming.put(number))
        for number in numbers
    }
    thread = threading.Thread(target=watch, name="signals", daemon=True)
    thread.start()
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        coming.put(None)
        thread.join()
