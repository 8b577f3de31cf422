"""A user's module for ``pyflyte run``: says where its functions ran."""

import os
from pathlib import Path

from flytekit import task
from flytekit.types.file import FlyteFile

from perian_shim import PerianConfig
from perian_shim.settings import JOB_KEY


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def where(file: FlyteFile) -> str:
    """Read a file, and say where."""
    place = "in a job" if JOB_KEY in os.environ else "here"
    return f"{Path(file.download()).read_text()} read {place}"
