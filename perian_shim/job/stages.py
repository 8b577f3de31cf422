"""What happens before and after the command, in an image with Python: see run.sh, which calls it.

Needs nothing but Python >= 3.6, and transfer.py beside it; no other program of the image is used.
What it leaves is the same that run.sh leaves without Python. Paths are the image's bytes, by
os.fsdecode; records are lines of bytes, described in run.sh.

    stages.py check                          tells whether this Python will do
    stages.py before LIMITS COMMAND          reads the plan, makes and tries the places, downloads
    stages.py start COMMAND [ARGUMENT...]    becomes the command, in the job's own environment
    stages.py after LIMITS EXIT              uploads the outputs, or the error, and the result
    stages.py leave LIMITS EXIT PROBLEM      uploads the result alone

LIMITS are four words: how often a file is tried, the first pause, and how long connecting and a
stall may take. Exit codes: 0 all is done; 64 image or plan do not allow the
job; 65 download failed; 66 upload failed. Why is said in the log, and in the result if that can be
left.
"""

import errno
import functools
import json
import os
import re
import signal
import stat
import sys
import tempfile
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from perian_shim.job.transfer import (
        Fields,
        Jobs,
        Limits,
        TransferError,
        Transfers,
        ascii_url,
        download_jobs,
        read_records,
        say,
        scrub,
        shown,
    )

    Record: "TypeAlias" = "list[bytes]"
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from transfer import (
        Limits,
        TransferError,
        Transfers,
        ascii_url,
        download_jobs,
        read_records,
        say,
        scrub,
        shown,
    )

UNUSABLE, NOT_FETCHED, NOT_UPLOADED = 64, 65, 66

ERROR_BYTES = 64 * 1024
"""How much of the error file is uploaded."""

PROBE = b"\0" * 4096
"""What is written to find out whether there is room."""

CONTROLS = re.compile(rb"[\0-\x1f\x7f]")

NO_FILES = ("/proc/", "/sys/")
"""Below these everything that looks like a file is made up by the kernel."""


class Failure(Exception):
    """The job cannot be run, or its data not be moved."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Plan:
    """What the plan says.

    Args:
        folder: where the plan and what came with it are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: list[tuple[str, str]] = []
        self.gets: list[Record] = []
        self.includes: list[bytes] = []
        self.outputs: list[tuple[str, str, int]] = []
        self.error = self.post = self.prefix = ""
        self.fields: Fields = []
        self.max_bytes = 5 * 1024**3
        self.version = ""
        self.read(folder / "plan")

    def read(self, path: Path) -> None:
        """Add the records of a file."""
        try:
            records = read_records(str(path))
        except OSError:
            raise Failure(UNUSABLE, f"cannot read the plan {path}") from None
        if not self.version and not records:
            raise Failure(UNUSABLE, f"the plan {path} is empty")
        for record in records:
            kind = os.fsdecode(record[0])
            if not self.version and kind != "version":
                text = f"the plan {path} does not begin with its version"
                raise Failure(UNUSABLE, text)
            self.add(kind, record)

    def add(self, kind: str, record: "Record") -> None:
        """Add a record."""
        first, *rest = [os.fsdecode(field) for field in record[1:]]
        if kind == "version":
            self.version = first
            if first != "1":
                text = f"the plan has version {first}; this wrapper reads version 1, an older one"
                raise Failure(UNUSABLE, text)
        elif kind == "include":
            self.includes.append(record[1])
        elif kind == "dir":
            self.places.append((f"{first}/", ""))
        elif kind == "copy":
            self.places.append((rest[0], first))
        elif kind == "get":
            self.places.append((first, ""))
            self.gets.append(record)
        elif kind == "output":
            self.outputs.append((first, rest[0], int(rest[1]) if rest[1:] else 0))
        elif kind == "field":
            self.fields.append((record[1], record[2]))
        else:
            self.set(kind, first)

    def set(self, kind: str, value: str) -> None:
        """Set what there is one of."""
        if kind in ("error", "post", "prefix"):
            setattr(self, kind, value)
        elif kind == "max_bytes":
            self.max_bytes = int(value)
        else:
            text = f"the plan has a record '{kind}', unknown here: a newer perian-shim made it"
            raise Failure(UNUSABLE, text)


# ---- before --------------------------------------------------------------------------------------


def before(plan: Plan, limits: Limits, command: str) -> None:
    """Do all that can fail before the command runs. Raises Failure."""
    include(plan, limits)
    for path, source in plan.places:
        make_parent(path, "an input", "input_data_dir")
        if source:
            copy(plan.folder / source, Path(path))
    if plan.error:
        make_parent(plan.error, "the error text", "output_data_dir")
    for name, path, _ in plan.outputs:
        make_parent(path, f"output {name}", "output_data_dir")
    for folder in sorted({str(Path(path).parent) for _, path, _ in plan.outputs}):
        probe(folder)
    if plan.gets:
        say(f"downloading {len(plan.gets)} files with python3")
        fetch(plan.gets, limits)
    expect(command)


def include(plan: Plan, limits: Limits) -> None:
    """Fetch and read what continues the plan."""
    while plan.includes:
        with tempfile.TemporaryDirectory() as folder:
            continuation = Path(folder, "plan")
            record = [b"get", os.fsencode(str(continuation)), plan.includes.pop(0)]
            try:
                fetch([record], limits)
            except Failure as failure:
                text = f"the plan's continuation: {failure}"
                raise Failure(NOT_FETCHED, text) from None
            plan.read(continuation)


def fetch(records: "list[Record]", limits: Limits) -> None:
    """Download files."""
    transfers = Transfers(limits)
    try:
        transfers.run(download_jobs(transfers, records))
    except TransferError as error:
        raise Failure(NOT_FETCHED, str(error)) from None


def copy(source: Path, target: Path) -> None:
    """Put a file that came along where it belongs."""
    try:
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise Failure(UNUSABLE, f"cannot write {target}: {reason(error)}") from None


def make_parent(path: str, what: str, argument: str) -> None:
    """Make the folder in which ``path`` is to be, and expect that it can be written to."""
    folder = path.rpartition("/")[0] or "/"
    why = ""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        why = f" (cannot make the directory {folder}: {reason(error)})"
    if why or not os.access(folder, os.W_OK):
        text = f"{what} goes to {path}, where the image's user may not write:"
        raise Failure(UNUSABLE, f"{text} choose another {argument}{why}")


def probe(folder: str) -> None:
    """Expect that something can be written to a folder: there is room, and it is not read-only."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".perian-shim.", dir=folder) as file:
            file.write(PROBE)
            file.flush()
    except OSError as error:
        text = f"nothing can be written to {folder}: {reason(error)}"
        raise Failure(UNUSABLE, text) from None


def expect(command: str) -> None:
    """Expect that there is a program of this name, as far as that can be told."""
    given = job_environment().get(b"PATH")
    if "/" in command:
        if not os.path.lexists(command):
            raise Failure(UNUSABLE, f"the command {command} does not exist")
    elif given is not None:
        folders = os.fsdecode(given).split(":")
        if not any(os.path.isfile(os.path.join(each, command)) for each in folders):
            text = f"the command {command} is in no directory of PATH={os.fsdecode(given)}"
            if b"$" in given:
                text += ", in which nobody expands $: environment= needs the whole value"
            raise Failure(UNUSABLE, text)


# ---- the command ---------------------------------------------------------------------------------


def job_environment() -> "dict[bytes, bytes]":
    """The environment that the job was started with: the shell between has changed its own."""
    try:
        content = Path(f"/proc/{os.getppid()}/environ").read_bytes()
    except OSError:
        ours = (b"PWD", b"OLDPWD", b"SHLVL")
        return {name: value for name, value in os.environb.items() if name not in ours}
    pairs = (line.partition(b"=") for line in content.split(b"\0") if line)
    return {name: value for name, _, value in pairs}


def start(arguments: "list[str]") -> int:
    """Become the command. Returns the exit code that a shell has for one that cannot be run."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them
    environment = job_environment()
    argv = [os.fsencode(argument) for argument in arguments]
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - the user's command
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script without #!
            folders = [b""] if b"/" in argv[0] else environment.get(b"PATH", b"").split(b":")
            for path in (os.path.join(each, argv[0]) for each in folders):
                if os.access(path, os.X_OK):
                    script = [b"/bin/sh", path, *argv[1:]]
                    os.execve("/bin/sh", script, environment)  # noqa: S606 - the same
        say(f"the command {arguments[0]} cannot be run: {reason(error)}")
        return 126 if isinstance(error, PermissionError) or error.errno == errno.ENOEXEC else 127


# ---- after ---------------------------------------------------------------------------------------


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


class Leaving:
    """Uploads what a job leaves, and its result.

    Args:
        plan: the plan.
        limits: of the uploads.
    """

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self.plan = plan
        self.limits = limits
        self.outputs: dict[str, dict[str, object]] = {}
        self.has_error = False

    def everything(self, code: int) -> None:
        """Upload the error file, or the outputs of a command that ended well. Raises Failure."""
        error = self.plan.error
        if not self.plan.post:
            return
        if error and os.path.isfile(error):
            with Path(error).open("rb") as file:
                self.put([("_perian/error", file.read(ERROR_BYTES))])
            self.has_error = True
        elif code == 0:
            self.upload([Output(*output) for output in self.plan.outputs])

    def upload(self, outputs: "list[Output]") -> None:
        """Upload outputs. Raises Failure."""
        objects: list[tuple[str, str | bytes]] = []
        for output in outputs:
            if output.kind == "missing":
                say(f"output {output.name}: there is nothing at {output.root}")
            for path, size in output.files:
                if size > self.plan.max_bytes:
                    text = f"output {output.name}: {path} has {size} bytes, one upload takes"
                    raise Failure(NOT_UPLOADED, f"{text} at most {self.plan.max_bytes}")
                objects.append((output.key(path), path))
            # S3 knows no directories, but what reads them takes such an object for an empty one.
            objects += [(f"{output.key(folder)}/", b"") for folder in output.empty]
        warn_of_writers([output.root for output in outputs])
        self.put(objects)
        self.outputs = {output.name: output.record() for output in outputs}
        files = [size for output in outputs for _, size in output.files]
        found = sum(output.kind != "missing" for output in outputs)
        say(f"uploaded {found} outputs ({len(files)} files, {sum(files)} bytes) with python3")

    def put(self, objects: "Iterable[tuple[str, str | bytes]]") -> None:
        """Upload objects. Raises Failure."""
        transfers = Transfers(self.limits)
        url = ascii_url(os.fsencode(self.plan.post))
        jobs: Jobs = []
        for name, source in objects:
            form = [(b"key", os.fsencode(self.plan.prefix + name)), *self.plan.fields]
            what = name if isinstance(source, bytes) else source
            put = functools.partial(transfers.put, url, form, source)
            jobs.append((f"could not upload {what} to {shown(url)}", put))
        try:
            transfers.run(jobs)
        except TransferError as error:
            raise Failure(NOT_UPLOADED, str(error)) from None

    def result(self, code: int, problem: str) -> bool:
        """Upload the result; say and return whether that worked, or was not asked for."""
        if problem:
            say(f"{problem}; exit code {code}")
        if not self.plan.post:
            return True
        result = {"version": 1, "exit_code": code, "transport": "python3", "error": self.has_error}
        result["outputs"] = self.outputs
        if problem:
            result["problem"] = problem.encode("ascii", "replace").decode()
        try:
            self.put([("_perian/result.json", json.dumps(result).encode())])
        except Failure as failure:
            say(f"no result was left: {failure}; exit code {code or NOT_UPLOADED}")
            return False
        return True


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


def run(what: str, rest: "list[str]") -> int:
    """Do one stage. Returns its exit code."""
    limits, rest = Limits(*rest[:4]), rest[4:]
    leaving = None
    code = 0
    failed = NOT_FETCHED if what == "before" else NOT_UPLOADED
    try:
        plan = Plan(Path(__file__).parent)
        leaving = Leaving(plan, limits)
        if what == "before":
            before(plan, limits, rest[0])
            return 0
        code = int(rest[0])
        if what == "leave":
            return 0 if leaving.result(code, rest[1]) else NOT_UPLOADED
        leaving.everything(code)
    except Failure as failure:
        failed, problem = failure.code, str(failure)
    except Exception as error:  # noqa: BLE001 - whatever it is, the result has to say it
        problem = f"the wrapper itself failed: {type(error).__name__}: {scrub(str(error))}"
    else:
        return 0 if leaving.result(code, "") else NOT_UPLOADED
    if leaving is None:
        say(f"{problem}; exit code {failed}")
    else:
        leaving.outputs = {}
        leaving.result(code or failed, problem)
    return failed


def main(arguments: "list[str]") -> int:
    """The program. Returns its exit code."""
    what, *rest = arguments
    if what == "check":
        return 0 if sys.version_info >= (3, 6) else 1
    return start(rest) if what == "start" else run(what, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
