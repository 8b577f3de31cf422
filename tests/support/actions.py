"""Flyte 2's habits with a pod, for any task of ours: arguments, paths, variables, retries.

The task is one that flytekit made; its template travels in the arguments of ``a0``. So whatever is
tried through the doors of Flyte 1 can be tried through Flyte 2's, without its SDK.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from flyteidl.core import tasks_pb2
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate

from perian_shim import task_argument
from perian_shim.sandbox.flyte.cluster import Attempt, RunningPod
from perian_shim.sandbox.flyte2.cluster import ActionCluster
from perian_shim.sandbox.flyte2.places import ActionPod
from perian_shim.sandbox.flyte2.rules import Budget, Next

ARGUMENTS = (
    *("--inputs", "{{.input}}", "--outputs-path", "{{.outputPrefix}}", "--version", "v1"),
    *("--raw-data-path", "{{.rawOutputDataPrefix}}"),
    *("--checkpoint-path", "{{.checkpointOutputPrefix}}"),
    *("--prev-checkpoint", "{{.prevCheckpointPrefix}}"),
    *("--run-name", "{{.runName}}", "--name", "{{.actionName}}"),
)


@dataclass
class Actions(ActionCluster):
    """A backend of Flyte 2 for tasks that flytekit made.

    Attributes:
        failures: how often an action's attempts have failed, by run and action.
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
        failures = self.failures[execution, node]
        folder = self.folder(execution, node)
        pod = ActionPod.of(self.bucket, folder, execution, node, pods=attempt, attempt=failures)
        return self.launch(as_action(template.to_flyte_idl()), inputs.to_flyte_idl(), pod)

    def run(
        self, template: TaskTemplate, inputs: LiteralMap, *, execution: str, node: str = "n0"
    ) -> list[Attempt]:
        """Run an action with Flyte's retries; return what became of its pods."""
        attempts: list[Attempt] = []
        budget = Budget(template.metadata.retries.retries)
        while True:
            attempt = self.start(template, inputs, execution, node, len(attempts)).wait()
            attempts.append(attempt)
            step, budget = budget.after(attempt.error)
            if step in {Next.SUCCEED, Next.FAIL}:
                return attempts
            self.failures[execution, node] = budget.failures


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
    ours = [task_argument.OPTION, task_argument.encode(record)]
    action.container.args[:] = ["a0", *ours, *ARGUMENTS]
    return action
