"""The executor image's ENTRYPOINT: hears signals from its first moment, then runs the container.

``python -m perian_shim.entrypoint pyflyte-execute …`` does what ``pyflyte-execute …`` does, and
``… a0 …`` what Flyte 2's ``a0 …`` does. A task of ours is run here, without loading an SDK, which
alone takes a second and 65 MiB. Another resolver or executor of perian-shim's kind is left to
flytekit in this process, if the image has it: a signal in the second that it takes to load is
noted, and the run acts upon it as soon as it knows what to do. (Python as process 1 would ignore
SIGTERM then, and be killed by it as any other.) Any other command is run in this process's place.

Where nothing but /dev/shm can be written (a read-only root file system without any volume), what is
temporary goes there. Exits with 64 if no command is given, 127 if there is no such command.
"""

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from perian_shim.lifecycle.signals import TERMINATION

PYFLYTE_EXECUTE = "pyflyte-execute"
A0 = "a0"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - not a file's name: the mount that every container has

FAILED = 1
USAGE = 64
NOT_FOUND = 127

WITH_FLYTEKIT = (
    "this image runs perian-shim's own tasks on s3:// and gs://; use the one with flytekit"
    " (`--target flytekit`) for other resolvers, executors and object stores"
)

ONLY_THESE_STORES = "perian-shim runs tasks of Flyte 2 on s3:// and gs:// only"


def main(arguments: Sequence[str]) -> int:
    """Run a container's command; return the exit code if it does not exit by itself.

    Args:
        arguments: the command and its arguments.
    """
    TERMINATION.note()
    if not arguments:
        print(
            "perian-shim executor: give a command, e.g. pyflyte-execute … or a0 …", file=sys.stderr
        )
        return USAGE
    os.environ.update(temporary_places(os.environ))
    program = os.path.basename(arguments[0])  # noqa: PTH119 - pathlib takes 10 ms
    if program == A0:
        return run_a0(arguments)
    return run_pyflyte(arguments) if program == PYFLYTE_EXECUTE else replace_process(arguments)


def run_pyflyte(arguments: Sequence[str]) -> int:
    """Run what flytekit's entry point would run; return the exit code."""
    from perian_shim.pod.invocation import Invocation  # noqa: PLC0415 - signals are heard by now

    invocation = Invocation.from_command(arguments)
    if invocation is None or invocation.foreign:
        return run_flytekit(arguments) if names_us(arguments) else replace_process(arguments)

    def execute_task() -> None:
        from perian_shim.pod.execute import execute  # noqa: PLC0415 - as above

        execute(invocation, os.environ)

    return run_here(execute_task)


def run_a0(arguments: Sequence[str]) -> int:
    """Run what Flyte 2's entry point would run; return the exit code."""
    from perian_shim.pod.action_invocation import ActionInvocation  # noqa: PLC0415 - as above

    invocation = ActionInvocation.from_command(arguments)
    if invocation is None:
        return replace_process(arguments)
    if invocation.foreign:
        found = ", ".join(invocation.foreign)
        print(f"perian-shim executor: {found}: {ONLY_THESE_STORES}", file=sys.stderr)
        return FAILED

    def execute_task() -> None:
        from perian_shim.pod.action import execute_action  # noqa: PLC0415 - as above

        execute_action(invocation, os.environ)

    return run_here(execute_task)


def names_us(arguments: Sequence[str]) -> bool:
    """Whether a command has anything of ours among its arguments."""
    return any(argument.startswith("perian_shim.") for argument in arguments)


def run_here(execute: Callable[[], None]) -> int:
    """Run a task of ours; return the exit code, 0 if Flyte has been told what it came to.

    Args:
        execute: runs it; what it imports is imported by then.
    """
    faulthandler.register(signal.SIGUSR1)  # prints where it is, as flytekit's does
    gc.disable()  # until the run has all that it waits with
    from perian_shim.api.errors import PerianError  # noqa: PLC0415 - signals are heard by now

    try:
        execute()
    except PerianError as error:
        print(f"perian-shim executor: [{error.code}] {error}", file=sys.stderr)
        return FAILED
    return 0


def run_flytekit(arguments: Sequence[str]) -> int:
    """Do in this process what ``pyflyte-execute`` does."""
    gc.disable()  # a tenth of the time: what is loaded stays
    try:
        from flytekit.bin.entrypoint import execute_task_cmd  # noqa: PLC0415 - takes a second
    except ModuleNotFoundError as error:
        print(f"perian-shim executor: {error}; {WITH_FLYTEKIT}", file=sys.stderr)
        return NOT_FOUND
    gc.freeze()
    sys.argv = list(arguments)
    execute_task_cmd(prog_name=PYFLYTE_EXECUTE)
    return 0


def temporary_places(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that send temporary files to memory, if there is no other place.

    Args:
        environ: the environment as it is.
    """
    usual = [environ.get("TMPDIR", "/tmp"), "/tmp", "/var/tmp"]  # noqa: S108 - only looked at
    if any(os.access(place, os.W_OK) for place in usual):
        return {}
    return {"TMPDIR": SHARED_MEMORY, "HOME": SHARED_MEMORY}


def replace_process(arguments: Sequence[str]) -> int:
    """Become another program; return an exit code if there is none such."""
    try:
        os.execvp(arguments[0], list(arguments))  # noqa: S606 - no shell on purpose
    except OSError as error:
        hint = f"; {WITH_FLYTEKIT}" if arguments[0].startswith("pyflyte") else ""
        print(f"perian-shim executor: {arguments[0]}: {error.strerror}{hint}", file=sys.stderr)
        return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
