"""``perian-shim run``: which SDK runs a user's file.

What counts is what is asked for: a file may have tasks of both SDKs, or import Flyte 2's by way of
another module. Each SDK is loaded only if it is needed.
"""

from perian_shim.sandbox.modules import imported, imports_flyte2, is_for_flyte2
from perian_shim.sandbox.run_options import RunOptions
from perian_shim.sandbox.running import Prepared, run_prepared


def run_file(options: RunOptions) -> int:
    """Run a workflow, a task or a launch plan and return a process exit code."""
    return run_prepared(options, lambda: prepared(options))


def prepared(options: RunOptions) -> Prepared:
    """Import the file and find in it what is asked for.

    Raises:
        SourceError: the file, or what is asked for in it, cannot be had.
        InputError: an argument is wrong, or one is missing.
        HelpShown: help was asked for.
    """
    guess = imports_flyte2(options.file)
    if guess:
        from perian_shim.sandbox.flyte2 import run as flyte2  # noqa: PLC0415 - an SDK

        flyte2.prepare_process()
    else:
        from perian_shim.sandbox.flyte import run as flyte1  # noqa: PLC0415 - an SDK

        flyte1.prepare_process(options)
    source = imported(options.file)
    if is_for_flyte2(source, options.name, guess=guess):
        from perian_shim.sandbox.flyte2 import run as flyte2  # noqa: PLC0415 - maybe the other SDK

        return flyte2.prepared(options, source)
    from perian_shim.sandbox.flyte import run as flyte1  # noqa: PLC0415 - maybe the other SDK

    return flyte1.prepared(options, source)
