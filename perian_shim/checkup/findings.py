"""Findings, and how checks are made: side by side, each for a bounded time, and none in silence."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from perian_shim.api.errors import PerianError


class Status(str, Enum):
    """How things stand."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes:
        check: what was looked at.
        status: how it stands.
        text: what was found, in a line.
        remedy: what to do; empty if nothing is to be done.
    """

    check: str
    status: Status
    text: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {
            "check": self.check,
            "status": self.status.value,
            "text": self.text,
            "remedy": self.remedy,
        }


Findings: TypeAlias = Iterator[Finding]


def ok(check: str, text: str) -> Finding:
    """Return a finding that is well."""
    return Finding(check, Status.OK, text)


def warning(check: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that may be well."""
    return Finding(check, Status.WARNING, text, remedy)


def problem(check: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that is not."""
    return Finding(check, Status.PROBLEM, text, remedy)


def of_error(check: str, error: Exception) -> Finding:
    """Return the finding that an error is. What is none of ours may hold anything: it is named."""
    if isinstance(error, PerianError):
        return problem(check, error.message, error.remedy)
    if isinstance(error, OSError) and error.strerror:
        return problem(check, f"{type(error).__name__}: {error.strerror}")
    return problem(check, f"an error that was not expected: {type(error).__name__}")


def tried(check: str, act: Callable[[], Finding]) -> Finding:
    """Return what a check finds, or the error that it ends with."""
    try:
        return act()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is found
        return of_error(check, error)


@dataclass(frozen=True)
class Check:
    """A check that may take a while.

    Attributes:
        name: what is looked at.
        make: yields what is found.
    """

    name: str
    make: Callable[[], Iterable[Finding]]


@dataclass
class Running:
    """A check that has been started.

    Attributes:
        check: the check.
        found: what it has found so far.
        ended: whether it is through.
    """

    check: Check
    found: list[Finding] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Make the check."""
        try:
            for finding in self.check.make():
                self.found.append(finding)
        except Exception as error:  # noqa: BLE001 - as in ``tried``
            self.found.append(of_error(self.check.name, error))
        self.ended.set()


def made(checks: Iterable[Check], seconds: float) -> Findings:
    """Make checks side by side, and yield what they find, in their order.

    A check that has not ended in time is left alone: its thread ends with the process.

    Args:
        checks: what to do.
        seconds: how long all of it may take.
    """
    started = [Running(check) for check in checks]
    for each in started:
        threading.Thread(target=each.run, name=each.check.name, daemon=True).start()
    deadline = time.monotonic() + seconds
    for each in started:
        in_time = each.ended.wait(max(deadline - time.monotonic(), 0.0))
        yield from tuple(each.found)
        if not in_time:
            yield problem(
                each.check.name,
                f"no answer within {seconds:g} s",
                "Check the way there (DNS, proxy, egress rules), or raise --patience.",
            )
