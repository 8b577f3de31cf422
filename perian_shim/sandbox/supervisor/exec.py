"""From a forked child to the job's command: what happens between fork and exec.

The parent learns of the outcome through a pipe that exec closes: silence means that the command
runs, otherwise one JSON object says why not. The child never returns into the caller's code.
"""

import errno
import json
import os
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from perian_shim.sandbox.records import ContainerFile
from perian_shim.sandbox.supervisor import linux

DEFAULT_PATH = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)
NOT_EXECUTABLE = 126
NOT_FOUND = 127


class SetupError(Exception):
    """The sandbox could not prepare the job: not the job's fault."""


class CommandError(Exception):
    """The command could not be started: the job's fault.

    Args:
        exit_code: what a shell or container engine reports for it; None if there is none.
        message: one line.
    """

    def __init__(self, exit_code: int | None, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message


@dataclass(frozen=True)
class Program:
    """What the child becomes.

    Attributes:
        argv: the command, split.
        environment: all of its environment.
        directory: its working directory.
        files: written before it starts.
        files_below: prepended to the files' paths.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    files: tuple[ContainerFile, ...]
    files_below: str = ""


def split_command(command: str | None) -> tuple[str, ...]:
    """Split the command as a POSIX shell splits words, without expanding anything.

    Raises:
        CommandError: there is none, or its quotes do not match.
    """
    try:
        argv = tuple(shlex.split(command or ""))
    except ValueError as error:
        raise CommandError(None, f"the command cannot be split into words: {error}") from error
    if not argv:
        raise CommandError(None, "no command was given and the image has no default command")
    return argv


def base_environment(home: str, extra_path: Sequence[str]) -> dict[str, str]:
    """Give the variables that every job has unless it sets them itself."""
    return {"PATH": ":".join((*extra_path, *DEFAULT_PATH)), "HOME": home, "LANG": "C.UTF-8"}


def start_child(output: int, program: Program, enter: Callable[[], None]) -> int:
    """Fork; in the child call ``enter``, write the files and run the program.

    Args:
        output: descriptor for standard output and error.
        program: what to run.
        enter: moves the child to where it shall run; raises OSError if it cannot.

    Returns:
        The child's process number, once its command runs.

    Raises:
        CommandError: the command cannot be run.
        SetupError: the sandbox failed.
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        become(output, sender, program, enter)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        report = pipe.read()
    if not report:
        return child
    os.waitpid(child, 0)
    outcome = json.loads(report)
    if outcome["kind"] == "command":
        raise CommandError(outcome["exit_code"], outcome["message"])
    raise SetupError(outcome["message"])


def become(output: int, sender: int, program: Program, enter: Callable[[], None]) -> NoReturn:
    """Do all that the child does; report and exit if it comes to nothing."""
    report: dict[str, object]
    try:
        linux.die_with_parent(signal.SIGKILL)
        os.setsid()
        attach_streams(output)
        os.umask(0o022)
        enter()
        for file in program.files:
            write_file(program.files_below + file.path, file)
        os.chdir(program.directory)
        restore_signals()
        execute(program)
    except CommandError as error:
        report = {"kind": "command", "exit_code": error.exit_code, "message": error.message}
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent must learn of it
        report = {"kind": "setup", "message": f"{type(error).__name__}: {error}"}
    os.write(sender, json.dumps(report).encode())
    os._exit(1)


def attach_streams(output: int) -> None:
    """Read from nothing, write to ``output``."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def restore_signals() -> None:
    """Undo what Python and the supervisor did to signals: an ignored one stays so over exec."""
    for number in signal.valid_signals():
        if signal.getsignal(number) not in {signal.SIG_DFL, None}:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def write_file(path: str, file: ContainerFile) -> None:
    """Write one container file with its parents.

    Raises:
        CommandError: the job's own paths contradict each other.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib may import late
        mode = 0o444 if file.read_only else 0o644
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise CommandError(None, f"container file {file.path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.content)


def execute(program: Program) -> NoReturn:
    """Replace this process by the program, found as execvp(3) finds it.

    Raises:
        CommandError: there is no such program, or it is none.
    """
    name = program.argv[0]
    candidates = [name]
    if "/" not in name:
        search = program.environment.get("PATH", "")
        candidates = [f"{folder or '.'}/{name}" for folder in search.split(":")]
    denied: OSError | None = None
    for candidate in candidates:
        try:
            os.execve(candidate, program.argv, program.environment)  # noqa: S606 - as requested
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                denied = error
    if denied is not None:
        raise CommandError(NOT_EXECUTABLE, f'exec: "{name}": {denied.strerror}')
    if "/" in name:
        raise CommandError(NOT_FOUND, f'exec: "{name}": no such file or directory')
    raise CommandError(NOT_FOUND, f'exec: "{name}": executable file not found in $PATH')


def private_directory(path: Path) -> Path:
    """Make a directory for its owner only."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
