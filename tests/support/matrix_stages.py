"""Signals to the pod at every stage of its run, as cells of the fault matrix."""

import itertools
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum

from support.api_calls import Call
from support.api_front import FaultyApi
from support.cells import DETACHING, PLAIN, Lab
from support.matrix_rows import SUCCESS, Row, opening, slow, tardy, unexpected
from support.outcomes import Outcome
from support.storage_front import StorageFront
from support.traps import Trap, When


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
    HANGUP = "SIGHUP"
    KILL = "SIGKILL"
    INTERRUPT = "SIGINT"
    QUIT = "SIGQUIT"

    @property
    def number(self) -> signal.Signals:
        """The signal."""
        return signal.Signals[self.value.partition(",")[0]]

    @property
    def ends_job(self) -> bool:
        """Whether the job is to end."""
        return self not in {Blow.DETACH, Blow.KILL}


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
        began = time.monotonic()
        execution = lab.harness.execution()
        trap = self.stage.trap(lambda: cluster.signal(self.blow.number))
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
            asked = self.blow.ends_job or self.stage is Stage.CANCELLING
            outcome = lab.run(cluster, execution, task, frozenset({0} if asked else ()))
        return Row.of(self.name, began, outcome, self.surprises(outcome, trap))

    def surprises(self, outcome: Outcome, trap: Trap) -> list[str]:
        """Return what is not as this signal at this stage has to end."""
        cancelled = self.blow.ends_job and self.stage.job_exists and not self.stage.job_ended
        cancelled = cancelled or self.stage is Stage.CANCELLING
        found = unexpected(outcome, SUCCESS, ["Cancelled", "Done"] if cancelled else ["Done"])
        if trap.sprung is None:
            return [*found, "the stage was not reached"]
        first = outcome.endings[0]
        if first.attempt.outputs is not None:
            found.append("the attempt that got the signal succeeded")
        if self.blow.ends_job and first.live:
            found.append(f"{first.live} jobs were live when the pod had ended")
        if self.blow is not Blow.KILL and self.stage.handled:
            error = first.attempt.error
            if error is None or error.code != "PERIAN:Terminated":
                found.append(f"the signal was reported as {error}")
        found += tardy(outcome, trap)
        if cancelled:
            found += slow(outcome, trap.sprung)
        return found


def stage_cells() -> Iterator[StageCell]:
    """Yield every signal at every stage; those that are like others at one stage."""
    for blow, stage in itertools.product(Blow, Stage):
        alike = blow in {Blow.INTERRUPT, Blow.QUIT} and stage is not Stage.POLLING
        if not alike and (blow is Blow.KILL or stage is not Stage.CANCELLING):
            yield StageCell(stage, blow)
