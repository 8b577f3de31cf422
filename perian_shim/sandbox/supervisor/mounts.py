"""What is mounted on this machine: an overlay of ``/`` shows none of it by itself."""

import re
from pathlib import Path

SYSTEM_FOLDERS = ("/proc", "/sys", "/dev")
"""What a job has its own of."""


def mount_points(table: str) -> list[str]:
    """Return the paths at which something is mounted, outer ones first.

    Args:
        table: the content of ``/proc/self/mountinfo``.
    """
    fields = (line.split() for line in table.splitlines())
    return sorted({unescaped(each[4]) for each in fields if len(each) > 4})  # noqa: PLR2004 - the path


def unescaped(path: str) -> str:
    """Return a path as it is; the kernel writes blanks and their like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def here() -> list[str]:
    """Return where something is mounted in this process's namespace, system folders left out."""
    found = mount_points(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))
    return [
        point
        for point in found
        if point != "/" and not any(is_within(point, folder) for folder in SYSTEM_FOLDERS)
    ]


def is_within(path: str, folder: str) -> bool:
    """Whether a path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
