"""A stand-in for the cluster: what Flyte's container plugin does with a task, on this machine.

Given a task and its inputs it writes ``task.pb`` and ``inputs.pb`` to the object store, fills the
templates in the container's arguments as FlytePropeller does, starts the container's command as a
process of its own with the environment that the backend would inject and with nothing of the
user's code, and decides by the backend's rules from the exit code, ``error.pb`` and ``outputs.pb``
what became of it. Failed attempts are repeated on the budgets that Flyte keeps for users' and for
system errors.

It does not schedule, does not cache and does not look into pods. Paths, variables and rules are
those of Flyte 1.16.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

import boto3
from flyteidl.core import errors_pb2, literals_pb2
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import LiteralMap
from flytekit.models.security import Secret
from flytekit.models.task import TaskSpec, TaskTemplate
from flytekit.tools.translator import get_serializable

AnyTask: TypeAlias = PythonTask[Any]

SYSTEM_RETRIES = 3
"""FlytePropeller's default ``max-node-retries-system-failures``."""

MAX_POD_NAME = 50
"""Characters of a pod's name; a longer one is replaced by its hash."""

_SHARD = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE32 = "abcdefghijklmnopqrstuvwxyz123456"


def short_hash(text: str) -> str:
    """Return FlytePropeller's short form of a long name: base 32 of FNV-1a, 32 bits."""
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    bits = f"{value:032b}000"
    return "".join(_BASE32[int(bits[at : at + 5], 2)] for at in range(0, 35, 5))


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
    """

    number: int
    exit_code: int
    outputs: LiteralMap | None
    error: NodeError | None
    log: str


@dataclass(frozen=True)
class Pod:
    """One started attempt: the paths that FlytePropeller would give it.

    Attributes:
        execution: name of the execution.
        node: node id.
        number: attempt, 0-based.
        bucket: bucket of metadata and raw data.
        data_prefix: the node's metadata folder (URI).
    """

    execution: str
    node: str
    number: int
    bucket: str
    data_prefix: str

    @property
    def name(self) -> str:
        """The pod's name, as unique as Flyte makes it."""
        name = f"{self.execution}-{self.node}-{self.number}"
        return name if len(name) <= MAX_POD_NAME else "f" + short_hash(name)

    @property
    def output_prefix(self) -> str:
        """``{{.outputPrefix}}``."""
        return f"{self.data_prefix}/{self.number}"

    @property
    def raw_prefix(self) -> str:
        """``{{.rawOutputDataPrefix}}``."""
        digest = hashlib.sha256(self.name.encode()).digest()
        shard = _SHARD[digest[0] % 36] + _SHARD[digest[1] % 36]
        return f"s3://{self.bucket}/{shard}/{self.name}"

    @property
    def templates(self) -> dict[str, str]:
        """Every template variable of the backend and its value, names in lower case."""
        previous = '""'
        if self.number:
            before = Pod(self.execution, self.node, self.number - 1, self.bucket, self.data_prefix)
            previous = f"{before.raw_prefix}/_flytecheckpoints"
        return {
            "input": f"{self.data_prefix}/inputs.pb",
            "inputprefix": self.data_prefix,
            "outputprefix": self.output_prefix,
            "tasktemplatepath": f"{self.data_prefix}/task.pb",
            "rawoutputdataprefix": self.raw_prefix,
            "checkpointoutputprefix": f"{self.raw_prefix}/_flytecheckpoints",
            "prevcheckpointprefix": previous,
            "perretryuniquekey": re.sub(r"[^a-zA-Z0-9_]+", "_", self.name),
        }

    def fill(self, argument: str) -> str:
        """Replace template variables; what is none of them stays as it is."""
        values = self.templates
        return re.sub(
            r"\{\{\s*[.$](\w+)\s*\}\}",
            lambda match: values.get(match[1].lower(), match[0]),
            argument,
        )


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
    """

    bucket: str
    environment: Mapping[str, str]
    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    project: str = "flytesnacks"
    domain: str = "development"
    bin_dir: Path = field(default_factory=lambda: Path(sys.executable).parent)
    echo: Callable[[str], None] | None = None

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
        system_failures = 0
        while True:
            attempt = self.start(template, inputs, execution, node, len(attempts)).wait()
            attempts.append(attempt)
            if attempt.error is None or not attempt.error.recoverable:
                return attempts
            if attempt.error.kind == "SYSTEM":
                if system_failures == SYSTEM_RETRIES:
                    return attempts
                system_failures += 1
            elif len(attempts) - system_failures > template.metadata.retries.retries:
                return attempts

    def start(
        self,
        template: TaskTemplate,
        inputs: LiteralMap,
        execution: str,
        node: str = "n0",
        attempt: int = 0,
    ) -> "RunningPod":
        """Start one attempt and return it while it runs."""
        metadata = f"s3://{self.bucket}/metadata/propeller"
        data_prefix = f"{metadata}/{self.project}-{self.domain}-{execution}/{node}/data"
        pod = Pod(execution, node, attempt, self.bucket, data_prefix)
        store = Store(self.environment)
        store.write(f"{data_prefix}/task.pb", template.to_flyte_idl().SerializeToString())
        store.write(f"{data_prefix}/inputs.pb", inputs.to_flyte_idl().SerializeToString())
        folder = Path(tempfile.mkdtemp(prefix="perian-pod-"))
        arguments = [pod.fill(argument) for argument in template.container.args]
        process = subprocess.Popen(
            [*template.container.command, *arguments],
            executable=shutil.which(arguments[0], path=str(self.bin_dir)),
            env=self.variables(template, pod, folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return RunningPod(pod, process, folder, store, template, self.echo)

    def variables(self, template: TaskTemplate, pod: Pod, folder: Path) -> dict[str, str]:
        """Return the container's environment: the template's, then the backend's on top."""
        return {
            "PATH": os.pathsep.join([str(self.bin_dir), os.defpath]),
            "HOME": str(folder),
            **(template.container.env or {}),
            "FLYTE_INTERNAL_EXECUTION_WORKFLOW": f"{self.project}:{self.domain}:workflow",
            "FLYTE_INTERNAL_EXECUTION_ID": pod.execution,
            "FLYTE_INTERNAL_EXECUTION_PROJECT": self.project,
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": self.domain,
            "FLYTE_ATTEMPT_NUMBER": str(pod.number),
            "FLYTE_INTERNAL_TASK_PROJECT": template.id.project,
            "FLYTE_INTERNAL_TASK_DOMAIN": template.id.domain,
            "FLYTE_INTERNAL_TASK_NAME": template.id.name,
            "FLYTE_INTERNAL_TASK_VERSION": template.id.version,
            **self.environment,
            **self.mount_secrets(template, folder / "secrets"),
        }

    def mount_secrets(self, template: TaskTemplate, folder: Path) -> dict[str, str]:
        """Write the secrets that the task asks for; return the variables that go with them.

        As with Kubernetes, one that does not exist is silently left out.
        """
        variables = {"FLYTE_SECRETS_DEFAULT_DIR": str(folder), "FLYTE_SECRETS_FILE_PREFIX": ""}
        wanted = template.security_context.secrets if template.security_context else None
        for secret in wanted or []:
            value = self.secrets.get((secret.group or "", secret.key or ""))
            if value is None:
                continue
            if secret.mount_requirement == Secret.MountType.ENV_VAR:
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
    template: TaskTemplate
    echo: Callable[[str], None] | None

    def delete(self) -> None:
        """Do what deleting the pod does first: send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

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
        shutil.rmtree(self.folder, ignore_errors=True)
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
        if self.template.interface.outputs:
            message = "outputs.pb is missing"
            return None, NodeError("OutputsNotFound", message, "UNKNOWN", recoverable=True)
        return LiteralMap({}), None


class Store:
    """The stand-in's own access to the object store, apart from what it tests."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._client = boto3.client(
            "s3",
            endpoint_url=environment.get("FLYTE_AWS_ENDPOINT"),
            aws_access_key_id=environment.get("FLYTE_AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("FLYTE_AWS_SECRET_ACCESS_KEY"),
            region_name="us-east-1",
        )

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def read(self, uri: str) -> bytes | None:
        """Return an object's content, None if there is none."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            with self._client.get_object(Bucket=bucket, Key=key)["Body"] as body:
                return body.read()
        except self._client.exceptions.NoSuchKey:
            return None
