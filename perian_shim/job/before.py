"""What happens before the command, in an image with Python: all that can fail.

Needs nothing but Python >= 3.6, and the other files of this folder.
"""

import functools
import os
import tempfile
from pathlib import Path

from perian_shim.job.grant import Grant, Grants
from perian_shim.job.listing import reason
from perian_shim.job.plan import NOT_FETCHED, UNUSABLE, Failure, Plan
from perian_shim.job.transfer import Jobs, TransferError, Transfers, ascii_url, say, shown

PROBE = b"\0" * 4096
"""What is written to find out whether there is room."""


def before(plan: Plan, grants: "Grants | None", command: str) -> None:
    """Do all that can fail before the command runs. Raises Failure."""
    gets = first_grant(grants).gets if plan.has_grant and grants else {}
    for variable, path in plan.secrets:
        write_secret(variable, path)
    for target in gets:
        make_parent(os.fsdecode(target), "an input", "input_data_dir")
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
    if gets and grants:
        say(f"downloading {len(gets)} files with python3")
        fetch(grants, gets)
    expect(command)


def first_grant(grants: Grants) -> Grant:
    """Fetch the grant with which the job begins. Raises Failure."""
    try:
        Transfers(grants.limits).run([("the grant", grants.begin)])
        return grants.use()
    except TransferError as error:
        text = str(error).replace("the grant: could", "the grant could")
        raise Failure(NOT_FETCHED, text) from None


def fetch(grants: Grants, gets: "dict[bytes, bytes]") -> None:
    """Download files. Raises Failure."""
    transfers = Transfers(grants.limits, grants.renewed)

    def get(name: bytes, part: Path) -> None:
        url = ascii_url(grants.use().gets[name])
        transfers.get(url, Path(os.fsdecode(name)), part)

    jobs: Jobs = []
    for number, (name, url) in enumerate(gets.items()):
        target = Path(os.fsdecode(name))
        part = target.parent / f".perian-shim.{number}.part"
        what = f"could not download {target} from {shown(ascii_url(url))}"
        jobs.append((what, functools.partial(get, name, part)))
    try:
        with grants.kept():
            transfers.run(jobs)
    except TransferError as error:
        raise Failure(NOT_FETCHED, str(error)) from None


def write_secret(variable: bytes, path: str) -> None:
    """Write what a variable holds to a file that only the job's user can read. Raises Failure."""
    make_parent(path, "a secret", "mount of the secret")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(os.environb.get(variable, b""))
    except OSError as error:
        raise Failure(UNUSABLE, f"cannot write the secret {path}: {reason(error)}") from None


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


def job_environment() -> "dict[bytes, bytes]":
    """The environment that the job was started with: the shell between has changed its own."""
    try:
        content = Path(f"/proc/{os.getppid()}/environ").read_bytes()
    except OSError:
        ours = (b"PWD", b"OLDPWD", b"SHLVL")
        return {name: value for name, value in os.environb.items() if name not in ours}
    pairs = (line.partition(b"=") for line in content.split(b"\0") if line)
    return {name: value for name, _, value in pairs}
