"""Executions as FlyteAdmin creates them. Nothing runs: they are recorded and stay queued.

Inputs are completed from the launch plan's defaults and fixed inputs and checked by name, not by
type. A test that wants a task's execution to run takes the registered template and the recorded
inputs to the cluster stand-in.
"""

import random
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from flyteidl.admin import common_pb2, execution_pb2, node_execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2
from support.admin_answers import Answer, Refused
from support.admin_entities import EntityId, check_place, page
from support.admin_registry import Registry, now

NAME = re.compile(r"[a-z][-a-z0-9]{0,62}")


@dataclass(frozen=True)
class Execution:
    """One execution.

    Attributes:
        name: as given or generated.
        target: id of what was launched.
        launches_task: whether that is a task, not a launch plan.
        spec: the request's.
        inputs: complete.
        answer: what ``GetExecution`` returns.
    """

    name: str
    target: EntityId
    launches_task: bool
    spec: execution_pb2.ExecutionSpec
    inputs: literals_pb2.LiteralMap
    answer: execution_pb2.Execution


@dataclass
class Executions:
    """The executions that were created, by name.

    Attributes:
        registry: what can be launched.
        by_name: the executions.
        nodes: where the nodes of each have their inputs, by the execution's name.
    """

    registry: Registry
    by_name: dict[str, Execution] = field(default_factory=dict)
    nodes: dict[str, list[str]] = field(default_factory=dict)

    def answers(self) -> Mapping[str, Answer]:
        """Return the answers of AdminService that are about executions."""
        return {
            "CreateExecution": self.create,
            "GetExecution": lambda request: self.find(request.id).answer,
            "GetExecutionData": self.data,
            "ListExecutions": self.listed,
            "ListNodeExecutions": self.listed_nodes,
        }

    def create(
        self, request: execution_pb2.ExecutionCreateRequest
    ) -> execution_pb2.ExecutionCreateResponse:
        """Record an execution and return its id."""
        check_place(self.registry.projects, request.project, request.domain)
        name = request.name or generated_name()
        if not NAME.fullmatch(name):
            raise Refused("INVALID_ARGUMENT", f"invalid name format: {name}")
        if name in self.by_name:
            raise Refused("ALREADY_EXISTS", f"execution {name} already exists")
        wanted = request.spec.launch_plan
        inputs = complete(request.inputs, self.expected(wanted), self.fixed(wanted))
        identifier = identifier_pb2.WorkflowExecutionIdentifier(
            project=request.project, domain=request.domain, name=name
        )
        closure = execution_pb2.ExecutionClosure(
            phase=core_execution_pb2.WorkflowExecution.QUEUED,
            created_at=now(),
            updated_at=now(),
            computed_inputs=inputs,
        )
        self.by_name[name] = Execution(
            name=name,
            target=EntityId.of(wanted),
            launches_task=wanted.resource_type == identifier_pb2.TASK,
            spec=request.spec,
            inputs=inputs,
            answer=execution_pb2.Execution(id=identifier, spec=request.spec, closure=closure),
        )
        return execution_pb2.ExecutionCreateResponse(id=identifier)

    def put(
        self, name: str, phase: str, *, place: str = "", ended: float = 0.0, **where: str
    ) -> None:
        """Record an execution that a cluster has run, or make one that is known what it is now.

        Args:
            name: its name.
            phase: e.g. ``"ABORTED"``.
            place: URI of the folder of its nodes' files; "" if none has begun.
            ended: how many seconds ago it ended.
            where: ``project`` and ``domain``, if not the usual ones.
        """
        identifier = identifier_pb2.WorkflowExecutionIdentifier(
            project=where.get("project", "flytesnacks"),
            domain=where.get("domain", "development"),
            name=name,
        )
        changed = now()
        changed.FromSeconds(changed.seconds - int(ended))
        closure = execution_pb2.ExecutionClosure(
            phase=phase,
            updated_at=changed,
        )
        self.by_name[name] = Execution(
            name=name,
            target=EntityId(identifier.project, identifier.domain, "put", "v1"),
            launches_task=False,
            spec=execution_pb2.ExecutionSpec(),
            inputs=literals_pb2.LiteralMap(),
            answer=execution_pb2.Execution(id=identifier, closure=closure),
        )
        self.nodes[name] = [f"{place}/n0/data/inputs.pb"] if place else []

    def listed_nodes(
        self, request: node_execution_pb2.NodeExecutionListRequest
    ) -> node_execution_pb2.NodeExecutionList:
        """Return the nodes of an execution; the first one has no inputs, as Flyte's start node."""
        self.find(request.workflow_execution_id)
        uris = ["", *self.nodes.get(request.workflow_execution_id.name, [])]
        return node_execution_pb2.NodeExecutionList(
            node_executions=[node_execution_pb2.NodeExecution(input_uri=uri) for uri in uris]
        )

    def expected(
        self, identifier: identifier_pb2.Identifier
    ) -> Mapping[str, interface_pb2.Parameter]:
        """Return the inputs of what is to be launched."""
        if identifier.resource_type == identifier_pb2.TASK:
            task = self.registry.tasks.find(identifier)
            declared = task.closure.compiled_task.template.interface.inputs.variables
            return {
                name: interface_pb2.Parameter(var=variable, required=True)
                for name, variable in declared.items()
            }
        if identifier.resource_type == identifier_pb2.LAUNCH_PLAN:
            plan = self.registry.launch_plans.find(identifier)
            return dict(plan.closure.expected_inputs.parameters)
        kind = identifier_pb2.ResourceType.Name(identifier.resource_type)
        raise Refused("INVALID_ARGUMENT", f"Invalid reference entity resource type [{kind}]")

    def fixed(self, identifier: identifier_pb2.Identifier) -> Mapping[str, literals_pb2.Literal]:
        """Return the inputs that a launch plan has fixed."""
        if identifier.resource_type == identifier_pb2.TASK:
            return {}
        return dict(self.registry.launch_plans.find(identifier).spec.fixed_inputs.literals)

    def find(self, identifier: identifier_pb2.WorkflowExecutionIdentifier) -> Execution:
        """Return an execution."""
        execution = self.by_name.get(identifier.name)
        if execution is None or execution.answer.id != identifier:
            raise Refused("NOT_FOUND", f"missing entity of type execution: {identifier.name}")
        return execution

    def data(
        self, request: execution_pb2.WorkflowExecutionGetDataRequest
    ) -> execution_pb2.WorkflowExecutionGetDataResponse:
        """Return an execution's inputs."""
        inputs = self.find(request.id).inputs
        return execution_pb2.WorkflowExecutionGetDataResponse(full_inputs=inputs)

    def listed(self, request: common_pb2.ResourceListRequest) -> execution_pb2.ExecutionList:
        """Return a page of executions, the newest first."""
        found = [
            execution.answer
            for execution in reversed(self.by_name.values())
            if execution.answer.id.project == request.id.project
            and execution.answer.id.domain == request.id.domain
        ]
        executions, token = page(found, request.limit, request.token)
        return execution_pb2.ExecutionList(executions=executions, token=token)


def complete(
    given: literals_pb2.LiteralMap,
    expected: Mapping[str, interface_pb2.Parameter],
    fixed: Mapping[str, literals_pb2.Literal],
) -> literals_pb2.LiteralMap:
    """Return all inputs of an execution: those given, else the defaults, and the fixed ones."""
    for name in given.literals:
        if name in fixed:
            raise Refused("INVALID_ARGUMENT", f"fixed_inputs {name} cannot be overridden")
        if name not in expected:
            raise Refused("INVALID_ARGUMENT", f"invalid input {name}")
    values = {**given.literals, **fixed}
    for name, parameter in expected.items():
        if name not in values:
            if parameter.required:
                raise Refused("INVALID_ARGUMENT", f"expected_inputs {name} missing")
            values[name] = parameter.default
    return literals_pb2.LiteralMap(literals=values)


def generated_name() -> str:
    """Return a name as FlyteAdmin makes them."""
    return "a" + "".join(random.choices(string.ascii_lowercase + string.digits, k=19))
