"""Runs a workflow of task nodes on the cluster stand-in, one node after the other.

Nodes run in the order in which they were declared, which flytekit keeps free of forward references.
Their inputs are bound as FlytePropeller binds them. Sub-workflows, conditionals and launch plans
have no meaning here and raise ``SandboxError``; a node that fails ends the run with
``NodeFailed``.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.node import Node
from flytekit.core.type_engine import TypeEngine
from flytekit.core.workflow import PythonFunctionWorkflow
from flytekit.models.literals import (
    BindingData,
    Literal,
    LiteralCollection,
    LiteralMap,
)

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.flyte.cluster import Attempt, Cluster

START_NODE = ""
"""flytekit's name for the workflow's own inputs as a node."""


@dataclass(frozen=True)
class Step:
    """A node that has run.

    Attributes:
        node: its id.
        task: its task's name.
        attempts: what was tried, the last one decided.
        seconds: how long all of them took.
    """

    node: str
    task: str
    attempts: list[Attempt]
    seconds: float


class NodeFailed(SandboxError):
    """A node failed for good."""


def run_workflow(
    cluster: Cluster,
    workflow: PythonFunctionWorkflow,
    inputs: Mapping[str, object],
    execution: str,
    on_step: Callable[[Step], None],
) -> dict[str, Literal]:
    """Run a workflow and return its outputs.

    Args:
        cluster: where its tasks run.
        workflow: the workflow.
        inputs: Python values of its inputs.
        execution: name of the execution.
        on_step: called after each node.

    Raises:
        NodeFailed: a node failed.
        SandboxError: the workflow has a node that is no task.
    """
    context = FlyteContextManager.current_context()
    given = TypeEngine.dict_to_literal_map(
        context, dict(inputs), dict(workflow.python_interface.inputs)
    )
    produced: dict[str, Mapping[str, Literal]] = {START_NODE: given.literals}
    for node in workflow.nodes:
        produced[node.id] = run_node(cluster, node, produced, execution, on_step)
    return {binding.var: resolve(binding.binding, produced) for binding in workflow.output_bindings}


def run_node(
    cluster: Cluster,
    node: Node,
    produced: Mapping[str, Mapping[str, Literal]],
    execution: str,
    on_step: Callable[[Step], None],
) -> Mapping[str, Literal]:
    """Run one node and return its outputs."""
    task = node.flyte_entity
    if not isinstance(task, PythonTask):
        message = f"node {node.id}: expected a task, got {type(task).__name__}"
        raise SandboxError(message)
    inputs = {binding.var: resolve(binding.binding, produced) for binding in node.bindings}
    started = time.monotonic()
    attempts = cluster.run(
        cluster.serialize(task), LiteralMap(inputs), execution=execution, node=node.id
    )
    on_step(Step(node.id, task.name, attempts, time.monotonic() - started))
    last = attempts[-1]
    if last.outputs is None:
        assert last.error is not None
        message = f"node {node.id} ({task.name}) failed: {last.error.message}"
        raise NodeFailed(message)
    outputs: Mapping[str, Literal] = last.outputs.literals
    return outputs


def resolve(data: BindingData, produced: Mapping[str, Mapping[str, Literal]]) -> Literal:
    """Return the literal that a binding means."""
    if data.promise is not None:
        return produced[data.promise.node_id][data.promise.var]
    if data.collection is not None:
        items = [resolve(item, produced) for item in data.collection.bindings]
        return Literal(collection=LiteralCollection(items))
    if data.map is not None:
        entries = {key: resolve(item, produced) for key, item in data.map.bindings.items()}
        return Literal(map=LiteralMap(entries))
    return Literal(scalar=data.scalar)
