"""Waiting for what happens in other threads and processes: never for ever, and never silently."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

LONG_SECONDS = 60.0
"""Bound of waiting for what happens at once unless the test fails."""

TEST_SECONDS = 900.0
"""Bound of one test, and of setting up what it needs."""

PAUSE_SECONDS = 0.01


def on_this_machine(seconds: float) -> float:
    """Return how long may take here and now what elsewhere takes so long, with nothing else to do.

    Where many processes want few processors, it is as many times longer as they have to wait for
    one another; on a quiet machine it is the same.
    """
    last_minute, _, _, running, _ = Path("/proc/loadavg").read_text().split()
    wanted = max(float(last_minute), float(running.partition("/")[0]))
    return seconds * max(1.0, wanted / (os.cpu_count() or 1))


def wait_until(
    predicate: Callable[[], T | None], timeout: float, describe: str | Callable[[], str]
) -> T:
    """Ask again and again until the answer is true, and give that answer.

    Args:
        predicate: asked about every 10 ms.
        timeout: seconds of a quiet machine; generous, for they only pass when the test fails.
        describe: what is awaited, or a function that tells how things stand.

    Raises:
        AssertionError: it did not become true in time.
    """
    began = time.monotonic()
    while True:
        answer = predicate()
        if answer:
            return answer
        waited = time.monotonic() - began
        if waited > timeout and waited > on_this_machine(timeout):
            text = describe if isinstance(describe, str) else describe()
            raise AssertionError(f"not within {waited:.3g} s: {text}")
        time.sleep(PAUSE_SECONDS)


@contextmanager
def time_limit(what: str, seconds: float = TEST_SECONDS) -> Iterator[None]:
    """Fail what the main thread waits for when it takes this long: the net below all other bounds.

    Args:
        what: is being done.
        seconds: of a quiet machine.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        limit = on_this_machine(seconds)
        if (waited := time.monotonic() - began) < limit:
            signal.setitimer(signal.ITIMER_REAL, limit - waited)
            return
        raise AssertionError(f"{what}: not done within {waited:.0f} s")

    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def join_all(threads: Iterable[threading.Thread], timeout: float = LONG_SECONDS) -> None:
    """Wait for the end of threads.

    Raises:
        AssertionError: some have not ended in time.
    """
    deadline = time.monotonic() + timeout
    threads = list(threads)
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    left = [thread.name for thread in threads if thread.is_alive()]
    assert not left, f"threads have not ended within {timeout:g} s: {left}"
