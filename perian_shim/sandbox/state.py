"""The state directory: one user's, and one sandbox's at a time.

It holds what jobs were given, secrets among it, and what they printed. A directory that others may
enter or that is somebody else's is refused, not mended: what is in it may not be ours.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from perian_shim.sandbox.errors import SandboxError

LOCK_NAME = "sandbox.lock"


def default_state_dir() -> Path:
    """Return where a user's sandbox keeps its jobs, by the XDG base directory specification."""
    base = os.environ.get("XDG_STATE_HOME", "")
    home = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return home / "perian-shim" / "sandbox"


def make_private(path: Path) -> None:
    """Make a directory for this user only, or see that it is one.

    Raises:
        SandboxError: it is there and is no directory, is somebody else's, or others may enter it.
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise SandboxError(f"{path} is not a directory: name another with --state-dir")
    if found.st_uid != os.geteuid():
        raise SandboxError(
            f"{path} belongs to another user (number {found.st_uid}): name another directory with"
            " --state-dir"
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise SandboxError(
            f"other users may enter {path} (mode {mode:o}), and it would hold secrets: run"
            f" `chmod 700 {path}`, or name another directory with --state-dir"
        )


def hold(path: Path) -> int:
    """Take a state directory for this process, until the descriptor is closed.

    Raises:
        SandboxError: another sandbox has it.
    """
    descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SandboxError(
            f"another sandbox uses {path}: stop it, or name another directory with --state-dir"
        ) from None
    return descriptor
