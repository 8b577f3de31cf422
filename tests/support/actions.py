"""Flyte 2's habits with a pod, for any task of ours: arguments, paths, variables, retries.

The task is one that flytekit made; its template travels in the arguments of ``a0``. So whatever is
tried through the doors of Flyte 1 can be tried through Flyte 2's, without its SDK.
"""

import dataclasses
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from flyteidl.core import tasks_pb2
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate

from perian_shim import task_argument
from perian_shim.sandbox.flyte.cluster import (
    SYSTEM_RETRIES,
    Attempt,
    Cluster,
    RunningPod,
)
from perian_shim.sandbox.flyte.places import Place, Pod

METADATA = "metadata/v2"

ARGUMENTS = (
    *("--inputs", "{{.input}}", "--outputs-path", "{{.outputPrefix}}", "--version", "v1"),
    *("--raw-data-path", "{{.rawOutputDataPrefix}}"),
    *("--checkpoint-path", "{{.checkpointOutputPrefix}}"),
    *("--prev-checkpoint", "{{.prevCheckpointPrefix}}"),
    *("--run-name", "{{.runName}}", "--name", "{{.actionName}}"),
)


@dataclass(frozen=True)
class ActionPod(Pod):
    """One started pod of an action; a later one may be of the same attempt.

    Attributes:
        flyte_attempt: Flyte's number of the attempt, 0-based.
    """

    flyte_attempt: int = 0

    @property
    def name(self) -> str:
        """The pod's name."""
        return f"{self.execution}-{self.node}-{self.flyte_attempt}"

    @property
    def output_prefix(self) -> str:
        """Ends in the attempt, counted from 1."""
        return f"{self.data_prefix}/{self.flyte_attempt + 1}"

    @property
    def templates(self) -> dict[str, str]:
        """Every template variable of the backend."""
        before = dataclasses.replace(self, flyte_attempt=self.flyte_attempt - 1).output_prefix
        return {
            **super().templates,
            "checkpointoutputprefix": f"{self.output_prefix}/_flytecheckpoints",
            "prevcheckpointprefix": f"{before}/_flytecheckpoints" if self.flyte_attempt else '""',
            "runname": self.execution,
            "actionname": self.node,
        }


@dataclass
class Actions(Cluster):
    """A backend of Flyte 2.

    Attributes:
        failures: how often the task of an action has failed, by run and action.
    """

    failures: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def start(
        self,
        template: TaskTemplate,
        inputs: LiteralMap,
        execution: str,
        node: str = "n0",
        attempt: int = 0,
    ) -> RunningPod:
        """Start a pod; ``attempt`` counts pods."""
        folder = f"s3://{self.bucket}/{METADATA}/{self.project}/{self.domain}/{execution}/{node}"
        place = Place(self.bucket, execution, node, folder)
        number = self.failures[execution, node]
        usual = dataclasses.asdict(place.attempt(attempt))
        pod = ActionPod(**{**usual, "flyte_attempt": number})
        return self.launch(as_action(template.to_flyte_idl()), inputs.to_flyte_idl(), pod)

    def run(
        self, template: TaskTemplate, inputs: LiteralMap, *, execution: str, node: str = "n0"
    ) -> list[Attempt]:
        """Run an action with Flyte's retries; return what became of its pods."""
        attempts: list[Attempt] = []
        restarts = 0
        while True:
            attempt = self.start(template, inputs, execution, node, len(attempts)).wait()
            attempts.append(attempt)
            error = attempt.error
            if error is None or not error.recoverable:
                return attempts
            if error.kind == "SYSTEM":  # the same attempt, in its place
                restarts += 1
                if restarts > SYSTEM_RETRIES:
                    return attempts
                continue
            self.failures[execution, node] += 1
            if self.failures[execution, node] > template.metadata.retries.retries:
                return attempts

    def variables(self, template: tasks_pb2.TaskTemplate, pod: Pod, folder: Path) -> dict[str, str]:
        """Return the container's environment."""
        assert isinstance(pod, ActionPod)
        told = super().variables(template, pod, folder)
        run = pod.data_prefix.rpartition("/")[0]
        return {
            **{name: each for name, each in told.items() if "_INTERNAL_TASK_" not in name},
            "FLYTE_ATTEMPT_NUMBER": str(pod.flyte_attempt),
            "RUN_NAME": pod.execution,
            "ACTION_NAME": pod.node,
            "_U_ORG_NAME": "acme",
            "_U_RUN_BASE": run,
        }


def as_action(template: tasks_pb2.TaskTemplate) -> tasks_pb2.TaskTemplate:
    """Return a task whose container is started as Flyte 2 starts it."""
    if template.container.args[0] == "a0":
        return template
    action = tasks_pb2.TaskTemplate()
    action.CopyFrom(template)
    record = tasks_pb2.TaskTemplate()
    record.CopyFrom(template)
    record.ClearField("container")
    record.ClearField("security_context")
    action.container.args[:] = [
        "a0",
        task_argument.OPTION,
        task_argument.encode(record),
        *ARGUMENTS,
    ]
    return action
