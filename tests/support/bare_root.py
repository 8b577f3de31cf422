"""Root file systems with exactly the programs that a test names, to run something in by chroot.

A program brings the libraries that it is linked with, python3 its standard library; nothing else is
there but /dev, /proc and /tmp.
"""

import os
import re
import shutil
import stat
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from support.tools import require_tool
from support.waiting import LONG_SECONDS
from support.wrapper import NEEDED

CURL = ["curl", *NEEDED]

IMAGES: dict[str, tuple[list[str], str]] = {
    "sh and python3": (["python3"], "dash"),
    "sh, curl and coreutils": (CURL, "dash"),
    "busybox": (["busybox"], "busybox"),
}
"""What is in the least images that will do, and what /bin/sh is there."""

DEVICES = {"null": (1, 3), "zero": (1, 5), "urandom": (1, 9)}


def bare_root(root: Path, programs: Iterable[str], shell: str = "dash") -> Path:
    """Make a root file system. Needs to be root.

    Args:
        root: where to make it.
        programs: names of programs, all in /bin; ``sh`` is added unless ``shell`` is "".
        shell: what /bin/sh is.
    """
    for name in ("bin", "dev", "proc", "tmp", "perian-shim"):
        (root / name).mkdir(parents=True)
    for name, (major, minor) in DEVICES.items():
        os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    if shell:
        add(root, require_tool(shell), "bin/sh")
    for name in programs:
        if name == "python3":
            add_python(root)
        else:
            add(root, require_tool(name), f"bin/{name}")
    return root


def image_root(folder: Path, image: str) -> Path:
    """Make the root file system of one of ``IMAGES``. Needs to be root."""
    programs, shell = IMAGES[image]
    root = bare_root(folder / "root", programs, shell)
    if shell == "busybox":
        called("chroot", root, "/bin/busybox", "--install", "-s", "/bin")
    return root


def called(*command: str | Path) -> None:
    """Run a command of this machine."""
    subprocess.run(command, check=True, timeout=LONG_SECONDS)


def add(root: Path, program: Path | str, name: str) -> None:
    """Put a program, and the libraries that it is linked with, into a root."""
    put(program, root / name)
    for library in libraries(program):
        put(library, root / str(library).lstrip("/"))


def add_python(root: Path) -> None:
    """Put this test's Python into a root, as /bin/python3."""
    standard = Path(sysconfig.get_path("stdlib"))
    executable = (
        Path(sysconfig.get_config_var("BINDIR")) / f"python{sysconfig.get_python_version()}"
    )
    inside = root / str(executable).lstrip("/")
    put(executable, inside)
    if inside != root / "bin/python3":
        (root / "bin/python3").symlink_to(executable)
    left_out = shutil.ignore_patterns("test", "site-packages", "dist-packages", "__pycache__")
    shutil.copytree(
        standard,
        root / str(standard).lstrip("/"),
        ignore=left_out,
        copy_function=put,
        dirs_exist_ok=True,
    )
    for extension in [executable, *(standard / "lib-dynload").glob("*.so")]:
        for library in libraries(extension):
            put(library, root / str(library).lstrip("/"))


def libraries(program: Path | str) -> Iterator[Path]:
    """Yield the libraries that a program is linked with; a static one has none."""
    said = subprocess.run(
        ["ldd", program], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    yield from (Path(found) for found in re.findall(r"(/\S+) \(0x", said))


def put(source: Path | str, target: Path | str) -> None:
    """Put a file there, as a link to the same one if that is possible."""
    target = Path(target)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    real = Path(source).resolve()
    try:
        target.hardlink_to(real)
    except OSError:
        shutil.copy2(real, target)


def entering(root: Path) -> list[str]:
    """Return what comes before a command to run it in a root, as process 1 of its own namespace."""
    unshare, mount, chroot = (str(require_tool(name)) for name in ("unshare", "mount", "chroot"))
    # By their paths: what PATH is, is the test's affair.
    line = f'{mount} -t proc proc "$0/proc" && exec {chroot} "$0" "$@"'
    namespaces = ("--mount", "--pid", "--fork", "--kill-child")
    return [unshare, *namespaces, "/bin/sh", "-c", line, str(root)]
