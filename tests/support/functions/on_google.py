"""A user's module: a function on files that waits until it may go on."""

# mypy: disable-error-code="type-arg"
# Users write FlyteFile without a format, as flytekit's documentation does.

import os
import socket
from pathlib import Path

import flytekit
from flytekit import task
from flytekit.types.file import FlyteFile

from perian_shim import PerianConfig

PATIENCE_SECONDS = 600.0
"""Bound of its waiting."""


@task(
    task_config=PerianConfig(cores=1, storage_access="scoped"),
    container_image="python:3.12",
    environment={"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"},
)
def shouted(file: FlyteFile, gate: int) -> tuple[FlyteFile, int]:
    """Shout what is in a file, and count it, once let through a gate.

    Args:
        file: a text.
        gate: port of a ``JobGate``.
    """
    text = Path(file.download()).read_text()
    with socket.create_connection(("127.0.0.1", gate), PATIENCE_SECONDS) as there:
        there.sendall(os.environ["FLYTE_INTERNAL_EXECUTION_ID"].encode() + b"\n")
        there.recv(16)
    path = Path(flytekit.current_context().working_directory) / "shouted.txt"
    path.write_text(text.upper())
    return FlyteFile(str(path)), len(text)
