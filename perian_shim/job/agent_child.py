"""The command of a function task's job as a child of the agent: started, sent signals, waited for.

Signals are never handled while a child is there. They are blocked from the first moment on and
taken one by one with sigwait, so that none is lost, none interrupts anything and no thread gets
any. As process 1 the agent also reaps processes that others left to it.
"""

import contextlib
import errno
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator

from perian_shim.job.transfer import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""Before the command is there, these end the agent."""

FORWARDED = ENDING | {signal.SIGUSR1, signal.SIGUSR2}

BEFORE_START = "before the command was started"

NOT_EXECUTABLE, NOT_FOUND = 126, 127


class Stopped(BaseException):
    """A signal came before there was a command that could be sent it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def block_signals() -> None:
    """Keep signals for `run`. To be called first, and by the only thread."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would leave no exit code
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})


@contextlib.contextmanager
def interruptible() -> "Iterator[None]":
    """Let a signal that ends processes raise Stopped within; those that are ignored stay so."""

    def stop(number: int, _frame: "types.FrameType | None") -> None:
        raise Stopped(number)

    heard = {number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN}
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, heard)
        for number, action in before.items():
            signal.signal(number, action)


def run(
    command: "list[str]", environment: "dict[str, str]", meanwhile: "Callable[[], None]"
) -> int:
    """Run the command to its end. Returns its exit code, as a shell names it.

    Args:
        command: the program, looked for in the environment's PATH, and its arguments.
        environment: the command's, all of it.
        meanwhile: called once, when the child has been forked.
    """
    child = os.fork()
    if child == 0:
        become(command, environment)
    try:
        meanwhile()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    while True:
        number = signal.sigwait(FORWARDED | {signal.SIGCHLD})
        if number != signal.SIGCHLD:
            with contextlib.suppress(PermissionError):  # it has become somebody else
                os.kill(child, number)  # not yet reaped: it is still this child's number
            continue
        code = reap(child)
        if code is not None:
            return code


def reap(child: int) -> "int | None":
    """Take the exit codes of all that have ended. Returns that of `child`, None if it runs."""
    code = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if ended == 0:
            return code
        if ended == child:
            died = os.WIFSIGNALED(status)
            code = 128 + os.WTERMSIG(status) if died else os.WEXITSTATUS(status)


def can_read(path: str) -> bool:
    """Whether a child of this process can read a file. To be asked by the only thread."""
    child = os.fork()
    if child == 0:
        try:
            with open(path, "rb"):  # noqa: PTH123 - a forked child does as little as it can
                os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def become(command: "list[str]", environment: "dict[str, str]") -> "NoReturn":
    """Be the command, in the forked child."""
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python handles it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED | {signal.SIGCHLD})
        execute(command, environment)
    except OSError as error:
        say(f"the command {command[0]} cannot be run: {error.strerror}")
        found = isinstance(error, PermissionError) or error.errno == errno.ENOEXEC
        code = NOT_EXECUTABLE if found else NOT_FOUND
    except BaseException as error:  # noqa: BLE001 - never go on as a second agent
        say(f"the command {command[0]} cannot be run: {error}")
        code = NOT_EXECUTABLE
    sys.stderr.flush()
    os._exit(code)


def execute(command: "list[str]", environment: "dict[str, str]") -> None:
    """Replace this process by the command. Raises OSError if that cannot be done."""
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - the user's command
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without #!: a shell would run it, and so does this.
    folders = [""] if "/" in command[0] else os.get_exec_path(environment)
    for path in (os.path.join(folder, command[0]) for folder in folders):  # noqa: PTH118 - as execvpe
        if os.access(path, os.X_OK):
            script = ["/bin/sh", path, *command[1:]]
            os.execve("/bin/sh", script, environment)  # noqa: S606 - the same
    raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))
