"""Tasks of Flyte 2 on a sandbox, as their backend runs them: pods through our door, real jobs."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flyte.models import CodeBundle, SerializationContext
from flyteidl.core import literals_pb2, tasks_pb2
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate
from support.doors import Door
from support.flyte import Harness, harness_on, running_sandbox
from support.function_harness import IMAGE_ENVIRONMENT, TESTS
from support.object_stores import flytes_stores

from perian_shim import task_argument
from perian_shim.flyte2 import sdk
from perian_shim.sandbox.flyte.cluster import Attempt, RunningPod
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.work.task_record import TaskRecord


def context(bundle: CodeBundle | None = None, **changes: Any) -> SerializationContext:
    """Return what tasks are deployed with."""
    given: dict[str, Any] = {
        "version": "v7",
        "project": "p",
        "domain": "d",
        "org": "o",
        "root_dir": TESTS,
        "code_bundle": bundle,
        **changes,
    }
    return SerializationContext(**given)


def template_of(task: Any, bundle: CodeBundle | None = None, **changes: Any) -> Any:
    """Return a task's template, a ``flyteidl2.core.TaskTemplate``."""
    return sdk.template_of(task, context(bundle, **changes))


def record_of(task: Any, bundle: CodeBundle | None = None, **changes: Any) -> TaskRecord:
    """Return what a task's pod is told of its job."""
    arguments = list(template_of(task, bundle, **changes).container.args)
    assert arguments[:2] == ["a0", task_argument.OPTION]
    return TaskRecord.from_template(task_argument.decode(arguments[2]))


@dataclass(frozen=True)
class Ran:
    """A pod that has ended.

    Attributes:
        attempt: what became of it.
        pod: it.
        jobs: the jobs of its run, the newest first.
        value: what the task returns, None if it failed.
    """

    attempt: Attempt
    pod: RunningPod
    jobs: list[JobSnapshot]
    value: Any = None

    @property
    def error(self) -> Any:
        """Why it failed."""
        assert self.attempt.error is not None, self.attempt.log
        return self.attempt.error

    def left(self, name: str) -> bytes | None:
        """Return a document at its place."""
        return self.pod.store.read(f"{self.pod.pod.output_prefix}/{name}")


@dataclass
class Flyte2Harness:
    """A backend of Flyte 2 on a sandbox.

    Attributes:
        harness: a sandbox and a backend's habits.
        secrets: what the Kubernetes namespace holds beside what it always does.
        keys: whether the sandbox's keys of the object store are among that.
    """

    harness: Harness
    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    keys: bool = True

    def start(
        self, task: Any, bundle: CodeBundle | None = None, execution: str = "", **inputs: Any
    ) -> RunningPod:
        """Start one pod of a task."""
        keys = self.harness.sandbox.environment()
        own = {
            ("perian", "aws_access_key_id"): keys["AWS_ACCESS_KEY_ID"],
            ("perian", "aws_secret_access_key"): keys["AWS_SECRET_ACCESS_KEY"],
        }
        held = {**self.harness.cluster.secrets, **(own if self.keys else {}), **self.secrets}
        cluster = replace(self.harness.cluster, secrets=held)
        document = asyncio.run(sdk.inputs_document(task.native_interface, inputs))
        literals = literals_pb2.LiteralMap.FromString(document)
        return cluster.start(
            TaskTemplate.from_flyte_idl(in_image(template_of(task, bundle))),
            LiteralMap.from_flyte_idl(literals),
            execution or self.harness.execution(),
        )

    def run(self, task: Any, bundle: CodeBundle | None = None, **inputs: Any) -> Ran:
        """Run one pod of a task to its end."""
        return self.ended(task, self.start(task, bundle, **inputs))

    def ended(self, task: Any, pod: RunningPod) -> Ran:
        """Wait for a pod's end."""
        attempt = pod.wait()
        jobs = self.harness.jobs(pod.pod.execution)
        value = None
        if attempt.outputs is not None:
            document = pod.store.read(f"{pod.pod.output_prefix}/outputs.pb") or b""
            value = asyncio.run(sdk.values_of(task.native_interface, document))
        return Ran(attempt, pod, jobs, value)


def in_image(template: Any) -> tasks_pb2.TaskTemplate:
    """Return a template as flyteidl has it, whose job has the variables of the tests' image."""
    made = tasks_pb2.TaskTemplate.FromString(template.SerializeToString())
    at = list(made.container.args).index(task_argument.OPTION) + 1
    record = task_argument.decode(made.container.args[at])
    if record.custom["kind"] == "action":
        environment: Any = record.custom["environment"]
        environment.update({**IMAGE_ENVIRONMENT, **dict(environment.items())})
        made.container.args[at] = task_argument.encode(record)
    return made


@contextmanager
def flyte2_harness(folder: Path) -> Iterator[Flyte2Harness]:
    """Start a sandbox with a backend of Flyte 2."""
    with (
        flytes_stores(),
        running_sandbox(folder) as sandbox,
        harness_on(sandbox, folder, Door.A0) as harness,
    ):
        yield Flyte2Harness(harness)
