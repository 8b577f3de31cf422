"""The executor image's ENTRYPOINT: hears signals from its first moment, then runs the container.

``python -m perian_shim.entrypoint pyflyte-execute …`` does what ``pyflyte-execute …`` does, in this
process. Loading flytekit takes a second, in which Python would ignore SIGTERM as process 1 and be
killed by it as any other: an abort would be lost, and with it the job of an attempt before. Here it
is noted, and the run acts upon it as soon as it knows what to do. Any other command is run in this
process's place.

Where nothing but /dev/shm can be written (a read-only root file system without any volume), what is
temporary goes there. Exits with 64 if no command is given, 127 if there is no such command.
"""

import gc
import os
import sys
from collections.abc import Mapping, Sequence

from perian_shim.lifecycle.signals import TERMINATION

PYFLYTE_EXECUTE = "pyflyte-execute"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - not a file's name: the mount that every container has

USAGE = 64
NOT_FOUND = 127


def main(arguments: Sequence[str]) -> int:
    """Run a container's command; return the exit code if it does not exit by itself.

    Args:
        arguments: the command and its arguments.
    """
    TERMINATION.note()
    if not arguments:
        print("perian-shim executor: give a command, e.g. pyflyte-execute …", file=sys.stderr)
        return USAGE
    os.environ.update(temporary_places(os.environ))
    if os.path.basename(arguments[0]) != PYFLYTE_EXECUTE:  # noqa: PTH119 - pathlib takes 10 ms
        return replace_process(arguments)
    gc.disable()  # a tenth of the time: what is loaded stays
    # Not before: this is what takes the second.
    from flytekit.bin.entrypoint import execute_task_cmd  # noqa: PLC0415

    gc.freeze()
    if not any(argument.startswith("perian_shim.") for argument in arguments):
        gc.enable()  # else the run does, once all is there that it waits with
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
        print(f"perian-shim executor: {arguments[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
