"""Whatever fails, and whenever: one live job for one piece of work, and no result is made up.

Pods run the real ``Attempt`` on a model of Perian and of the object store (``support.perian_model``
says what that takes Perian to guarantee). Around them a few lines do what Flyte does: read what a
pod reported, try again on the budgets, start the next pod while the old one may still live.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from flyteidl.core import errors_pb2
from flytekit.models.literals import Literal, LiteralMap, Primitive, Scalar
from flytekit.models.task import TaskTemplate
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.perian_model import (
    DONE,
    EMPTY,
    EPOCH,
    FAULTS,
    GRACE,
    SERVER_ERROR,
    TIMEOUT,
    USER_ERROR,
    ModelClient,
    ModelStore,
    Plan,
    Pod,
    World,
    result_uri,
)
from support.profiles import examples

from perian_shim import PerianConfig
from perian_shim.api import Job, PerianClient
from perian_shim.api.phases import Phase, phase_of
from perian_shim.errors import (
    InternalError,
    JobCancelled,
    OutputMissing,
    StorageFailed,
    TaskError,
    job_failure,
)
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.jobs import ResourceMeta
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.retrying import RetryingClient, RetryPolicy
from perian_shim.pod.report import error_document
from perian_shim.pod.run import HURRIED
from perian_shim.spec import ContainerWork, JobSpec
from perian_shim.storage import ObjectStore
from perian_shim.work.idempotency import NodeIdentity
from perian_shim.work.place import Place
from perian_shim.work.request import Private
from perian_shim.work.staging import Staging
from perian_shim.work.task_run import Run

NODE = "s3://b/metadata/p-d-x/n0/data"
LONG = 6000
"""More points than any pod passes that goes its way undisturbed."""


@dataclass(frozen=True)
class ModelKind:
    """A job without inputs that leaves one object."""

    store: ObjectStore
    harvested: list[str]

    def stage(self, output: str) -> Staging:  # noqa: ARG002 - the store is told by the variables
        return Staging(("true",))

    def harvest(self, meta: ResourceMeta, job: Job) -> LiteralMap:
        if phase_of(job.status) is Phase.FAILED:
            raise job_failure(meta.job_id, job.errors)
        if self.store.read(result_uri(meta.output), 10) is None:
            message = f"Job {meta.job_id} left nothing."
            raise OutputMissing(message, job_id=meta.job_id)
        self.harvested.append(meta.job_id)
        scalar = Scalar(primitive=Primitive(string_value=meta.job_id))
        return LiteralMap({"job": Literal(scalar=scalar)})


def act_at_once(act: Callable[[], object]) -> None:
    act()


@dataclass
class Diary(Console):
    """Keeps what a pod says, to be shown when an example fails."""

    world: World = field(default_factory=World)
    number: int = 0

    def __call__(self, line: str) -> None:
        self.world.diary.append(f"{self.world.now:7.1f} pod {self.number}: {line}")


@dataclass
class Trial:
    """One attempt of the node: its pod, and what it came to.

    Attributes:
        pod: the pod.
        number: of the attempt.
        superseded: Flyte does not wait for it any more.
        outputs: what it returned.
        error: what it reported.
        harvested: ids of the jobs whose outputs it read.
    """

    pod: Pod
    number: int
    superseded: bool = False
    outputs: LiteralMap | None = None
    error: TaskError | None = None
    harvested: list[str] = field(default_factory=list)


@dataclass
class Node:
    """A node of an execution, as Flyte drives it.

    Attributes:
        world: where everything happens.
        config: of the task.
        retries: of the task.
        trials: all attempts.
        consumed: errors that Flyte read and acted upon.
        over: why Flyte starts no further attempt.
        unused: ids of the jobs that were Done with outputs when the node failed for good.
    """

    world: World
    config: PerianConfig
    retries: int
    trials: list[Trial] = field(default_factory=list)
    consumed: list[TaskError] = field(default_factory=list)
    over: str = ""
    unused: list[str] = field(default_factory=list)

    @property
    def current(self) -> Trial:
        return self.trials[-1]

    def start(self) -> None:
        number = len(self.trials)
        pod = Pod(self.world, lambda pod: self.body(self.trials[number], pod))
        self.trials.append(Trial(pod, number))

    def body(self, trial: Trial, pod: Pod) -> None:
        """What a resolver container does."""
        store = ModelStore(self.world, pod)
        try:
            trial.outputs = self.attempt(trial, pod, store).outputs()
        except TaskError as error:
            if isinstance(error, InternalError):
                raise  # a bug, or one of the model's own assertions
            pod.deaf = True  # the handlers are gone, and process 1 has no others
            document = error_document(error).SerializeToString()
            try:
                store.write(f"{NODE}/{trial.number}/error.pb", document)
            except StorageFailed:
                return  # flytekit exits with another code than 0
            error.after_report()
            trial.error = error

    def attempt(self, trial: Trial, pod: Pod, store: ModelStore) -> Attempt:
        number = trial.number
        raw = f"s3://b/raw/x-n0-{number}"
        previous = f"s3://b/raw/x-n0-{number - 1}/_flytecheckpoints" if number else None
        place = Place(
            NodeIdentity("p", "d", "x", NODE),
            raw,
            f"{NODE}/{number}",
            f"{raw}/_flytecheckpoints",
            previous,
            {"FLYTE_ATTEMPT_NUMBER": str(number)},
        )
        spec = JobSpec(self.config, "debian:12", ContainerWork(("true",)))
        template = SimpleNamespace(
            id=SimpleNamespace(name="model"), metadata=SimpleNamespace(timeout=timedelta(minutes=5))
        )
        # Of the template only these two are read, and the client has what RetryingClient calls.
        run = Run(cast("TaskTemplate", template), spec, {}, place, store)
        connect = cast("Callable[[], PerianClient]", lambda: ModelClient(self.world, pod))
        return Attempt(
            run=run,
            kind=ModelKind(store, trial.harvested),
            client=RetryingClient(connect, RetryPolicy(), pod.sleep, lambda: 0.5),
            hurried=RetryingClient(connect, HURRIED, pod.sleep, lambda: 0.5),
            policy=PollPolicy(shortest=2, longest=20, jitter=0, outage=200),
            private=Private(),
            console=Diary(world=self.world, number=number),
            clock=lambda: self.world.now,
            now=lambda: EPOCH + self.world.now,
            sleep=pod.sleep,
            beside=act_at_once,
        )

    def judge(self) -> None:
        """Do what Flyte does once the current pod has ended."""
        trial = self.current
        if self.over or not trial.pod.ended:
            return
        if trial.outputs is not None:
            self.over = "success"
        elif trial.error is None:
            self.start()  # killed, or another exit code: tried again on the platform's budget
        else:
            self.consumed.append(trial.error)
            error = error_document(trial.error).error
            users = sum(1 for each in self.consumed if each.outcome.origin == "USER")
            fatal = error.kind != errors_pb2.ContainerError.RECOVERABLE
            if fatal or (trial.error.outcome.origin == "USER" and users > self.retries):
                self.over = "failure"
                self.unused = [job.id for job in self.world.jobs if job.has_outputs(self.world.now)]
            else:
                self.start()


plans = st.builds(
    Plan,
    queued=st.sampled_from([0.0, 4.0, 90.0]),
    running=st.sampled_from([0.5, 6.0, 40.0]),
    end=st.sampled_from([DONE, DONE, USER_ERROR, SERVER_ERROR, TIMEOUT, EMPTY]),
)


class Lifecycles(RuleBasedStateMachine):
    """One node, and everything that may happen to it."""

    node: Node
    world: World
    by_hand = False
    disturbed = False

    @initialize(
        jobs=st.lists(plans, min_size=1, max_size=4),
        retries=st.integers(0, 2),
        detach=st.booleans(),
    )
    def begin(self, jobs: list[Plan], retries: int, detach: bool) -> None:
        self.world = World(plans=[*jobs, Plan()])
        config = PerianConfig(
            cores=1, on_terminate="detach" if detach else "cancel", max_queued_time=60
        )
        self.detach = detach
        self.node = Node(self.world, config, retries)
        self.node.start()

    def living(self) -> list[Trial]:
        return [trial for trial in self.node.trials if not trial.pod.ended]

    @rule(which=st.integers(0, 2), steps=st.integers(1, 12))
    def run_pod(self, which: int, steps: int) -> None:
        living = self.living()
        if living:
            pod = living[-1 - which % len(living)].pod
            for _ in range(steps):
                pod.step()
            self.end_overdue()
        self.node.judge()

    @rule(
        call=st.sampled_from(["create", "list", "get", "cancel"]),
        fault=st.sampled_from(FAULTS),
        times=st.sampled_from([1, 1, 2, 7]),
    )
    def break_calls(self, call: str, fault: str, times: int) -> None:
        self.world.faults.setdefault(call, []).extend([fault] * times)

    @rule(times=st.integers(1, 2))
    def break_store(self, times: int) -> None:
        self.world.store_faults = times

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(self.world.now + seconds)
        self.end_overdue()

    @precondition(lambda self: not self.node.over)
    @rule()
    def kill_pod(self) -> None:
        self.node.current.pod.kill()
        self.disturbed = True
        self.node.judge()

    @precondition(lambda self: not self.node.over and len(self.living()) < 3)
    @rule()
    def lose_node(self) -> None:
        """Flyte takes the pod for dead and starts the next one; the old one goes on."""
        self.node.current.superseded = True
        self.node.start()

    @precondition(lambda self: not self.node.over and len(self.living()) < 3)
    @rule()
    def drain_node(self) -> None:
        """The pod is told to end; Flyte does not wait for that."""
        self.node.current.superseded = True
        self.node.current.pod.signal()
        self.node.start()

    @precondition(lambda self: any(job.lives(self.world.now) for job in self.world.jobs))
    @rule(which=st.integers(0, 3))
    def cancel_by_hand(self, which: int) -> None:
        living = self.world.living()
        self.by_hand = True
        self.world.cancel(living[which % len(living)].id, by_hand=True, after=0.0)

    @precondition(lambda self: not self.node.over)
    @rule()
    def abort(self) -> None:
        self.node.over = "aborted"
        for trial in self.living():
            trial.pod.signal()

    def end_overdue(self) -> None:
        """Kubernetes kills a pod that has not ended 30 seconds after it was told to."""
        for trial in self.living():
            if trial.pod.signalled is not None and self.world.now - trial.pod.signalled > 30:
                trial.pod.kill()
                self.disturbed = True

    @invariant()
    def no_result_is_made_up(self) -> None:
        for trial in getattr(self, "node", Node(World(), PerianConfig(cores=1), 0)).trials:
            if trial.outputs is not None:
                job = self.world.job(trial.outputs.literals["job"].scalar.primitive.string_value)
                assert job.status(self.world.now) == "Done"
                assert job.plan.end == DONE or any(
                    other.plan.end == DONE for other in self.world.jobs
                )

    def teardown(self) -> None:
        if not hasattr(self, "node"):
            return
        self.world.calm()
        for _ in range(LONG):
            living = self.living()
            if not living:
                break
            # The one that is due first: nobody sleeps through what another one does meanwhile.
            min(living, key=lambda trial: max(trial.pod.wakes, self.world.now)).pod.step()
            self.node.judge()
        assert not self.living(), "a pod goes on for ever"
        self.world.advance(self.world.now + GRACE)
        self.check()

    def check(self) -> None:
        """What must hold when all pods have settled."""
        world, node = self.world, self.node
        for line in world.diary:
            note(line)
        note(f"{node.over}: {[(job.id, job.status(world.now)) for job in world.jobs]}")
        note(f"errors: {[(trial.number, repr(trial.error)) for trial in node.trials]}")
        last_was_killed = node.current.pod.killed or node.current.error is None
        forgotten = node.over == "aborted" and (self.detach or last_was_killed)
        living = [job.id for job in world.living()]
        assert len(living) <= (1 if forgotten else 0), f"live jobs: {living}"
        harvested = {job_id for trial in node.trials for job_id in trial.harvested}
        excused = world.lost_records or self.crowded
        assert len(harvested) <= 1 or excused, f"harvested twice: {harvested}"
        if node.over == "failure" and node.consumed[-1].outcome.origin == "USER":
            assert not node.unused or self.crowded, f"done and never used: {node.unused}"
        self.check_reports()

    @property
    def crowded(self) -> bool:
        """A record reaches one attempt far: with three alive, the third cannot know of the first.

        There is still one live job in the end, but more may have run.
        """
        return sum(1 for trial in self.node.trials if trial.superseded) > 1

    def check_reports(self) -> None:
        """Each job's failure is told once, and nobody is blamed for what we did ourselves."""
        if self.world.lost_records:
            return
        ended = [error.job_id for error in self.node.consumed if error.spends_job]
        assert len(ended) == len(set(ended)), f"told twice: {ended}"
        if not self.by_hand and not self.disturbed and not self.crowded:
            blamed = [error for error in self.node.consumed if isinstance(error, JobCancelled)]
            assert not blamed


Lifecycles.TestCase.settings = settings(
    max_examples=examples(2000),
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


TestLifecycles = pytest.mark.slow(Lifecycles.TestCase)
