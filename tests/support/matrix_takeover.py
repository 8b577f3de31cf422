"""Take-over, as cells of the fault matrix: an attempt's pod still lives when the next one starts.

The older pod has lost its node's connection, say, and is hit, or not, when the job is the next
attempt's already. Whatever happens to the older one, the job goes on.
"""

import itertools
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from support.api_calls import Call
from support.cells import Lab
from support.matrix_rows import SUCCESS, Row, unexpected, unless
from support.outcomes import KILLED, Known, Outcome, state_of
from support.scenes import Scene, scene
from support.traps import Hold, Trap, When
from support.zygote import signal_executor

BLOWS: tuple[signal.Signals | None, ...] = (
    *(signal.SIGTERM, signal.SIGHUP, signal.SIGKILL),
    None,
)
"""What hits the older pod."""


class Moment(str, Enum):
    """How far the next attempt has come then."""

    TAKEN = "has just taken over"
    FOLLOWING = "follows the job"


@dataclass(frozen=True)
class TakeoverCell:
    """An older attempt's pod is hit when the next one is there."""

    moment: Moment
    blow: signal.Signals | None

    @property
    def name(self) -> str:
        """The cell's name."""
        blow = "nothing" if self.blow is None else self.blow.name
        return f"{blow} to the older pod | next {self.moment.value}"

    def run(self, lab: Lab) -> Row:
        """Run the cell."""
        began = time.monotonic()
        hold = Hold()
        record = re.compile(r"^PUT .*/_perian/attempts/(0*1-|0*-0*1-)")  # attempt or generation
        trap = Trap(record, When.AFTER, hold.spring, drop=False)
        held = (trap,) if self.moment is Moment.TAKEN else ()
        with scene(lab, storage=held) as node:
            try:
                self.play(node, hold)
            finally:
                hold.free.set()
            outcome = node.outcome(Known())
        return Row.of(self.name, began, outcome, self.surprises(outcome, lab))

    def play(self, node: Scene, hold: Hold) -> None:
        """Run the two attempts."""
        older = node.start(0)
        node.wait_for_calls(Call.READ, 2)
        newer = node.start(1)
        if self.moment is Moment.TAKEN:
            hold.until_reached()
        else:
            node.wait_for_line("rejoining job")
        if self.blow is None:
            node.let_go()
        else:
            signal_executor(node.pods[0].process, self.blow, node.cluster.bin_dir)
        older.result()
        hold.free.set()
        node.let_go()
        newer.result()

    def surprises(self, outcome: Outcome, lab: Lab) -> list[str]:
        """Return what is not as it has to end."""
        older = state_of(outcome.attempts[0])
        expected = KILLED if self.blow is signal.SIGKILL else lab.superseded
        wrong = unless(older == expected, f"the older attempt ended in {older}")
        return [*unexpected(outcome, SUCCESS, ["Done"]), *wrong]


def takeover_cells() -> Iterator[TakeoverCell]:
    """Yield every blow at every moment."""
    for moment, blow in itertools.product(Moment, BLOWS):
        yield TakeoverCell(moment, blow)
