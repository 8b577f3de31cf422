"""A stand-in for the cluster: what Flyte's container plugin does with a task, on this machine.

Given a task and its inputs it writes ``task.pb`` and ``inputs.pb`` to the object store, fills the
templates in the container's arguments as FlytePropeller does, starts the container's command as a
process of its own with the environment that the backend would inject and with nothing of the
user's code, and decides by the backend's rules from the exit code, ``error.pb`` and ``outputs.pb``
what became of it. Failed attempts are repeated on the budgets that Flyte keeps for users' and for
system errors.

It does not schedule, does not cache and does not look into pods. Paths, variables and rules are
those of Flyte 1.16. What a workflow makes of the attempts is the business of ``engine``.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

from flyteidl.core import dynamic_job_pb2, errors_pb2, literals_pb2, security_pb2, tasks_pb2
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskSpec, TaskTemplate
from flytekit.tools.translator import get_serializable

from perian_shim.sandbox.flyte.fast_code import FAST_EXECUTE, unpacked
from perian_shim.sandbox.flyte.places import Place, Pod
from perian_shim.sandbox.flyte.store import Store

AnyTask: TypeAlias = PythonTask[Any]

SYSTEM_RETRIES = 3
"""FlytePropeller's default ``max-node-retries-system-failures``."""

GRACE_SECONDS = 30.0
"""From SIGTERM to SIGKILL: Kubernetes' default ``terminationGracePeriodSeconds``."""

METADATA = "metadata/propeller"
"""FlytePropeller's default ``metadata-prefix``."""

ARRAY_INDEX = "FLYTE_K8S_ARRAY_INDEX"

PERIAN_TYPE = "perian_shim"
"""The type of perian-shim's own tasks."""


@dataclass(frozen=True)
class NodeError:
    """Why an attempt failed, as Flyte records it.

    Attributes:
        code: error code.
        message: error message.
        kind: ``"USER"``, ``"SYSTEM"`` or ``"UNKNOWN"``.
        recoverable: whether Flyte would try again while the budget lasts.
    """

    code: str
    message: str
    kind: str
    recoverable: bool


@dataclass(frozen=True)
class Attempt:
    """One finished attempt of a node.

    Attributes:
        number: 0-based.
        exit_code: of the container's process.
        outputs: what ``outputs.pb`` holds, if the attempt succeeded.
        error: what failed, if it failed.
        log: the container's own output.
        futures: what is to run in its place, if it was a dynamic workflow's.
    """

    number: int
    exit_code: int
    outputs: LiteralMap | None
    error: NodeError | None
    log: str
    futures: dynamic_job_pb2.DynamicJobSpec | None = None


def may_retry(attempts: Sequence[NodeError], retries: int) -> bool:
    """Whether FlytePropeller makes another attempt.

    Args:
        attempts: the errors of all attempts so far.
        retries: the user's ``retries``.
    """
    last = attempts[-1]
    if not last.recoverable:
        return False
    system = sum(error.kind == "SYSTEM" for error in attempts)
    if last.kind == "SYSTEM":
        return system <= SYSTEM_RETRIES
    return len(attempts) - system <= retries


@dataclass
class Cluster:
    """Runs tasks as Flyte's container plugin would.

    Attributes:
        bucket: bucket for metadata and raw data.
        environment: the cluster's default variables of every container: object store, proxies.
        secrets: (group, key) to value: what the Kubernetes namespace holds.
        project: Flyte project.
        domain: Flyte domain.
        bin_dir: folder that holds ``pyflyte-execute`` in place of the image's.
        echo: called with every line that a container prints.
        entrypoint: what stands before the arguments of perian-shim's own containers, as an image's
            ENTRYPOINT does, and the others' code is unpacked here; nothing for what ``bin_dir``
            has of flytekit's commands.
    """

    bucket: str
    environment: Mapping[str, str]
    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    project: str = "flytesnacks"
    domain: str = "development"
    bin_dir: Path = field(default_factory=lambda: Path(sys.executable).parent)
    echo: Callable[[str], None] | None = None
    entrypoint: Sequence[str] = ()

    def serialize(self, task: AnyTask) -> TaskTemplate:
        """Return the template that registering the task would store in FlyteAdmin."""
        settings = SerializationSettings(
            image_config=ImageConfig(Image("default", "example.org/resolver", "latest")),
            project=self.project,
            domain=self.domain,
            version="v1",
            # Its pods are processes of this machine: nothing of their image counts but the name.
            env={"PERIAN_SHIM_IMAGE": "example.org/resolver:latest"},
        )
        spec = get_serializable(OrderedDict(), settings, task)
        assert isinstance(spec, TaskSpec)
        template: TaskTemplate = spec.template
        return template

    def literals(self, task: AnyTask, inputs: Mapping[str, object]) -> LiteralMap:
        """Convert Python values into the task's input literals; files go to the object store."""
        context = FlyteContextManager.current_context()
        return TypeEngine.dict_to_literal_map(
            context, dict(inputs), dict(task.python_interface.inputs)
        )

    def run(
        self, template: TaskTemplate, inputs: LiteralMap, *, execution: str, node: str = "n0"
    ) -> list[Attempt]:
        """Run a node with Flyte's retries; return its attempts, the last one decides."""
        attempts: list[Attempt] = []
        errors: list[NodeError] = []
        while True:
            attempt = self.start(template, inputs, execution, node, len(attempts)).wait()
            attempts.append(attempt)
            if attempt.error is None:
                return attempts
            errors.append(attempt.error)
            if not may_retry(errors, template.metadata.retries.retries):
                return attempts

    def store(self) -> Store:
        """Return the backend's own access to the object store."""
        return Store(self.environment)

    def place(self, execution: str, node: str) -> Place:
        """Return where a node of an execution's own workflow is."""
        folder = f"{self.project}-{self.domain}-{execution}/{node}/data"
        return Place(self.bucket, execution, node, f"s3://{self.bucket}/{METADATA}/{folder}")

    def start(
        self,
        template: TaskTemplate,
        inputs: LiteralMap,
        execution: str,
        node: str = "n0",
        attempt: int = 0,
    ) -> "RunningPod":
        """Start one attempt and return it while it runs."""
        pod = self.place(execution, node).attempt(attempt)
        return self.launch(template.to_flyte_idl(), inputs.to_flyte_idl(), pod)

    def launch(
        self,
        template: tasks_pb2.TaskTemplate,
        inputs: literals_pb2.LiteralMap,
        pod: Pod,
        echo: Callable[[str], None] | None = None,
    ) -> "RunningPod":
        """Start one attempt of a node wherever it is.

        Args:
            template: of the task.
            inputs: of the node; of all items, if it is an item of a map task.
            pod: its paths.
            echo: called with every line that it prints, instead of the cluster's own.
        """
        store = self.store()
        store.write(pod.templates["tasktemplatepath"], template.SerializeToString())
        store.write(pod.inputs_uri, inputs.SerializeToString())
        folder = Path(tempfile.mkdtemp(prefix="perian-pod-"))
        try:
            process = self.process(template, pod, folder, store)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # it may hold secrets
            raise
        return RunningPod(pod, process, folder, store, template, echo or self.echo)

    def process(
        self, template: tasks_pb2.TaskTemplate, pod: Pod, folder: Path, store: Store
    ) -> "subprocess.Popen[str]":
        """Start a container's process in its working directory."""
        arguments = [pod.fill(argument) for argument in template.container.args]
        variables = self.variables(template, pod, folder)
        if self.entrypoint and template.type == PERIAN_TYPE:
            command, executable = [*self.entrypoint, *arguments], None
        else:
            if self.entrypoint and arguments[0] == FAST_EXECUTE:
                arguments = unpacked(arguments, folder, store)
                paths = [variables.get("PYTHONPATH", ""), str(folder)]
                variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
            command = [*template.container.command, *arguments]
            executable = shutil.which(arguments[0], path=str(self.bin_dir))
        return subprocess.Popen(
            command,
            executable=executable,
            env=variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A terminal's Ctrl-C is then for whoever runs the cluster, which deletes its pods.
            start_new_session=bool(self.entrypoint),
        )

    def variables(self, template: tasks_pb2.TaskTemplate, pod: Pod, folder: Path) -> dict[str, str]:
        """Return the container's environment: the template's, then the backend's on top."""
        item = {} if pod.item is None else {ARRAY_INDEX: str(pod.item)}
        return {
            "PATH": os.pathsep.join([str(self.bin_dir), os.defpath]),
            "HOME": str(folder),
            "HOSTNAME": pod.name,
            **{pair.key: pair.value for pair in template.container.env},
            "FLYTE_INTERNAL_EXECUTION_WORKFLOW": f"{self.project}:{self.domain}:workflow",
            "FLYTE_INTERNAL_EXECUTION_ID": pod.execution,
            "FLYTE_INTERNAL_EXECUTION_PROJECT": self.project,
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": self.domain,
            "FLYTE_ATTEMPT_NUMBER": str(pod.number),
            "FLYTE_INTERNAL_TASK_PROJECT": template.id.project,
            "FLYTE_INTERNAL_TASK_DOMAIN": template.id.domain,
            "FLYTE_INTERNAL_TASK_NAME": template.id.name,
            "FLYTE_INTERNAL_TASK_VERSION": template.id.version,
            **({"BATCH_JOB_ARRAY_INDEX_VAR_NAME": ARRAY_INDEX, **item} if item else {}),
            **self.environment,
            **self.mount_secrets(template, folder / ".secrets"),
        }

    def mount_secrets(self, template: tasks_pb2.TaskTemplate, folder: Path) -> dict[str, str]:
        """Write the secrets that the task asks for; return the variables that go with them.

        As with Kubernetes, one that does not exist is silently left out.
        """
        variables = {"FLYTE_SECRETS_DEFAULT_DIR": str(folder), "FLYTE_SECRETS_FILE_PREFIX": ""}
        for secret in template.security_context.secrets:
            value = self.secrets.get((secret.group, secret.key))
            if value is None:
                continue
            if secret.mount_requirement == security_pb2.Secret.ENV_VAR:
                variables[f"_FSEC_{secret.group}_{secret.key}".upper()] = value
                shown = value
            else:
                path = folder / str(secret.group).lower() / str(secret.key).lower()
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(value)
                shown = str(path)
            if secret.env_var:
                variables[secret.env_var] = shown
        return variables


@dataclass
class RunningPod:
    """An attempt while its process runs."""

    pod: Pod
    process: "subprocess.Popen[str]"
    folder: Path
    store: "Store"
    template: tasks_pb2.TaskTemplate
    echo: Callable[[str], None] | None
    timers: list[threading.Timer] = field(default_factory=list)

    def delete(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Do what deleting the pod does: send SIGTERM, and SIGKILL after the grace period."""
        self.process.send_signal(signal.SIGTERM)
        timer = threading.Timer(grace_seconds, self.kill)
        timer.daemon = True
        timer.start()
        self.timers.append(timer)

    def kill(self) -> None:
        """Kill it, with all its processes if they are a group of their own."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(self.process.pid) == self.process.pid:
                    os.killpg(self.process.pid, signal.SIGKILL)
                else:
                    self.process.kill()

    def wait(self) -> Attempt:
        """Wait for the container's end and judge it by FlytePropeller's rules."""
        lines = []
        stream: IO[str] | None = self.process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                lines.append(line)
                if self.echo:
                    self.echo(line.rstrip("\n"))
        code = self.process.wait()
        for timer in self.timers:
            timer.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)
        futures = None if code else self.store.read(f"{self.pod.output_prefix}/futures.pb")
        if futures is not None:
            spec = dynamic_job_pb2.DynamicJobSpec.FromString(futures)
            return Attempt(self.pod.number, code, LiteralMap({}), None, "".join(lines), spec)
        outputs, error = self.judge(code)
        return Attempt(self.pod.number, code, outputs, error, "".join(lines))

    def judge(self, code: int) -> tuple[LiteralMap | None, NodeError | None]:
        """Apply the backend's rules for a primary container that has ended."""
        if code != 0:
            message = f"container exited with {code}"
            return None, NodeError("Interrupted", message, "SYSTEM", recoverable=True)
        document = self.store.read(f"{self.pod.output_prefix}/error.pb")
        if document is not None:  # decides even if outputs.pb is there too
            error = errors_pb2.ErrorDocument.FromString(document).error
            return None, NodeError(
                error.code,
                error.message,
                {1: "USER", 2: "SYSTEM"}.get(error.origin, "UNKNOWN"),
                recoverable=error.kind == errors_pb2.ContainerError.RECOVERABLE,
            )
        outputs = self.store.read(f"{self.pod.output_prefix}/outputs.pb")
        if outputs is not None:
            return LiteralMap.from_flyte_idl(literals_pb2.LiteralMap.FromString(outputs)), None
        if self.template.interface.outputs.variables:
            message = "outputs.pb is missing"
            return None, NodeError("OutputsNotFound", message, "UNKNOWN", recoverable=True)
        return LiteralMap({}), None
