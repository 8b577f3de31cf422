"""``perian-shim run`` of a file for Flyte 2: tasks on Perian run as their backend runs them.

What the file has of plain Flyte 2 tasks runs in this process, by the SDK's own local mode. Each
call of a task of perian-shim becomes an action of the stand-in: a pod of our own entry point with
nothing of the user's code, and a job that gets it as a code bundle.
"""

import asyncio
import itertools
import logging
import os
import secrets
import signal
import threading
import time
import traceback
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flyte
from flyte.extend import TaskTemplate
from flyteidl.core import literals_pb2, tasks_pb2
from flyteidl.core.types_pb2 import BlobType

from perian_shim import task_argument
from perian_shim.flyte2 import dispatch, sdk
from perian_shim.flyte2.background import in_background
from perian_shim.flyte2.submission import Submission
from perian_shim.pod.local_files import put, with_remote_files
from perian_shim.sandbox.flyte.attempts import literals_of
from perian_shim.sandbox.flyte.console import Console
from perian_shim.sandbox.flyte.failures import Aborted, NodeFailed
from perian_shim.sandbox.flyte.interrupts import ended_by_signals
from perian_shim.sandbox.flyte.reporting import Step
from perian_shim.sandbox.flyte.results import shown
from perian_shim.sandbox.flyte.store import Store
from perian_shim.sandbox.flyte.surroundings import BIN, cluster_on, storage_variables
from perian_shim.sandbox.flyte2.cluster import ActionCluster
from perian_shim.sandbox.flyte2.inputs import parsed
from perian_shim.sandbox.flyte2.secrets import ActionSecrets
from perian_shim.sandbox.modules import Imported, SourceError
from perian_shim.sandbox.run_options import FAILED, SIGNALLED, RunOptions
from perian_shim.sandbox.running import Prepared
from perian_shim.sandbox.sandbox import Sandbox

LAST_SECONDS = 2.0
"""For a user's code to come to an end by itself, once its pods have been ended."""

POD_IMAGE = "example.org/executor:latest"
"""What the tasks' pods are deployed with; nothing runs it."""


def prepare_process() -> None:
    """Name an image for the tasks' pods, before the user's file is imported."""
    os.environ.setdefault("PERIAN_SHIM_IMAGE", POD_IMAGE)


def prepared(options: RunOptions, source: Imported) -> Prepared:
    """Find what is asked for, and read its inputs."""
    task = found(source, options.name)
    initialized(source, options)
    values = parsed(task, options.name or "", options.arguments)
    return Prepared(
        source.root,
        lambda box, folder: Flyte2Run(options, source, task, values, box, folder).run(),
    )


def initialized(source: Imported, options: RunOptions) -> None:
    """Tell the SDK where the user's code is, and how much to print."""
    level = logging.INFO if options.verbose else logging.CRITICAL
    flyte.init(root_dir=source.root, log_level=level)


def found(source: Imported, name: str | None) -> Any:
    """Return a task of a file.

    Raises:
        SourceError: there is none of this name; says which there are.
    """
    tasks = {
        key: value for key, value in vars(source.module).items() if isinstance(value, TaskTemplate)
    }
    if name in tasks:
        return tasks[name]
    asked = "name what to run" if name is None else f"no {name!r} in it"
    listed = f"tasks: {', '.join(tasks)}" if tasks else "nothing to run"
    raise SourceError(f"{source.path.name}: {asked}. It has {listed}")


@dataclass
class Flyte2Run:
    """One run of a task on a sandbox of its own.

    Attributes:
        options: as asked for.
        source: the user's file.
        task: what to run.
        values: its inputs.
        sandbox: not started yet.
        folder: for what is temporary.
    """

    options: RunOptions
    source: Imported
    task: Any
    values: dict[str, Any]
    sandbox: Sandbox
    folder: Path
    name: str = field(default_factory=lambda: "r" + secrets.token_hex(6))
    _calls: "itertools.count[int]" = field(default_factory=itertools.count, init=False)
    _acting: "list[Future[bytes]]" = field(default_factory=list, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self) -> int:
        """Run it and return a process exit code."""
        with self.sandbox, storage_variables(self.sandbox):
            self.secrets = ActionSecrets(self.sandbox.environment(), os.environ)
            self.console = Console(lambda: self.secrets.given)
            self.console.print(
                f"sandbox: Perian at {self.sandbox.api_url}, S3 at {self.sandbox.s3_endpoint}\n"
                f"         {self.sandbox.isolation.statement}"
            )
            base = cluster_on(self.sandbox, self.secrets, verbose=self.options.verbose)
            self.cluster = ActionCluster(
                bucket=base.bucket,
                environment=base.environment,
                secrets=base.secrets,
                bin_dir=base.bin_dir,
                entrypoint=base.entrypoint,
            )
            self.store = Store(base.environment)
            with ended_by_signals(self.cluster, self.console.note) as received:
                walk = in_background(self.walk)
                self.cluster.attend(walk)
                interrupted = self.cluster.aborted
                try:
                    return walk.result(LAST_SECONDS)
                except Exception as error:  # noqa: BLE001 - the user's own, or of a task
                    if interrupted:
                        return SIGNALLED + (received[0] if received else signal.SIGTERM)
                    if self.options.verbose:
                        traceback.print_exception(error)
                    self.console.print(f"task {self.options.name} failed: {told(error)}")
                    return FAILED
                finally:
                    self.cluster.abort()  # what was started and not waited for
                    wait(self._acting)

    def walk(self) -> int:
        """Run the task and print what it returns."""
        everything = self.options.copy == "all"
        bundle = asyncio.run(sdk.code_bundle(self.source.root, self.folder, everything=everything))
        code = f"s3://{self.sandbox.bucket}/code/{Path(bundle.tgz).name}"
        self.store.write(code, Path(bundle.tgz).read_bytes())
        self.deployed = flyte.models.SerializationContext(
            version=bundle.computed_version,
            project=self.cluster.project,
            domain=self.cluster.domain,
            org=self.cluster.organization,
            root_dir=self.source.root,
            input_path="{{.input}}",
            output_path="{{.outputPrefix}}",
            code_bundle=flyte.models.CodeBundle(
                computed_version=bundle.computed_version, tgz=code, destination="."
            ),
        )
        self.console.print(f"task {self.task.name}, run {self.name}")
        started = time.monotonic()
        local = flyte.with_runcontext(
            mode="local", raw_data_path=str(self.folder / "raw"), disable_run_cache=True
        )
        with dispatch.use(self.act):
            run: Any = local.run(self.task, **self.values)
        outputs = run.outputs()
        seconds = time.monotonic() - started
        names = list(self.task.native_interface.outputs)
        values = tuple(outputs) if isinstance(outputs, tuple) else (outputs,)
        self.console.print(f"succeeded after {seconds:.1f} s" + (", outputs:" if names else ""))
        for name, value in zip(names, values, strict=False):
            self.console.print(f"  {self.text_of(name, value)}")
        return 0

    async def act(self, submission: Submission) -> bytes:
        """Run one call of a task of ours as an action."""
        try:
            acting = in_background(lambda: self.action(submission))
            self._acting.append(acting)
            return await asyncio.wrap_future(acting)
        except NodeFailed as failed:
            code, message = failed.error.code, failed.error.message
            named = message if message.startswith(f"[{code}]") else f"[{code}] {message}"
            raise sdk.final_error(f"{failed.node} failed: {named}", code) from failed

    def action(self, submission: Submission) -> bytes:
        """Run an action to its end and return its outputs.

        Raises:
            NodeFailed: it failed for good.
            Aborted: the run was.
        """
        with self._turn:
            template = self.template_of(submission.task)
            action = f"a{next(self._calls)}"
        self.secrets.ask(template)
        inputs = literals_pb2.LiteralMap.FromString(submission.inputs)
        uploads = f"s3://{self.sandbox.bucket}/uploads/{self.name}"
        local = with_remote_files(
            lambda path, uri: put(self.store, path, uri), dict(inputs.literals), uploads
        )
        started = time.monotonic()
        try:
            ended, pod = self.cluster.act(
                template,
                literals_pb2.LiteralMap(literals=local),
                self.name,
                action,
                line=lambda line: self.console.line(action, line),
                retrying=lambda number, error: self.console.retrying(action, number, error),
            )
        except Aborted:
            self.console.ended(
                Step(action, submission.name, 1, time.monotonic() - started, None, None)
            )
            raise
        last, seconds = ended[-1], time.monotonic() - started
        outputs = None if last.error else literals_of(last)
        self.console.ended(Step(action, submission.name, len(ended), seconds, outputs, last.error))
        if last.error is not None:
            raise NodeFailed(action, last.error)
        return self.store.read(f"{pod.output_prefix}/outputs.pb") or b""

    def template_of(self, task: Any) -> tasks_pb2.TaskTemplate:
        """Return a task's template, whose job finds programs where this machine is its image."""
        made = sdk.template_of(task, self.deployed)
        template = tasks_pb2.TaskTemplate.FromString(made.SerializeToString())
        at = list(template.container.args).index(task_argument.OPTION) + 1
        record = task_argument.decode(template.container.args[at])
        environment: Any = record.custom["environment"]
        usual = {"PYTHONUNBUFFERED": "1"}
        if self.options.runner is None and record.custom["kind"] == "action":
            usual["PATH"] = os.pathsep.join([str(BIN), os.defpath])
        environment.update({**usual, **dict(environment.items())})
        template.container.args[at] = task_argument.encode(record)
        return template

    def text_of(self, name: str, value: Any) -> str:
        """Return an output as text; a file is saved, if that was asked for."""
        uri = getattr(value, "path", None) or getattr(value, "uri", None)
        if not isinstance(uri, str) or not uri.startswith("s3://"):
            return f"{name} = {value}"
        literal = literals_pb2.Literal()
        literal.scalar.blob.uri = uri
        if type(value).__name__ != "File":
            literal.scalar.blob.metadata.type.dimensionality = BlobType.MULTIPART
        return shown(name, literal, self.store, self.options.output_dir)


def told(error: Exception) -> str:
    """Return what failed, in a line."""
    code = getattr(error, "code", type(error).__name__)
    return str(error) if f"[{code}]" in str(error) else f"{code}: {error}".strip()
