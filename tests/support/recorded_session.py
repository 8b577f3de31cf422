"""The terminal session of ``docs/commands.md``: a sandbox, some jobs, and somebody who types."""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from support.admin import AdminServer, UploadStore
from support.doors import BIN
from support.job_gate import JobGate
from support.sandbox_api import Api, running_api
from support.terminal import Terminal
from support.waiting import LONG_SECONDS

from perian_shim import settings
from perian_shim.sandbox.server.catalogue import INSTANCE_TYPES

WIDTH = 100

HOME = "/home/ada"
"""The home that the page shows."""

FLYTE = "flyte.example.org"

BUCKET = "s3://perian-sandbox/metadata"

IDS = {
    "forgotten": "d1c0a5b2-4e0f-4b43-9d5e-1f6a7c2e8b90",
    "train": "0b9e4c1e-5d0c-4f6e-9a64-0d9a2b6e2f11",
    "evaluate": "77aa01c2-9b1d-4c55-8e0f-3a5d6b7c8e92",
    "again": "3f6b2a90-1c7e-4d28-b5a4-6e9f0c1d2b34",
    "export": "58d2e7f4-a6b3-4c19-8f70-2b4c6d8e0a15",
    "resize": "a4c81d36-7f25-4e9b-90d1-5c3e7a9b1f68",
}
"""The ids that the page shows: each run has others."""

SECRET = re.compile("TOKEN$|KEY$|KEY_ID$")
"""Names of variables whose values no page shows."""

HOURLY = "a2-highgpu-1g"
BY_TEN_MINUTES = "1A100.22V"


@dataclass(frozen=True)
class Given:
    """A job that is there before the first command.

    Attributes:
        name: in ``IDS``.
        script: what it runs.
        origin: whose it is: execution, node, task, owner.
        ago: how long ago it was submitted.
        lasted: how long it ran; None: it runs until it is ended.
        machine: name of its instance type.
    """

    name: str
    script: str
    origin: tuple[str, str, str, str]
    ago: timedelta
    lasted: timedelta | None = None
    machine: str = HOURLY


LOST = "c9d4h7vz1p"
GOES_ON = "b3k8w5tr2n"

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB."

GIVEN = (
    Given(
        "forgotten",
        "echo up; exec sleep 600",
        (LOST, "n0", "segmentation.train", "ada"),
        timedelta(hours=5, minutes=3),
        machine=BY_TEN_MINUTES,
    ),
    Given(
        "train",
        "echo epoch 1: loss 0.81; echo epoch 2: loss 0.37",
        ("a7x9f2kq4m", "n0", "segmentation.train", "vision"),
        timedelta(hours=3),
        timedelta(minutes=41, seconds=12),
    ),
    Given(
        "evaluate",
        f'echo 512 images; echo "{OOM}" >&2; exit 1',
        ("a7x9f2kq4m", "n1", "segmentation.evaluate", "vision"),
        timedelta(hours=2, minutes=15),
        timedelta(minutes=2, seconds=5),
    ),
    Given(
        "again",
        "echo epoch 1: loss 0.79; exec sleep 600",
        (GOES_ON, "n0", "segmentation.train", "vision"),
        timedelta(minutes=12),
    ),
)

QUEUED = timedelta(seconds=40)


def variables_of(execution: str, node: str, task: str, owner: str) -> dict[str, str]:
    """Return what a pod gives its job, so that others see whose it is."""
    data = f"{BUCKET}/vision-production-{execution}/{node}/data"
    return {
        settings.JOB_KEY: f"5f1c{execution}{node}",
        settings.JOB_OWNER: owner,
        settings.JOB_NODE: node,
        settings.JOB_POD: f"{execution}-{node}-0",
        settings.JOB_RECORDS: f"{data}/_perian/attempts",
        settings.EXECUTION_PROJECT: "vision",
        settings.EXECUTION_DOMAIN: "production",
        settings.EXECUTION_ID: execution,
        settings.TASK_NAME: task,
        settings.TASK_VERSION: "v12",
        "FLYTE_ATTEMPT_NUMBER": "0",
    }


@dataclass
class Session:
    """Somebody at a terminal.

    Attributes:
        home: the user's.
        api: makes jobs in the state directory of the sandbox that the session starts.
        admin: the FlyteAdmin that is asked, if the session names one.
        gate: where jobs wait for the session.
        undo: what is to end with it.
        environ: the shell's variables.
        shown: what the page shows in place of what is there, by the latter.
        secret: what it does not show.
    """

    home: Path
    api: Api
    admin: AdminServer
    gate: JobGate
    undo: ExitStack
    environ: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    secret: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.environ = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.home), "NO_PROXY": "*"}
        self.environ["FLYTE_PLATFORM_INSECURE"] = "true"  # as a file of pyflyte's would say
        self.shown = {str(self.home): HOME, sys.prefix: f"{HOME}/venv", self.admin.endpoint: FLYTE}
        self.folder.mkdir()
        for given in GIVEN:
            self.submit(given)

    @property
    def folder(self) -> Path:
        """Where the session takes place."""
        return self.home / "vision"

    def submit(self, given: Given) -> None:
        """Have a job run, and let it have done so when it is said."""
        (machine,) = (each for each in INSTANCE_TYPES if each.name == given.machine)
        job_id = self.api.submit(
            f"bash -c {shlex.quote(given.script)}",
            instance_type=machine.id,
            image="registry.example.org/vision/segmentation",
            tag="12",
            environment=variables_of(*given.origin),
        )
        self.shown[job_id] = IDS[given.name]
        if given.lasted is None:
            self.api.running(job_id)
        else:
            self.api.finished(job_id)
        if given.ago:
            age(self.api.store.folder(job_id).path, given)

    def type(self, command: str) -> str:
        """Run a command and return what the page shows of it."""
        typed = command
        for real, shown in self.shown.items():
            typed = typed.replace(shown, real)
        name, _, value = typed.removeprefix("export ").partition("=")
        if typed.startswith("export "):
            self.environ[name] = value
            return ""
        if typed == "perian-shim sandbox":
            return self.presented(self.serve())
        return self.presented(self.ended(typed))

    def serve(self) -> str:
        """Start the sandbox, use it from now on, and return what it printed."""
        terminal = self.terminal("exec perian-shim sandbox")
        self.undo.callback(self.stop, self.undo.enter_context(terminal))
        terminal.wait_for("\r\n\r\n")
        printed = terminal.printed
        exports = dict(re.findall(r"^export (\w+)=(\S+)\r$", printed, re.MULTILINE))
        self.environ.update(exports)
        for name, port in (("PERIAN_API_URL", 8080), ("FLYTE_AWS_ENDPOINT", 9000)):
            self.shown[exports[name].removeprefix("http://")] = f"127.0.0.1:{port}"
        self.secret += [value for name, value in exports.items() if SECRET.search(name)]
        return printed

    @staticmethod
    def stop(terminal: Terminal) -> None:
        """End the sandbox as a user does."""
        terminal.interrupt()
        assert terminal.wait() == 0, terminal.printed

    def ended(self, typed: str) -> str:
        """Run a command to its end, with what happens meanwhile, and return what it printed."""
        if "--follow" in typed:
            self.wait_at_the_gate("export", "d2m6j8ys4q", "echo slice 1 of 2", "echo slice 2 of 2")
            typed = typed.replace(IDS["export"], self.real("export"))
        if "--watch" in typed:
            self.wait_at_the_gate("resize", "e5n1p3wu7r", "true", "true")
        with self.terminal(typed) as terminal:
            if "--follow" in typed:
                terminal.wait_for("slice 1 of 2")
                self.gate.open("d2m6j8ys4q")
            if "--watch" in typed:
                terminal.wait_for("Running")
                self.gate.open("e5n1p3wu7r")
                terminal.wait_for("Done")
                terminal.interrupt()
                terminal.wait()
                return terminal.printed
            if typed.startswith("perian-shim cancel --"):
                terminal.wait_for("[y/N]:")
                terminal.type("y\n")
            assert terminal.wait() == 0, terminal.printed
            return terminal.printed

    def wait_at_the_gate(self, name: str, execution: str, before: str, after: str) -> None:
        """Submit a job that goes on when the session lets it."""
        script = f"{before}; {self.gate.command}; {after}"
        origin = (execution, "n0", f"segmentation.{name}", "vision")
        self.submit(Given(name, script, origin, timedelta()))
        self.gate.wait_for(execution)

    def real(self, name: str) -> str:
        """Return the id of a job."""
        return next(real for real, shown in self.shown.items() if shown == IDS[name])

    def terminal(self, command: str) -> Terminal:
        """Return a terminal for a command."""
        environ: Mapping[str, str] = self.environ
        return Terminal(
            "/bin/sh", "-c", command, columns=WIDTH, plain=True, environ=environ, folder=self.folder
        )

    def presented(self, printed: str) -> str:
        """Return what the page shows of what was printed."""
        for real, shown in self.shown.items():
            printed = printed.replace(real, shown)
        for secret in self.secret:
            printed = printed.replace(secret, "…")
        return "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n")


def age(folder: Path, given: Given) -> None:
    """Let a job have been submitted a while ago, and have run for a while."""
    request, state = (json.loads((folder / name).read_text()) for name in FILES)
    created = datetime.fromisoformat(request["created_at"]) - given.ago
    started = created + QUEUED
    request["created_at"] = created.isoformat()
    request["order"] = int(created.timestamp() * 1e9)
    state["started_at"] = state["updated_at"] = started.isoformat()
    if given.lasted is not None:
        state["done_at"] = state["updated_at"] = (started + given.lasted).isoformat()
    for name, content in zip(FILES, (request, state), strict=True):
        draft = folder / f"{name}.new"
        draft.write_text(json.dumps(content))
        draft.replace(folder / name)


FILES = ("request.json", "state.json")


@contextmanager
def session(home: Path) -> Iterator[Session]:
    """Somebody at a terminal, with jobs that have run and that run."""
    state = home / ".local/state/perian-shim/sandbox"
    state.mkdir(parents=True, mode=0o700)
    nowhere = UploadStore("http://127.0.0.1:1", "perian-sandbox", "key", "secret")
    with (
        running_api(state, host_images=("*",)) as api,
        AdminServer(nowhere) as admin,
        JobGate() as gate,
        ExitStack() as undo,
    ):
        where = {"project": "vision", "domain": "production"}
        for execution, phase in ((LOST, "ABORTED"), (GOES_ON, "RUNNING")):
            place = f"{BUCKET}/vision-production-{execution}"
            admin.history.put(execution, phase, place=place, ended=LONG_SECONDS**2, **where)
        yield Session(home, api, admin, gate, undo)
