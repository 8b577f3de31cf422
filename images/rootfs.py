"""Picks out of the base what Python and the packages need at run time; runs in the image's build.

    rootfs.py PREFIX DESTINATION [OMITTED]

Copied are the interpreter and its standard library (bytecode included, without what only developers
use), the shared libraries that it, its modules and the packages below PREFIX are linked to, the
certificates of authorities, and the few files by which a system is recognised. For each Debian
package of which something was copied, its entry goes to var/lib/dpkg/status.d, where scanners for
vulnerabilities look, and its licence to where Debian has it. Ends with an exception if a library
that somebody is linked to is not there.

OMITTED is a file with patterns of names that the standard library is to go without as well, like
images/omitted-library.txt. With them go most encodings that are not of Unicode.
"""

import compileall
import os
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path("/")

DEVELOPERS_ONLY = shutil.ignore_patterns(
    "__pycache__", "*-packages", "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "test", "tests", "tkinter", "turtle*", "venv", "distutils", "EXTERNALLY-MANAGED",
    "_tkinter*.so", "_test*.so", "xx*.so",
    # For terminals, and for databases and directories of another age: each brings libraries along.
    "_curses*.so", "readline*.so", "_dbm*.so", "_gdbm*.so", "nis*.so", "ossaudiodev*.so",
)  # fmt: skip

ENCODINGS = {
    "__init__.py", "aliases.py", "ascii.py", "charmap.py", "cp1252.py", "cp437.py", "idna.py",
    "iso8859_1.py", "iso8859_15.py", "latin_1.py", "punycode.py", "raw_unicode_escape.py",
    "unicode_escape.py", "utf_16.py", "utf_16_be.py", "utf_16_le.py", "utf_32.py", "utf_32_be.py",
    "utf_32_le.py", "utf_7.py", "utf_8.py", "utf_8_sig.py",
}  # fmt: skip
"""What stays of the encodings where not all do; cp437 is that of names in zip files."""

SYSTEM_FILES = ["/etc/os-release", "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt"]

LIBRARIES_LOADED_BY_NAME = ["libgcc_s.so.1"]
"""glibc opens it when a thread is cancelled."""

NOBODY = 65532
"""The user and group of the image, as in other images without a shell."""


def copy(path: Path, destination: Path) -> None:
    """Copy a file, and the symbolic links by which it is reached, each to its own place."""
    at = ROOT
    for part in path.parts[1:]:
        at = at / part
        if at.is_symlink():
            link = destination / at.relative_to(ROOT)
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(at.readlink())
            rest = path.relative_to(at)
            copy(Path(os.path.normpath(at.parent / at.readlink() / rest)), destination)
            return
    target = destination / path.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def interpreter() -> Iterator[Path]:
    """Yield the interpreter's program and the names by which it is called."""
    program = Path(sys.base_prefix) / f"bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    yield program
    yield from (p for n in ("python3", "python") if (p := program.with_name(n)).exists())


def patterns(path: Path) -> list[str]:
    """Return the patterns in a list with comments."""
    lines = path.read_text().splitlines()
    return [word for line in lines for word in line.partition("#")[0].split()]


def left_out(folder: str, names: list[str], omitted: Sequence[str]) -> set[str]:
    """Return which names in a folder of the standard library are not copied.

    Args:
        folder: where they are.
        names: of files and folders.
        omitted: patterns of names that no image needs but one with packages of others; empty for
            that one.
    """
    found = {name for name in DEVELOPERS_ONLY(folder, names) if isinstance(name, str)}
    if omitted:
        found |= shutil.ignore_patterns(*omitted)(folder, names)
        if Path(folder).name == "encodings":
            found |= {name for name in names if name not in ENCODINGS}
    return found


def standard_library(destination: Path, omitted: Sequence[str]) -> Path:
    """Copy the standard library and return where to."""
    source = Path(sysconfig.get_path("stdlib"))
    target = destination / source.relative_to(ROOT)
    # Links into /etc become files.
    shutil.copytree(
        source,
        target,
        ignore=lambda at, names: left_out(at, names, omitted),
        ignore_dangling_symlinks=True,
    )
    compileall.compile_dir(
        target,
        quiet=1,
        stripdir=destination,
        prependdir=ROOT,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    return target


def linked(objects: Iterable[Path]) -> set[Path]:
    """Return the libraries that programs and libraries are linked to, their loader included.

    Raises:
        FileNotFoundError: one is not there.
    """
    found: set[Path] = set()
    for path in objects:
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            if "not found" in line:
                raise FileNotFoundError(f"{path} is linked to {line.strip()}")
            if match := re.search(r"(/\S+) \(0x", line):
                found.add(Path(match[1]))
    return found


def certificates() -> Iterator[Path]:
    """Yield the folder's files in which OpenSSL looks authorities up, one by one."""
    folder = ssl.get_default_verify_paths().openssl_capath
    yield from Path(folder).glob("*.[0-9]")


def packages_of(files: Iterable[Path]) -> set[str]:
    """Return the Debian packages that files belong to; empty on another system."""
    lists = Path("/var/lib/dpkg/info").glob("*.list")
    owners = {line: p.stem for p in lists for line in p.read_text().splitlines()}
    # /lib is a link to /usr/lib now, and the lists have either.
    names = [[str(f), str(f.resolve()), str(f.resolve()).removeprefix("/usr")] for f in files]
    found = (owners.get(name) for candidates in names for name in candidates)
    return {owner.partition(":")[0] for owner in found if owner}


def record_packages(names: set[str], destination: Path) -> None:
    """Write the status of packages to where it is looked for in images without dpkg.

    And their licences, which must go wherever their files go.
    """
    status = Path("/var/lib/dpkg/status")
    if not status.exists():
        return
    target = destination / "var/lib/dpkg/status.d"
    target.mkdir(parents=True)
    for entry in status.read_text().split("\n\n"):
        name = entry.partition("\n")[0].removeprefix("Package: ")
        if name in names:
            (target / name).write_text(entry.strip() + "\n")
    for name in names:
        text = Path("/usr/share/doc", name, "copyright")
        if text.exists():
            copied = destination / text.relative_to(ROOT)
            copied.parent.mkdir(parents=True)
            shutil.copy(text, copied)


def add_users(destination: Path) -> None:
    """Write the users that the image knows; any other number will do as well."""
    etc = destination / "etc"
    etc.mkdir(exist_ok=True)
    passwd = [f"root:x:0:0:root:/root:/nologin\nexecutor:x:{NOBODY}:{NOBODY}::/tmp:/nologin\n"]
    (etc / "passwd").write_text("".join(passwd))
    (etc / "group").write_text(f"root:x:0:\nexecutor:x:{NOBODY}:\n")


def main(arguments: Sequence[str]) -> None:
    """Make the file system."""
    prefix, destination, *lists = map(Path, arguments)
    programs = list(interpreter())
    library = standard_library(destination, [name for path in lists for name in patterns(path)])
    objects = [programs[0], *library.rglob("*.so*"), *prefix.rglob("*.so*")]
    files = [*programs, *linked(objects), *certificates()]
    files += [path for name in SYSTEM_FILES if (path := Path(name)).exists()]
    for folder in ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib64"):
        files += [p for n in LIBRARIES_LOADED_BY_NAME if (p := Path(folder, n)).exists()]
    for path in files:
        copy(path, destination)
    # The library may be of several packages.
    modules = [ROOT / path.relative_to(destination) for path in library.rglob("*.[ps][yo]")]
    record_packages(packages_of([*files, *modules]), destination)
    add_users(destination)
    for folder, mode in {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}.items():
        path = destination / folder
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)


if __name__ == "__main__":
    main(sys.argv[1:])
