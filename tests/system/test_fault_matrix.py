"""Whatever happens to the API, the network or the pod: one job, none left behind, the right end.

A selection of the fault matrix (`make faults` runs all of it), what two pods of one node do to each
other, and the signals of a real PID namespace.
"""

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from flytekit.models.literals import LiteralMap
from support.api_calls import Call
from support.api_faults import Fault
from support.api_front import FaultyApi
from support.cells import DETACHING, PLAIN, Lab, WatchedCluster
from support.matrix import THROUGHOUT, FaultCell, Situation
from support.matrix_rows import CANCELLED_WITHIN_SECONDS, Cell
from support.matrix_stages import Blow, Stage, StageCell
from support.outcomes import ANSWER, answer_of, now
from support.pid_one import inner_process, namespaced_bin
from support.storage_front import StorageFront
from support.traps import Hold, Trap, When
from support.waiting import LONG_SECONDS, on_this_machine, wait_until
from support.zygote import BIN

from perian_shim.sandbox.flyte.cluster import Attempt

pytestmark = pytest.mark.slow

ENTRYPOINT = (sys.executable, "-m", "perian_shim.entrypoint")
"""What the executor image puts before the command."""

FAULTS = [
    FaultCell(Situation.SUBMIT, Fault.LIMITED, 1),
    FaultCell(Situation.SUBMIT, Fault.BROKEN, 3),
    FaultCell(Situation.SUBMIT, Fault.REFUSED, 3),
    FaultCell(Situation.SUBMIT, Fault.RESET_AFTER, 1),
    FaultCell(Situation.SUBMIT, Fault.SILENCE, 1),
    FaultCell(Situation.READ, Fault.UNAVAILABLE, 3),
    FaultCell(Situation.READ, Fault.HTML, 3),
    FaultCell(Situation.READ, Fault.RESET, THROUGHOUT),
    FaultCell(Situation.LIST, Fault.HALF, 1),
    FaultCell(Situation.ADOPT, Fault.REFUSED, 3),
    FaultCell(Situation.QUEUED, Fault.RESET_AFTER, 1),
    FaultCell(Situation.ABORT, Fault.RESET, 3),
    FaultCell(Situation.FIND, Fault.HTML, 3),
]

STAGES = [
    *(
        StageCell(stage, Blow.TERM)
        for stage in Stage
        if stage not in {Stage.POST_LOST, Stage.WRITTEN, Stage.CANCELLING}
    ),
    StageCell(Stage.POST_ACTED, Blow.DETACH),
    StageCell(Stage.POLLING, Blow.DETACH),
    StageCell(Stage.BEFORE_INTENT, Blow.KILL),
    StageCell(Stage.POST_LATE, Blow.KILL),
    StageCell(Stage.BEFORE_RECORD, Blow.KILL),
    StageCell(Stage.POLLING, Blow.KILL),
    StageCell(Stage.HARVESTING, Blow.KILL),
    StageCell(Stage.WRITING, Blow.KILL),
    StageCell(Stage.CANCELLING, Blow.KILL),
]


@pytest.mark.parametrize("cell", [*FAULTS, *STAGES], ids=lambda cell: cell.name)
def test_a_fault_costs_no_second_job_and_leaves_none_behind(cell: Cell, lab: Lab) -> None:
    row = cell.run(lab)
    assert not row.problems, f"{row.problems}\n{row.outcome.log}"


class Duel:
    """Two attempts of one node that are alive at the same time, each held at its own point."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self.lab = lab
        self.stack = stack
        self.execution = lab.harness.execution()
        self.pool = stack.enter_context(ThreadPoolExecutor(2))
        stack.callback(lab.clean, self.execution)
        stack.callback(lab.gate.open, self.execution)

    def start(self, number: int, hold: Hold | None = None) -> tuple[FaultyApi, Future[Attempt]]:
        """Start an attempt; with a hold, it stops when its intent is on record."""
        lab = self.lab
        api = self.stack.enter_context(FaultyApi(lab.harness.sandbox))
        trap = None
        if hold is not None:
            self.stack.callback(hold.free.set)
            trap = Stage.AFTER_INTENT.trap(hold.spring)
            trap.drop = False
        front = StorageFront(lab.harness.sandbox.s3_endpoint, *([trap] if trap else []))
        cluster = lab.cluster(api, self.stack.enter_context(front))
        template = lab.templates[PLAIN]
        pod = cluster.start(template, LiteralMap({}), self.execution, attempt=number)
        return api, self.pool.submit(pod.wait)

    def hold_answer(self, api: FaultyApi, call: Call, hold: Hold) -> None:
        """Stop a started attempt when its call has been acted on."""
        self.stack.callback(hold.free.set)
        api.meet_first(Trap(call, When.AFTER, hold.spring, drop=False))

    def finish(self, *attempts: Future[Attempt]) -> None:
        """Let the jobs go, and check what is left of the duel."""
        self.lab.gate.open(self.execution)
        ended = [attempt.result(LONG_SECONDS) for attempt in attempts]
        log = "\n".join(f"--- attempt {each.number}\n{each.log}" for each in ended)
        assert all(each.error is None for each in ended), log
        for each in ended:
            assert each.outputs is not None
            assert answer_of(each.outputs) == ANSWER
        self.lab.settle(self.execution)
        statuses = [job.status for job in self.lab.jobs(self.execution)]
        assert statuses.count("Done") == 1, f"{statuses}\n{log}"
        assert set(statuses) <= {"Done", "Cancelled"}, f"{statuses}\n{log}"


@pytest.fixture
def duel(lab: Lab) -> Iterator[Duel]:
    with ExitStack() as stack:
        yield Duel(lab, stack)


def test_a_late_pod_joins_the_job_of_the_attempt_after_it(duel: Duel) -> None:
    hold = Hold()
    _, first = duel.start(0, hold)
    hold.until_reached()
    _, second = duel.start(1)
    duel.lab.gate.wait_for(duel.execution)
    hold.free.set()
    wait_until(lambda: len(duel.lab.jobs(duel.execution)) == 2, LONG_SECONDS, "no second job")
    wait_until(lambda: duel.lab.live(duel.execution) == 1, LONG_SECONDS, "two live jobs")
    duel.finish(first, second)


def test_a_late_pod_takes_what_the_attempt_after_it_has_finished(duel: Duel) -> None:
    hold = Hold()
    _, first = duel.start(0, hold)
    hold.until_reached()
    duel.lab.gate.open(duel.execution)
    _, second = duel.start(1)
    assert second.result(LONG_SECONDS).error is None
    duel.lab.gate.free.discard(duel.execution)  # a second job would wait, and be seen waiting
    hold.free.set()
    assert first.result(LONG_SECONDS).error is None, duel.lab.jobs(duel.execution)
    duel.finish(first, second)


def test_a_retry_that_was_about_to_submit_joins_the_first_pods_job(duel: Duel) -> None:
    before, after = Hold(), Hold()
    _, first = duel.start(0, before)
    before.until_reached()
    _, second = duel.start(1, after)
    after.until_reached()
    before.free.set()
    duel.lab.gate.wait_for(duel.execution)
    after.free.set()
    wait_until(lambda: len(duel.lab.jobs(duel.execution)) == 2, LONG_SECONDS, "no second job")
    wait_until(lambda: duel.lab.live(duel.execution) == 1, LONG_SECONDS, "two live jobs")
    duel.finish(first, second)


@pytest.mark.parametrize("faster", [0, 1])
def test_two_pods_that_submit_at_once_agree_on_the_older_job(duel: Duel, faster: int) -> None:
    intents = [Hold(), Hold()]
    answers = [Hold(), Hold()]
    started = []
    for number in (0, 1):
        api, attempt = duel.start(number, intents[number])
        duel.hold_answer(api, Call.SUBMIT, answers[number])
        intents[number].until_reached()
        started.append(attempt)
    for number in (faster, 1 - faster):
        intents[number].free.set()
        answers[number].until_reached()
    assert duel.lab.live(duel.execution) == 2
    for answer in answers:
        answer.free.set()
    wait_until(lambda: duel.lab.live(duel.execution) == 1, LONG_SECONDS, "two live jobs")
    oldest = duel.lab.jobs(duel.execution)[0]
    duel.finish(*started)
    assert [job.status for job in duel.lab.jobs(duel.execution)] == ["Done", "Cancelled"]
    assert duel.lab.jobs(duel.execution)[0].job_id == oldest.job_id


def test_a_pod_that_ends_while_its_successor_follows_the_job_costs_one_new_job(duel: Duel) -> None:
    """A drained node: the old pod cancels the job that the new one has already joined."""
    lab = duel.lab
    api = duel.stack.enter_context(FaultyApi(lab.harness.sandbox))
    cluster = lab.cluster(api)
    pod = cluster.start(lab.templates[PLAIN], LiteralMap({}), duel.execution)
    first = duel.pool.submit(pod.wait)
    lab.gate.wait_for(duel.execution)
    joined = Hold()
    successor = duel.stack.enter_context(FaultyApi(lab.harness.sandbox))
    duel.hold_answer(successor, Call.READ, joined)
    other = lab.cluster(successor)
    following = other.start(lab.templates[PLAIN], LiteralMap({}), duel.execution, attempt=1)
    second = duel.pool.submit(following.wait)
    joined.until_reached()
    pod.delete()
    error = first.result(LONG_SECONDS).error
    assert error is not None
    assert error.code == "PERIAN:Terminated"
    joined.free.set()
    lab.gate.open(duel.execution)
    ended = second.result(LONG_SECONDS)
    assert ended.error is None, ended.log
    lab.settle(duel.execution)
    assert [job.status for job in lab.jobs(duel.execution)] == ["Cancelled", "Done"]


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
