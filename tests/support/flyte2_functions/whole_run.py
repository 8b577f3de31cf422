"""A user's file of Flyte 2 that is run as a whole: it succeeds, fails, is ended."""

import asyncio
import os
import threading
from dataclasses import dataclass
from datetime import timedelta

import flyte
from flyte.io import Dir, File

from perian_shim.flyte2 import PerianConfig, PerianContainerTask

OUT = "/var/outputs"

count = PerianContainerTask(
    "count",
    PerianConfig(cores=1),
    "debian:12",
    ["sh", "-ec", f'seq "$1" > {OUT}/table; mkdir {OUT}/folder; echo a > {OUT}/folder/a', "-"],
    {"n": int},
    arguments=["{{.inputs.n}}"],
    outputs={"table": File, "folder": Dir},
)
slow = PerianContainerTask(
    "slow", PerianConfig(cores=1), "debian:12", ["sh", "-ec", "echo begun; sleep 600"]
)
broken = PerianContainerTask(
    "broken", PerianConfig(cores=1), "debian:12", ["sh", "-ec", "echo broken; exit 3"]
)
boxes = flyte.TaskEnvironment.from_task("boxes", count, slow, broken)
perian = flyte.TaskEnvironment(
    name="perian",
    image="registry.example.org/x:1",
    plugin_config=PerianConfig(cores=1),
    secrets=[flyte.Secret("key", as_env_var="MY_KEY")],
)
other = perian.clone_with("other", secrets=[flyte.Secret("other", as_env_var="MY_OTHER_KEY")])
driver = flyte.TaskEnvironment(name="driver", image="debian:12", depends_on=[boxes, perian, other])


@perian.task(retries=1)
def add_up(table: File) -> int:
    """Add up what is in a file."""
    with table.open_sync("rb") as source:
        return sum(int(line) for line in source.read().split())


@perian.task(cache="auto")
def cached(n: int) -> int:
    """Return it, or what it was."""
    return n


@dataclass
class Order:
    """An order."""

    cups: int = 1


@perian.task
def when(late: timedelta = timedelta(0), order: Order = Order()) -> str:  # noqa: B008 - a constant
    """Tell when."""
    return f"{order.cups} cups {late} late"


@perian.task(retries=1)
def fail(n: int) -> int:
    """Fail."""
    raise ValueError(f"cannot pour {n} cups")


@perian.task
def told() -> str:
    """Tell a secret's length."""
    return f"{len(os.environ['MY_KEY'])} letters"


@other.task
def told_by_others(word: str) -> str:
    print(f"with the word {word}", os.environ["MY_OTHER_KEY"])
    return f"{len(os.environ['MY_OTHER_KEY'])} letters"


@driver.task
async def beside() -> list[str]:
    """Run tasks with secrets of their own side by side."""
    return list(await asyncio.gather(told.aio(), told_by_others.aio("open")))


@driver.task
async def beside_broken() -> None:
    """Run one that fails beside one that takes ten minutes."""
    await asyncio.gather(slow(), broken())


@driver.task
def thinking() -> None:
    """Wait for no pod."""
    print("thinking", flush=True)
    threading.Event().wait()  # bounded: the run is ended


@driver.task
async def total(n: int = 3) -> tuple[int, File, Dir, str]:
    """Count, and add up."""
    table, folder = await count(n=n)
    return await add_up.aio(table), table, folder, await told.aio()


@driver.task
async def failing(n: int) -> int:
    """Fail in a job."""
    return await fail.aio(n)


@driver.task
async def long() -> None:
    """Take ten minutes."""
    await slow()
