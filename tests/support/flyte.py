"""A sandbox with a cluster stand-in: tasks run as Flyte would run them."""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.data_persistence import FileAccessProvider
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal, LiteralMap
from flytekit.models.task import TaskTemplate
from support.actions import Actions
from support.doors import Door
from support.in_pod import joined
from support.zygote import Zygote

from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.flyte.cluster import (
    AnyTask,
    Attempt,
    Cluster,
    NodeError,
    RunningPod,
)
from perian_shim.sandbox.flyte.store import Store
from perian_shim.sandbox.flyte.surroundings import variables_set
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.settings import EXECUTION_ID

ABSENT = ("support", "pandas", "pyarrow", "numpy", "pydantic")
"""Modules that the executor image does not have, and so no pod here."""

DAYS = 30 * 24 * 3600.0

_names = itertools.count(1)


@dataclass
class Harness:
    """A sandbox and what a test does with it.

    Attributes:
        sandbox: a Perian and an S3.
        cluster: starts pods.
        folder: for files.
        door: what the pods run.
    """

    sandbox: Sandbox
    cluster: Cluster
    folder: Path
    door: Door
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.cluster.environment)

    def with_variables(self, **variables: str) -> "Harness":
        """Return a harness whose pods have more environment variables."""
        environment = joined(self.cluster.environment, variables)
        return replace(self, cluster=replace(self.cluster, environment=environment))

    def cold(self) -> "Harness":
        """Return a harness whose pods are started in earnest, not forked: for what that changes."""
        bin_dir = self.door.bin_dir(self.folder / "bin")
        return replace(self, cluster=replace(self.cluster, bin_dir=bin_dir))

    def execution(self) -> str:
        """Return a fresh execution name."""
        return f"x{os.getpid()}n{next(_names)}"

    def jobs(self, execution: str) -> list[JobSnapshot]:
        """Return an execution's jobs, the newest first."""
        store = self.sandbox.store
        assert store is not None
        with store.lock:
            records = store.load()
        return [
            store.snapshot(record)
            for record in records
            if (record.execution.environment or {}).get(EXECUTION_ID) == execution
        ]

    def literals(self, task: AnyTask, inputs: Mapping[str, object]) -> LiteralMap:
        """Convert inputs; local files go to the sandbox's S3."""
        prefix = f"s3://{self.sandbox.bucket}/uploads/{self.execution()}"
        access = FileAccessProvider(str(self.folder), raw_output_prefix=prefix)
        context = FlyteContextManager.current_context().with_file_access(access)
        with FlyteContextManager.with_context(context):
            return self.cluster.literals(task, inputs)

    def start(
        self,
        task: AnyTask,
        inputs: Mapping[str, object] | None = None,
        *,
        template: TaskTemplate | None = None,
        execution: str | None = None,
        attempt: int = 0,
    ) -> RunningPod:
        """Start one attempt of a task, by another template than its own if one is given."""
        literals = self.literals(task, inputs or {})
        template = template or self.cluster.serialize(task)
        name = execution or self.execution()
        return self.cluster.start(template, literals, name, attempt=attempt)

    def run(
        self, task: AnyTask, inputs: Mapping[str, object] | None = None, **options: Any
    ) -> Attempt:
        """Run one attempt of a task to its end; options as for ``start``."""
        return self.start(task, inputs, **options).wait()

    def outputs(
        self, task: AnyTask, inputs: Mapping[str, object] | None = None, **options: Any
    ) -> dict[str, Literal]:
        """Run a task that is expected to succeed and return its output literals."""
        attempt = self.run(task, inputs, **options)
        assert attempt.outputs is not None, f"{attempt.error}\n{attempt.log}"
        return dict(attempt.outputs.literals)

    def error(self, task: AnyTask, inputs: Mapping[str, object] | None = None) -> NodeError:
        """Run a task that is expected to fail and return its error."""
        attempt = self.run(task, inputs)
        assert attempt.error is not None, attempt.log
        return attempt.error

    def value(self, literal: Literal, python_type: Any) -> object:
        """Convert an output literal into a Python value, as the next task would."""
        return TypeEngine.to_python_value(
            FlyteContextManager.current_context(), literal, python_type
        )


def pod_environment(sandbox: Sandbox) -> dict[str, str]:
    """Return what a platform team would set for every container of the cluster."""
    variables = sandbox.environment()
    storage = {name: value for name, value in variables.items() if "AWS" in name}
    return {
        **storage,
        "PERIAN_API_URL": variables["PERIAN_API_URL"],
        "PERIAN_POLL_MIN_SECONDS": "0.2",
        "PERIAN_POLL_MAX_SECONDS": "1",
    }


def without_absent_modules(folder: Path) -> Path:
    """Make a folder of modules that cannot be imported; they stand before the real ones."""
    folder.mkdir()
    for name in ABSENT:
        text = f'raise ImportError("the executor image has no {name}")\n'
        (folder / f"{name}.py").write_text(text)
    return folder


@contextmanager
def running_sandbox(folder: Path) -> Iterator[Sandbox]:
    """Start a sandbox; flytekit in this process uploads and downloads there too.

    Pods of the tests may have clocks of their own.
    """
    with Sandbox(folder / "state", clock_tolerance=DAYS) as sandbox:
        variables = sandbox.environment()
        with variables_set({name: each for name, each in variables.items() if "AWS" in name}):
            yield sandbox


def harness_in(
    folder: Path, sandbox: Sandbox, door: Door, bin_dir: Path, python: Mapping[str, str]
) -> Harness:
    """Return a cluster stand-in on a sandbox.

    Args:
        folder: for files.
        sandbox: a running one.
        door: what the pods run.
        bin_dir: where that is.
        python: variables of the pods' Python.
    """
    variables = sandbox.environment()
    kind = Actions if door is Door.A0 else Cluster
    cluster = kind(
        bucket=sandbox.bucket,
        environment={**pod_environment(sandbox), **python},
        secrets={
            ("perian", "perian_organization"): variables["PERIAN_ORGANIZATION"],
            ("perian", "perian_token"): variables["PERIAN_TOKEN"],
        },
        bin_dir=bin_dir,
    )
    return Harness(sandbox, cluster, folder, door)


@contextmanager
def harness_on(sandbox: Sandbox, folder: Path, door: Door) -> Iterator[Harness]:
    """Start a cluster stand-in on a sandbox, whose pods are forks of one process.

    Args:
        sandbox: a running one.
        folder: for files.
        door: what the pods run.
    """
    python = {"PYTHONPATH": str(without_absent_modules(folder / "absent"))}
    with Zygote(python, door) as zygote:
        yield harness_in(folder, sandbox, door, zygote.bin_dir, python)
