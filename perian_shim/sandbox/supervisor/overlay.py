"""A root file system of its own for the calling process.

Everything happens in a mount namespace of its own, private, so that it vanishes with the last
process in it; the host never sees a mount. `enter` ends with the process inside the new root, in
``/``. It raises ``OSError`` when the kernel refuses any step; the process is then unusable for
anything but reporting that.
"""

import contextlib
import os
import stat
from pathlib import Path

from perian_shim.sandbox.supervisor import linux, mounts
from perian_shim.sandbox.supervisor.rootless import Layers, assemble, rootless_layers

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
NETWORK_FILES = ("etc/hosts", "etc/resolv.conf")


def enter(workspace: Path, image_root: Path, hidden: Path, *, rootless: bool) -> None:
    """Move this process into a fresh overlay of ``image_root``.

    Call it as process 1 of a new process namespace: ``/proc`` shows the caller's.

    Args:
        workspace: an empty directory for the overlay's layers.
        image_root: what the job sees below its own changes.
        hidden: a directory of the host that must look empty inside.
        rootless: whether this process is in a user namespace.

    Raises:
        OSError: a step is not permitted or not supported here.
    """
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    os.chdir(workspace)
    root = Path("merged")
    root.mkdir()
    is_host = image_root == Path("/")
    if rootless and is_host:
        assemble(root)
    elif rootless:
        rootless_layers().show(str(image_root), root)
    else:
        # Relative names: in an overlay's options, colons and commas would need escaping.
        lower = "/"
        if not is_host:
            lower = "lower"
            Path(lower).mkdir()
            linux.mount(str(image_root), lower, None, linux.MS_BIND)
        mount_layers(lower, str(root))
        if is_host:
            add_mounts(root)
    with contextlib.suppress(FileNotFoundError):
        add_network_files(root)
    mount_system(root)
    inside = root / hidden.relative_to("/")
    if inside.is_dir():
        linux.mount("tmpfs", str(inside), "tmpfs", linux.MS_RDONLY, "size=4k,mode=0700")
    os.chdir(root)
    os.chroot(".")
    os.chdir("/")


def add_mounts(root: Path) -> None:
    """Show what is mounted on this machine, as far as it can be: /home may be, or the project."""
    layers = Layers()
    for point in mounts.here():
        inside = root / point.lstrip("/")
        with contextlib.suppress(OSError):
            if inside.is_dir() and not inside.is_symlink():
                layers.show(point, inside)
            elif inside.is_file():
                linux.mount(point, str(inside), None, linux.MS_BIND)


def mount_layers(lower: str, target: str) -> None:
    """Mount the overlay with its changes on disk, or in memory where the disk cannot hold them."""
    try:
        mount_overlay(lower, ".", target)
    except OSError:
        # The file system of the state directory is itself an overlay, or on a network.
        Path("memory").mkdir()
        linux.mount("tmpfs", "memory", "tmpfs", 0, "mode=0755")
        mount_overlay(lower, "memory", target)


def mount_overlay(lower: str, changes: str, target: str) -> None:
    """Mount one overlay whose upper and work directories are made in ``changes``."""
    upper, work = Path(changes, "upper"), Path(changes, "work")
    upper.mkdir(mode=0o755)
    work.mkdir()
    linux.mount(
        "overlay", target, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}"
    )


def mount_system(root: Path) -> None:
    """Give the root its /dev, /proc, /sys and /tmp as a container has them."""
    for name in ("dev", "proc", "sys", "tmp"):
        make_directory(root / name)
    (root / "tmp").chmod(0o1777)
    linux.mount("proc", str(root / "proc"), "proc", linux.MS_NOSUID | linux.MS_NODEV)
    # Kernel settings are the host's.
    linux.bind_read_only(str(root / "proc/sys"), str(root / "proc/sys"))
    linux.bind_read_only("/sys", str(root / "sys"))
    dev = root / "dev"
    linux.mount("tmpfs", str(dev), "tmpfs", linux.MS_NOSUID, "mode=0755,size=64k")
    for name in DEVICES:
        (dev / name).touch()
        linux.mount(f"/dev/{name}", str(dev / name), None, linux.MS_BIND)
    (dev / "shm").mkdir()
    linux.mount("tmpfs", str(dev / "shm"), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
    (dev / "pts").mkdir()
    linux.mount("devpts", str(dev / "pts"), "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
    for name, target in DEVICE_LINKS.items():
        (dev / name).symlink_to(target)


def make_directory(path: Path) -> None:
    """Make a directory, also where the image has a symbolic link or a file of that name."""
    with contextlib.suppress(FileNotFoundError):
        # A link would be followed on the host's side of the root.
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
    path.mkdir(exist_ok=True)


def add_network_files(root: Path) -> None:
    """Give images that lack them the host's name resolution, as container engines do."""
    for name in NETWORK_FILES:
        inside = root / name
        if not os.path.lexists(inside):
            make_directory(root / "etc")
            inside.write_bytes(Path("/", name).read_bytes())
