"""The cells of the fault matrix, and what each of them has to end in.

Here are the faults of one call of the API, in the situation in which that call is made, and the
list of all cells. Each is run to its end with Flyte's retries. Whatever happens,
``Outcome.violations`` must be empty; what a cell expects beyond that is said where it is defined.
"""

import itertools
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from support.api_calls import Call
from support.api_faults import ACTED, Fault, Script
from support.api_front import FaultyApi
from support.cells import IMPATIENT, PLAIN, Lab, WatchedCluster
from support.matrix_clocks import clock_cells
from support.matrix_lag import lag_cells
from support.matrix_rows import SUCCESS, Cell, Row, opening, tardy, unexpected
from support.matrix_spells import spell_cells
from support.matrix_stages import stage_cells
from support.matrix_takeover import takeover_cells
from support.outcomes import Outcome
from support.traps import Trap, When

THROUGHOUT = 1_000_000
"""So often that it lasts until the attempt is over."""

TIMES = (1, 3, THROUGHOUT)
"""How often a fault happens before all is well."""

FOREVER_SECONDS = 3600.0


class Situation(str, Enum):
    """When a call is made."""

    SUBMIT = "POST /job"
    READ = "GET /job/{id}"
    LIST = "GET /job, after a lost answer"
    ADOPT = "GET /job/{id}, on retry"
    FIND = "GET /job, on SIGTERM"
    QUEUED = "PATCH cancel, queued"
    ABORT = "PATCH cancel, SIGTERM"

    @property
    def call(self) -> Call:
        """The call."""
        return next(call for call in Call if self.value.partition(",")[0] == call.value)


@dataclass(frozen=True)
class FaultCell:
    """A fault of one call, so many times."""

    situation: Situation
    fault: Fault
    times: int

    @property
    def name(self) -> str:
        """The cell's name."""
        often = "throughout" if self.outage else f"x{self.times}"
        return f"{self.situation.value} | {self.fault.value} {often}"

    @property
    def outage(self) -> bool:
        """Whether the attempt cannot outlast the fault."""
        return self.times == THROUGHOUT

    @property
    def struck(self) -> int:
        """Number of the attempt that meets the fault."""
        return 1 if self.situation is Situation.ADOPT else 0

    def run(self, lab: Lab) -> Row:
        """Run the cell."""
        began = time.monotonic()
        script = Script(self.situation.call, self.fault, self.times)
        execution = lab.harness.execution()
        queued = FOREVER_SECONDS if self.situation is Situation.QUEUED else 0.0
        lost = Script(Call.SUBMIT, Fault.RESET_AFTER, int(self.situation is Situation.LIST))
        with FaultyApi(lab.harness.sandbox, script, lost, queued_seconds=queued) as api:
            cluster = lab.cluster(api)
            if self.outage:
                hurry = {"PERIAN_OUTAGE_SECONDS": "1", "PERIAN_GRACE_SECONDS": "10"}
                cluster.environment = {**cluster.environment, **hurry}
            trap = self.trap(cluster)
            api.meet_first(opening(lab, cluster, execution), *([trap] if trap else []))
            if trap is None and not (self.outage and self.situation is Situation.READ):
                lab.gate.open(execution)

            def arm(number: int) -> None:
                script.armed = number == self.struck

            cluster.starting = arm
            task = IMPATIENT if self.situation is Situation.QUEUED else PLAIN
            outcome = lab.run(cluster, execution, task, self.ended)
        problems = self.surprises(outcome)
        # A job that was created is found, one that was cancelled is seen to be: there is no second
        # call to go wrong.
        changing = {Situation.SUBMIT, Situation.QUEUED, Situation.ABORT}
        once = self.fault in ACTED and self.situation in changing
        if trap is not None:
            problems += tardy(outcome, trap)
        if not (script.happened >= 1 if once or self.outage else script.happened == self.times):
            problems.append(f"the fault happened {script.happened} times")
        return Row.of(self.name, began, outcome, problems)

    @property
    def ended(self) -> frozenset[int]:
        """Numbers of the attempts that are to end their job."""
        if self.situation is Situation.QUEUED:  # it waits for too long
            return frozenset({0, 1})
        aborted = self.situation in {Situation.ABORT, Situation.FIND}
        return frozenset({0} if aborted else ())

    def trap(self, cluster: WatchedCluster) -> Trap | None:
        """Return what brings the situation about."""
        match self.situation:
            case Situation.ADOPT:
                return Trap(Call.READ, When.AFTER, lambda: cluster.signal(signal.SIGKILL), 2)
            case Situation.ABORT:
                return Trap(Call.READ, When.AFTER, lambda: cluster.signal(signal.SIGTERM), 2)
            case Situation.FIND:
                return Trap(Call.SUBMIT, When.AFTER, lambda: cluster.signal(signal.SIGTERM))
        return None

    def surprises(self, outcome: Outcome) -> list[str]:
        """Return what is not as this situation has to end."""
        final = SUCCESS
        if self.situation is Situation.QUEUED:
            final = "PERIAN:QueuedTooLong USER recoverable"
        return unexpected(outcome, final, self.expected_jobs())

    def expected_jobs(self) -> list[str]:
        """Return how the jobs end."""
        acted = self.fault in ACTED
        match self.situation:
            case Situation.QUEUED:
                return ["Cancelled"]
            case Situation.ABORT:  # what could not be cancelled is rejoined
                return ["Done"] if self.outage and not acted else ["Cancelled", "Done"]
            case Situation.FIND:
                return ["Done"] if self.outage else ["Cancelled", "Done"]
            case Situation.READ:
                return ["Done"]  # what cannot be seen is left to the next attempt
        return ["Done"]


def fault_cells() -> Iterator[FaultCell]:
    """Yield every fault of every call."""
    for situation, fault, times in itertools.product(Situation, Fault, TIMES):
        yield FaultCell(situation, fault, times)


def all_cells() -> Iterator[Cell]:
    """Yield every cell of the matrix."""
    yield from fault_cells()
    yield from stage_cells()
    yield from lag_cells()
    yield from clock_cells()
    yield from takeover_cells()
    yield from spell_cells()
