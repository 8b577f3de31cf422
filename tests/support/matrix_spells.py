"""Spells, as cells of the fault matrix: a job that exists is denied for a while.

"Not allowed" and "no such job" are no news of a job that is known to exist.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from support.api_calls import EVERY, Call, Wanted
from support.api_faults import FORBIDDEN, NO_JOB, NOT_FOUND, UNAUTHORIZED, Spell
from support.cells import Lab
from support.front import Behaviour
from support.matrix_rows import SUCCESS, Row, unexpected, unless
from support.outcomes import Known, Outcome
from support.scenes import Scene, scene

SPEED = 30.0

SPELL_SECONDS = 90.0

LONG_OUTAGE_SECONDS, OUTAGE_SECONDS = 1800.0, 40.0
"""How long an outage is ridden out: by default, and where the spell is to last longer."""

ATTEMPTS = 4
"""How many attempts Flyte starts when all end with an error of the platform's."""

SEEN = frozenset({Call.READ, Call.LIST})

ANSWERS: dict[str, tuple[Behaviour, Wanted]] = {
    "401 to reads": (UNAUTHORIZED, Call.READ),
    "401 to reads and lists": (UNAUTHORIZED, SEEN),
    "401 to every call": (UNAUTHORIZED, EVERY),
    "403 to reads": (FORBIDDEN, Call.READ),
    "404 to reads": (NOT_FOUND, Call.READ),
    "400 no job to reads": (NO_JOB, Call.READ),
}


class Length(str, Enum):
    """How long it lasts."""

    BRIEF = f"for {SPELL_SECONDS:g} s"
    OUTAGE = "until the next attempt"
    TWO = "until the third attempt"
    FOREVER = "for ever"


@dataclass(frozen=True)
class SpellCell:
    """Calls about a job that is followed are answered so, for so long."""

    answer: str
    length: Length

    @property
    def name(self) -> str:
        """The cell's name."""
        return f"{self.answer} | {self.length.value}"

    def run(self, lab: Lab) -> Row:
        """Run the cell."""
        began = time.monotonic()
        otherwise, calls = ANSWERS[self.answer]
        brief = self.length is Length.BRIEF
        spell = Spell(otherwise, calls, SPELL_SECONDS if brief else None, armed=False)
        outage = str(LONG_OUTAGE_SECONDS if brief else OUTAGE_SECONDS)
        with scene(lab, spell, speed=SPEED, PERIAN_OUTAGE_SECONDS=outage) as node:
            self.play(node, spell)
            last = frozenset({ATTEMPTS - 1} if self.length is Length.FOREVER else ())
            outcome = node.outcome(Known(ended=last))
        return Row.of(self.name, began, outcome, self.surprises(outcome))

    def play(self, node: Scene, spell: Spell) -> None:
        """Run the node with Flyte's retries; the spell begins when its job is followed."""
        over = {Length.OUTAGE: 1, Length.TWO: 2}.get(self.length)

        def watch(number: int) -> None:
            spell.armed = spell.armed and number != over

        node.cluster.starting = watch
        ended = node.running()
        node.wait_for_calls(Call.READ, 2)
        spell.armed = True
        node.wait_for(lambda: spell.happened > 1, "the spell")
        if over is not None:
            node.wait_for(lambda: len(node.cluster.pods) > over, "another attempt")
        if self.length is not Length.FOREVER:
            node.let_go()
        ended.result()

    def surprises(self, outcome: Outcome) -> list[str]:
        """Return what is not as it has to end."""
        attempts = {Length.BRIEF: 1, Length.OUTAGE: 2, Length.TWO: 3}.get(self.length, ATTEMPTS)
        found = unless(len(outcome.attempts) == attempts, f"expected {attempts} attempts")
        if self.length is Length.FOREVER:  # nobody will wait for it
            codes = ("PERIAN:ApiUnavailable", "PERIAN:JobVanished")
            found += unless(outcome.final.startswith(codes), "expected an error that says so")
            return found + unless(outcome.statuses == ["Cancelled"], "expected it to be ended")
        return found + unexpected(outcome, SUCCESS, ["Done"])


def spell_cells() -> Iterator[SpellCell]:
    """Yield every answer for every time; what nobody can end in any way is left out."""
    for answer, length in itertools.product(ANSWERS, Length):
        if length is not Length.FOREVER or ANSWERS[answer][1] is not EVERY:
            yield SpellCell(answer, length)
