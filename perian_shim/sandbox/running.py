"""``perian-shim run``: what begins and ends each run of a user's file, whichever SDK it is for.

Exit codes: 0 succeeded, 1 failed, 2 wrong arguments, 128 and the signal's number if one has ended
the run.
"""

import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.modules import SourceError, importable
from perian_shim.sandbox.run_options import ANY_IMAGE, SIGNALLED, USAGE, RunOptions
from perian_shim.sandbox.sandbox import Sandbox

PROGRAM = "perian-shim run FILE"


class InputError(SandboxError):
    """An argument is not an input of what is to be run, or not of its type."""


class HelpShown(Exception):
    """``--help`` was among the arguments and has been answered."""


@dataclass(frozen=True)
class Prepared:
    """What was asked for has been found in the file, and its inputs have been read.

    Attributes:
        root: the file's source root: its code may import more while it runs.
        run: runs it on a sandbox that is not started yet, with a folder for what is temporary, and
            returns a process exit code.
    """

    root: Path
    run: Callable[[Sandbox, Path], int]


def run_prepared(options: RunOptions, prepare: Callable[[], Prepared]) -> int:
    """Run something on a sandbox of its own and return a process exit code.

    Args:
        options: as asked for.
        prepare: imports the file; it may raise ``SourceError``, ``InputError`` and ``HelpShown``.
    """
    try:
        prepared = prepare()
    except HelpShown:
        return 0
    except (SourceError, InputError) as error:
        if options.verbose and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        return refused(error)
    with (
        importable(prepared.root),
        tempfile.TemporaryDirectory(prefix="perian-run-") as folder,
    ):
        sandbox = Sandbox(
            options.state_dir or Path(folder) / "state",
            runner=options.runner,
            host_images=options.images or ([] if options.runner else [ANY_IMAGE]),
        )
        try:
            return prepared.run(sandbox, Path(folder))
        except InputError as error:
            return refused(error)
        except KeyboardInterrupt:  # before the run has begun, or after its end
            return SIGNALLED + signal.SIGINT


def refused(error: SandboxError) -> int:
    """Say what is wrong with what was asked for."""
    print(f"perian-shim run: {error}", file=sys.stderr)
    return USAGE
