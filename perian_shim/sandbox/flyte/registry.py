"""What FlyteAdmin keeps: compiled tasks, workflows and launch plans.

Templates are flytekit's own, by its ``get_serializable``; nothing of a function is looked at after
that. ``checked`` refuses what the stand-in cannot run before anything is started.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from flyteidl.admin import launch_plan_pb2
from flyteidl.core import (
    dynamic_job_pb2,
    identifier_pb2,
    interface_pb2,
    literals_pb2,
    tasks_pb2,
    types_pb2,
    workflow_pb2,
)
from flytekit.configuration import SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteEntities
from flytekit.core.launch_plan import LaunchPlan
from flytekit.core.workflow import WorkflowBase
from flytekit.models.admin.workflow import WorkflowSpec
from flytekit.models.launch_plan import LaunchPlan as LaunchPlanModel
from flytekit.models.task import TaskSpec
from flytekit.tools.translator import get_serializable

from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.cluster import PERIAN_TYPE
from perian_shim.sandbox.flyte.failures import NodeFault, NotSupported
from perian_shim.sandbox.flyte.graph import nested

Runnable: TypeAlias = "WorkflowBase | PythonTask[Any] | LaunchPlan"
TemplateT = TypeVar("TemplateT")
Key: TypeAlias = tuple[str, str, str, str]

RUNS_HERE = (PERIAN_TYPE, "python-task")
"""Types of tasks whose pods can be processes of this machine."""

SINGLE_NODE = "n0"


@dataclass(frozen=True)
class Registry:
    """Everything that is registered, by its id."""

    settings: SerializationSettings
    tasks: dict[Key, tasks_pb2.TaskTemplate] = field(default_factory=dict)
    workflows: dict[Key, workflow_pb2.WorkflowTemplate] = field(default_factory=dict)
    launch_plans: dict[Key, launch_plan_pb2.LaunchPlanSpec] = field(default_factory=dict)

    def add(self, entity: Runnable) -> Key:
        """Register an entity and all that it needs; return its id."""
        models: OrderedDict[Any, Any] = OrderedDict()
        own: Any = get_serializable(models, self.settings, entity)
        for model in models.values():
            if isinstance(model, TaskSpec):
                self.add_tasks([model.template.to_flyte_idl()])
            elif isinstance(model, WorkflowSpec):
                templates = (model.template, *model.sub_workflows)
                self.add_workflows(template.to_flyte_idl() for template in templates)
            elif isinstance(model, LaunchPlanModel):
                self.launch_plans[key(model.id.to_flyte_idl())] = model.spec.to_flyte_idl()
        identifier = own.id if isinstance(own, LaunchPlanModel) else own.template.id
        return key(identifier.to_flyte_idl())

    def add_tasks(self, templates: Iterable[tasks_pb2.TaskTemplate]) -> None:
        """Add compiled tasks."""
        self.tasks.update({key(template.id): template for template in templates})

    def add_workflows(self, templates: Iterable[workflow_pb2.WorkflowTemplate]) -> None:
        """Add compiled workflows."""
        self.workflows.update({key(template.id): template for template in templates})

    def with_dynamic(self, spec: dynamic_job_pb2.DynamicJobSpec) -> "Registry":
        """Return a registry that has what a dynamic workflow has brought along, too."""
        larger = Registry(
            self.settings, dict(self.tasks), dict(self.workflows), dict(self.launch_plans)
        )
        larger.add_tasks(spec.tasks)
        larger.add_workflows(spec.subworkflows)
        return larger

    def task(self, identifier: identifier_pb2.Identifier) -> tasks_pb2.TaskTemplate:
        """Return a task's template.

        Raises:
            NotSupported: it is not registered here.
        """
        return found(self.tasks, identifier, "task")

    def workflow(self, identifier: identifier_pb2.Identifier) -> workflow_pb2.WorkflowTemplate:
        """Return a workflow's template.

        Raises:
            NotSupported: it is not registered here.
        """
        return found(self.workflows, identifier, "workflow")

    def launch_plan(self, identifier: identifier_pb2.Identifier) -> launch_plan_pb2.LaunchPlanSpec:
        """Return a launch plan.

        A dynamic workflow's are not in what it leaves: registering the file has brought them.

        Raises:
            NotSupported: it is not registered here.
        """
        if key(identifier) not in self.launch_plans:
            for entity in list(FlyteEntities.entities):
                if isinstance(entity, LaunchPlan) and entity.name == identifier.name:
                    self.add(entity)
        return found(self.launch_plans, identifier, "launch plan")

    def entry(self, entity: Runnable) -> tuple[workflow_pb2.WorkflowTemplate, Literals]:
        """Register what is to be run; return its workflow, and the inputs that it has by itself.

        A task becomes a workflow of one node, as FlyteAdmin makes it.
        """
        own = self.add(entity)
        if own in self.tasks:
            return single_node(self.tasks[own]), {}
        if own in self.workflows:
            return self.workflows[own], {}
        plan = self.launch_plans[own]
        return self.workflow(plan.workflow_id), launch_inputs(plan, {})


def key(identifier: identifier_pb2.Identifier) -> Key:
    """Return an id as a key."""
    return (identifier.project, identifier.domain, identifier.name, identifier.version)


def found(
    where: Mapping[Key, TemplateT], identifier: identifier_pb2.Identifier, kind: str
) -> TemplateT:
    """Look something up by its id."""
    template = where.get(key(identifier))
    if template is None:
        message = (
            f"the {kind} {identifier.name} is registered elsewhere (a reference); define it in the"
            " file, nothing else is known here"
        )
        raise NotSupported(message)
    return template


def launch_inputs(plan: launch_plan_pb2.LaunchPlanSpec, given: Literals) -> dict[str, Any]:
    """Return a launch plan's inputs: the defaults, what is given, what is fixed."""
    defaults = {
        name: parameter.default
        for name, parameter in plan.default_inputs.parameters.items()
        if parameter.WhichOneof("behavior") == "default"
    }
    return {**defaults, **given, **plan.fixed_inputs.literals}


def single_node(task: tasks_pb2.TaskTemplate) -> workflow_pb2.WorkflowTemplate:
    """Return a workflow that runs one task."""

    def binding(name: str, node: str) -> literals_pb2.Binding:
        reference = types_pb2.OutputReference(node_id=node, var=name)
        return literals_pb2.Binding(var=name, binding=literals_pb2.BindingData(promise=reference))

    interface: interface_pb2.TypedInterface = task.interface
    metadata = workflow_pb2.NodeMetadata(
        name=task.id.name, timeout=task.metadata.timeout, retries=task.metadata.retries
    )
    node = workflow_pb2.Node(
        id=SINGLE_NODE,
        metadata=metadata,
        inputs=[binding(name, "") for name in interface.inputs.variables],
        task_node=workflow_pb2.TaskNode(reference_id=task.id),
    )
    return workflow_pb2.WorkflowTemplate(
        id=task.id,
        interface=interface,
        nodes=[node],
        outputs=[binding(name, SINGLE_NODE) for name in interface.outputs.variables],
    )


def check(nodes: Iterable[workflow_pb2.Node], registry: Registry, seen: set[Key]) -> None:
    """Refuse nodes that cannot be run here, wherever they are nested.

    Args:
        nodes: of a workflow.
        registry: has what they refer to.
        seen: workflows that have been checked already; more are added.

    Raises:
        NotSupported: the first that cannot.
    """
    for outer in nodes:
        for node in (outer, *nested(outer)):
            kind = node.WhichOneof("target")
            if kind == "gate_node":
                message = (
                    f"node {node.id} waits for a person, a signal or a time, as only Flyte can"
                )
                raise NotSupported(message)
            if kind == "array_node" and not node.array_node.node.HasField("task_node"):
                message = (
                    f"node {node.id} maps a launch plan or workflow; only tasks are mapped here"
                )
                raise NotSupported(message)
            if kind == "task_node":
                check_task(node.id, registry.task(node.task_node.reference_id))
            if kind == "workflow_node":
                check_workflow(node.workflow_node, registry, seen)


def check_workflow(node: workflow_pb2.WorkflowNode, registry: Registry, seen: set[Key]) -> None:
    """Check the nodes of another workflow."""
    identifier = node.sub_workflow_ref
    if node.HasField("launchplan_ref"):
        identifier = registry.launch_plan(node.launchplan_ref).workflow_id
    if key(identifier) not in seen:
        seen.add(key(identifier))
        check(all_nodes(registry.workflow(identifier)), registry, seen)


def all_nodes(workflow: workflow_pb2.WorkflowTemplate) -> list[workflow_pb2.Node]:
    """Return a workflow's nodes, with the one that runs when it has failed."""
    last = [workflow.failure_node] if workflow.HasField("failure_node") else []
    return [*workflow.nodes, *last]


def check_task(node: str, task: tasks_pb2.TaskTemplate) -> None:
    """Refuse a task that is no process of this machine."""
    name = f"node {node}, the task {task.id.name}"
    if getattr(task.metadata, "is_eager", False):  # flyteidl has it since 1.14
        raise NotSupported(f"{name}: an eager workflow needs a Flyte to talk to")
    if task.type not in RUNS_HERE:
        message = (
            f"{name}, is of the type {task.type}: run here are perian-shim's tasks and Python"
            " functions; others need their image or their plugin"
        )
        raise NotSupported(message)
    if not task.HasField("container"):
        raise NotSupported(f"{name}, has a pod template, which only Kubernetes can run")


def missing_inputs(workflow: workflow_pb2.WorkflowTemplate, given: Literals) -> None:
    """Refuse inputs that are not those of the workflow.

    Raises:
        NodeFault: some are missing or unknown.
    """
    declared = set(workflow.interface.inputs.variables)
    if declared != set(given):
        missing, unknown = sorted(declared - set(given)), sorted(set(given) - declared)
        raise NodeFault("InvalidInputs", f"inputs missing: {missing}, unknown: {unknown}")
