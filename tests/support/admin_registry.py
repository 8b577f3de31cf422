"""Tasks, workflows and launch plans as FlyteAdmin keeps them.

Requests are checked as FlyteAdmin does before it stores anything: identifiers, what a template must
have, the resolver container's resources, and that a workflow's parts are registered before it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from flyteidl.admin import common_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import tasks_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from support.admin_answers import Answer, Refused
from support.admin_compile import compiled, expected_inputs
from support.admin_entities import EntityId, Entry, Shelf, check_id, digest, page

TaskShelf = Shelf[task_pb2.TaskSpec, task_pb2.Task]
WorkflowShelf = Shelf[workflow_pb2.WorkflowSpec, workflow_pb2.Workflow]
LaunchPlanShelf = Shelf[launch_plan_pb2.LaunchPlanSpec, launch_plan_pb2.LaunchPlan]

_FACTORS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_FACTORS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass
class Registry:
    """What has been registered.

    Attributes:
        projects: ids of the projects that exist.
        tasks: registered tasks.
        workflows: registered workflows.
        launch_plans: registered launch plans.
    """

    projects: tuple[str, ...]
    tasks: TaskShelf = field(default_factory=lambda: Shelf("task"))
    workflows: WorkflowShelf = field(default_factory=lambda: Shelf("workflow"))
    launch_plans: LaunchPlanShelf = field(default_factory=lambda: Shelf("launch plan"))

    def answers(self) -> Mapping[str, Answer]:
        """Return the answers of AdminService that are about registered entities."""
        return {
            "CreateTask": self.create_task,
            "GetTask": lambda request: self.tasks.find(request.id),
            "ListTaskIds": self.tasks.names,
            "ListTasks": self.list_tasks,
            "CreateWorkflow": self.create_workflow,
            "GetWorkflow": lambda request: self.workflows.find(request.id),
            "ListWorkflowIds": self.workflows.names,
            "ListWorkflows": self.list_workflows,
            "CreateLaunchPlan": self.create_launch_plan,
            "GetLaunchPlan": lambda request: self.launch_plans.find(request.id),
            "ListLaunchPlanIds": self.launch_plans.names,
            "ListLaunchPlans": self.list_launch_plans,
            "UpdateLaunchPlan": self.update_launch_plan,
            "GetActiveLaunchPlan": self.get_active_launch_plan,
            "ListActiveLaunchPlans": self.list_active_launch_plans,
        }

    def create_task(self, request: task_pb2.TaskCreateRequest) -> task_pb2.TaskCreateResponse:
        """Register a task."""
        check_id(self.projects, request.id)
        check_template(request.spec.template)
        request.spec.template.id.CopyFrom(request.id)
        task = task_pb2.Task(id=request.id)
        task.closure.compiled_task.template.CopyFrom(request.spec.template)
        task.closure.created_at.CopyFrom(now())
        self.tasks.add(request.id, Entry(request.spec, task, digest(task.closure.compiled_task)))
        return task_pb2.TaskCreateResponse()

    def create_workflow(
        self, request: workflow_pb2.WorkflowCreateRequest
    ) -> workflow_pb2.WorkflowCreateResponse:
        """Register a workflow."""
        check_id(self.projects, request.id)
        if not request.spec.template.nodes:
            raise Refused("INVALID_ARGUMENT", "missing nodes")
        request.spec.template.id.CopyFrom(request.id)
        closure = compiled(request, self.tasks.find, self.launch_plans.find)
        workflow = workflow_pb2.Workflow(id=request.id)
        workflow.closure.compiled_workflow.CopyFrom(closure)
        workflow.closure.created_at.CopyFrom(now())
        self.workflows.add(request.id, Entry(request.spec, workflow, digest(closure)))
        return workflow_pb2.WorkflowCreateResponse()

    def create_launch_plan(
        self, request: launch_plan_pb2.LaunchPlanCreateRequest
    ) -> launch_plan_pb2.LaunchPlanCreateResponse:
        """Register a launch plan."""
        check_id(self.projects, request.id)
        workflow = self.workflows.find(request.spec.workflow_id)
        interface = workflow.closure.compiled_workflow.primary.template.interface
        inputs = expected_inputs(interface.inputs.variables, request.spec)
        request.spec.default_inputs.CopyFrom(inputs)
        plan = launch_plan_pb2.LaunchPlan(id=request.id, spec=request.spec)
        plan.closure.expected_inputs.CopyFrom(inputs)
        plan.closure.expected_outputs.CopyFrom(interface.outputs)
        entry = Entry(request.spec, plan, digest(plan))
        plan.closure.created_at.CopyFrom(now())
        # FlyteAdmin takes launch plans with equal default inputs for the same, whatever else is
        # different.
        self.launch_plans.add(
            request.id, entry, same=lambda old, new: old.default_inputs == new.default_inputs
        )
        return launch_plan_pb2.LaunchPlanCreateResponse()

    def update_launch_plan(
        self, request: launch_plan_pb2.LaunchPlanUpdateRequest
    ) -> launch_plan_pb2.LaunchPlanUpdateResponse:
        """Activate or deactivate a launch plan; one version of a name is active at a time."""
        chosen = self.launch_plans.find(request.id)
        if request.state == launch_plan_pb2.ACTIVE:
            for identifier, entry in self.launch_plans.entries.items():
                if identifier[:3] == EntityId.of(request.id)[:3]:
                    entry.answer.closure.state = launch_plan_pb2.INACTIVE
        chosen.closure.state = request.state
        return launch_plan_pb2.LaunchPlanUpdateResponse()

    def active_launch_plans(self, project: str, domain: str) -> list[launch_plan_pb2.LaunchPlan]:
        """Return the active launch plans of a project and domain."""
        return [
            entry.answer
            for identifier, entry in self.launch_plans.entries.items()
            if identifier[:2] == (project, domain)
            and entry.answer.closure.state == launch_plan_pb2.ACTIVE
        ]

    def get_active_launch_plan(
        self, request: launch_plan_pb2.ActiveLaunchPlanRequest
    ) -> launch_plan_pb2.LaunchPlan:
        """Return the active version of a launch plan."""
        for plan in self.active_launch_plans(request.id.project, request.id.domain):
            if plan.id.name == request.id.name:
                return plan
        raise Refused("NOT_FOUND", f"no active launch plan could be found: {request.id.name}")

    def list_tasks(self, request: common_pb2.ResourceListRequest) -> task_pb2.TaskList:
        """Return a page of tasks."""
        tasks, token = self.tasks.listed(request)
        return task_pb2.TaskList(tasks=tasks, token=token)

    def list_workflows(self, request: common_pb2.ResourceListRequest) -> workflow_pb2.WorkflowList:
        """Return a page of workflows."""
        workflows, token = self.workflows.listed(request)
        return workflow_pb2.WorkflowList(workflows=workflows, token=token)

    def list_launch_plans(
        self, request: common_pb2.ResourceListRequest
    ) -> launch_plan_pb2.LaunchPlanList:
        """Return a page of launch plans."""
        plans, token = self.launch_plans.listed(request)
        return launch_plan_pb2.LaunchPlanList(launch_plans=plans, token=token)

    def list_active_launch_plans(
        self, request: launch_plan_pb2.ActiveLaunchPlanListRequest
    ) -> launch_plan_pb2.LaunchPlanList:
        """Return a page of active launch plans."""
        active = self.active_launch_plans(request.project, request.domain)
        plans, token = page(active, request.limit, request.token)
        return launch_plan_pb2.LaunchPlanList(launch_plans=plans, token=token)


def check_template(template: tasks_pb2.TaskTemplate) -> None:
    """Refuse a template without what FlyteAdmin requires."""
    if not template.type:
        raise Refused("INVALID_ARGUMENT", "missing type")
    for name in ("metadata", "interface"):
        if not template.HasField(name):
            raise Refused("INVALID_ARGUMENT", f"missing {name}")
    if template.HasField("container"):
        if not template.container.image:
            raise Refused("INVALID_ARGUMENT", "missing image")
        check_resources(template.container.resources)


def check_resources(resources: tasks_pb2.Resources) -> None:
    """Refuse requests above their limits; as FlyteAdmin compares them, in whole units."""
    limits = {entry.name: whole_units(entry.value) for entry in resources.limits}
    for entry in resources.requests:
        if whole_units(entry.value) > limits.get(entry.name, math.inf):
            name = tasks_pb2.Resources.ResourceName.Name(entry.name)
            message = f"Requested {name} default [{entry.value}] is greater than the limit"
            raise Refused("INVALID_ARGUMENT", message)


def whole_units(quantity: str) -> int:
    """Return a Kubernetes quantity, rounded up."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", quantity)
    if match is None or match[2] not in _FACTORS:
        raise Refused("INVALID_ARGUMENT", f"Parsing of request failed for value {quantity}")
    return math.ceil(float(match[1]) * _FACTORS[match[2]])


def now() -> Timestamp:
    """Return the current time."""
    moment = Timestamp()
    moment.GetCurrentTime()
    return moment
