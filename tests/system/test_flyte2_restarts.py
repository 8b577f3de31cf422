"""Flyte 2 starts a pod again in its attempt's place: whatever is there, one job, one truth.

Real pods through Flyte 2's door. The task is a container task; when its job ends, and how, the test
decides.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from flytekit.models.literals import LiteralMap
from support.api_calls import Call
from support.api_faults import Fault, Script
from support.api_front import FaultyApi
from support.cells import PLAIN, Lab, WatchedCluster, open_lab
from support.doors import Door
from support.flyte import harness_on, running_sandbox
from support.outcomes import ANSWER, state_of
from support.traps import Trap, When
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.flyte.cluster import Attempt, RunningPod

pytestmark = pytest.mark.slow

FAILING = "failing"
RETRIED = "retried"

INTERRUPTED = "Interrupted SYSTEM recoverable"
"""What the backend calls a pod that has died."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("flyte2")
    with (
        running_sandbox(folder) as sandbox,
        harness_on(sandbox, folder, Door.A0) as harness,
        open_lab(harness) as opened,
    ):
        for name, retries in ((FAILING, 0), (RETRIED, 1)):
            task = PerianContainerTask(
                name=f"test.flyte2.{name}",
                task_config=PerianConfig(cores=1),
                image="debian:12",
                command=["/bin/bash", "-ec", f"{opened.gate.command}; exit 3"],
                outputs={"answer": int},
                retries=retries,
            )
            opened.templates = {**opened.templates, name: harness.cluster.serialize(task)}
        yield opened


@dataclass
class Action:
    """One action of a run, whose pods a test starts one by one.

    Attributes:
        lab: has the tasks.
        cluster: starts the pods.
        pool: waits for them.
        task: which task it is of.
        lines: what its pods have printed.
    """

    lab: Lab
    cluster: WatchedCluster
    pool: ThreadPoolExecutor
    task: str
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.execution = self.lab.harness.execution()
        self.cluster.echo = self.lines.append

    def start(self) -> tuple[RunningPod, "Future[Attempt]"]:
        template, number = self.lab.templates[self.task], len(self.cluster.pods)
        pod = self.cluster.start(template, LiteralMap({}), self.execution, attempt=number)
        return pod, self.pool.submit(pod.wait)

    def run(self) -> tuple[RunningPod, Attempt]:
        pod, ended = self.start()
        return pod, ended.result(LONG_SECONDS)

    def started_and_killed(self) -> RunningPod:
        """Start a pod and kill it when its job runs."""
        pod, ended = self.start()
        self.at_the_gate()
        pod.kill()
        assert state_of(ended.result(LONG_SECONDS)) == INTERRUPTED
        return pod

    def at_the_gate(self) -> None:
        self.lab.gate.wait_for(self.execution)

    def let_go(self) -> None:
        self.lab.gate.open(self.execution)

    def wait_for_line(self, words: str) -> None:
        wait_until(
            lambda: any(words in line for line in [*self.lines]),
            LONG_SECONDS,
            f"nobody said {words}",
        )

    def wait_for_jobs(self, *statuses: str) -> None:
        wait_until(lambda: self.statuses == [*statuses], LONG_SECONDS, f"not {statuses}")

    @property
    def statuses(self) -> list[str]:
        return sorted(job.status for job in self.lab.jobs(self.execution))


ActionOf = Callable[..., Action]


@pytest.fixture
def action_of(lab: Lab) -> Iterator[ActionOf]:
    with actions(lab) as make:
        yield make


@contextmanager
def actions(lab: Lab, *scripts: Script) -> Iterator[ActionOf]:
    made: list[Action] = []
    with (
        FaultyApi(lab.harness.sandbox, *scripts) as api,
        ThreadPoolExecutor(4) as pool,
    ):

        def make(task: str = PLAIN, trap: Callable[[Action], Trap] | None = None) -> Action:
            action = Action(lab, lab.cluster(api), pool, task)
            made.append(action)
            if trap is not None:
                api.meet_first(trap(action))
            return action

        try:
            yield make
        finally:
            for action in made:
                for pod in action.cluster.pods:
                    pod.kill()
                lab.clean(action.execution)


@pytest.fixture
def action(action_of: ActionOf) -> Action:
    return action_of()


def found(pod: RunningPod) -> set[str]:
    """Return what of an attempt's documents is at its place."""
    names = ("outputs.pb", "error.pb")
    return {name for name in names if pod.store.read(f"{pod.pod.output_prefix}/{name}")}


def is_right(attempt: Attempt) -> bool:
    assert attempt.outputs is not None, attempt.log
    return bool(attempt.outputs.literals["answer"].scalar.primitive.integer == ANSWER)


def test_a_job_that_is_alive_is_followed_by_the_next_pod(action: Action) -> None:
    first = action.started_and_killed()
    second, ended = action.start()
    assert second.pod.output_prefix == first.pod.output_prefix
    action.let_go()
    assert is_right(ended.result(LONG_SECONDS))
    assert action.statuses == ["Done"]


def test_a_job_that_has_succeeded_meanwhile_is_harvested(action: Action) -> None:
    action.started_and_killed()
    action.let_go()
    action.wait_for_jobs("Done")
    _, attempt = action.run()
    assert is_right(attempt)
    assert action.statuses == ["Done"]


def test_a_job_that_has_failed_meanwhile_is_what_is_told(action_of: ActionOf) -> None:
    action = action_of(FAILING)
    action.started_and_killed()
    action.let_go()
    action.wait_for_jobs("UserError")
    pod, attempt = action.run()
    assert state_of(attempt) == "PERIAN:JobFailed USER recoverable"
    assert action.statuses == ["UserError"]
    assert found(pod) == {"error.pb"}


def test_a_failure_is_tried_again_in_a_place_of_its_own(action_of: ActionOf) -> None:
    action = action_of(RETRIED)
    action.let_go()
    template = action.lab.templates[RETRIED]
    attempts = action.cluster.run(template, LiteralMap({}), execution=action.execution)
    assert [state_of(each) for each in attempts] == ["PERIAN:JobFailed USER recoverable"] * 2
    assert action.statuses == ["UserError"] * 2
    prefixes = [pod.pod.output_prefix.rpartition("/")[2] for pod in action.cluster.pods]
    assert prefixes == ["1", "2"]


def test_the_pod_after_one_that_was_deleted_has_a_job_of_its_own(action: Action) -> None:
    first, ended = action.start()
    action.at_the_gate()
    first.delete()
    assert state_of(ended.result(LONG_SECONDS)) == "PERIAN:Terminated SYSTEM recoverable"
    assert found(first) == {"error.pb"}
    action.wait_for_jobs("Cancelled")
    action.let_go()
    second, attempt = action.run()
    assert is_right(attempt)
    assert found(second) == {"outputs.pb"}
    assert action.statuses == ["Cancelled", "Done"]


def test_a_pod_that_was_thought_lost_leaves_job_and_place_to_its_successor(action: Action) -> None:
    first, gone = action.start()
    action.at_the_gate()
    second, ended = action.start()
    action.wait_for_line("rejoining job")
    first.delete()
    lost = gone.result(LONG_SECONDS)
    assert lost.exit_code != 0
    assert "PERIAN:Superseded" in lost.log
    assert found(second) == set()
    action.let_go()
    assert is_right(ended.result(LONG_SECONDS))
    assert found(second) == {"outputs.pb"}
    assert action.statuses == ["Done"]


def test_a_lost_answer_and_a_killed_pod_double_nothing(lab: Lab) -> None:
    def kill_after_submission(action: Action) -> Trap:
        return Trap(Call.SUBMIT, When.AFTER, lambda: action.cluster.signal(signal.SIGKILL))

    with actions(lab, Script(Call.SUBMIT, Fault.RESET_AFTER, 1)) as action_of:
        action = action_of(trap=kill_after_submission)
        _, attempt = action.run()
        assert state_of(attempt) == INTERRUPTED
        action.let_go()
        _, attempt = action.run()
        assert is_right(attempt)
        assert action.statuses == ["Done"]
