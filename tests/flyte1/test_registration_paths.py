"""What real ``pyflyte`` processes register and launch, as a FlyteAdmin stand-in receives it.

The same flows are registered around every kind of Perian task: as a node, in a sub-workflow, in a
conditional, behind launch plans (scheduled, mapped over) and within ``@dynamic``. The kinds are in
``support.admin_projects``.
"""

import io
import shutil
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import grpc  # type: ignore[import-untyped]  # its stubs are no dependency of ours
import pytest
import requests
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, task_pb2, version_pb2
from flyteidl.admin.workflow_pb2 import WorkflowCreateRequest, WorkflowSpec
from flyteidl.core import (
    dynamic_job_pb2,
    identifier_pb2,
    literals_pb2,
    workflow_pb2,
)
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate
from google.protobuf import json_format
from support.admin import EXECUTOR_IMAGE, AdminServer, UploadStore
from support.admin_answers import Refused
from support.admin_calls import TOKEN, Caller, identifier, task_request, upload_request
from support.admin_compile import all_nodes
from support.admin_projects import (
    CODELESS_KINDS,
    KINDS,
    MODES,
    Kind,
    Launcher,
    Registration,
    contents,
    make_project,
    register,
)
from support.admin_uploads import DataProxy
from support.doors import BIN, Door
from support.flyte import Harness, harness_in, without_absent_modules
from support.flytekit_versions import needs_launch_plans_in_scripts
from support.waiting import wait_until

from perian_shim.sandbox import Sandbox

pytestmark = [pytest.mark.below_the_doors, pytest.mark.thorough]


@pytest.fixture(scope="module")
def store(sandbox: Sandbox) -> UploadStore:
    return UploadStore.from_environment(sandbox.environment(), sandbox.bucket)


@pytest.fixture(scope="module")
def users(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """Where a user's own code runs: in an image that has the real ``pyflyte-execute``.

    Code that is shipped always has the same times, so that bytecode that another project has left
    in the same folder would pass for this one's: it is kept elsewhere.
    """
    folder = tmp_path_factory.mktemp("users")
    python = {
        "PYTHONPATH": str(without_absent_modules(folder / "absent")),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    return harness_in(folder, sandbox, Door.FLYTEKIT, BIN, python)


@pytest.fixture(scope="module")
def admin(store: UploadStore) -> Iterator[AdminServer]:
    with AdminServer(store) as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    return folder


@pytest.fixture(scope="module")
def registrations(admin: AdminServer, project: Path) -> dict[str, Registration]:
    return {mode: register(admin, project, *options) for mode, options in MODES.items()}


@pytest.fixture(params=MODES)
def registration(
    request: pytest.FixtureRequest, registrations: dict[str, Registration]
) -> Registration:
    found = registrations[request.param]
    assert found.process.returncode == 0, found.process.stdout
    return found


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found = request.param
    assert isinstance(found, Kind)
    return found


def test_perian_tasks_are_registered_under_their_names(registration: Registration) -> None:
    expected = {"penguins.prepare", "penguins.fit", *(kind.task for kind in KINDS)}
    variants = set().union(*(registration.variants(task) for task in expected))
    assert registration.perian_tasks - variants == expected


def test_nothing_is_registered_twice_in_one_go(registration: Registration) -> None:
    registered = [key for key in registration.admin.tasks if key.version == registration.version]
    assert registration.calls.count("CreateTask") == len(registered)


def test_the_resolver_container_never_waits_for_the_users_code(
    registration: Registration, kind: Kind
) -> None:
    assert registration.template(kind.task).container.args[0] == "pyflyte-execute"
    assert not registration.template(kind.task).container.command


@pytest.mark.parametrize("kind", CODELESS_KINDS, ids=lambda kind: kind.name)
def test_arguments_and_record_do_not_depend_on_how_code_is_shipped(
    registrations: dict[str, Registration], registration: Registration, kind: Kind
) -> None:
    usual = registrations["code in the image"].template(kind.task)
    assert registration.template(kind.task).container.args == usual.container.args
    assert registration.template(kind.task).custom == usual.custom


def test_the_secrets_of_the_user_and_of_perian_are_requested(
    registration: Registration, kind: Kind
) -> None:
    secrets = registration.template(kind.task).security_context.secrets
    assert {(secret.group, secret.key) for secret in secrets} >= {
        ("shop", "password"),
        ("perian", "perian_organization"),
        ("perian", "perian_token"),
    }


def test_a_perian_task_is_a_node_of_the_example(registration: Registration) -> None:
    nodes = registration.workflow("penguins.penguins").template.nodes
    assert [node.task_node.reference_id.name for node in nodes] == [
        "penguins.prepare",
        "penguins.fit",
    ]


def test_a_nodes_other_machine_is_registered_for_that_node_alone(
    registration: Registration, kind: Kind
) -> None:
    [variant] = registration.variants(kind.task)
    nodes = registration.workflow(f"{kind.name}.on_another_machine").template.nodes
    assert [node.task_node.reference_id.name for node in nodes] == [kind.task, variant]
    usual, other = (
        json_format.MessageToDict(registration.template(name).custom)
        for name in (kind.task, variant)
    )
    assert (usual["config"]["cores"], other["config"]["cores"]) == (1, 2)
    assert usual["kind"] == other["kind"]


def test_a_perian_task_is_in_a_sub_workflow(registration: Registration, kind: Kind) -> None:
    [part] = registration.workflow(f"{kind.name}.everything").sub_workflows
    assert part.id.name == f"{kind.name}.sub"
    assert [node.task_node.reference_id.name for node in part.nodes] == [kind.task]


def test_a_perian_task_is_in_a_conditional(registration: Registration, kind: Kind) -> None:
    workflow = registration.workflow(f"{kind.name}.everything").template
    [branch] = [node.branch_node.if_else for node in workflow.nodes if node.HasField("branch_node")]
    assert branch.case.then_node.task_node.reference_id.name == kind.task
    assert branch.else_node.workflow_node.sub_workflow_ref.name == f"{kind.name}.sub"


def test_a_perian_task_is_behind_a_launch_plan(registration: Registration, kind: Kind) -> None:
    plan = registration.admin.launch_plans[registration.id(f"{kind.name}.nightly")]
    assert plan.workflow_id.name == f"{kind.name}.sub"
    assert plan.default_inputs.parameters["x"].default.scalar.primitive.integer == 3
    called = {
        node.workflow_node.launchplan_ref.name
        for node in all_nodes(registration.workflow(f"{kind.name}.everything").template)
        if node.workflow_node.HasField("launchplan_ref")
    }
    assert called == {f"{kind.name}.nightly"}


def test_a_launch_plan_of_a_perian_task_is_mapped_over(
    registration: Registration, kind: Kind
) -> None:
    workflow = registration.workflow(f"{kind.name}.everything").template
    [mapped] = [node.array_node.node for node in workflow.nodes if node.HasField("array_node")]
    assert mapped.workflow_node.launchplan_ref.name == f"{kind.name}.nightly"


def test_fast_registration_uploads_the_code_once(registrations: dict[str, Registration]) -> None:
    assert [len(registration.uploads) for registration in registrations.values()] == [1, 1, 0]


def test_the_uploaded_code_can_be_fetched_from_its_url(
    registrations: dict[str, Registration], users: Harness
) -> None:
    archive = users.store.read(registrations["fast"].uploads[0])
    assert archive is not None
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        names = files.getnames()
    assert {"penguins.py", "jobs/fit.py", *(f"{kind.name}.py" for kind in KINDS)} <= set(names)


def test_a_dynamic_makes_the_same_perian_task_as_registration(
    registrations: dict[str, Registration], kind: Kind, users: Harness
) -> None:
    fast = registrations["fast"]
    parent = fast.template(f"{kind.name}.fan_out")
    assert parent.container.args[0] == "pyflyte-fast-execute"
    inputs = {"n": literals_pb2.Literal(scalar=integer(2))}
    pod = users.cluster.start(
        TaskTemplate.from_flyte_idl(parent),
        LiteralMap.from_flyte_idl(literals_pb2.LiteralMap(literals=inputs)),
        users.execution(),
    )
    attempt = pod.wait()
    document = users.store.read(f"{pod.pod.output_prefix}/futures.pb")
    assert document is not None, attempt.log
    job = dynamic_job_pb2.DynamicJobSpec.FromString(document)
    [child] = job.tasks
    registered = fast.template(kind.task)
    assert len(job.nodes) == 2
    assert (child.type, child.id.version) == ("perian_shim", fast.version)
    assert child.container.args == registered.container.args
    assert child.container.image == registered.container.image == EXECUTOR_IMAGE
    assert child.custom == registered.custom
    assert child.security_context == registered.security_context


def integer(value: int) -> literals_pb2.Scalar:
    return literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value))


def test_registering_again_changes_nothing_and_says_nothing(
    registrations: dict[str, Registration], admin: AdminServer, project: Path
) -> None:
    before = contents(admin)
    for mode in ("fast", "code in the image"):
        again = register(admin, project, *MODES[mode])
        first = registrations[mode]
        assert again.version == first.version
        assert again.process.returncode == 0
        assert again.said == first.said
    assert contents(admin) == before


def test_another_task_under_the_same_version_is_refused(
    registrations: dict[str, Registration], admin: AdminServer, project: Path, tmp_path: Path
) -> None:
    before = contents(admin)
    source = (project / "penguins.py").read_text().replace("cores=2", "cores=3")
    shutil.copytree(project / "jobs", tmp_path / "jobs")
    (tmp_path / "penguins.py").write_text(source)
    refused = register(admin, tmp_path, *MODES["code in the image"])
    assert refused.version == registrations["code in the image"].version
    assert refused.process.returncode != 0
    assert "penguins.prepare task with different structure" in refused.process.stdout
    assert contents(admin) == before


@pytest.fixture(scope="module")
def behind_login(store: UploadStore) -> Iterator[AdminServer]:
    """A FlyteAdmin that asks for a token, for what is launched."""
    with AdminServer(store, token=TOKEN, projects=("flytesnacks", "paged")) as server:
        yield server


@pytest.fixture(scope="module")
def launcher(
    behind_login: AdminServer, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Launcher:
    config = behind_login.config(tmp_path_factory.mktemp("config"))
    return Launcher(behind_login, project, config)


def test_launching_a_workflow_uploads_the_files_that_it_is_given(
    launcher: Launcher, users: Harness
) -> None:
    execution = launcher.launch("penguins", "penguins", "--csv", "data/penguins.csv")
    assert execution.target.name == "penguins.penguins"
    [given] = execution.inputs.literals.values()
    content = users.store.read(given.scalar.blob.uri)
    assert content == (launcher.project / "data" / "penguins.csv").read_bytes()


def test_launching_a_workflow_registers_the_same_tasks_as_registration(
    launcher: Launcher, registrations: dict[str, Registration], kind: Kind
) -> None:
    arguments = ("everything", "--x", "12", "--xs", "[1, 2]")
    execution = launcher.launch(kind.name, *arguments)
    launched = launcher.admin.tasks[execution.target._replace(name=kind.task)].template
    registered = registrations["fast"].template(kind.task)
    assert launched.type == registered.type
    assert launched.security_context == registered.security_context
    if not kind.ships_code:
        assert launched.custom == registered.custom
        assert launched.container.args == registered.container.args


@needs_launch_plans_in_scripts
def test_launching_a_launch_plan_fills_in_its_inputs(launcher: Launcher, kind: Kind) -> None:
    execution = launcher.launch(kind.name, "nightly")
    assert not execution.launches_task
    assert execution.inputs.literals["x"].scalar == integer(3)


def test_a_launched_task_runs_from_what_was_registered(
    launcher: Launcher, kind: Kind, harness: Harness
) -> None:
    execution = launcher.launch(kind.name, "measure", "--x", "21")
    assert execution.launches_task
    keys = harness.sandbox.environment()
    secrets = {
        **harness.cluster.secrets,
        ("perian", "aws_access_key_id"): keys["AWS_ACCESS_KEY_ID"],
        ("perian", "aws_secret_access_key"): keys["AWS_SECRET_ACCESS_KEY"],
        ("shop", "password"): "open sesame",
    }
    pod = replace(harness.cluster, secrets=secrets).start(
        TaskTemplate.from_flyte_idl(launcher.admin.tasks[execution.target].template),
        LiteralMap.from_flyte_idl(execution.inputs),
        execution.name,
    )
    attempt = pod.wait()
    assert attempt.outputs is not None, f"{attempt.error}\n{attempt.log}"
    assert attempt.outputs.literals["o0"].to_flyte_idl().scalar == integer(42)


@pytest.fixture(scope="module")
def caller(behind_login: AdminServer) -> Iterator[Caller]:
    with grpc.insecure_channel(behind_login.endpoint) as channel:
        yield Caller(channel)


def test_the_stand_in_refuses_callers_without_the_token(caller: Caller) -> None:
    assert caller.status("GetVersion", version_pb2.GetVersionRequest(), "x") == "UNAUTHENTICATED"


def test_the_stand_in_tells_the_same_task_from_another_one(caller: Caller) -> None:
    caller("CreateTask", task_request("same"))
    assert caller.status("CreateTask", task_request("same")) == "ALREADY_EXISTS"
    assert caller.status("CreateTask", task_request("same", image="b:1")) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "request_",
    [
        task_request(""),
        task_request("1", project="elsewhere"),
        task_request("1", image=""),
        task_request("1", cpu="1500m"),
        task_request("1", cpu="many"),
    ],
    ids=["no version", "unknown project", "no image", "request above limit", "no quantity"],
)
def test_the_stand_in_refuses_what_is_no_valid_task(
    caller: Caller, request_: task_pb2.TaskCreateRequest
) -> None:
    assert caller.status("CreateTask", request_) == "INVALID_ARGUMENT"


def test_the_stand_in_refuses_a_workflow_before_its_tasks(caller: Caller) -> None:
    node = workflow_pb2.Node(id="n0")
    node.task_node.reference_id.CopyFrom(identifier(identifier_pb2.TASK, "unheard of"))
    request = WorkflowCreateRequest(
        id=identifier(identifier_pb2.WORKFLOW, "1"),
        spec=WorkflowSpec(template=workflow_pb2.WorkflowTemplate(nodes=[node])),
    )
    assert caller.status("CreateWorkflow", request) == "INTERNAL"


def test_the_stand_in_lists_page_by_page_the_newest_first(caller: Caller) -> None:
    for version in ("p1", "p2", "p3"):
        caller("CreateTask", task_request(version, project="paged"))
    seen, token = [], ""
    while True:
        place = common_pb2.NamedEntityIdentifier(project="paged", domain="development")
        request = common_pb2.ResourceListRequest(id=place, limit=2, token=token)
        answer = caller("ListTasks", request)
        assert isinstance(answer, task_pb2.TaskList)
        seen += [task.id.version for task in answer.tasks]
        token = answer.token
        if not token:
            break
    assert seen == ["p3", "p2", "p1"]


def test_the_stand_in_does_not_have_what_it_does_not_answer(caller: Caller) -> None:
    request = execution_pb2.ExecutionTerminateRequest()
    assert caller.status("TerminateExecution", request) == "UNIMPLEMENTED"


def test_the_stand_in_lets_a_file_be_replaced_by_itself_only(store: UploadStore) -> None:
    with closing(DataProxy(store)) as proxy:
        given = proxy.upload_location(upload_request(b"one"))
        requests.put(given.signed_url, b"one", headers=dict(given.headers), timeout=30)
        again = proxy.upload_location(upload_request(b"one"))
        assert again.native_url == given.native_url
        with pytest.raises(Refused, match="already exists"):
            proxy.upload_location(upload_request(b"two"))


def test_a_closed_stand_in_leaves_no_thread_and_no_port(store: UploadStore) -> None:
    before = set(threading.enumerate())
    with AdminServer(store) as server, grpc.insecure_channel(server.endpoint) as channel:
        answer = Caller(channel)("GetProject", project_pb2.ProjectGetRequest(id="flytesnacks"))
        assert isinstance(answer, project_pb2.Project)
        assert [domain.id for domain in answer.domains] == ["development", "staging", "production"]
    wait_until(lambda: set(threading.enumerate()) <= before, 10, "its threads have ended")
    host, port = server.endpoint.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port))).close()
