"""A user's module: functions that reach data, at their beginning and at their end."""

import os
import time

from flytekit import task
from flytekit.types.file import FlyteFile

from perian_shim import PerianConfig


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def copied(data: FlyteFile, seconds: float) -> FlyteFile:
    """Read a file, take its time, and leave another."""
    content = open(data.download()).read()  # noqa: PTH123, SIM115 - as users write it
    print("read", flush=True)
    time.sleep(seconds)
    with open("out.txt", "w") as file:  # noqa: PTH123 - the same
        file.write(content.upper())
    return FlyteFile("out.txt")


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def keys_of_the_job() -> str:
    """Tell which variables may hold keys."""
    held = [name for name in os.environ if "KEY" in name or "TOKEN" in name or "GRANT" in name]
    return " ".join(sorted(held))
