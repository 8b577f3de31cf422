"""How a job is kept apart from the machine and from other jobs: decided once, at the start.

``OVERLAY``
    Own mount and process namespaces. The root is an overlay: the image's files below, the job's
    own changes above, thrown away when it ends. Any absolute path can be written; the host is
    untouched. The command is process 1, as in a container: one that does not handle SIGTERM is
    ended by SIGKILL after the grace period. What the host changes below while the job runs may
    or may not be seen by it. Needs Linux, and CAP_SYS_ADMIN or a kernel (5.11 or newer) that lets
    users have namespaces; see `rootless` for what differs then.
``CONTAINER``
    A real container of the real image, by docker or podman. Only when asked for.
``REWRITE``
    A plain process of the sandbox's user, for macOS and for users without privileges. Paths
    below a few known directories are replaced, in the command and in the text of container
    files, by paths in the job's own folder. The weakest mode: a program that computes such a path
    at run time, or that writes anywhere else, reaches the host.

The network is the host's in all modes, so that jobs reach a storage server on the loopback
interface.
"""

import enum
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from perian_shim.sandbox.errors import IsolationUnavailable
from perian_shim.sandbox.spawn import script_command
from perian_shim.sandbox.supervisor.linux import IS_LINUX
from perian_shim.sandbox.supervisor.probe import ROOTLESS

PROBE_TIMEOUT_SECONDS = 30.0

ENGINES = ("docker", "podman")


class Isolation(str, enum.Enum):
    """The three ways; the values are what the state directory records."""

    OVERLAY = "overlay"
    CONTAINER = "container"
    REWRITE = "rewrite"


@dataclass(frozen=True)
class IsolationChoice:
    """What is used and why.

    Attributes:
        mode: the isolation in use.
        engine: path of docker or podman; only with ``CONTAINER``.
        statement: one sentence for people.
    """

    mode: Isolation
    engine: str | None
    statement: str


@dataclass(frozen=True)
class Trial:
    """What came of trying the overlay.

    Attributes:
        obstacle: why it does not work, None if it does.
        rootless: whether it works in a user namespace, which takes no privilege.
    """

    obstacle: str | None = None
    rootless: bool = False


def try_overlay(state_directory: Path) -> Trial:
    """Try the overlay for real, in a short-lived process.

    Args:
        state_directory: where jobs will be; an overlay's upper layer needs a suitable file system.
    """
    if not IS_LINUX:
        return Trial("overlay file systems and namespaces exist on Linux only")
    with tempfile.TemporaryDirectory(prefix="probe-", dir=state_directory) as workspace:
        try:
            outcome = subprocess.run(
                script_command("probe", workspace),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PROBE_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Trial(f"the trial did not end within {PROBE_TIMEOUT_SECONDS:g} s")
    if outcome.returncode == 0:
        return Trial(rootless=outcome.stdout == ROOTLESS)
    complaint = outcome.stderr.strip() or f"the trial exited with {outcome.returncode}"
    return Trial(complaint.splitlines()[-1])


def choose_isolation(
    state_directory: Path, requested: Isolation | None = None, runner: str | None = None
) -> IsolationChoice:
    """Decide how jobs run.

    Args:
        state_directory: an existing directory, in which the overlay is tried.
        requested: this and no other; None takes the best that works without a container engine.
        runner: "docker" or "podman" to run real containers.

    Raises:
        IsolationUnavailable: what was asked for does not work here; the text says why.
    """
    if runner is not None or requested is Isolation.CONTAINER:
        return choose_engine(requested, runner)
    if requested is Isolation.REWRITE:
        return IsolationChoice(
            Isolation.REWRITE, None, "rewrite: jobs are plain processes (asked for)"
        )
    trial = try_overlay(state_directory)
    if trial.obstacle is None:
        how = ", in which it is root and the sandbox's user outside" if trial.rootless else ""
        return IsolationChoice(
            Isolation.OVERLAY,
            None,
            f"overlay: every job has its own root file system and process namespace{how}",
        )
    if requested is Isolation.OVERLAY:
        raise IsolationUnavailable(
            f"overlay isolation does not work here: {trial.obstacle}. Run as root on Linux, or"
            " where users may have namespaces, or leave the choice to the sandbox."
        )
    return IsolationChoice(
        Isolation.REWRITE,
        None,
        f"rewrite: jobs are plain processes, because overlay isolation does not work:"
        f" {trial.obstacle}",
    )


def choose_engine(requested: Isolation | None, runner: str | None) -> IsolationChoice:
    """Find the container engine; see `choose_isolation`."""
    if requested not in {None, Isolation.CONTAINER}:
        raise IsolationUnavailable(
            f"runner={runner!r} means container isolation, but {requested.value!r} was asked for"
        )
    if runner is not None and runner not in ENGINES:
        raise IsolationUnavailable(f"runner must be one of {', '.join(ENGINES)}, not {runner!r}")
    candidates = (runner,) if runner is not None else ENGINES
    for name in candidates:
        engine = shutil.which(name)
        if engine is not None:
            return IsolationChoice(
                Isolation.CONTAINER, engine, f"container: jobs run as containers by {engine}"
            )
    raise IsolationUnavailable(
        f"no {' or '.join(candidates)} on PATH; install it or choose another isolation"
    )
