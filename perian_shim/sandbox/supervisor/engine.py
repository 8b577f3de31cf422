"""Container isolation: the real image, run by docker or podman.

The engine's own command line does the work, so its configuration, contexts and logins apply;
registry credentials of a request are not used. The container has the host's network. Values of
environment variables do not appear in the engine's arguments, which other users could read, except
for the few names that the engine's client itself obeys.
"""

import csv
import io
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from perian_shim.sandbox.folder import JobFolder
from perian_shim.sandbox.records import ContainerFile, Execution
from perian_shim.sandbox.supervisor.exec import (
    CommandError,
    Program,
    SetupError,
    private_directory,
    start_child,
)
from perian_shim.sandbox.supervisor.process_tree import kill_and_reap

CLIENT_VARIABLES = re.compile(
    r"PATH|HOME|TMPDIR|LANG|LC_.*|DOCKER_.*|CONTAINER_.*|CONTAINERS_.*|PODMAN_.*|REGISTRY_AUTH_FILE"
    r"|BUILDAH_.*|XDG_.*|SSH_.*|LD_.*|(?i:https?_proxy|no_proxy|all_proxy)|SSL_CERT_.*|GODEBUG"
)
PULL_TIMEOUT_SECONDS = 1800.0


def container_name(job_id: str) -> str:
    """Give the name under which the engine knows the job's container."""
    return f"perian-sandbox-{job_id}"


def mount_option(source: Path, file: ContainerFile) -> str:
    """Give the value of ``--mount`` that shows ``source`` at the file's path."""
    fields = ["type=bind", f"source={source}", f"target={file.path}"]
    if file.read_only:
        fields.append("readonly")
    # The option is one CSV record: paths may contain commas and quotes.
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def run_arguments(
    engine: str, job_id: str, execution: Execution, mounts: Sequence[str]
) -> tuple[str, ...]:
    """Give the argv that runs the job's container in the foreground.

    Raises:
        CommandError: the command's quotes do not match.
    """
    argv = [engine, "run", "--name", container_name(job_id), "--network", "host", "--pull", "never"]
    for mount in mounts:
        argv += ["--mount", mount]
    for name, value in sorted((execution.environment or {}).items()):
        argv += ["--env", f"{name}={value}" if CLIENT_VARIABLES.fullmatch(name) else name]
    argv += ["--", execution.image]
    try:
        argv += shlex.split(execution.command or "")
    except ValueError as error:
        raise CommandError(None, f"the command cannot be split into words: {error}") from error
    return tuple(argv)


def client_environment(requested: Mapping[str, str], extra_path: Sequence[str]) -> dict[str, str]:
    """Give the environment of the engine's client: where values of ``--env NAME`` come from."""
    passed = {
        name: value for name, value in requested.items() if not CLIENT_VARIABLES.fullmatch(name)
    }
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where this gives a default
    path = ":".join(("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", *extra_path))
    return {**passed, "PATH": path, "HOME": home}


class EngineRunner:
    """A container in place of a process.

    Args:
        folder: the job's folder.
        job_id: names the container.
        execution: what to run; its ``engine`` is set.
    """

    def __init__(self, folder: JobFolder, job_id: str, execution: Execution) -> None:
        if execution.engine is None:
            raise SetupError("container isolation without an engine")
        self.folder = folder
        self.job_id = job_id
        self.execution = execution
        self.engine: str = execution.engine
        self.environment = client_environment(execution.environment or {}, execution.extra_path)

    def call(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run the engine's client to its end."""
        try:
            return subprocess.run(
                [self.engine, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                env=self.environment,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(f"{self.engine} {arguments[0]}: {error}") from error

    def start(self, output: int) -> int:
        """Pull the image if it is not there, then run the container."""
        self.pull()
        mounts = [self.place(number, file) for number, file in enumerate(self.execution.files)]
        argv = run_arguments(self.engine, self.job_id, self.execution, mounts)
        return start_child(output, Program(argv, self.environment, "/", ()), lambda: None)

    def pull(self) -> None:
        """Make the image available.

        Raises:
            CommandError: it cannot be had; with the engine's reason.
        """
        image = self.execution.image
        if self.call("image", "inspect", "--", image).returncode == 0:
            return
        pulled = self.call("pull", "--", image, timeout=PULL_TIMEOUT_SECONDS)
        if pulled.returncode != 0:
            reason = (pulled.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise CommandError(None, f"cannot pull image {image}: {reason}")

    def place(self, number: int, file: ContainerFile) -> str:
        """Write a container file on the host and give the mount that shows it inside."""
        source = private_directory(self.folder.workspace / "files") / str(number)
        source.write_bytes(file.content)
        source.chmod(0o444 if file.read_only else 0o644)
        return mount_option(source, file)

    def terminate(self, child: int) -> None:  # noqa: ARG002 - the container is known by its name
        """Ask the container to end."""
        self.call("kill", "--signal", signal.SIGTERM.name, container_name(self.job_id))

    def remove(self) -> None:
        """Remove the container, running or not."""
        self.call("rm", "--force", container_name(self.job_id))

    def destroy(self, child: int) -> None:
        """Remove the container, running or not, and end the client."""
        self.remove()
        kill_and_reap(child)
        self.folder.clear_workspace()
