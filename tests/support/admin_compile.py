"""What FlyteAdmin makes of a workflow when it is registered: its closure, if all parts are there.

Nodes are searched for the tasks, sub-workflows and launch plans that they need, wherever nodes can
be nested. Bindings and types are not checked, start and end nodes and connections not added.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2
from support.admin_answers import Refused
from support.admin_entities import EntityId

FindTask = Callable[[identifier_pb2.Identifier], task_pb2.Task]
FindLaunchPlan = Callable[[identifier_pb2.Identifier], launch_plan_pb2.LaunchPlan]


@dataclass
class Needs:
    """The parts of a workflow, each once, in the order of its nodes."""

    tasks: dict[EntityId, identifier_pb2.Identifier] = field(default_factory=dict)
    workflows: dict[EntityId, identifier_pb2.Identifier] = field(default_factory=dict)
    launch_plans: dict[EntityId, identifier_pb2.Identifier] = field(default_factory=dict)

    def add(self, template: core_workflow_pb2.WorkflowTemplate) -> None:
        """Add what the nodes of a workflow need."""
        for node in all_nodes(template):
            if node.HasField("task_node"):
                _put(self.tasks, node.task_node.reference_id)
            elif node.HasField("workflow_node"):
                reference = node.workflow_node.WhichOneof("reference")
                if reference == "sub_workflow_ref":
                    _put(self.workflows, node.workflow_node.sub_workflow_ref)
                else:
                    _put(self.launch_plans, node.workflow_node.launchplan_ref)


def all_nodes(
    template: core_workflow_pb2.WorkflowTemplate,
) -> Iterator[core_workflow_pb2.Node]:
    """Yield a workflow's nodes and those within its branches and maps."""
    waiting = list(template.nodes)
    if template.HasField("failure_node"):
        waiting.append(template.failure_node)
    while waiting:
        node = waiting.pop(0)
        yield node
        if node.HasField("array_node"):
            waiting.append(node.array_node.node)
        elif node.HasField("branch_node"):
            branch = node.branch_node.if_else
            waiting.append(branch.case.then_node)
            waiting += [other.then_node for other in branch.other]
            if branch.HasField("else_node"):
                waiting.append(branch.else_node)


def compiled(
    request: workflow_pb2.WorkflowCreateRequest, find_task: FindTask, find_plan: FindLaunchPlan
) -> compiler_pb2.CompiledWorkflowClosure:
    """Return a workflow's closure.

    Raises:
        Refused: INTERNAL, as FlyteAdmin has it, if a part is not registered.
    """
    parts = {EntityId.of(part.id): part for part in request.spec.sub_workflows}
    needs = Needs()
    needs.add(request.spec.template)
    for part in parts.values():
        needs.add(part)
    missing = [identifier.name for key, identifier in needs.workflows.items() if key not in parts]
    try:
        tasks = [find_task(identifier) for identifier in needs.tasks.values()]
        plans = [find_plan(identifier) for identifier in needs.launch_plans.values()]
        if missing:
            raise Refused("NOT_FOUND", f"sub-workflows {missing} are not in the request")
    except Refused as refused:
        message = f"failed to compile workflow for {EntityId.of(request.id)} with err {refused}"
        raise Refused("INTERNAL", message) from refused
    return compiler_pb2.CompiledWorkflowClosure(
        primary=compiler_pb2.CompiledWorkflow(template=request.spec.template),
        sub_workflows=[
            compiler_pb2.CompiledWorkflow(template=parts[key]) for key in needs.workflows
        ],
        tasks=[task.closure.compiled_task for task in tasks],
        launch_plans=[compiler_pb2.CompiledLaunchPlan(template=_template(plan)) for plan in plans],
    )


def expected_inputs(
    declared: Mapping[str, interface_pb2.Variable], spec: launch_plan_pb2.LaunchPlanSpec
) -> interface_pb2.ParameterMap:
    """Return a launch plan's inputs: its defaults, and what the workflow needs beyond.

    Raises:
        Refused: INVALID_ARGUMENT if it gives a value for something that is no input.
    """
    defaults, fixed = spec.default_inputs.parameters, spec.fixed_inputs.literals
    for name in (*defaults, *fixed):
        if name not in declared:
            raise Refused("INVALID_ARGUMENT", f"unexpected input {name}")
    return interface_pb2.ParameterMap(
        parameters={
            name: defaults[name]
            if name in defaults
            else interface_pb2.Parameter(var=variable, required=True)
            for name, variable in declared.items()
            if name not in fixed
        }
    )


def _template(plan: launch_plan_pb2.LaunchPlan) -> core_workflow_pb2.LaunchPlanTemplate:
    parameters = plan.closure.expected_inputs.parameters
    return core_workflow_pb2.LaunchPlanTemplate(
        id=plan.id,
        interface=interface_pb2.TypedInterface(
            inputs=interface_pb2.VariableMap(
                variables={name: parameter.var for name, parameter in parameters.items()}
            ),
            outputs=plan.closure.expected_outputs,
        ),
        fixed_inputs=plan.spec.fixed_inputs,
    )


def _put(
    parts: dict[EntityId, identifier_pb2.Identifier], identifier: identifier_pb2.Identifier
) -> None:
    parts.setdefault(EntityId.of(identifier), identifier)
