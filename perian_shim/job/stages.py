"""What happens before and after the command, in an image with Python: see run.sh, which calls it.

Needs nothing but Python >= 3.6, and the other files of this folder; no other program of the image
is used. What it leaves is the same that run.sh leaves without Python. Paths are the image's bytes,
by os.fsdecode; records are lines of bytes, described in run.sh.

    stages.py check                          tells whether this Python will do
    stages.py before LIMITS COMMAND          reads the plan, makes and tries the places, downloads
    stages.py start COMMAND [ARGUMENT...]    becomes the command, in the job's own environment
    stages.py after LIMITS EXIT              uploads the outputs, or the error, and the result
    stages.py leave LIMITS EXIT PROBLEM      uploads the result alone

LIMITS are four words: how often a file is tried, the first pause, and how long connecting and a
stall may take. Exit codes: 0 all is done; 64 image or plan do not allow the job; 65 download
failed; 66 upload failed. Why is said in the log, and in the result if that can be left.
"""

import errno
import functools
import json
import os
import signal
import sys
import tempfile
import types
from collections.abc import Iterable
from pathlib import Path

if not __package__:
    # In a job these files lie side by side: let their folder be the package that they are part of.
    for name in ("perian_shim", "perian_shim.job"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(Path(__file__).parent)]

from perian_shim.job.listing import Output, reason, warn_of_writers
from perian_shim.job.plan import NOT_FETCHED, NOT_UPLOADED, UNUSABLE, Failure, Plan
from perian_shim.job.transfer import (
    Jobs,
    Limits,
    Record,
    TransferError,
    Transfers,
    ascii_url,
    download_jobs,
    say,
    scrub,
    shown,
)

ERROR_BYTES = 64 * 1024
"""How much of the error file is uploaded."""

PROBE = b"\0" * 4096
"""What is written to find out whether there is room."""


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
