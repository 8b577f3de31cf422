"""What a job has left at the places of its outputs, and which processes still write there.

Needs nothing but Python >= 3.6, and the other files of this folder. Paths are the image's bytes, by
os.fsdecode. Sizes are in bytes.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from perian_shim.job.plan import NOT_UPLOADED, Failure
from perian_shim.job.transfer import say, scrub

CONTROLS = re.compile(rb"[\0-\x1f\x7f]")

NO_FILES = ("/proc/", "/sys/")
"""Below these everything that looks like a file is made up by the kernel."""


class Output:
    """What lies at the place of one output.

    Args:
        name: of the output.
        path: where it is looked for.
        levels: so many levels deep the entries of its directory are its elements; 0: it has none.
    """

    def __init__(self, name: str, path: str, levels: int) -> None:
        self.name, self.root, self.levels = name, path.rstrip("/"), levels
        self.kind = "missing"
        self.files: list[tuple[str, int]] = []
        self.empty: list[str] = []
        self.entries: dict[str, str] = {}
        if os.path.isdir(self.root):
            self.kind = "directory"
            self.walk()
        elif os.path.isfile(self.root):
            self.kind = "file"
            self.note_file(self.root)
        elif os.path.lexists(self.root):
            raise self.odd(self.root)

    def walk(self) -> None:
        """Find what is in the directory and below it, links followed but for those in a circle."""
        folders: list[str] = []
        left = [(self.root, ())]  # type: list[tuple[str, tuple[tuple[int, int], ...]]]
        while left:
            folder, above = left.pop()
            try:
                found = os.stat(folder)
                names = sorted(os.listdir(folder))
            except OSError as error:
                text = f"output {self.name}: cannot read all of {self.root}: {reason(error)}"
                raise Failure(NOT_UPLOADED, text) from None
            chain = (*above, (found.st_dev, found.st_ino))
            folders.append(folder)
            for name in names:
                path = f"{folder}/{name}"
                self.check_name(path)
                kind = self.kind_of(path, chain)
                if kind == "loop":
                    say(f"output {self.name}: left out, as it leads back to what it is in: {path}")
                    continue
                self.note_entry(path, kind)
                if kind == "directory":
                    left.append((path, chain))
        full = {path[:at] for path, _ in self.files for at in slashes(path)}
        deep = (folder for folder in folders if self.depth(folder) >= self.levels)
        self.empty = [folder for folder in deep if folder not in full]

    def kind_of(self, path: str, chain: "tuple[tuple[int, int], ...]") -> str:
        """Return what something is: file, directory, other, or a loop."""
        try:
            found = os.stat(path)
        except OSError:
            return "other"
        if stat.S_ISDIR(found.st_mode):
            return "loop" if (found.st_dev, found.st_ino) in chain else "directory"
        real = os.path.realpath(path) if os.path.islink(path) else path
        return "file" if stat.S_ISREG(found.st_mode) and not real.startswith(NO_FILES) else "other"

    def depth(self, path: str) -> int:
        """Return how many levels below the output something is."""
        return path.count("/") - self.root.count("/")

    def note_entry(self, path: str, kind: str) -> None:
        """Note what was found."""
        is_element = self.depth(path) <= self.levels
        if is_element:
            self.entries[path[len(self.root) + 1 :]] = kind
        if kind == "file":
            self.note_file(path)
        elif kind == "other" and not is_element:
            raise self.odd(path)

    def note_file(self, path: str) -> None:
        """Note a file."""
        self.files.append((path, os.stat(path).st_size))

    def check_name(self, path: str) -> None:
        """Expect a name that can be a key. Raises Failure."""
        name = os.fsencode(path)
        shown_name = name.decode("ascii", "replace").replace("\ufffd", "?")
        if CONTROLS.search(name):
            text = f"output {self.name}: a name has a control character: {scrub(shown_name)}"
            raise Failure(NOT_UPLOADED, text)
        try:
            name.decode()
        except UnicodeDecodeError:
            text = f"output {self.name}: a name is not UTF-8, so it cannot be a key: {shown_name}"
            raise Failure(NOT_UPLOADED, text) from None

    def odd(self, path: str) -> Failure:
        """Return the failure for what can be no output."""
        text = f"output {self.name}: {path} is neither a file nor a directory"
        return Failure(NOT_UPLOADED, text)

    def key(self, path: str) -> str:
        """Return the end of a file's key."""
        return f"outputs/{self.name}{path[len(self.root) :]}"

    def record(self) -> "dict[str, object]":
        """Return what the result says of it."""
        found: dict[str, object] = {"kind": self.kind, "files": len(self.files)}
        found["bytes"] = sum(size for _, size in self.files)
        if self.levels:
            found["entries"] = self.entries
        return found


def warn_of_writers(roots: "list[str]") -> None:
    """Say which processes still write to the outputs: what comes from now on may be lost."""
    places = tuple(root + "/" for root in roots)
    for link in open_files():
        try:
            path = os.readlink(link)
            if not (path in roots or path.startswith(places)):
                continue
            info = Path(link.replace("/fd/", "/fdinfo/")).read_text()
        except OSError:
            continue
        (flags,) = [line.split()[1] for line in info.splitlines() if line.startswith("flags:")]
        if int(flags, 8) & (os.O_WRONLY | os.O_RDWR):
            process = link.split("/")[2]
            say(f"process {process} still writes to {path}: what it writes later is not uploaded")


def open_files() -> "Iterator[str]":
    """Yield the links in /proc to what other processes of the job have open."""
    try:
        processes = os.listdir("/proc")
    except OSError:
        return
    for process in processes:
        if process.isdigit() and int(process) != os.getpid():
            folder = f"/proc/{process}/fd"
            try:
                yield from [f"{folder}/{number}" for number in os.listdir(folder)]
            except OSError:
                continue


def slashes(path: str) -> "Iterator[int]":
    """Yield where the slashes in a path are."""
    return (at for at, character in enumerate(path) if character == "/")


def reason(error: OSError) -> str:
    """Return what the system says of an error."""
    return error.strerror or str(error)
