"""Projects of users, and real ``pyflyte`` processes that register and launch what is in them.

A project has the example and, for every kind of Perian task, a module in which Flyte meets such a
task wherever it allows one. A further kind is one more `Kind` in ``KINDS``.
"""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from flyteidl.admin import workflow_pb2
from flyteidl.core import tasks_pb2
from support.admin import AdminServer, EntityId, Execution, run_pyflyte

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@dataclass(frozen=True)
class Kind:
    """A kind of Perian task, and a module that is made with it.

    Attributes:
        name: of the module.
        definition: source that defines ``measure``, a task from ``x: int`` to ``int`` that
            doubles, with the user's secret ``password`` of the group ``shop``.
        task: the name under which ``measure`` is registered.
        ships_code: whether the job needs the user's code. Only then may its record depend on how
            that is shipped.
    """

    name: str
    definition: str
    task: str
    ships_code: bool = False


CONTAINERS = Kind(
    name="containers",
    task="containers.measure",
    definition="""
measure = PerianContainerTask(
    name="containers.measure",
    task_config=PerianConfig(cores=1, memory=1),
    image="python:3.12-slim",
    command=["/bin/sh", "-c", 'echo $(($1 * $FACTOR)) > /var/outputs/o0', "sh", "{{.inputs.x}}"],
    inputs={"x": int},
    outputs={"o0": int},
    environment={"FACTOR": "2"},
    secret_requests=[Secret(group="shop", key="password")],
)
""",
)

# The job's image is this machine: its Python is found by PATH.
FUNCTIONS = Kind(
    name="functions",
    task="functions.measure",
    ships_code=True,
    definition=f"""
@task(
    task_config=PerianConfig(cores=1, memory=1),
    container_image="python:3.12-slim",
    environment={{"PATH": "{sys.prefix}/bin:/usr/bin:/bin"}},
    secret_requests=[Secret(group="shop", key="password")],
)
def measure(x: int) -> int:
    return 2 * x
""",
)

KINDS = [CONTAINERS, FUNCTIONS]
CODELESS_KINDS = [kind for kind in KINDS if not kind.ships_code]

FLOWS = '''
"""A module of a user's, with a task on Perian wherever Flyte allows a task."""

from flytekit import (
    CronSchedule, LaunchPlan, Secret, conditional, dynamic, map_task, task, workflow
)

from perian_shim import PerianConfig, PerianContainerTask
{definition}

@workflow
def sub(x: int) -> int:
    return measure(x=x)


nightly = LaunchPlan.get_or_create(
    sub,
    name="{name}.nightly",
    default_inputs={{"x": 3}},
    schedule=CronSchedule(schedule="0 1 * * *"),
)


@dynamic
def fan_out(n: int) -> list[int]:
    return [measure(x=i) for i in range(n)]


@workflow
def on_another_machine(x: int) -> int:
    usual = measure(x=x)
    return measure(x=usual).with_overrides(task_config=PerianConfig(cores=2, memory=1))


@workflow
def everything(x: int, xs: list[int]) -> tuple[int, int, int, list[int], list[int]]:
    chosen = conditional("size").if_(x > 10).then(measure(x=x)).else_().then(sub(x=1))
    return sub(x=x), chosen, nightly(x=x), fan_out(n=x), map_task(nightly)(x=xs)
'''

MODES = {
    "fast": (),
    "fast, only what is imported": ("--copy", "auto", "--version", "auto"),
    "code in the image": ("--copy", "none", "--version", "image"),
}


def make_project(folder: Path) -> None:
    """Write the modules of all kinds, and the example with its files."""
    for name in ("jobs", "data"):
        shutil.copytree(EXAMPLES / name, folder / name)
    shutil.copy(EXAMPLES / "penguins.py", folder)
    for kind in KINDS:
        source = FLOWS.format(name=kind.name, definition=kind.definition)
        (folder / f"{kind.name}.py").write_text(source)


@dataclass(frozen=True)
class Registration:
    """One run of ``pyflyte register``.

    Attributes:
        admin: where.
        process: the ended process.
        version: of what was registered.
        calls: the gRPC methods that it called.
        uploads: the files that it uploaded.
    """

    admin: AdminServer
    process: "CompletedProcess[str]"
    version: str
    calls: list[str]
    uploads: list[str]

    def id(self, name: str) -> EntityId:
        return EntityId("flytesnacks", "development", name, self.version)

    def template(self, name: str) -> tasks_pb2.TaskTemplate:
        return self.admin.tasks[self.id(name)].template

    def workflow(self, name: str) -> workflow_pb2.WorkflowSpec:
        return self.admin.workflows[self.id(name)]

    @property
    def perian_tasks(self) -> set[str]:
        return {
            identifier.name
            for identifier, spec in self.admin.tasks.items()
            if identifier.version == self.version and spec.template.type == "perian_shim"
        }

    def variants(self, task: str) -> set[str]:
        """The names of the tasks that nodes with another machine have made of a task."""
        return {name for name in self.perian_tasks if re.fullmatch(rf"{task}_[0-9a-f]{{8}}", name)}

    @property
    def said(self) -> list[str]:
        """The lines of the output, without the order and the path that chance decides."""
        lines = self.process.stdout.splitlines()
        return sorted(line for line in lines if "temporary directory" not in line)


def register(admin: AdminServer, folder: Path, *options: str) -> Registration:
    calls, uploads = len(admin.calls), len(admin.uploads)
    modules = sorted(path.name for path in folder.glob("*.py"))
    process = run_pyflyte(admin, folder, "register", *options, *modules)
    _, _, computed = process.stdout.partition("Computed version is ")
    version = options[-1] if "--version" in options else computed.split("\n")[0]
    return Registration(admin, process, version, admin.calls[calls:], admin.uploads[uploads:])


def contents(admin: AdminServer) -> dict[tuple[str, EntityId], bytes]:
    """Return all that is registered, to be compared."""
    specs = {
        **{("task", identifier): spec for identifier, spec in admin.tasks.items()},
        **{("workflow", identifier): spec for identifier, spec in admin.workflows.items()},
        **{("launch plan", identifier): spec for identifier, spec in admin.launch_plans.items()},
    }
    return {key: spec.SerializeToString(deterministic=True) for key, spec in specs.items()}


@dataclass(frozen=True)
class Launcher:
    """Runs ``pyflyte run --remote`` in a project, with a configuration file."""

    admin: AdminServer
    project: Path
    config: Path

    def launch(self, module: str, *arguments: str) -> Execution:
        before = self.admin.executions
        command = ("run", "--remote", f"{module}.py", *arguments)
        process = run_pyflyte(self.admin, self.project, *command, config=self.config)
        assert process.returncode == 0, process.stdout
        [created] = self.admin.executions.keys() - before.keys()
        return self.admin.executions[created]
