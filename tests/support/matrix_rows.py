"""The rows of the fault matrix, and what they are held against beside the rules of an outcome."""

import datetime
import time
from dataclasses import dataclass
from typing import Protocol

from support.api_calls import Call, requested
from support.cells import Lab, WatchedCluster
from support.front import Behaviour, Exchange
from support.outcomes import Outcome
from support.traps import Trap
from support.waiting import on_this_machine

from perian_shim.sandbox.server.application import Response

CANCELLED_WITHIN_SECONDS = 5.0
ENDED_WITHIN_SECONDS = 30.0

SUCCESS = "success"
TERMINATED = "PERIAN:Terminated SYSTEM recoverable"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: of the cell.
        outcome: what became of it.
        problems: what broke a rule or an expectation; empty when all is well.
        seconds: how long it took.
    """

    name: str
    outcome: Outcome
    problems: list[str]
    seconds: float

    @classmethod
    def of(cls, name: str, began: float, outcome: Outcome, surprises: list[str]) -> "Row":
        """Judge an outcome: what breaks a rule, and what is not as this cell has to end."""
        problems = outcome.violations() + surprises
        return cls(name, outcome, problems, time.monotonic() - began)


class Cell(Protocol):
    """One situation in which a node is run."""

    @property
    def name(self) -> str:
        """What is printed of it."""
        ...

    def run(self, lab: Lab) -> Row:
        """Run the node to its end."""
        ...


def tardy(outcome: Outcome, trap: Trap) -> list[str]:
    """Return whether the pod outlived the trap by more than Kubernetes would let it."""
    if trap.sprung is None:
        return ["the trap did not spring"]
    took = (outcome.endings[0].at - trap.sprung).total_seconds()
    return (
        []
        if took < on_this_machine(ENDED_WITHIN_SECONDS)
        else [f"the pod ended after another {took:.0f} s"]
    )


def slow(outcome: Outcome, sprung: datetime.datetime) -> list[str]:
    """Return whether the first job outlived the signal by too much."""
    lived = (outcome.jobs[0].done - sprung).total_seconds()
    if lived <= on_this_machine(CANCELLED_WITHIN_SECONDS):
        return []
    return [f"the job was cancelled {lived:.1f} s after the signal"]


def unexpected(
    outcome: Outcome, final: str, statuses: list[str], *, in_order: bool = True
) -> list[str]:
    """Return in what an outcome differs from what is expected."""
    found = unless(outcome.final == final, f"expected {final}")
    seen, statuses = (
        (outcome.statuses, statuses) if in_order else (sorted(outcome.statuses), sorted(statuses))
    )
    return found + unless(seen == statuses, f"expected jobs {statuses}, got {outcome.statuses}")


def unless(good: bool, problem: str) -> list[str]:
    """Return a problem if something is not as it should be."""
    return [] if good else [problem]


def opening(lab: Lab, cluster: WatchedCluster, execution: str) -> Behaviour:
    """Let jobs go when a second attempt follows one: until then, what is live stays live."""

    def behave(exchange: Exchange) -> Response | None:
        if requested(exchange.request) is Call.READ and len(cluster.pods) > 1:
            lab.gate.open(execution)
        return exchange.answer()

    return behave
