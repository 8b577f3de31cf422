"""What ``pyflyte-fast-execute`` does before it starts a task, without a process of its own.

That process would load flytekit only to fetch an archive, and then start another one that loads it
again: half of the time that a short Python task takes.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from perian_shim.sandbox.flyte.store import Store

FAST_EXECUTE = "pyflyte-fast-execute"
RESOLVER = "--resolver"


def unpacked(arguments: Sequence[str], folder: Path, store: Store) -> list[str]:
    """Unpack the user's code into a pod's working directory.

    Args:
        arguments: of the container, beginning with ``pyflyte-fast-execute``.
        folder: the working directory.
        store: has the archive.

    Returns:
        The arguments of the command that runs the task.

    Raises:
        OSError: the archive is not there or cannot be unpacked.
    """
    split = list(arguments).index("--")
    options = dict(zip(arguments[1:split:2], arguments[2:split:2], strict=True))
    location, destination = options["--additional-distribution"], options["--dest-dir"]
    content = store.read(location)
    if content is None:
        raise OSError(f"no code at {location}")
    target = folder / destination
    target.mkdir(parents=True, exist_ok=True)
    command = ["tar", "-xzf", "-", "-C", str(target)]
    unpacking = subprocess.run(command, input=content, capture_output=True, check=False)
    if unpacking.returncode:
        raise OSError(f"{location} cannot be unpacked: {unpacking.stderr.decode()}")
    rest = list(arguments[split + 1 :])
    # A dynamic workflow hands them on to its tasks.
    dynamic = ["--dynamic-addl-distro", location, "--dynamic-dest-dir", destination]
    at = rest.index(RESOLVER)
    return [*rest[:at], *dynamic, *rest[at:]]
