"""The items of a map task: each one a task of its own, some at a time."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from flyteidl.core import tasks_pb2, workflow_pb2

from perian_shim.sandbox.flyte.array import (
    array_error,
    collected,
    failures_allowed,
    item_count,
    item_template,
)
from perian_shim.sandbox.flyte.attempts import (
    Runner,
    TaskRun,
    literals_of,
    retries_of,
    timeout_of,
)
from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.failures import Aborted, NodeFailed
from perian_shim.sandbox.flyte.places import Place
from perian_shim.sandbox.flyte.reporting import Step
from perian_shim.sandbox.flyte.scopes import Scope


@dataclass(frozen=True)
class Items:
    """A map task at its node.

    Attributes:
        runner: runs the items.
        array: the node's.
        node: where it is in the workflow.
        template: of the task that is mapped, with lists for its inputs and outputs.
        place: the node's paths.
    """

    runner: Runner
    array: workflow_pb2.ArrayNode
    node: str
    template: tasks_pb2.TaskTemplate
    place: Place
    failed: dict[int, NodeFailed] = field(default_factory=dict)

    def run(self, inputs: Literals, scope: Scope, parallel: int) -> Literals:
        """Run all items to their end and return the lists of their outputs.

        Args:
            inputs: of the node.
            scope: what they are ended with.
            parallel: how many at a time; fewer, if the map task says so.

        Raises:
            NodeFault: the inputs cannot be mapped.
            NodeFailed: too many items have failed.
            Aborted: the scope was.
        """
        started = time.monotonic()
        # flyteidl has it since 1.15.
        count = item_count(inputs, getattr(self.array, "bound_inputs", ()))
        allowed, inner = failures_allowed(self.array, count), scope.inner()
        width = min(self.array.parallelism or parallel, parallel)
        with ThreadPoolExecutor(width) as pool:
            outputs = list(
                pool.map(lambda index: self.item(index, inputs, allowed, inner), range(count))
            )
        scope.check()
        seconds, name = time.monotonic() - started, self.template.id.name
        if len(self.failed) > allowed:
            error = array_error({index: each.error for index, each in self.failed.items()})
            self.runner.reporter.ended(Step(self.node, name, 0, seconds, None, error))
            raise NodeFailed(self.node, error)
        lists = collected(list(self.template.interface.outputs.variables), outputs)
        self.runner.reporter.ended(Step(self.node, name, 0, seconds, lists, None))
        return lists

    def item(self, index: int, inputs: Literals, allowed: int, scope: Scope) -> Literals | None:
        """Run one item and return its outputs, None if there are none."""
        task = TaskRun(
            f"{self.node}[{index}]",
            item_template(self.template),
            inputs,
            lambda number: self.place.item(index, number),
            retries_of(self.array.node, self.template),
            timeout_of(self.array.node),
        )
        try:
            return literals_of(self.runner.run(task, scope))
        except NodeFailed as error:
            self.failed[index] = error
            # flyteidl has it since 1.16.
            if len(self.failed) > allowed and not getattr(self.array, "run_all_sub_nodes", False):
                scope.abort()
        except Aborted:
            pass
        return None
