"""A user's module of Flyte 2: functions that reach data, at their beginning and at their end."""

import os
import time

import flyte
from flyte.io import File

from perian_shim.flyte2 import PerianConfig

env = flyte.TaskEnvironment(name="access", image="python:3.12", plugin_config=PerianConfig(cores=1))


@env.task
async def copied(data: File, seconds: float) -> File:
    """Read a file, take its time, and leave another."""
    async with data.open("rb") as source:
        content = bytes(await source.read())
    print("read", flush=True)
    time.sleep(seconds)  # noqa: ASYNC251 - as users write it
    with open("out.txt", "w") as file:  # noqa: ASYNC230, PTH123 - the same
        file.write(content.decode().upper())
    return await File.from_local("out.txt")


@env.task
def keys_of_the_job() -> str:
    """Tell which variables may hold keys."""
    held = [name for name in os.environ if "KEY" in name or "TOKEN" in name or "GRANT" in name]
    return " ".join(sorted(held))


@env.task
async def reading_elsewhere(data: File, seconds: float, uri: str) -> str:
    """Read what is none of this task's business."""
    del data, seconds
    try:
        async with File(path=uri).open("rb") as source:
            return bytes(await source.read()).decode()
    except Exception:  # noqa: BLE001 - whatever the store says
        return "refused"
