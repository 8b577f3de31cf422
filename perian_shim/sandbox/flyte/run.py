"""``perian-shim run``: a user's workflow on an embedded Perian and S3, as a Flyte cluster runs it.

Tasks of perian-shim run in processes of our own entry point, with nothing of the user's code; their
jobs, and the pods of plain Python tasks, have it as registration would have shipped it. Exit codes:
0 succeeded, 1 failed, 2 wrong arguments, 128 and the signal's number if one has ended the run.
"""

import contextlib
import logging
import os
import queue
import secrets
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flytekit.configuration import (
    FastSerializationSettings,
    Image,
    ImageConfig,
    SerializationSettings,
)
from flytekit.core.context_manager import FlyteEntities
from flytekit.image_spec import ImageSpec

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.cluster import Cluster
from perian_shim.sandbox.flyte.console import Console, indented
from perian_shim.sandbox.flyte.engine import Engine
from perian_shim.sandbox.flyte.failures import Aborted, NodeFailed, NodeFault
from perian_shim.sandbox.flyte.inputs import HelpShown, InputError, literals, parsed
from perian_shim.sandbox.flyte.registry import Registry, Runnable
from perian_shim.sandbox.flyte.results import shown
from perian_shim.sandbox.flyte.secrets import RunSecrets
from perian_shim.sandbox.flyte.source import Source, SourceError, kind_of
from perian_shim.sandbox.flyte.store import Store
from perian_shim.sandbox.sandbox import Sandbox

POLL_SECONDS = "0.2"
"""Jobs here take about a second; the default pause would be most of what one sees."""

BIN = Path(sys.executable).parent

ENTRYPOINT = (sys.executable, "-m", "perian_shim.entrypoint")
"""What the executor image's ENTRYPOINT runs."""

ANY_IMAGE = "*"

FAILED = 1
USAGE = 2
SIGNALLED = 128

QUIET, VERBOSE = "50", "20"
"""flytekit's log levels; below the first it reports s3fs's unclosed sessions when a pod exits."""


@dataclass(frozen=True)
class RunOptions:
    """What to run, and how.

    Attributes:
        file: the Python file.
        name: of a workflow, task or launch plan in it; None to be told which there are.
        arguments: its inputs, ``--input value …``.
        state_dir: where the sandbox keeps its jobs; None for a temporary folder.
        runner: ``"docker"`` or ``"podman"`` to run jobs as containers.
        images: patterns of images that stand for this machine; none for all of them.
        output_dir: where to save files that the workflow returns.
        copy: which code goes to the tasks: ``"auto"`` for what has been imported, ``"all"``.
        verbose: whether to print more.
    """

    file: Path
    name: str | None
    arguments: Sequence[str] = ()
    state_dir: Path | None = None
    runner: str | None = None
    images: Sequence[str] = ()
    output_dir: Path | None = None
    copy: Literal["auto", "all"] = "auto"
    verbose: bool = False


def run_file(options: RunOptions) -> int:
    """Run a workflow and return a process exit code."""
    # Below that flytekit complains about s3fs's sessions when this process ends.
    logging.getLogger("flytekit").setLevel(int(VERBOSE if options.verbose else QUIET))
    try:
        source = Source.load(options.file)
        entity = source.find(options.name)
        values = parsed(entity, options.name or "", options.arguments)
    except HelpShown:
        return 0
    except (SourceError, InputError) as error:
        if options.verbose and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print(f"perian-shim run: {error}", file=sys.stderr)
        return USAGE
    with tempfile.TemporaryDirectory(prefix="perian-run-") as folder:
        sandbox = Sandbox(
            options.state_dir or Path(folder) / "state",
            runner=options.runner,
            host_images=options.images or ([] if options.runner else [ANY_IMAGE]),
        )
        try:
            return Run(options, source, entity, values, sandbox, Path(folder)).run()
        except InputError as error:
            print(f"perian-shim run: {error}", file=sys.stderr)
            return USAGE
        except SandboxError as error:
            print(f"perian-shim run: {error}", file=sys.stderr)
            return FAILED


@dataclass
class Run:
    """One run of a workflow on a sandbox of its own.

    Attributes:
        options: as asked for.
        source: the user's file.
        entity: what to run.
        values: its inputs.
        sandbox: not started yet.
        folder: for what is temporary.
    """

    options: RunOptions
    source: Source
    entity: Runnable
    values: dict[str, Any]
    sandbox: Sandbox
    folder: Path
    execution: str = field(default_factory=lambda: "r" + secrets.token_hex(6))

    def run(self) -> int:
        """Run it and return a process exit code."""
        with self.sandbox:
            given = RunSecrets(self.sandbox.environment())
            console = Console(lambda: tuple(given.given))
            console.print(
                f"sandbox: Perian at {self.sandbox.api_url}, S3 at {self.sandbox.s3_endpoint}\n"
                f"         {self.sandbox.isolation.statement}"
            )
            cluster = cluster_on(self.sandbox, given, verbose=self.options.verbose)
            engine = Engine(cluster, console)
            with storage_variables(self.sandbox), ended_by_signals(engine, console) as received:
                try:
                    return self.walk(engine, console, Store(cluster.environment))
                except Aborted:
                    return SIGNALLED + (received[0] if received else signal.SIGTERM)
                except (NodeFailed, NodeFault) as error:
                    console.print(
                        f"{kind_of(self.entity)} {self.options.name} failed: {first_line(error)}"
                    )
                    return FAILED

    def walk(self, engine: Engine, console: Console, store: Store) -> int:
        """Register it, run it and print what it returns."""
        bucket = self.sandbox.bucket
        archive = self.source.archive(self.folder, self.options.copy)
        code = f"s3://{bucket}/code/{archive.name}"
        store.write(code, archive.read_bytes())
        try:
            registry = Registry(serialization_settings(code))
            registry.add(self.entity)
        except Exception as error:
            raise SandboxError(f"{self.options.name} does not compile: {error}") from error
        uploads = f"s3://{bucket}/uploads/{self.execution}"
        given = literals(self.entity, self.values, str(self.folder / "uploads"), uploads)
        console.print(f"{kind_of(self.entity)} {self.entity.name}, execution {self.execution}")
        started = time.monotonic()
        outputs = engine.run(registry, self.entity, given, self.execution)
        seconds = time.monotonic() - started
        console.print(f"succeeded after {seconds:.1f} s" + (", outputs:" if outputs else ""))
        for name in ordered(outputs, self.entity):
            console.print(f"  {shown(name, outputs[name], store, self.options.output_dir)}")
        return 0


def ordered(outputs: Literals, entity: Runnable) -> list[str]:
    """Return the names of outputs in the order in which they are declared."""
    declared = list(entity.python_interface.outputs)
    return sorted(outputs, key=lambda name: declared.index(name) if name in declared else -1)


def first_line(error: NodeFailed | NodeFault) -> str:
    """Return which node failed with which code; its message has been printed."""
    if isinstance(error, NodeFailed):
        return f"node {error.node}, {error.error.code}"
    return f"{indented(error.error).strip()}"


def cluster_on(
    sandbox: Sandbox, secrets: Mapping[tuple[str, str], str], *, verbose: bool
) -> Cluster:
    """Return a cluster whose pods talk to a sandbox and find the object store there."""
    variables = sandbox.environment()
    return Cluster(
        bucket=sandbox.bucket,
        environment={
            **{name: value for name, value in variables.items() if "AWS" in name},
            "PERIAN_API_URL": variables["PERIAN_API_URL"],
            "PERIAN_POLL_MIN_SECONDS": POLL_SECONDS,
            "FLYTE_SDK_LOGGING_LEVEL": VERBOSE if verbose else QUIET,
        },
        secrets=secrets,
        bin_dir=BIN,
        entrypoint=ENTRYPOINT,
    )


def serialization_settings(code: str) -> SerializationSettings:
    """Return the settings with which everything is registered.

    Args:
        code: URI of the archive of the user's code.
    """
    # An ImageSpec that has a name already is not built: every image is this machine.
    specs = {
        image.id: image
        for entity in FlyteEntities.entities
        for name in ("container_image", "image")
        if isinstance(image := getattr(entity, name, None), ImageSpec)
    }
    images = [Image(id_, "image-spec", id_.lower()) for id_ in specs]
    return SerializationSettings(
        image_config=ImageConfig(Image("default", "user", "latest"), images),
        project="flytesnacks",
        domain="development",
        version="v1",
        # An image with the user's environment would find its programs; the job's is this machine.
        env={"PATH": os.pathsep.join([str(BIN), os.defpath])},
        fast_serialization_settings=FastSerializationSettings(
            enabled=True, destination_dir=".", distribution_location=code
        ),
    )


@contextlib.contextmanager
def storage_variables(sandbox: Sandbox) -> Iterator[None]:
    """Let flytekit in this process upload to the sandbox."""
    ours = {name: value for name, value in sandbox.environment().items() if "AWS" in name}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def ended_by_signals(engine: Engine, console: Console) -> Iterator[list[int]]:
    """End the run at a signal: the first one as deleting all pods does, the second one hard.

    Yields:
        The signals that came.
    """
    coming: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    received: list[int] = []

    def watch() -> None:
        # A signal's handler may interrupt whoever holds a lock; this thread may wait for it.
        while (number := coming.get()) is not None:
            received.append(number)
            if len(received) == 1:
                console.note("ending: pods cancel their jobs (again to kill them)")
                engine.abort()
            else:
                engine.kill()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {
        number: signal.signal(number, lambda number, _frame: coming.put(number))
        for number in numbers
    }
    thread = threading.Thread(target=watch, name="signals", daemon=True)
    thread.start()
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        coming.put(None)
        thread.join()
