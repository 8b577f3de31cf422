"""Walks compiled workflows as FlytePropeller does, on the cluster stand-in.

A workflow's nodes are started as soon as what they wait for has succeeded, each in a thread;
pods are bounded over the whole run. Nodes may be tasks, subworkflows, launch plans (executions of
their own), conditionals and map tasks; what a dynamic workflow leaves is walked like a workflow.
There is no cache and no recovery, ``interruptible`` means nothing, and signals never come.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from flyteidl.core import literals_pb2, types_pb2, workflow_pb2

from perian_shim.sandbox.flyte.attempts import (
    Runner,
    TaskRun,
    literals_of,
    retries_of,
    timeout_of,
)
from perian_shim.sandbox.flyte.bindings import START_NODES, Literals, bound
from perian_shim.sandbox.flyte.branches import chosen
from perian_shim.sandbox.flyte.cluster import GRACE_SECONDS, Attempt, Cluster
from perian_shim.sandbox.flyte.failures import Aborted, NodeFailed, NodeFault
from perian_shim.sandbox.flyte.graph import ready
from perian_shim.sandbox.flyte.items import Items
from perian_shim.sandbox.flyte.places import Place, short_hash
from perian_shim.sandbox.flyte.registry import (
    Key,
    Registry,
    Runnable,
    all_nodes,
    check,
    launch_inputs,
    missing_inputs,
)
from perian_shim.sandbox.flyte.reporting import Reporter, Step
from perian_shim.sandbox.flyte.scopes import Scope
from perian_shim.sandbox.flyte.types import check_types

PARALLEL = 4
"""Pods at a time: each is a process of this machine, and so is its job."""

FAIL_LATE = workflow_pb2.WorkflowMetadata.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE


@dataclass(frozen=True)
class Flow:
    """A workflow that is being walked, or what a dynamic one has left.

    Attributes:
        nodes: its nodes.
        outputs: bindings of what it produces.
        inputs: complete.
        registry: has what its nodes refer to.
        place: gives the place of one of its nodes.
        execution: name of the execution that it is part of.
        prefix: of its nodes' names, e.g. ``n1/``.
        late: whether nodes that do not need a failed one still run.
        last: the node that runs when it has failed.
    """

    nodes: Iterable[workflow_pb2.Node]
    outputs: Iterable[literals_pb2.Binding]
    inputs: Literals
    registry: Registry
    place: Callable[[str], Place]
    execution: str
    prefix: str
    late: bool = False
    last: workflow_pb2.Node | None = None


class Engine:
    """Runs workflows.

    Args:
        cluster: where their tasks run.
        reporter: hears what happens.
        parallel: pods at a time.
        grace_seconds: what a pod has to end by itself when it is deleted.
    """

    def __init__(
        self,
        cluster: Cluster,
        reporter: Reporter,
        *,
        parallel: int = PARALLEL,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.cluster = cluster
        self.reporter = reporter
        self.parallel = parallel
        self.runner = Runner(cluster, reporter, threading.Semaphore(parallel))
        self.scope = Scope(grace_seconds)

    def run(
        self, registry: Registry, entity: Runnable, given: Literals, execution: str
    ) -> Literals:
        """Run a workflow, a task or a launch plan and return its outputs.

        Args:
            registry: where it is registered, and what it needs.
            entity: what to run.
            given: its inputs; what a launch plan has itself may be missing.
            execution: name of the execution.

        Raises:
            NotSupported: it needs what is not here; nothing has been started.
            NodeFault: the inputs are not those of the workflow.
            NodeFailed: a node failed for good.
            Aborted: ``abort`` was called.
        """
        template, own = registry.entry(entity)
        others: set[Key] = set()
        check(all_nodes(template), registry, others)
        for workflow in (template, *(registry.workflows[other] for other in others)):
            check_types(workflow, registry)
        inputs = {**own, **given}
        missing_inputs(template, inputs)
        flow = self.flow(template, inputs, registry, execution)
        return self.walk(flow, self.scope)

    def abort(self) -> None:
        """End the run: every pod gets SIGTERM, and SIGKILL after its grace period."""
        self.scope.abort()

    def kill(self) -> None:
        """End the run with SIGKILL."""
        self.scope.kill()

    def flow(
        self,
        template: workflow_pb2.WorkflowTemplate,
        inputs: Literals,
        registry: Registry,
        execution: str,
        *,
        place: Callable[[str], Place] | None = None,
        prefix: str = "",
    ) -> Flow:
        """Return a workflow ready for its walk; one without a place is an execution's own."""
        return Flow(
            template.nodes,
            template.outputs,
            inputs,
            registry,
            place or (lambda node: self.cluster.place(execution, node)),
            execution,
            prefix,
            late=template.metadata.on_failure == FAIL_LATE,
            last=template.failure_node if template.HasField("failure_node") else None,
        )

    def walk(self, flow: Flow, outer: Scope) -> Literals:
        """Run a workflow's nodes and return its outputs."""
        scope = outer.inner()
        produced: dict[str, Literals] = dict.fromkeys(START_NODES, flow.inputs)
        waiting = {node.id: node for node in flow.nodes}
        ended: queue.SimpleQueue[tuple[str, Literals | Exception]] = queue.SimpleQueue()
        errors: list[Exception] = []
        running = 0
        while True:
            if not errors or (flow.late and all(isinstance(e, NodeFailed) for e in errors)):
                for node in ready(waiting, produced):
                    del waiting[node.id]
                    running += 1
                    self.start(node, flow, dict(produced), scope, ended)
            if not running:
                break
            name, outcome = ended.get()
            running -= 1
            if isinstance(outcome, Exception):
                errors.append(outcome)
                if not flow.late or not isinstance(outcome, NodeFailed):
                    scope.abort()
            else:
                produced[name] = outcome
        if errors:
            self.fail(errors, flow, outer)
        outer.check()
        return bound(flow.outputs, produced)

    def fail(self, errors: list[Exception], flow: Flow, outer: Scope) -> None:
        """Run what is to run when a workflow has failed, then raise what ended it first."""
        errors.sort(key=lambda error: isinstance(error, Aborted))
        first = errors[0]
        if flow.last is not None and isinstance(first, NodeFailed) and not outer.aborted:
            inputs = {**flow.inputs, **self.told(flow, first)}
            produced: dict[str, Literals] = dict.fromkeys(START_NODES, inputs)
            try:
                self.node(flow.last, flow, produced, outer)
            except NodeFailed as failed:
                self.reporter.note(f"the workflow's on_failure failed as well: {failed}")
        raise first

    def told(self, flow: Flow, failed: NodeFailed) -> Literals:
        """Return the error as an input of the node that runs when the workflow has failed."""
        told = types_pb2.Error(failed_node_id=failed.node, message=failed.error.message)
        error = literals_pb2.Literal(scalar=literals_pb2.Scalar(error=told))
        last = flow.last
        assert last is not None
        bindings = {binding.var for binding in last.inputs}
        if last.HasField("task_node"):
            declared = flow.registry.task(last.task_node.reference_id).interface
        else:
            reference = last.workflow_node.sub_workflow_ref
            declared = flow.registry.workflow(reference).interface
        names = set(declared.inputs.variables) - bindings
        return dict.fromkeys(names, error)

    def start(
        self,
        node: workflow_pb2.Node,
        flow: Flow,
        produced: dict[str, Literals],
        scope: Scope,
        ended: "queue.SimpleQueue[tuple[str, Literals | Exception]]",
    ) -> None:
        """Run a node in a thread that puts its outputs, or its error, into a queue."""

        def run() -> None:
            try:
                ended.put((node.id, self.node(node, flow, produced, scope)))
            except Exception as error:  # noqa: BLE001 - handed to the thread that waits for it
                ended.put((node.id, error))

        threading.Thread(target=run, name=flow.prefix + node.id, daemon=True).start()

    def node(
        self, node: workflow_pb2.Node, flow: Flow, produced: dict[str, Literals], scope: Scope
    ) -> Literals:
        """Run a node to its end and return its outputs."""
        label = flow.prefix + node.id
        scope.check()
        started = time.monotonic()
        try:
            inputs = {**bound(node.inputs, produced)}
            if node is flow.last:
                names = set(produced[""]) - set(flow.inputs)
                inputs.update({name: produced[""][name] for name in names})
            if node.HasField("branch_node"):
                taken = workflow_pb2.Node()
                taken.CopyFrom(chosen(node.branch_node.if_else, inputs))
                taken.id = f"{node.id}-{taken.id}"  # flytekit counts them anew in each conditional
                return self.node(taken, flow, produced, scope)
            if node.HasField("task_node"):
                return self.task(node, label, inputs, flow, scope)
            if node.HasField("array_node"):
                return self.array(node, label, inputs, flow, scope)
            return self.workflow(node.workflow_node, node.id, inputs, flow, scope)
        except NodeFault as fault:
            seconds = time.monotonic() - started
            name = node.metadata.name or node.id
            self.reporter.ended(Step(label, name, 0, seconds, None, fault.error))
            raise NodeFailed(label, fault.error) from fault

    def task(
        self, node: workflow_pb2.Node, label: str, inputs: Literals, flow: Flow, scope: Scope
    ) -> Literals:
        """Run a task, and what it leaves to be run if it is a dynamic workflow."""
        template = flow.registry.task(node.task_node.reference_id)
        place = flow.place(node.id)
        retries, timeout = retries_of(node, template), timeout_of(node)
        task = TaskRun(label, template, inputs, place.attempt, retries, timeout)
        attempt = self.runner.run(task, scope)
        if attempt.futures is None:
            return literals_of(attempt)
        return self.dynamic(task, attempt, place, flow, scope)

    def dynamic(
        self, task: TaskRun, attempt: Attempt, place: Place, flow: Flow, scope: Scope
    ) -> Literals:
        """Walk what a dynamic workflow's pod has left."""
        spec = attempt.futures
        assert spec is not None
        started = time.monotonic()
        registry = flow.registry.with_dynamic(spec)
        name = task.template.id.name
        self.reporter.note(f"{task.node} {name}: {len(spec.nodes)} nodes of its own")
        check(spec.nodes, registry, set())
        interface = task.template.interface
        check_types(
            workflow_pb2.WorkflowTemplate(
                nodes=spec.nodes, outputs=spec.outputs, interface=interface
            ),
            registry,
        )
        inner = replace(
            flow,
            nodes=spec.nodes,
            outputs=spec.outputs,
            inputs=task.inputs,
            registry=registry,
            place=lambda node: place.inside(node, attempt.number),
            prefix=f"{task.node}/",
            late=False,
            last=None,
        )
        outputs = self.walk(inner, scope)
        seconds = time.monotonic() - started
        self.reporter.ended(Step(task.node, name, attempt.number + 1, seconds, outputs, None))
        return outputs

    def workflow(
        self,
        node: workflow_pb2.WorkflowNode,
        name: str,
        inputs: Literals,
        flow: Flow,
        scope: Scope,
    ) -> Literals:
        """Run a subworkflow, or a launch plan as an execution of its own."""
        place, prefix = flow.place(name), f"{flow.prefix}{name}/"
        execution = flow.execution
        if node.HasField("launchplan_ref"):
            plan = flow.registry.launch_plan(node.launchplan_ref)
            template = flow.registry.workflow(plan.workflow_id)
            execution = "f" + short_hash(f"{flow.execution}-{place.node}-0")
            inputs = launch_inputs(plan, inputs)
            inner = self.flow(template, inputs, flow.registry, execution, prefix=prefix)
        else:
            template = flow.registry.workflow(node.sub_workflow_ref)
            inner = self.flow(
                template, inputs, flow.registry, execution, place=place.inside, prefix=prefix
            )
        missing_inputs(template, inputs)
        return self.walk(inner, scope)

    def array(
        self, node: workflow_pb2.Node, label: str, inputs: Literals, flow: Flow, scope: Scope
    ) -> Literals:
        """Run the items of a map task."""
        template = flow.registry.task(node.array_node.node.task_node.reference_id)
        items = Items(self.runner, node.array_node, label, template, flow.place(node.id))
        return items.run(inputs, scope, self.parallel)
