"""Try whether overlay isolation works here: ``probe <empty directory>`` exits 0 if it does.

It makes the real thing: new namespaces, an overlay of the host's root, a file written inside, a
shell run inside. It fails, with the reason on standard error, if any of this is refused or if
the file can be seen outside.
"""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from perian_shim.sandbox.supervisor import linux, overlay

ROOTLESS = "rootless"
"""Written to standard output where it works in a user namespace only."""

MARK = Path("/perian-sandbox-probe")


def main(arguments: list[str]) -> int:
    """Run the trial in the directory that is named first."""
    workspace = Path(arguments[0]).resolve()
    try:
        rootless = linux.enter_process_namespace()
    except OSError as error:
        return complain(error)
    child = os.fork()
    if child == 0:
        inside(workspace, rootless)
    _, status = os.waitpid(child, 0)
    if MARK.exists():
        return complain("a file written inside appeared on the host")
    if rootless:
        sys.stdout.write(ROOTLESS)
    return os.waitstatus_to_exitcode(status) and 1


def inside(workspace: Path, rootless: bool) -> NoReturn:
    """Enter the overlay, write a file, become a shell."""
    try:
        linux.die_with_parent(signal.SIGKILL)
        overlay.enter(workspace, Path("/"), workspace, rootless=rootless)
        MARK.touch()
        Path("/var/perian-sandbox-probe").mkdir()
        os.execve("/bin/sh", ["sh", "-c", "exit 0"], {})  # noqa: S606 - no shell expansion wanted
    except OSError as error:
        complain(error)
    finally:
        os._exit(1)


def complain(reason: object) -> int:
    """Write the reason to standard error and give the exit code."""
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    return 1
