"""Waiting for what happens in other processes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.01


def wait_until(predicate: Callable[[], T], timeout: float, describe: str | Callable[[], str]) -> T:
    """Ask again and again until the answer is true, and give that answer.

    Args:
        predicate: asked about every 10 ms.
        timeout: seconds; generous, for it is only waited for when the test fails.
        describe: what is awaited, or a function that tells how things stand.

    Raises:
        AssertionError: it did not become true in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            text = describe if isinstance(describe, str) else describe()
            raise AssertionError(f"not within {timeout:g} s: {text}")
        time.sleep(PAUSE_SECONDS)
