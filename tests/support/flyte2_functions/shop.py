"""A user's module of Flyte 2: an environment on Perian, one in the cluster, and their tasks."""

from typing import Any

import flyte

from perian_shim.flyte2 import PerianConfig

perian = flyte.TaskEnvironment(
    name="shop",
    image="python:3.12",
    plugin_config=PerianConfig(cores=1),
    resources=flyte.Resources(memory="2Gi"),
    env_vars={"MODE": "fast"},
    secrets=[flyte.Secret(key="key", group="mine", as_env_var="MY_KEY")],
)
cluster = flyte.TaskEnvironment(name="cluster", image="debian:12", depends_on=[perian])


@perian.task(retries=2, timeout=flyte.Timeout(max_runtime=60, max_queued_time=30))
def double(x: int, name: str = "a") -> tuple[int, str]:
    """Double both."""
    return 2 * x, 2 * name


@perian.task
async def late(x: int) -> int:
    """Return it."""
    return x


@perian.task(report=True)
async def shown(x: int) -> int:
    """Show it."""
    await flyte.report.log.aio(f"<b>seen {x}</b>", do_flush=True)
    return x


@perian.task
def failing(x: int) -> int:
    """Fail."""
    raise ValueError(f"cannot pour {x} cups")


@perian.task
async def nested(x: int) -> int:
    """Call another task, which a job cannot."""
    return await late(x)


@perian.task
def nested_in_a_thread(x: int) -> int:
    """Call another task, which a job cannot."""
    return double(x)[0]


@perian.task
async def forwarding(x: int) -> int:
    """Call other tasks' functions, in the same job."""
    doubled: Any = double.forward(x)
    waited: Any = late.forward(x)
    return int(doubled[0] + await waited)


@perian.task
async def recursive(x: int) -> int:
    """Call itself, which a job cannot."""
    return await recursive(x - 1)


@perian.task
def mapped(x: int) -> int:
    """Call a task for each of several values, which a job cannot."""
    results: Any = flyte.map(plain, range(x), return_exceptions=False)
    return sum(results)


@perian.task
def plain(x: int) -> int:
    """Return it."""
    return x


@flyte.trace
async def step(x: int) -> int:
    """Take one step."""
    return x + 1


@perian.task
async def traced(x: int) -> int:
    """Take a traced step."""
    return await step(x)


@cluster.task
async def total(n: int) -> int:
    """Sum what jobs return."""
    return sum([await late(number) for number in range(n)])


@cluster.task
def total_of_map(n: int) -> int:
    """Sum what mapped jobs return."""
    return sum(each for each in flyte.map(plain, range(n)) if isinstance(each, int))


@cluster.task
async def changed(x: int) -> int:
    """Call a task with other arguments, by both ways to call one."""
    slow: int = await plain.override(env_vars={"MODE": "slow"}).aio(x)
    again: int = await late.override(retries=1)(x)
    return slow + again
