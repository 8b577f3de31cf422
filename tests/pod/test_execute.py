"""Our image's door: what Flyte wrote is read, and whatever happens is told to Flyte."""

from dataclasses import dataclass, field
from functools import partial

import pytest
from flyteidl.core import errors_pb2
from flyteidl.core.literals_pb2 import LiteralMap
from flyteidl.core.tasks_pb2 import TaskTemplate
from support.memory_store import MemoryStore

from perian_shim.errors import StorageFailed
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.pod import execute as door
from perian_shim.pod.invocation import Invocation

INVOCATION = Invocation(
    inputs="s3://b/data/inputs.pb",
    output_prefix="s3://b/data/0",
    raw_prefix="s3://b/raw/x-n0-0",
    template="s3://b/data/task.pb",
)


@dataclass
class Pod:
    """A pod whose object store is in memory."""

    store: MemoryStore = field(default_factory=MemoryStore)

    def given(self, template: bytes | None, inputs: bytes | None) -> "Pod":
        """Write what Flyte writes before it starts a pod."""
        for uri, content in ((INVOCATION.template, template), (INVOCATION.inputs, inputs)):
            if content is not None:
                self.store.write(uri, content)
        return self

    def error(self) -> errors_pb2.ContainerError:
        """Run and return what Flyte is told."""
        door.execute(INVOCATION, {})
        document = self.store.read("s3://b/data/0/error.pb", 10**6)
        assert document is not None
        return errors_pb2.ErrorDocument.FromString(document).error


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Pod:
    made = Pod()
    monkeypatch.setattr(door, "open_store", lambda *_: made.store)
    return made


NO_INPUTS = LiteralMap().SerializeToString()
NOT_PROTOBUF = b"\xff\xff\xff\xff"


def test_a_template_that_is_not_there_is_worth_another_attempt(pod: Pod) -> None:
    error = pod.given(None, NO_INPUTS).error()
    assert (error.code, error.kind) == (
        "PERIAN:StorageFailed",
        errors_pb2.ContainerError.RECOVERABLE,
    )
    assert INVOCATION.template in error.message


def test_a_damaged_template_is_not(pod: Pod) -> None:
    error = pod.given(NOT_PROTOBUF, NO_INPUTS).error()
    assert error.code == "PERIAN:InvalidTemplate"
    assert error.kind == errors_pb2.ContainerError.NON_RECOVERABLE
    assert INVOCATION.template in error.message


def test_damaged_inputs_are_named(pod: Pod) -> None:
    error = pod.given(TaskTemplate().SerializeToString(), NOT_PROTOBUF).error()
    assert error.code == "PERIAN:InvalidTemplate"
    assert f"{INVOCATION.inputs} is not a flyteidl.core.LiteralMap" in error.message


def test_another_plugin_s_template_is_refused(pod: Pod) -> None:
    error = pod.given(TaskTemplate().SerializeToString(), NO_INPUTS).error()
    assert error.code == "PERIAN:InvalidTemplate"
    assert "custom.version is missing" in error.message


def test_what_cannot_be_told_to_flyte_is_a_failure_of_the_process(
    pod: Pod,
) -> None:
    pod.given(None, NO_INPUTS)
    pod.store.failures, pod.store.passing = 2, False  # a read and a write
    with pytest.raises(StorageFailed):
        door.execute(INVOCATION, {})


def test_an_outage_of_the_store_is_ridden_out(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = partial(Retrier, clock=Clock(sleep=lambda _: None))
    monkeypatch.setattr(door, "Retrier", at_once)
    pod.given(TaskTemplate().SerializeToString(), NO_INPUTS)
    pod.store.failures = 3
    assert "custom.version is missing" in pod.error().message
