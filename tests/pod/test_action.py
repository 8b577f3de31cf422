"""Flyte 2's door: a pod may find what one before it has left, at the very place."""

from dataclasses import dataclass, field, replace

import pytest
from flyteidl.core import errors_pb2, literals_pb2
from flyteidl.core.interface_pb2 import Variable
from flyteidl.core.tasks_pb2 import TaskTemplate
from support.memory_store import MemoryStore

from perian_shim import task_argument
from perian_shim.errors import StorageFailed, Superseded
from perian_shim.pod import action as door
from perian_shim.pod import execute
from perian_shim.pod.action import HABITS, as_told
from perian_shim.pod.action_invocation import ActionInvocation
from perian_shim.pod.report import report
from perian_shim.pod.run import Finished
from perian_shim.pod.run_context import RunContext
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.values.serialized import serialize
from perian_shim.work.backend import FLYTE_PROPELLER
from perian_shim.work.task_run import Place

OUTPUT = "s3://b/run/x/1"
ERROR, OUTPUTS = f"{OUTPUT}/error.pb", f"{OUTPUT}/outputs.pb"
INVOCATION = ActionInvocation(
    task=task_argument.encode(TaskTemplate()),
    inputs="s3://b/run/x/inputs.pb",
    output_prefix=OUTPUT,
    raw_prefix="s3://b/raw/x",
)
ONE = serialize(
    literals_pb2.Literal(
        scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1)),
    )
)
DECLARED = {"o0": Variable()}


@dataclass
class Pod:
    """A pod whose object store is in memory."""

    store: MemoryStore = field(default_factory=MemoryStore)

    def run(self, invocation: ActionInvocation = INVOCATION) -> errors_pb2.ContainerError:
        door.execute_action(invocation, {})
        return errors_pb2.ErrorDocument.FromString(self.store.objects[ERROR]).error

    def report(self, finished: Finished, restarts: bool = True) -> None:
        backend = HABITS if restarts else FLYTE_PROPELLER
        place = Place.of_attempt("s3://b/raw/x", OUTPUT, None, None, {}, backend)
        secrets = FlyteSecrets.of_action({})
        context = RunContext("s3://b/raw/x", place, {}, secrets, lambda _: self.store)
        report(context, finished, DECLARED)


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Pod:
    made = Pod()
    monkeypatch.setattr(execute, "open_store", lambda *_: made.store)
    return made


def test_inputs_that_are_not_there_are_worth_another_pod(pod: Pod) -> None:
    error = pod.run()
    assert error.code == "PERIAN:StorageFailed"
    assert (error.kind, error.origin) == (errors_pb2.ContainerError.RECOVERABLE, 2)


def test_a_damaged_task_is_not(pod: Pod) -> None:
    error = pod.run(replace(INVOCATION, task="nothing"))
    assert error.code == "PERIAN:InvalidTemplate"
    assert error.kind == errors_pb2.ContainerError.NON_RECOVERABLE


def test_damaged_inputs_are_named(pod: Pod) -> None:
    pod.store.write(INVOCATION.inputs, b"\xff\xff")
    assert f"{INVOCATION.inputs} is not a flyteidl2.task.Inputs" in pod.run().message


def test_the_error_of_a_pod_before_is_gone_before_there_are_outputs(pod: Pod) -> None:
    pod.store.write(ERROR, b"of the pod before")
    pod.report(Finished({"o0": ONE}))
    assert list(pod.store.objects) == [OUTPUTS]


def test_outputs_are_not_written_beside_an_error_that_stays(pod: Pod) -> None:
    pod.store.write(ERROR, b"of the pod before")
    pod.store.failures, pod.store.passing = 1, False
    with pytest.raises(StorageFailed):
        pod.report(Finished({"o0": ONE}))
    assert list(pod.store.objects) == [ERROR]


def test_a_superseded_pod_leaves_the_place_to_the_one_that_has_it(pod: Pod) -> None:
    with pytest.raises(Superseded):
        pod.report(Finished(error=Superseded("Attempt 0 has taken over this work.")))
    assert not pod.store.objects


def test_where_each_attempt_has_a_place_of_its_own_a_superseded_pod_says_so(pod: Pod) -> None:
    pod.report(Finished(error=Superseded("Attempt 1 has taken over.")), restarts=False)
    assert b"PERIAN:Superseded" in pod.store.objects[ERROR]


@pytest.mark.parametrize(
    ("environ", "execution", "attempt"),
    [
        ({"RUN_NAME": "r1"}, "r1", "0"),
        ({"RUN_NAME": "r1", "FLYTE_INTERNAL_EXECUTION_ID": "r2"}, "r2", "0"),
        ({"FLYTE_ATTEMPT_NUMBER": "4"}, "", "4"),
    ],
)
def test_a_pod_knows_its_run_and_its_attempt(
    environ: dict[str, str], execution: str, attempt: str
) -> None:
    told = as_told(environ, OUTPUT)
    assert told["FLYTE_INTERNAL_EXECUTION_ID"] == execution
    assert told["FLYTE_ATTEMPT_NUMBER"] == attempt


def test_attempts_count_from_one_in_their_prefixes() -> None:
    place = Place.of_attempt("s3://b/raw", OUTPUT, None, None, as_told({}, OUTPUT), HABITS)
    assert place.attempt == 0
    assert place.report_of(0) == ERROR
    assert place.report_of(1) == "s3://b/run/x/2/error.pb"


@pytest.mark.parametrize("variable", ["_FSEC_MY-TEAM_KEY", "MY-TEAM_KEY", "MY_TEAM_KEY"])
def test_a_secret_is_found_under_the_names_that_flyte_2_gives_it(variable: str) -> None:
    assert FlyteSecrets.of_action({variable: "value"}).get("my-team", "key") == "value"
