"""``perian-shim run``: a user's workflow on an embedded Perian and S3, as a Flyte cluster runs it.

Tasks of perian-shim run in processes of our own entry point, with nothing of the user's code; their
jobs, and the pods of plain Python tasks, have it as registration would have shipped it.
"""

import logging
import secrets
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.console import Console, indented
from perian_shim.sandbox.flyte.engine import Engine
from perian_shim.sandbox.flyte.failures import Aborted, NodeFailed, NodeFault
from perian_shim.sandbox.flyte.inputs import literals, parsed
from perian_shim.sandbox.flyte.interrupts import ended_by_signals
from perian_shim.sandbox.flyte.registry import Registry, Runnable
from perian_shim.sandbox.flyte.results import shown
from perian_shim.sandbox.flyte.secrets import RunSecrets
from perian_shim.sandbox.flyte.source import Source, kind_of
from perian_shim.sandbox.flyte.store import Store
from perian_shim.sandbox.flyte.surroundings import (
    QUIET,
    VERBOSE,
    cluster_on,
    serialization_settings,
    storage_variables,
)
from perian_shim.sandbox.modules import Imported
from perian_shim.sandbox.run_options import FAILED, SIGNALLED, RunOptions
from perian_shim.sandbox.running import Prepared
from perian_shim.sandbox.sandbox import Sandbox


def prepare_process(options: RunOptions) -> None:
    """Let flytekit say no more than is asked for, before the user's file is imported."""
    # Below that it complains about s3fs's sessions when this process ends.
    logging.getLogger("flytekit").setLevel(int(VERBOSE if options.verbose else QUIET))


def prepared(options: RunOptions, file: Imported) -> Prepared:
    """Find what is asked for, and read its inputs."""
    source = Source.of(file)
    entity = source.find(options.name)
    values = parsed(entity, options.name or "", options.arguments)
    return Prepared(
        source.root, lambda box, folder: Run(options, source, entity, values, box, folder).run()
    )


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
            with (
                storage_variables(self.sandbox),
                ended_by_signals(engine, console.note) as received,
            ):
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
            registry = Registry(
                serialization_settings(code, images_are_here=self.options.runner is None)
            )
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
        return ", ".join(filter(None, [f"node {error.node}", error.error.code]))
    return f"{indented(error.error).strip()}"
