"""Signals for a whole tree of processes, without relying on process groups.

On Linux the tree is every descendant of a process, read from ``/proc``; with the root as subreaper
no descendant can leave it. Elsewhere it is the process group of the given child, which a program
that calls setsid escapes.
"""

import contextlib
import os
import signal
from pathlib import Path

from perian_shim.sandbox.supervisor.linux import IS_LINUX


def parents() -> dict[int, int]:
    """Give each process's parent, as it is at about the same moment."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in parentheses may itself contain parentheses and spaces.
                fields = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                found[int(entry.name)] = int(fields[1])
    return found


def descendants(root: int) -> list[int]:
    """Give the processes below ``root``, parents before children."""
    children: dict[int, list[int]] = {}
    for process, parent in parents().items():
        children.setdefault(parent, []).append(process)
    found: list[int] = []
    level = children.get(root, [])
    while level:
        found.extend(level)
        level = [child for process in level for child in children.get(process, [])]
    return found


def signal_tree(child: int, signum: signal.Signals) -> None:
    """Send a signal to the whole tree of the calling process.

    Args:
        child: the tree's first process, which leads a group of its own.
        signum: what to send; processes that are gone are no error.
    """
    if not IS_LINUX:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signum)
        return
    for process in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signum)


def kill_and_reap(child: int) -> None:
    """Kill the whole tree of the calling process and wait until nothing of it is left."""
    while True:
        signal_tree(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
