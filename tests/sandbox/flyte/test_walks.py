"""How a workflow's nodes run, fail and are ended, on a cluster whose pods only pretend."""

# mypy: disable-error-code="assignment,arg-type,return-value,misc,no-any-return,empty-body"
# flytekit's annotations do not know what a task or workflow is once it is decorated.

import re
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from flyteidl.core import tasks_pb2
from flytekit import (
    ContainerTask,
    ImageSpec,
    WorkflowFailurePolicy,
    approve,
    conditional,
    dynamic,
    kwtypes,
    map_task,
    reference_task,
    task,
    workflow,
)
from flytekit.models.literals import Literal, LiteralMap, Primitive, Scalar
from support.waiting import LONG_SECONDS
from support.workflow_runs import Recorder, plain

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.definition import notices
from perian_shim.sandbox.flyte import attempts
from perian_shim.sandbox.flyte.cluster import Attempt, Cluster, NodeError
from perian_shim.sandbox.flyte.engine import Engine
from perian_shim.sandbox.flyte.failures import Aborted, NodeFailed, NodeFault, NotSupported
from perian_shim.sandbox.flyte.registry import Registry, check_task
from perian_shim.sandbox.flyte.surroundings import serialization_settings

FAULT = NodeError("USER:Bad", "it went wrong", "USER", recoverable=False)


@task
def first(n: int) -> int:
    return n


@task
def second(n: int) -> int:
    return n


@task
def clean(n: int) -> None: ...


@workflow
def beside(n: int) -> tuple[int, int]:
    return first(n=n), second(n=n)


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def to_the_end(n: int) -> int:
    first(n=n)
    return second(n=second(n=n))


@workflow(on_failure=clean)
def cleaned(n: int) -> int:
    return first(n=n)


@workflow
def mapped(ns: list[int]) -> list[int]:
    return map_task(first)(n=ns)


@workflow
def tolerant(ns: list[int]) -> list[int | None]:
    return map_task(first, min_success_ratio=0.5)(n=ns)


@dataclass
class PretendedPod:
    """A pod that ends when it is told, or deleted."""

    deleted: threading.Event = field(default_factory=threading.Event)
    killed: bool = False
    acts: Callable[["PretendedPod"], Attempt] = lambda _pod: ended()

    def wait(self) -> Attempt:
        return self.acts(self)

    def delete(self, _grace_seconds: float) -> None:
        self.deleted.set()

    def kill(self) -> None:
        self.killed = True
        self.deleted.set()


def ended(outputs: int | None = 1) -> Attempt:
    if outputs is None:
        return Attempt(0, 0, None, FAULT, "")
    literal = Literal(scalar=Scalar(primitive=Primitive(integer=outputs)))
    return Attempt(0, 0, LiteralMap({"o0": literal}), None, "")


def until_deleted(pod: PretendedPod) -> Attempt:
    assert pod.deleted.wait(LONG_SECONDS), "it is not deleted"
    return ended(None)


class Pretence(Cluster):
    """A cluster that starts pretended pods.

    Args:
        acts: what a pod does, by its task's short name; it succeeds by default.
    """

    def __init__(self, **acts: Callable[[PretendedPod], Attempt]) -> None:
        super().__init__("bucket", {})
        self.acts = acts
        self.started: list[str] = []
        self.turn = threading.Lock()

    def launch(self, template: Any, inputs: Any, pod: Any, echo: Any = None) -> Any:  # noqa: ARG002
        name = template.id.name.rpartition(".")[2]
        with self.turn:
            self.started.append(name)
        act = self.acts.get(name, lambda _pod: ended())
        if pod.item is not None:
            act = self.acts.get(f"item{pod.item}", act)
        return PretendedPod(acts=act)


def engine(cluster: Cluster, recorder: Recorder | None = None) -> Engine:
    return Engine(cluster, recorder or Recorder(), grace_seconds=1)


def run(cluster: Cluster, entity: Any, recorder: Recorder | None = None, **inputs: Any) -> Any:
    return run_on(engine(cluster, recorder), entity, **inputs)


def run_on(walker: Engine, entity: Any, **inputs: Any) -> Any:
    def literal(value: Any) -> Any:
        scalar = Literal(scalar=Scalar(primitive=Primitive(integer=value)))
        return scalar.to_flyte_idl()

    def many(values: list[int]) -> Any:
        made = literal(0)
        made.Clear()
        made.collection.literals.extend(literal(value) for value in values)
        return made

    given = {
        name: many(value) if isinstance(value, list) else literal(value)
        for name, value in inputs.items()
    }
    registry = Registry(serialization_settings("s3://bucket/code.tar.gz"))
    return walker.run(registry, entity, given, "execution")


def test_independent_nodes_run_side_by_side() -> None:
    both = threading.Barrier(2)

    def meet(_pod: PretendedPod) -> Attempt:
        both.wait(LONG_SECONDS)
        return ended()

    outputs = run(Pretence(first=meet, second=meet), beside, n=1)
    assert set(outputs) == {"o0", "o1"}


def test_a_failure_ends_the_nodes_beside_it() -> None:
    second_runs = threading.Event()

    def hang(pod: PretendedPod) -> Attempt:
        second_runs.set()
        return until_deleted(pod)

    def fail(_pod: PretendedPod) -> Attempt:
        assert second_runs.wait(LONG_SECONDS)
        return ended(None)

    recorder = Recorder()
    with pytest.raises(NodeFailed) as failed:
        run(Pretence(first=fail, second=hang), beside, recorder, n=1)
    assert failed.value.error == FAULT
    assert {step.node: step.error for step in recorder.steps} == {"n0": FAULT, "n1": None}


def test_a_workflow_may_run_what_does_not_need_the_failed_node() -> None:
    cluster = Pretence(first=lambda _pod: ended(None))
    with pytest.raises(NodeFailed):
        run(cluster, to_the_end, n=1)
    assert sorted(cluster.started) == ["first", "second", "second"]


def test_on_failure_runs_and_the_workflow_fails_as_it_did() -> None:
    cluster = Pretence(first=lambda _pod: ended(None))
    with pytest.raises(NodeFailed) as failed:
        run(cluster, cleaned, n=1)
    assert failed.value.node == "n0"
    assert cluster.started == ["first", "clean"]


def test_too_many_failed_items_end_the_others() -> None:
    cluster = Pretence(item0=until_deleted, item1=lambda _pod: ended(None))
    with pytest.raises(NodeFailed) as failed:
        run(cluster, mapped, ns=[1, 2])
    assert failed.value.error.message == "[1]: it went wrong"


def test_some_items_may_fail() -> None:
    outputs = run(Pretence(item1=lambda _pod: ended(None)), tolerant, ns=[1, 2, 3])
    assert plain(outputs, "o0", list[int | None]) == [1, None, 1]


def test_a_map_over_nothing_is_an_empty_list() -> None:
    assert plain(run(Pretence(), mapped, ns=[]), "o0", list[int]) == []


def test_an_aborted_run_deletes_its_pods_and_starts_none() -> None:
    def abort(pod: PretendedPod) -> Attempt:
        walker.abort()
        return until_deleted(pod)

    cluster = Pretence(first=abort, second=until_deleted)
    walker = engine(cluster)
    with pytest.raises(Aborted):
        run_on(walker, beside, n=1)
    with pytest.raises(Aborted):
        run_on(walker, beside, n=1)
    assert len(cluster.started) <= 2


@task(cache=True, cache_version="1")
def cached(n: int) -> int:
    return n


@workflow
def twice(n: int) -> int:
    return cached(n=cached(n=n))


def test_a_cached_task_runs_again_and_that_is_said_once() -> None:
    cluster, recorder = Pretence(), Recorder()
    run(cluster, twice, recorder, n=1)
    assert cluster.started == ["cached", "cached"]
    assert recorder.notes == ["caches are off: a cached task runs again"]


@task(timeout=timedelta(milliseconds=10), retries=1)
def limited(n: int) -> int:
    return n


def test_an_attempt_that_takes_too_long_is_deleted_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "NOTICED_SECONDS", 0.0)
    cluster, recorder = Pretence(limited=until_deleted), Recorder()
    with pytest.raises(NodeFailed) as failed:
        run(cluster, limited, recorder, n=1)
    assert failed.value.error.code == "RetriesExhausted|TimeoutExpired"
    assert cluster.started == ["limited", "limited"]


def test_wrong_inputs_start_nothing() -> None:
    cluster = Pretence()
    with pytest.raises(NodeFault, match=r"missing: \['n'\], unknown: \['m'\]"):
        run(cluster, beside, m=1)
    assert cluster.started == []


raw = ContainerTask(
    "raw", image="debian:12", command=["true"], inputs=kwtypes(n=int), outputs=kwtypes(o0=int)
)


@workflow
def of_raw_containers(n: int) -> int:
    return raw(n=first(n=n))


@workflow
def of_gates(n: int) -> int:
    return approve(first(n=n), "yes", timeout=timedelta(seconds=LONG_SECONDS))


@reference_task(project="p", domain="d", name="elsewhere", version="v")
def elsewhere(n: int) -> int: ...


@workflow
def of_references(n: int) -> int:
    return elsewhere(n=first(n=n))


@task
def worded(word: str) -> str:
    return word


@workflow
def wrongly_typed(n: int) -> str:
    return worded(word=first(n=n))


@workflow
def wrongly_returned(n: int) -> list[int]:
    return first(n=n)


@workflow
def wrong_within(n: int) -> str:
    return wrongly_typed(n=n)


@dataclass
class Parts:
    """What has parts of several types."""

    number: int
    word: str


@task
def parts(n: int) -> Parts:
    return Parts(n, "one")


@task
def counted(ns: list[int]) -> int:
    return len(ns)


@workflow
def wrong_part(n: int) -> str:
    made: Any = parts(n=n)
    return worded(word=made.number)


@workflow
def wrongly_put_together(n: int) -> int:
    made: list[Any] = [first(n=n), worded(word="one")]
    return counted(ns=made)


@workflow
def wrongly_mapped(n: int) -> list[str]:
    mapped: Any = map_task(worded)
    return mapped(word=numbers(n=n))


@task
def numbers(n: int) -> list[int]:
    return [n]


@workflow
def lost_within(n: int) -> int:
    inner: Any = conditional("c")
    return inner.if_(n == 1).then(first(n=first(n=n))).else_().then(first(n=n))


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (wrong_part, "word is declared as string, and n0.o0.number is integer"),
        (wrongly_put_together, "node n2: ns is declared as integer, and n1.o0 is string"),
        (wrongly_mapped, "word is declared as list of string, and n0.o0 is list of integer"),
        (lost_within, "is called within then(…) is lost: call it before"),
        (wrongly_typed, "node n1: word is declared as string, and n0.o0 is integer; Flyte refuses"),
        (wrong_within, "word is declared as string, and n0.o0 is integer"),
        (wrongly_returned, "output: o0 is declared as list of integer, and n0.o0 is integer"),
        (of_raw_containers, "of the type raw-container"),
        (of_references, "registered elsewhere"),
        (of_gates, "waits for a person"),
    ],
)
def test_what_cannot_run_here_is_refused_before_anything_starts(entity: Any, reason: str) -> None:
    cluster = Pretence()
    with pytest.raises(NotSupported, match=re.escape(reason)):
        run(cluster, entity, n=1)
    assert cluster.started == []


def test_a_task_that_is_more_than_a_container_is_refused() -> None:
    with pytest.raises(NotSupported, match="has a pod template"):
        check_task("n0", tasks_pb2.TaskTemplate(type="python-task"))


@task(container_image="{{.image.team.fqn}}:{{.image.team.version}}")
def placeholder(n: int) -> int:
    return n


@task(container_image=ImageSpec(name="never-built", packages=["nothing"], registry="example.org"))
def specified(n: int) -> int:
    return n


@dynamic
def decides(n: int) -> int:
    return specified(n=n)


@pytest.mark.parametrize("entity", [placeholder, specified, decides])
def test_no_image_is_built_or_missing(entity: Any) -> None:
    registry = Registry(serialization_settings("s3://bucket/code.tar.gz"))
    template = registry.tasks[registry.add(entity)]
    assert template.container.image.endswith(":latest")


def test_a_real_images_path_is_its_own() -> None:
    elsewhere = serialization_settings("s3://bucket/code.tar.gz", images_are_here=False)
    here = serialization_settings("s3://bucket/code.tar.gz")
    assert "PATH" not in (elsewhere.env or {})
    assert "PATH" in (here.env or {})


def test_nobody_is_warned_of_a_pods_image_that_nothing_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "_said", set())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shell = PerianContainerTask(
            name="shell", task_config=PerianConfig(cores=1), image="debian:12", command=["true"]
        )
        Registry(serialization_settings("s3://bucket/code.tar.gz")).add(shell)
