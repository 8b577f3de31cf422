"""How the supervisor starts a job, ends it and tidies up, for each isolation.

All runners are used by one single-threaded process, the job's supervisor, once. Their methods
raise the errors of `perian_shim.sandbox.supervisor.exec`: `CommandError` for the job's own faults,
`SetupError` for the sandbox's.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Protocol

from perian_shim.sandbox.folder import JobFolder
from perian_shim.sandbox.records import Execution
from perian_shim.sandbox.supervisor import linux, overlay
from perian_shim.sandbox.supervisor.engine import EngineRunner
from perian_shim.sandbox.supervisor.exec import (
    CommandError,
    Program,
    SetupError,
    base_environment,
    private_directory,
    split_command,
    start_child,
)
from perian_shim.sandbox.supervisor.process_tree import kill_and_reap, signal_tree
from perian_shim.sandbox.supervisor.rewrite import rewrite_file, rewriter


class Runner(Protocol):
    """What the supervisor needs of an isolation."""

    def start(self, output: int) -> int:
        """Start the command with its output going to the descriptor; give its process number."""

    def terminate(self, child: int) -> None:
        """Ask the whole job to end."""

    def destroy(self, child: int) -> None:
        """End whatever is left of the job, and wait until nothing is."""


class ProcessRunner:
    """What overlay and rewrite isolation have in common: the job is a tree of processes here."""

    def __init__(self, folder: JobFolder, execution: Execution) -> None:
        self.folder = folder
        self.execution = execution

    def terminate(self, child: int) -> None:
        """Send SIGTERM to every process of the job."""
        signal_tree(child, signal.SIGTERM)

    def destroy(self, child: int) -> None:
        """Kill what is left and remove the job's root."""
        kill_and_reap(child)
        self.folder.clear_workspace()


class OverlayRunner(ProcessRunner):
    """The command as process 1 of its own namespaces, on its own root."""

    def start(self, output: int) -> int:
        """Start it; the image's root is below the job's own changes."""
        execution = self.execution
        workspace = private_directory(self.folder.path / "run")
        argv = split_command(execution.command)
        environment = base_environment("/root", execution.extra_path)
        environment.update(execution.environment or {})
        program = Program(argv, environment, "/", execution.files)
        image_root = Path(execution.image_root or "/")
        try:
            # From here on every child is in the new process namespace, this process is not.
            rootless = linux.enter_process_namespace()
        except OSError as error:
            raise SetupError(str(error)) from error

        def enter() -> None:
            overlay.enter(workspace, image_root, self.folder.path.parent, rootless=rootless)

        return start_child(output, program, enter)


class RewriteRunner(ProcessRunner):
    """The command as a plain process, with known paths moved into the job's folder."""

    def start(self, output: int) -> int:
        """Start it; see `perian_shim.sandbox.supervisor.rewrite` for what is moved."""
        execution = self.execution
        if execution.image_root not in {None, "/"}:
            raise SetupError(
                f"image {execution.image} is a directory; running it needs overlay isolation"
            )
        root = private_directory(self.folder.workspace / "root")
        prefixes = (*execution.rewrite_prefixes, *(file.path for file in execution.files))
        rewrite = rewriter(str(root), prefixes)
        argv = tuple(rewrite(word) for word in split_command(execution.command))
        environment = base_environment(str(root), execution.extra_path)
        environment.update(execution.environment or {})
        files = tuple(rewrite_file(file, rewrite) for file in execution.files)
        for prefix in execution.rewrite_prefixes:
            Path(f"{root}{prefix}").parent.mkdir(parents=True, exist_ok=True)
        program = Program(argv, environment, str(root), files, str(root))
        return start_child(output, program, lambda: None)


def make_runner(folder: JobFolder, job_id: str, execution: Execution) -> Runner:
    """Give the runner for the isolation that the job was accepted with."""
    if execution.pull_error is not None:
        raise CommandError(None, execution.pull_error)
    if execution.isolation == "overlay":
        return OverlayRunner(folder, execution)
    if execution.isolation == "rewrite":
        return RewriteRunner(folder, execution)
    if execution.isolation == "container":
        return EngineRunner(folder, job_id, execution)
    raise SetupError(f"no isolation named {execution.isolation!r}")


def discard(folder: JobFolder, job_id: str, execution: Execution) -> None:
    """Tidy up after a supervisor that died; for any process but a supervisor.

    Processes on an overlay died with it. A container did not, and is removed; of rewrite isolation
    processes that the job's first one had started may go on.
    """
    if execution.isolation == "container" and execution.pull_error is None:
        with contextlib.suppress(SetupError):
            EngineRunner(folder, job_id, execution).remove()
    folder.clear_workspace()


def reap() -> dict[int, int]:
    """Collect every child that has ended.

    Returns:
        Wait statuses by process number; orphans adopted from the job are among them.
    """
    ended: dict[int, int] = {}
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if process == 0:
            return ended
        ended[process] = status
