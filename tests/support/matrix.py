"""The cells of the fault matrix, and what each of them has to end in.

Two kinds: a fault of one call of the API, in the situation in which that call is made; and a signal
to the pod at one stage of its run. Each is run to its end with Flyte's retries. Whatever the fault,
``Outcome.violations`` must be empty; what a cell expects beyond that is said where it is defined.
"""

import datetime
import itertools
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum

from support.api_calls import Call, requested
from support.api_faults import ACTED, Fault, Script
from support.api_front import FaultyApi
from support.cells import DETACHING, IMPATIENT, PLAIN, Lab, Outcome, WatchedCluster
from support.front import Behaviour, Exchange
from support.storage_front import StorageFront
from support.traps import Trap, When
from support.waiting import on_this_machine

from perian_shim.sandbox.server.application import Response

THROUGHOUT = 1_000_000
"""So often that it lasts until the attempt is over."""

TIMES = (1, 3, THROUGHOUT)
"""How often a fault happens before all is well."""

CANCELLED_WITHIN_SECONDS = 5.0
ENDED_WITHIN_SECONDS = 30.0

FOREVER_SECONDS = 3600.0

SUCCESS = "success"
TERMINATED = "PERIAN:Terminated SYSTEM recoverable"


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
        started = time.monotonic()
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
            outcome = lab.run(cluster, execution, task)
        problems = outcome.violations() + self.surprises(outcome)
        # A job that was created is found, one that was cancelled is seen to be: there is no second
        # call to go wrong.
        once = self.fault in ACTED and self.situation in {Situation.SUBMIT, Situation.ABORT}
        if trap is not None:
            problems += tardy(outcome, trap)
        if not (script.happened >= 1 if once or self.outage else script.happened == self.times):
            problems.append(f"the fault happened {script.happened} times")
        return Row(self.name, outcome, problems, time.monotonic() - started)

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
                return ["Cancelled"] * (2 if self.outage and acted else 1)
            case Situation.ABORT:  # what could not be cancelled is rejoined
                return ["Done"] if self.outage and not acted else ["Cancelled", "Done"]
            case Situation.FIND:
                return ["Done"] if self.outage else ["Cancelled", "Done"]
            case Situation.READ:
                return ["Done"]  # what cannot be seen is left to the next attempt
        return ["Done"]


class Stage(str, Enum):
    """Where in a run a signal comes."""

    LOADING = "loading the template"
    BEFORE_INTENT = "before the intent"
    AFTER_INTENT = "between intent and POST"
    POST_LOST = "during POST, not acted"
    POST_LATE = "during POST, acted late"
    POST_ACTED = "during POST, acted"
    BEFORE_RECORD = "after POST, before the record"
    POLLING = "polling"
    HARVESTING = "harvesting"
    WRITING = "writing outputs.pb"
    WRITTEN = "outputs.pb written"
    CANCELLING = "cancelling after SIGTERM"

    def trap(self, spring: Callable[[], None]) -> Trap:
        """Return the trap that springs at this stage."""
        launch = re.compile(r"^PUT .*/_perian/attempts/")
        result = re.compile(r"^GET .*/_perian/result\.json")
        outputs = re.compile(r"^PUT .*/outputs\.pb")
        template = re.compile(r"^GET .*/task\.pb")
        found: dict[Stage, tuple[Call | re.Pattern[str], When, int]] = {
            Stage.LOADING: (template, When.BEFORE, 1),
            Stage.BEFORE_INTENT: (launch, When.BEFORE, 1),
            Stage.AFTER_INTENT: (launch, When.AFTER, 1),
            Stage.POST_LOST: (Call.SUBMIT, When.BEFORE, 1),
            Stage.POST_LATE: (Call.SUBMIT, When.LATE, 1),
            Stage.POST_ACTED: (Call.SUBMIT, When.AFTER, 1),
            Stage.BEFORE_RECORD: (launch, When.BEFORE, 2),
            Stage.POLLING: (Call.READ, When.AFTER, 2),
            Stage.HARVESTING: (result, When.BEFORE, 1),
            Stage.WRITING: (outputs, When.BEFORE, 1),
            Stage.WRITTEN: (outputs, When.AFTER, 1),
            Stage.CANCELLING: (Call.CANCEL, When.AFTER, 1),
        }
        wanted, when, number = found[self]
        # While it loads, the pod may only note the signal: it has to get on to act upon it.
        return Trap(wanted, when, spring, number, drop=self is not Stage.LOADING)

    @property
    def job_exists(self) -> bool:
        """Whether a job has been or will be created at this stage."""
        return self not in {
            Stage.LOADING,
            Stage.BEFORE_INTENT,
            Stage.AFTER_INTENT,
            Stage.POST_LOST,
        }

    @property
    def job_ended(self) -> bool:
        """Whether the job is Done at this stage."""
        return self in {Stage.HARVESTING, Stage.WRITING, Stage.WRITTEN}

    @property
    def handled(self) -> bool:
        """Whether it is ours to report the signal; else the process just ends."""
        return self not in {Stage.LOADING, Stage.WRITING, Stage.WRITTEN}


class Blow(str, Enum):
    """What hits the pod."""

    TERM = "SIGTERM"
    DETACH = "SIGTERM, detach"
    KILL = "SIGKILL"


@dataclass(frozen=True)
class StageCell:
    """A signal at one stage of the first attempt, and Flyte's retry after it."""

    stage: Stage
    blow: Blow

    @property
    def name(self) -> str:
        """The cell's name."""
        return f"{self.blow.value} | {self.stage.value}"

    def run(self, lab: Lab) -> Row:
        """Run the cell."""
        started = time.monotonic()
        number = signal.SIGKILL if self.blow is Blow.KILL else signal.SIGTERM
        execution = lab.harness.execution()
        trap = self.stage.trap(lambda: cluster.signal(number))
        with ExitStack() as stack:
            api = stack.enter_context(FaultyApi(lab.harness.sandbox))
            front = StorageFront(lab.harness.sandbox.s3_endpoint, trap)
            cluster = lab.cluster(api, stack.enter_context(front))
            traps = [trap]
            if self.stage is Stage.CANCELLING:
                traps.append(Stage.POLLING.trap(lambda: cluster.signal(signal.SIGTERM)))
            api.meet_first(opening(lab, cluster, execution), *traps)
            if self.stage.job_ended:
                lab.gate.open(execution)
            task = DETACHING if self.blow is Blow.DETACH else PLAIN
            outcome = lab.run(cluster, execution, task)
        problems = outcome.violations() + self.surprises(outcome, trap)
        return Row(self.name, outcome, problems, time.monotonic() - started)

    def surprises(self, outcome: Outcome, trap: Trap) -> list[str]:
        """Return what is not as this signal at this stage has to end."""
        cancelled = self.blow is Blow.TERM and self.stage.job_exists and not self.stage.job_ended
        cancelled = cancelled or self.stage is Stage.CANCELLING
        found = unexpected(outcome, SUCCESS, ["Cancelled", "Done"] if cancelled else ["Done"])
        if trap.sprung is None:
            return [*found, "the stage was not reached"]
        first = outcome.endings[0]
        if first.attempt.outputs is not None:
            found.append("the attempt that got the signal succeeded")
        if self.blow is Blow.TERM and first.live:
            found.append(f"{first.live} jobs were live when the pod had ended")
        if self.blow is not Blow.KILL and self.stage.handled:
            error = first.attempt.error
            if error is None or error.code != "PERIAN:Terminated":
                found.append(f"the signal was reported as {error}")
        found += tardy(outcome, trap)
        if cancelled:
            found += slow(outcome, trap.sprung)
        return found


Cell = FaultCell | StageCell


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


def unexpected(outcome: Outcome, final: str, statuses: list[str]) -> list[str]:
    """Return in what an outcome differs from what is expected."""
    found = []
    if outcome.final != final:
        found.append(f"expected {final}")
    if [job.status for job in outcome.jobs] != statuses:
        found.append(f"expected jobs {statuses}, got {[job.status for job in outcome.jobs]}")
    return found


def opening(lab: Lab, cluster: WatchedCluster, execution: str) -> Behaviour:
    """Let jobs go when a second attempt follows one: until then, what is live stays live."""

    def behave(exchange: Exchange) -> Response | None:
        if requested(exchange.request) is Call.READ and len(cluster.pods) > 1:
            lab.gate.open(execution)
        return exchange.answer()

    return behave


def all_cells() -> Iterator[Cell]:
    """Yield every cell of the matrix."""
    for situation, fault, times in itertools.product(Situation, Fault, TIMES):
        yield FaultCell(situation, fault, times)
    for blow, stage in itertools.product(Blow, Stage):
        if blow is Blow.KILL or stage is not Stage.CANCELLING:
            yield StageCell(stage, blow)
