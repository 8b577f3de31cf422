"""What ``perian-shim run`` is asked for, whichever SDK the file is written for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ANY_IMAGE = "*"

FAILED = 1
USAGE = 2
SIGNALLED = 128


@dataclass(frozen=True)
class RunOptions:
    """What to run, and how.

    Attributes:
        file: the Python file.
        name: of a workflow, task or launch plan in it; None to be told which there are.
        arguments: its inputs, ``--input value …``.
        state_dir: where the sandbox keeps its jobs; None for a temporary folder.
        runner: ``"docker"`` or ``"podman"`` to run jobs as containers.
        images: patterns of images that stand for this machine; none for all of them.
        output_dir: where to save files that the workflow returns.
        copy: which code goes to the tasks: ``"auto"`` for what has been imported, ``"all"``.
        verbose: whether to print more.
    """

    file: Path
    name: str | None
    arguments: Sequence[str] = ()
    state_dir: Path | None = None
    runner: str | None = None
    images: Sequence[str] = ()
    output_dir: Path | None = None
    copy: Literal["auto", "all"] = "auto"
    verbose: bool = False
