"""Wrong clocks, as cells of the fault matrix: one attempt's is ahead, the next one's is behind."""

import itertools
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from support.api_calls import Call
from support.cells import BRIEF, IMPATIENT, PLAIN, WAITING, Lab
from support.in_pod import joined, skewed
from support.matrix_rows import SUCCESS, Row, unexpected
from support.outcomes import Known, Outcome
from support.scenes import Scene, scene
from support.traps import Trap, When

HOUR = 3600.0

AHEAD = {"1 h ahead": HOUR, "1 h behind": -HOUR}
"""By how much the first pod's clock is wrong; the next one's is as wrong the other way."""

QUEUED_SECONDS = 2.0


class Event(str, Enum):
    """What the pods have to get right with such clocks."""

    KILLED = "pod killed after POST"
    TIMEOUT = "timeout of 1 h, pod killed"
    TIMED_OUT = "timeout passed"
    QUEUE = "queue limit of 8 s, pod killed"
    QUEUED = "queue limit passed"

    @property
    def task(self) -> str:
        """The task that shows it."""
        return {
            Event.TIMED_OUT: BRIEF,
            Event.QUEUE: WAITING,
            Event.QUEUED: IMPATIENT,
        }.get(self, PLAIN)

    @property
    def queued_seconds(self) -> float:
        """How long the job waits for a machine."""
        return {Event.QUEUE: QUEUED_SECONDS, Event.QUEUED: HOUR}.get(self, 0.0)

    @property
    def end(self) -> tuple[str, str]:
        """The final state, and the job's status."""
        return {
            Event.TIMED_OUT: ("PERIAN:Timeout USER recoverable", "Timeout"),
            Event.QUEUED: ("PERIAN:QueuedTooLong USER recoverable", "Cancelled"),
        }.get(self, (SUCCESS, "Done"))


@dataclass(frozen=True)
class ClockCell:
    """Something happens to pods whose clocks are wrong."""

    ahead: str
    event: Event

    @property
    def name(self) -> str:
        """The cell's name."""
        return f"clock {self.ahead} | {self.event.value}"

    def run(self, lab: Lab) -> Row:
        """Run the cell."""
        began = time.monotonic()
        event = self.event
        with scene(lab, task=event.task, queued_seconds=event.queued_seconds) as node:
            right = node.cluster.environment

            def set_clock(number: int) -> None:
                ahead = AHEAD[self.ahead] * (-1) ** number
                node.cluster.environment = joined(right, skewed(ahead))

            node.cluster.starting = set_clock
            self.hit(node)
            ended = node.running()
            if event.end[0] == SUCCESS:
                node.wait_for(lambda: len(node.cluster.pods) > 1, "a second attempt")
                node.let_go()
            ended.result()
            late = frozenset({0} if event is Event.QUEUED else ())
            outcome = node.outcome(Known(ended=late))
        return Row.of(self.name, began, outcome, self.surprises(outcome))

    def hit(self, node: Scene) -> None:
        """Have the first pod killed, if it is."""
        if self.event.end[0] == SUCCESS:
            seen = (Call.SUBMIT, 1) if self.event is Event.KILLED else (Call.READ, 2)
            kill = lambda: node.cluster.signal(signal.SIGKILL)  # noqa: E731 - the pods come later
            node.api.meet_first(Trap(seen[0], When.AFTER, kill, seen[1]))

    def surprises(self, outcome: Outcome) -> list[str]:
        """Return what is not as it has to end."""
        final, status = self.event.end
        return unexpected(outcome, final, [status])


def clock_cells() -> Iterator[ClockCell]:
    """Yield everything that may happen with every clock."""
    for event, ahead in itertools.product(Event, AHEAD):
        yield ClockCell(ahead, event)
