"""Whatever happens to the API, the network or the pod: one job, none left behind, the right end.

A selection of the fault matrix (`make faults` runs all of it), what two pods of one node do to each
other in between, and the signals of a real PID namespace.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flytekit.models.literals import LiteralMap
from support import matrix_clocks as clocks
from support import matrix_lag as lag
from support.api_calls import Call
from support.api_faults import Fault
from support.api_front import FaultyApi
from support.cells import DETACHING, PLAIN, Lab, WatchedCluster
from support.doors import BIN
from support.matrix import THROUGHOUT, FaultCell, Situation
from support.matrix_clocks import ClockCell
from support.matrix_lag import LagCell
from support.matrix_rows import CANCELLED_WITHIN_SECONDS, SUCCESS, Cell
from support.matrix_spells import Length, SpellCell
from support.matrix_stages import Blow, Stage, StageCell
from support.matrix_takeover import Moment, TakeoverCell
from support.outcomes import SUPERSEDED, Known, now, state_of
from support.pid_one import inner_process, namespaced_bin
from support.scenes import scene
from support.storage_front import StorageFront
from support.traps import Hold, Trap, When
from support.waiting import LONG_SECONDS, on_this_machine, wait_until

from perian_shim.sandbox.flyte.cluster import Attempt

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors, pytest.mark.thorough]

ENTRYPOINT = (sys.executable, "-m", "perian_shim.entrypoint")
"""What the executor image puts before the command."""

FAULTS = [
    FaultCell(Situation.SUBMIT, Fault.BROKEN, 3),
    FaultCell(Situation.SUBMIT, Fault.REFUSED, 3),
    FaultCell(Situation.SUBMIT, Fault.RESET_AFTER, 1),
    FaultCell(Situation.READ, Fault.HTML, 3),
    FaultCell(Situation.READ, Fault.RESET, THROUGHOUT),
    FaultCell(Situation.LIST, Fault.HALF, 1),
    FaultCell(Situation.ADOPT, Fault.REFUSED, 3),
    FaultCell(Situation.QUEUED, Fault.RESET_AFTER, THROUGHOUT),
    FaultCell(Situation.ABORT, Fault.RESET, 3),
    FaultCell(Situation.FIND, Fault.HTML, 3),
]

STAGES = [
    StageCell(Stage.LOADING, Blow.TERM),
    StageCell(Stage.BEFORE_INTENT, Blow.TERM),
    StageCell(Stage.AFTER_INTENT, Blow.TERM),
    StageCell(Stage.POST_LATE, Blow.TERM),
    StageCell(Stage.POST_ACTED, Blow.TERM),
    StageCell(Stage.HARVESTING, Blow.TERM),
    StageCell(Stage.WRITING, Blow.TERM),
    StageCell(Stage.POST_ACTED, Blow.DETACH),
    StageCell(Stage.POLLING, Blow.DETACH),
    StageCell(Stage.POLLING, Blow.HANGUP),
    StageCell(Stage.POST_LATE, Blow.KILL),
    StageCell(Stage.BEFORE_RECORD, Blow.KILL),
    StageCell(Stage.WRITING, Blow.KILL),
    StageCell(Stage.CANCELLING, Blow.KILL),
]

SCENES = [
    LagCell(30, lag.Event.LOST),
    LagCell(120, lag.Event.KILLED),
    LagCell(5, lag.Event.TERMINATED),
    LagCell(5, lag.Event.TWO),
    ClockCell("1 h ahead", clocks.Event.KILLED),
    ClockCell("1 h behind", clocks.Event.QUEUE),
    TakeoverCell(Moment.TAKEN, signal.SIGTERM),
    TakeoverCell(Moment.FOLLOWING, signal.SIGHUP),
    TakeoverCell(Moment.FOLLOWING, None),
    SpellCell("401 to reads", Length.BRIEF),
    SpellCell("400 no job to reads", Length.OUTAGE),
    SpellCell("404 to reads", Length.FOREVER),
]


@pytest.mark.parametrize("cell", [*FAULTS, *STAGES, *SCENES], ids=lambda cell: cell.name)
def test_a_fault_costs_no_second_job_and_leaves_none_behind(cell: Cell, lab: Lab) -> None:
    row = cell.run(lab)
    assert not row.problems, f"{row.problems}\n{row.outcome.log}"


def test_a_retry_that_looks_finds_what_the_attempt_before_submits_meanwhile(lab: Lab) -> None:
    hold = Hold()
    with scene(lab, speed=5, PERIAN_READ_TIMEOUT_SECONDS=str(LONG_SECONDS)) as node:
        node.api.meet_first(Trap(Call.SUBMIT, When.BEFORE, hold.spring, drop=False))
        older = node.start(0)
        hold.until_reached()
        newer = node.start(1)
        node.wait_for_calls(Call.LIST, 1)
        hold.free.set()
        node.wait_for_line("rejoining job")
        node.let_go()
        ends = [state_of(older.result()), state_of(newer.result())]
        outcome = node.outcome(Known())
    assert ends == [SUPERSEDED, SUCCESS], outcome.log
    assert (outcome.statuses, outcome.violations()) == (["Done"], []), outcome.log


@pytest.mark.parametrize("finished", [False, True], ids=["that follows", "that has finished"])
def test_a_pod_that_comes_late_to_its_record_leaves_the_job_to_the_next_one(
    lab: Lab, finished: bool
) -> None:
    hold = Hold()
    own = re.compile(r"^PUT .*/_perian/attempts/0*0-")
    trap = Trap(own, When.BEFORE, hold.spring, drop=False)
    with scene(lab, storage=(trap,)) as node:
        older = node.start(0)
        hold.until_reached()
        node.let_go()
        newer = node.start(1)
        node.wait_for_jobs(1)
        if finished:
            newer.result()
        hold.free.set()
        ends = [state_of(older.result()), state_of(newer.result())]
        outcome = node.outcome(Known())
    assert ends == [SUPERSEDED, SUCCESS], outcome.log
    assert (outcome.statuses, outcome.violations()) == (["Done"], []), outcome.log


@dataclass
class Container:
    """A pod whose process is number 1 of its namespace."""

    lab: Lab
    cluster: WatchedCluster
    api: FaultyApi
    execution: str

    def run(self, stage: Stage, task: str = PLAIN, number: int = 0) -> tuple[Trap, Attempt]:
        """Run one attempt; SIGTERM at a stage."""
        lab = self.lab
        trap = stage.trap(self.terminate)
        if isinstance(trap.wanted, Call):
            self.api.meet_first(trap)
        with StorageFront(lab.harness.sandbox.s3_endpoint, trap) as front:
            self.cluster.environment = {
                **self.cluster.environment,
                **lab.cluster(self.api, front).environment,
            }
            template = lab.templates[task]
            pod = self.cluster.start(template, LiteralMap({}), self.execution, attempt=number)
            return trap, pod.wait()

    def terminate(self) -> None:
        """Do what the kubelet does first."""
        wait_until(lambda: self.cluster.pods, LONG_SECONDS, "no pod was started")
        os.kill(inner_process(self.cluster.pods[-1].process.pid), signal.SIGTERM)


@pytest.fixture(params=[ENTRYPOINT])
def container(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Iterator[Container]:
    with FaultyApi(lab.harness.sandbox) as api:
        bin_dir = namespaced_bin(tmp_path / "bin", BIN, request.param)
        execution = lab.harness.execution()
        yield Container(lab, lab.cluster(api, bin_dir=bin_dir), api, execution)
        lab.gate.open(execution)
        lab.clean(execution)


@pytest.mark.parametrize(
    "container", [ENTRYPOINT, ()], ids=["the image's", "somebody's own"], indirect=True
)
def test_an_abort_reaches_the_job_when_the_executor_is_process_1(container: Container) -> None:
    trap, attempt = container.run(Stage.POLLING)
    ended = now()
    assert trap.sprung is not None
    assert attempt.outputs is None
    assert attempt.error is not None
    assert attempt.error.code == "PERIAN:Terminated", attempt.log
    (job,) = container.lab.jobs(container.execution)
    assert job.status == "Cancelled"
    assert (job.done - trap.sprung).total_seconds() < on_this_machine(CANCELLED_WITHIN_SECONDS)
    assert (ended - trap.sprung).total_seconds() < on_this_machine(CANCELLED_WITHIN_SECONDS)


def test_an_abort_reaches_a_job_whose_submission_is_under_way_in_process_1(
    container: Container,
) -> None:
    trap, attempt = container.run(Stage.POST_ACTED)
    assert trap.sprung is not None
    assert attempt.outputs is None
    assert attempt.error is not None
    (job,) = container.lab.jobs(container.execution)
    assert job.status == "Cancelled", attempt.log
    assert (job.done - trap.sprung).total_seconds() < on_this_machine(CANCELLED_WITHIN_SECONDS)


def test_process_1_leaves_the_job_to_its_successor_when_asked_to(container: Container) -> None:
    trap, attempt = container.run(Stage.POLLING, DETACHING)
    assert trap.sprung is not None
    assert attempt.error is not None
    (job,) = container.lab.jobs(container.execution)
    assert job.live


def test_an_abort_while_process_1_still_loads_submits_nothing(container: Container) -> None:
    container.lab.gate.open(container.execution)
    trap, attempt = container.run(Stage.LOADING)
    assert trap.sprung is not None
    assert attempt.outputs is None
    assert container.lab.jobs(container.execution) == [], attempt.log


def test_an_abort_while_a_retry_still_loads_ends_the_job_of_the_attempt_before(
    container: Container,
) -> None:
    lab = container.lab
    with FaultyApi(lab.harness.sandbox) as api:
        cluster = lab.cluster(api)
        trap = Stage.POLLING.trap(lambda: cluster.signal(signal.SIGKILL))
        api.meet_first(trap)
        cluster.start(lab.templates[PLAIN], LiteralMap({}), container.execution).wait()
    assert lab.live(container.execution) == 1
    _, attempt = container.run(Stage.LOADING, number=1)
    assert attempt.outputs is None
    assert [job.status for job in lab.jobs(container.execution)] == ["Cancelled"], attempt.log
