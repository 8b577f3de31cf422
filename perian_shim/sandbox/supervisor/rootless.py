"""A root file system of its own without any privilege: in a user namespace, where one is root.

In it, whoever started the sandbox is user 0 and nobody else has a number: what belongs to the
machine's root belongs to nobody there, can be read, and cannot be changed. An overlay of the root
file system would therefore have no place for ``/var/outputs``. So the root is put together: each
folder of ``/`` is an overlay of its own, above which its inner folders, two levels deep, are there
once more and the job's own. Files of the machine can be covered or removed, not written into.

The kernel gives no overlay of a tree in which something is mounted. Such a folder is descended
into, until there are parts in which nothing is. Moving a file from one part to another is copying.
"""

import contextlib
import os
import stat
from pathlib import Path

from perian_shim.sandbox.supervisor import linux, mounts

LARGE = ("/usr/share", "/usr/lib")
"""Hundreds of folders that jobs do not write into: only they themselves become the job's own."""


class Layers:
    """Makes overlays, each with layers of its own, in the current directory.

    Args:
        options: further mount options of an overlay.
        levels: how deep folders that are somebody else's are made the job's own.
    """

    def __init__(self, options: str = "", levels: int = 0) -> None:
        self.options = options
        self.levels = levels
        self.made = 0

    def show(self, source: str, target: Path) -> None:
        """Show a folder at a place, with changes that are the job's own.

        Args:
            source: a folder in which nothing is mounted.
            target: an existing folder.
        """
        self.made += 1
        base = Path(f"part-{self.made}")
        lower, upper, work = base / "lower", base / "upper", base / "work"
        for each in (base, lower, upper, work):
            each.mkdir()
        # By a name of our own: in an overlay's options colons and commas would need escaping.
        linux.mount(source, str(lower), None, linux.MS_BIND)
        own_folders(Path(source), upper, self.levels)
        layers = f"lowerdir={lower},upperdir={upper},workdir={work}{self.options}"
        linux.mount("overlay", str(target), "overlay", 0, layers)


def own_folders(source: Path, copy: Path, levels: int) -> None:
    """Make folders that are somebody else's once more, as one's own.

    Args:
        source: a folder.
        copy: what stands for it; it gets the same mode.
        levels: how deep to go.
    """
    copy.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IRWXU)
    if levels == 0 or str(source) in LARGE:
        return
    for entry in os.scandir(source):
        with contextlib.suppress(FileNotFoundError):  # somebody may be tidying up at this moment
            if is_strangers(entry) and os.access(entry.path, os.R_OK | os.X_OK):
                inner = copy / entry.name
                inner.mkdir()
                own_folders(Path(entry.path), inner, levels - 1)


def is_strangers(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder of somebody else's."""
    links = False
    return entry.is_dir(follow_symlinks=links) and entry.stat(follow_symlinks=links).st_uid != 0


def rootless_layers() -> Layers:
    """Return what makes overlays in a user namespace."""
    return Layers(",userxattr", levels=2)


def assemble(root: Path) -> None:
    """Put this machine's root together at a place.

    Args:
        root: an empty folder.
    """
    build("/", root, mounts.here(), rootless_layers())


def build(source: str, target: Path, points: list[str], layers: Layers) -> None:
    """Show a folder of the machine in which something is mounted: its parts one by one."""
    for entry in os.scandir(source):
        path, place = entry.path, target / entry.name
        if path in mounts.SYSTEM_FOLDERS:
            continue
        if entry.is_symlink():
            place.symlink_to(Path(path).readlink())
        elif entry.is_dir():
            readable = os.access(path, os.R_OK | os.X_OK)
            if readable or source == "/":  # /root is the job's home, its own and empty
                place.mkdir()
            if not readable:
                continue
            if any(mounts.is_within(point, path) and point != path for point in points):
                build(path, place, points, layers)
            else:
                show_part(path, place, points, layers)
        elif entry.is_file():
            place.touch()
            with contextlib.suppress(FileNotFoundError):
                linux.mount(path, str(place), None, linux.MS_BIND)


def show_part(path: str, place: Path, points: list[str], layers: Layers) -> None:
    """Show one part; of what is mounted, something may not be fit to be below an overlay."""
    try:
        layers.show(path, place)
    except OSError as error:
        if path not in points and not isinstance(error, FileNotFoundError):
            raise
