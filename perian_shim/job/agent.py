"""Runs a function task's command inside its job, and gives it access for as long as it runs.

Needs nothing but Python >= 3.6 and the other files of its folder.

    python3 -I -S agent.py COMMAND [ARGUMENT...]

It reads these variables, and takes all of them out of COMMAND's environment:

    PERIAN_SHIM_FILES  JSON, {VARIABLE: PATH}: the value of each VARIABLE is written to PATH, byte
                       for byte, before the command; the VARIABLEs are taken out as well
    PERIAN_SHIM_GRANT  the URL of the first grant: agent_grants.py says what that is. Its keys, and
                       those that follow, are served on the loopback interface (agent_server.py) as
                       AWS's and Google's own libraries expect it of a container or a machine
    PERIAN_SHIM_PAUSE  seconds before the first grant is asked for again; doubles (default: 1)

Exit codes: the command's; 128 + N if signal N ended it, or came before it was started; 126 and 127
if it cannot be started, as a shell has it; 64 what was asked for cannot be done; 65 there is no
grant to begin with. It may be process 1.
"""

import json
import os
import signal
import sys
import time
import types
from pathlib import Path

if not __package__:
    # In a job these files lie side by side: let their folder be the package that they are part of.
    for name in ("perian_shim", "perian_shim.job"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(Path(__file__).parent)]

from perian_shim.job.agent_child import BEFORE_START, Stopped, block_signals, interruptible, run
from perian_shim.job.agent_grants import Access, Grant, GrantReader
from perian_shim.job.agent_server import Server
from perian_shim.job.agent_trust import trusting
from perian_shim.job.transfer import TransferError, say, scrub

UNUSABLE, NOT_FETCHED = 64, 65

FILES, GRANT, PAUSE = "PERIAN_SHIM_FILES", "PERIAN_SHIM_GRANT", "PERIAN_SHIM_PAUSE"

ATTEMPTS = 5
"""How often the first grant is asked for."""


class Failure(Exception):
    """The command cannot be started as it was asked for."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def given_environment() -> "dict[str, str]":
    """The environment that the agent was started with: Python itself sets LC_CTYPE in some."""
    try:
        content = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(os.environ)
    found: dict[str, str] = {}
    for line in content.split(b"\0"):
        name, _, value = os.fsdecode(line).partition("=")
        if name:
            found.setdefault(name, value)  # as getenv: the first one is the one that counts
    return found


# ---- secret files --------------------------------------------------------------------------------


def wanted_files(text: str) -> "dict[str, str]":
    """Read what PERIAN_SHIM_FILES says. Raises Failure.

    Names and paths are UTF-8, whatever the image's locale takes them for.
    """
    try:
        files = json.loads(text)
    except ValueError:
        files = None
    if not isinstance(files, dict) or not all(isinstance(path, str) for path in files.values()):
        raise Failure(UNUSABLE, f"{FILES} is not a JSON object of variables and paths")
    return {local(variable): local(path) for variable, path in files.items()}


def local(text: str) -> str:
    """What Python has for the UTF-8 bytes of a text, in any locale."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def write_files(files: "dict[str, str]") -> None:
    """Write the value of each variable to its path. Raises Failure."""
    for variable, path in files.items():
        value = os.environ.get(variable)
        if value is None:
            raise Failure(UNUSABLE, f"cannot write {path}: {variable} is not set")
        if not path.startswith("/"):
            raise Failure(UNUSABLE, f"cannot write {path}: the path of a file begins with /")
        try:
            write_file(Path(path), os.fsencode(value))
        except (OSError, ValueError) as error:  # ValueError: a path with a null character
            why = getattr(error, "strerror", None) or str(error)
            raise Failure(UNUSABLE, f"cannot write {path}, from {variable}: {why}") from None


def write_file(path: Path, value: bytes) -> None:
    """Write a file that only its owner can read, whatever there was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # it may have been there, or the umask be odd
        file.write(value)


# ---- access --------------------------------------------------------------------------------------


def first_grant(reader: GrantReader, pause: float) -> Grant:
    """Read the grant that the command starts with. Raises Failure."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            grant = reader.read()
            if not grant.is_alive(time.monotonic()):
                raise TransferError("what it says has expired")
        except TransferError as error:
            why = str(error)
        else:
            return grant
    text = f"no access to the object store: the job's grant could not be read: {why}"
    raise Failure(NOT_FETCHED, f"{text} (tried {ATTEMPTS} times)")


def prepared_server(url: str, environment: "dict[str, str]") -> "tuple[Server, Access]":
    """Read the first grant; return what serves it, bound to its port. Raises Failure, Stopped."""
    reader = GrantReader(url, trusting(environment))
    try:
        pause = float(os.environ.get(PAUSE) or 1)
    except ValueError:
        raise Failure(UNUSABLE, f"{PAUSE} is no number of seconds") from None
    with interruptible():
        grant = first_grant(reader, pause)
    access = Access(reader, grant)
    try:
        return Server(access, environment), access
    except OSError as error:
        text = f"no port of the loopback interface can be had: {error.strerror}"
        raise Failure(UNUSABLE, text) from None


def work(command: "list[str]") -> int:
    """Do all. Returns the exit code. Raises Failure, Stopped."""
    if not command:
        raise Failure(UNUSABLE, "no command was given")
    environment = given_environment()
    files = wanted_files(environment.get(FILES) or "{}")
    write_files(files)
    url = environment.get(GRANT, "")
    for variable in (FILES, GRANT, PAUSE, *files):
        environment.pop(variable, None)
    if not url:
        return run(command, environment, lambda: None)
    server, access = prepared_server(url, environment)
    change, taken = server.changes()
    if taken:
        # Whoever put them there: other keys would win over those that are renewed, and flytekit
        # would leave the outputs with keys that end, or are for something else. The user's own are
        # better passed under another name; that is known at once, not from an AccessDenied hours
        # later.
        text = f"{', '.join(sorted(taken))}: taken out of the environment, as the job has access"
        say(f"{text} to its object store that is renewed; use other names for other keys")
    for variable in taken:
        del environment[variable]
    environment.update(change)

    def serve() -> None:
        """Only now that the child has been forked: a process with threads had better not fork."""
        server.start()
        access.start()

    return run(command, environment, serve)


def main(command: "list[str]") -> int:
    """The program. Returns its exit code."""
    block_signals()
    try:
        return work(command)
    except Failure as failure:
        say(f"{failure}; exit code {failure.code}")
        return failure.code
    except Stopped as stopped:
        name = signal.Signals(stopped.number).name
        say(f"stopped by {name[3:]} {BEFORE_START}; exit code {128 + stopped.number}")
        return 128 + stopped.number
    except Exception as error:  # noqa: BLE001 - a traceback could show a URL
        text = f"the agent itself failed: {type(error).__name__}: {scrub(str(error))}"
        say(f"{text}; exit code {UNUSABLE}")
        return UNUSABLE


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # threads that still serve have nothing to finish
