"""Time and chance as everything here sees them: handed in, so that a test holds the clock."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Time, waiting and randomness.

    Durations are differences of ``monotonic`` of one process. Wall clocks of two machines are never
    compared: where the age of a job matters, the platform's own stamps are.

    Attributes:
        monotonic: seconds since some moment; never goes back.
        now: seconds since the epoch, for what people read.
        sleep: waits for so many seconds.
        chance: a random number in [0, 1).
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
