"""Lists that lag, as cells of the fault matrix: a job is shown late that nobody has heard of."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from support.api_calls import Call
from support.api_faults import Fault, Script
from support.cells import FAST, Lab
from support.front import Behaviour
from support.listings import ListingLag
from support.matrix_rows import SUCCESS, Row, unexpected, unless
from support.matrix_stages import Blow, Stage
from support.outcomes import Known, Outcome, state_of
from support.scenes import Scene, scene
from support.traps import Trap, When
from support.waiting import LONG_SECONDS, wait_until

SPEEDS = {0.0: 1.0, 5.0: 5.0, 30.0: 10.0, 120.0: 15.0}
"""The lags in seconds, and how many of the API's seconds a real one has meanwhile."""

LOOKING_SPEED = 5.0

LOOKED_FOR_SECONDS = 15.0
"""How long a job that may exist is looked for before it is asked for again."""

TIMEOUT = "PERIAN_READ_TIMEOUT_SECONDS"

PATIENT = str(LONG_SECONDS)
"""Timeout of a call that is held until something else has happened."""


class Event(str, Enum):
    """What keeps the pod that follows the job from having heard of it."""

    LOST = "answer of POST lost"
    KILLED = "pod killed after POST"
    TERMINATED = "SIGTERM during POST"
    TWO = "two attempts at once"


@dataclass(frozen=True)
class LagCell:
    """Something happens while the list lags."""

    lag: float
    event: Event

    @property
    def name(self) -> str:
        """The cell's name."""
        return f"{self.event.value} | listed after {self.lag:g} s"

    @property
    def speed(self) -> float:
        """How many of the API's seconds a real one has."""
        looking = self.event is Event.TWO  # for a while, before the later one submits
        return max(SPEEDS[self.lag], LOOKING_SPEED if looking else 1.0)

    @property
    def known(self) -> Known:
        """What the pods can know. Two attempts that submit in the same moment know nothing."""
        double = self.event is Event.TWO or self.lag >= LOOKED_FOR_SECONDS
        ended = frozenset({0} if self.event is Event.TERMINATED else ())
        return Known(lag=self.lag, double=double, ended=ended)

    def run(self, lab: Lab) -> Row:
        """Run the cell."""
        began = time.monotonic()
        behaviours: list[Behaviour] = [ListingLag(self.lag)]
        if self.event is Event.LOST:
            behaviours.append(Script(Call.SUBMIT, Fault.RESET_AFTER, 1))
        patience = PATIENT if self.event is Event.TWO else FAST[TIMEOUT]
        with scene(
            lab, *behaviours, speed=self.speed, PERIAN_READ_TIMEOUT_SECONDS=patience
        ) as node:
            if self.event is Event.TWO:
                self.run_two(node)
            else:
                self.run_one(node)
            outcome = node.outcome(self.known)
        return Row.of(self.name, began, outcome, self.surprises(outcome, lab))

    def run_one(self, node: Scene) -> None:
        """Run the node with Flyte's retries."""
        if self.event is not Event.LOST:
            blow = Blow.KILL if self.event is Event.KILLED else Blow.TERM
            hit = Stage.POST_ACTED.trap(lambda: node.cluster.signal(blow.number))
            node.api.meet_first(hit)
        ended = node.running()
        node.let_go_when_settled(self.lag)
        ended.result()

    def run_two(self, node: Scene) -> None:
        """Run two attempts side by side that submit in the same moment."""

        def hold() -> None:
            wait_until(lambda: node.api.seen.count(Call.SUBMIT) > 1, LONG_SECONDS, "only one")

        node.api.meet_first(Trap(Call.SUBMIT, When.BEFORE, hold, drop=False))
        first = node.start(0)
        node.wait_for_calls(Call.SUBMIT, 1)
        second = node.start(1)
        node.wait_for_jobs(2)
        node.let_go_when_settled(self.lag)
        first.result()
        second.result()

    def surprises(self, outcome: Outcome, lab: Lab) -> list[str]:
        """Return what is not as it has to end."""
        cancelled = self.event in {Event.TERMINATED, Event.TWO}
        statuses = ["Cancelled", "Done"] if cancelled else ["Done"]
        if self.lag >= LOOKED_FOR_SECONDS:  # whether there are two depends on when it is looked
            statuses = outcome.statuses
        found = unexpected(outcome, SUCCESS, statuses, in_order=self.event is not Event.TWO)
        attempts = 1 if self.event is Event.LOST else 2
        found += unless(len(outcome.attempts) == attempts, f"expected {attempts} attempts")
        if self.event is Event.TWO:
            older = state_of(outcome.attempts[0])
            found += unless(older == lab.superseded, f"the older attempt ended in {older}")
        return found


def lag_cells() -> Iterator[LagCell]:
    """Yield everything that may happen with every lag."""
    for event, lag in itertools.product(Event, SPEEDS):
        yield LagCell(lag, event)
