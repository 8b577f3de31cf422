"""The ways into a run: flytekit's ``pyflyte-execute``, and the entry point of our own image.

Both are started with the same arguments, under the name ``pyflyte-execute``. Our entry point is
also Flyte 2's door: there it is started with other arguments, under the name ``a0``.
"""

import sys
import tempfile
from enum import Enum
from pathlib import Path

BIN = Path(sys.executable).parent
"""Holds the real ``pyflyte-execute``."""


class Door(str, Enum):
    """What a pod's container runs."""

    FLYTEKIT = "flytekit"
    ENTRYPOINT = "entrypoint"
    A0 = "a0"

    @property
    def program(self) -> str:
        """The name by which it is started."""
        return "a0" if self is Door.A0 else "pyflyte-execute"

    def command(self) -> list[str]:
        """Return the program and what comes before its arguments."""
        if self is Door.FLYTEKIT:
            return [str(BIN / self.program)]
        return [sys.executable, "-m", "perian_shim.entrypoint", self.program]

    def bin_dir(self, folder: Path) -> Path:
        """Return a folder that has it under its name.

        Args:
            folder: where to make it, if need be.
        """
        if self is Door.FLYTEKIT:
            return BIN
        folder.mkdir(exist_ok=True)
        script = folder / self.program
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as new:
            new.write(f'#!/bin/sh\nexec {" ".join(self.command())} "$@"\n')
        # In one go: a pod that has just been started may be about to read it.
        made = Path(new.name)
        made.chmod(0o755)
        made.replace(script)
        return folder


FLYTE_1 = (Door.FLYTEKIT, Door.ENTRYPOINT)
"""The doors of Flyte 1."""
