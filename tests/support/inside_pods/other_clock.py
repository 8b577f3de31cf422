"""In a pod: a clock that is wrong, or time that passes faster.

``CLOCK_SKEW_SECONDS`` is by how much the wall clock is ahead. ``CLOCK_SPEED`` is how many seconds
pass in a real one, on the wall clock since ``CLOCK_SINCE`` (seconds since the epoch), in pauses and
on the monotonic clock. Timeouts of sockets are real time: the other side answers in real time too.
"""

import datetime
import os
import time
from collections.abc import Callable

SKEW = float(os.environ.get("CLOCK_SKEW_SECONDS") or 0)
SPEED = float(os.environ.get("CLOCK_SPEED") or 1)
SINCE = float(os.environ.get("CLOCK_SINCE") or time.time())

real_time = time.time
real_monotonic = time.monotonic
real_sleep = time.sleep
real_gmtime = time.gmtime
real_localtime = time.localtime
real_datetime = datetime.datetime
real_date = datetime.date
STARTED = real_monotonic()


def wall() -> float:
    """``time.time``."""
    return SINCE + (real_time() - SINCE) * SPEED + SKEW


def wall_ns() -> int:
    """``time.time_ns``."""
    return int(wall() * 1e9)


def monotonic() -> float:
    """``time.monotonic``."""
    return STARTED + (real_monotonic() - STARTED) * SPEED


def sleep(seconds: float) -> None:
    """``time.sleep``."""
    real_sleep(seconds / SPEED)


def gmtime(seconds: float | None = None) -> time.struct_time:
    """``time.gmtime``."""
    return real_gmtime(wall() if seconds is None else seconds)


def localtime(seconds: float | None = None) -> time.struct_time:
    """``time.localtime``."""
    return real_localtime(wall() if seconds is None else seconds)


class Builtin:
    """A function that stays one as an attribute of a class, as those written in C do."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function

    def __call__(self, *arguments: object) -> object:
        return self.function(*arguments)


class AlsoReal(type):
    """What is made by C code is an instance of these classes too."""

    def __instancecheck__(cls, instance: object) -> bool:
        real = STANDS_FOR.get(cls)
        return isinstance(instance, real) if real else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        real = STANDS_FOR.get(cls)
        return issubclass(subclass, real) if real else super().__subclasscheck__(subclass)


class Datetime(real_datetime, metaclass=AlsoReal):
    """``datetime.datetime``."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Datetime":
        return cls.fromtimestamp(wall(), tz)

    @classmethod
    def utcnow(cls) -> "Datetime":
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)

    @classmethod
    def today(cls) -> "Datetime":
        return cls.now()


class Date(real_date, metaclass=AlsoReal):
    """``datetime.date``."""

    @classmethod
    def today(cls) -> "Date":
        return cls.fromtimestamp(wall())


STANDS_FOR: dict[type, type] = {Datetime: real_datetime, Date: real_date}


def install() -> None:
    """Put this clock in the place of the real one, before anything has got hold of that."""
    for function in (monotonic, sleep, gmtime, localtime):
        setattr(time, function.__name__, Builtin(function))
    setattr(time, real_time.__name__, Builtin(wall))
    setattr(time, time.time_ns.__name__, Builtin(wall_ns))
    setattr(datetime, real_datetime.__name__, Datetime)
    setattr(datetime, real_date.__name__, Date)
