"""A user's module: tasks of an environment, and the same made by hand."""

from datetime import timedelta

from flytekit import Secret, task, workflow

from perian_shim import (
    PerianConfig,
    PerianContainerTask,
    PerianEnvironment,
    Resources,
    Timeout,
)

KEY = Secret(group="mine", key="key", env_var="MY_KEY")

env = PerianEnvironment(
    "shop",
    image="python:3.12",
    resources=Resources(cpu="1500m", mem="3Gi"),
    secrets=[KEY],
    env_vars={"MODE": "fast"},
    retries=2,
    timeout=Timeout(max_runtime=timedelta(minutes=5), max_queued_time=60),
    country_code="DE",
    max_price_per_hour=3,
)
BY_HAND = PerianConfig(
    cores=2, memory=3, country_code="DE", max_price_per_hour=3, max_queued_time=60
)
MADE = {
    "container_image": "python:3.12",
    "secret_requests": [KEY],
    "environment": {"MODE": "fast"},
    "retries": 2,
    "timeout": timedelta(minutes=5),
}


@env.task
def double(x: int) -> int:
    """Double a number."""
    return 2 * x


@env.task(retries=0, resources=Resources(gpu="T4:1"), env_vars={})
async def late(x: int) -> int:
    """Return a number."""
    return x


@task(task_config=BY_HAND, **MADE)  # type: ignore[call-overload,untyped-decorator]  # as users write it
def double_by_hand(x: int) -> int:
    """Double a number."""
    return 2 * x


count = env.container_task(
    "count",
    command=["sh", "-c", "echo {{.inputs.n}} > /var/outputs/m"],
    inputs={"n": int},
    outputs={"m": int},
    image="debian:12",
)
count_by_hand = PerianContainerTask(
    name="shop.count",
    task_config=BY_HAND,
    image="debian:12",
    command=["sh", "-c", "echo {{.inputs.n}} > /var/outputs/m"],
    inputs={"n": int},
    outputs={"m": int},
    environment={"MODE": "fast"},
    secret_requests=[KEY],
    retries=2,
    timeout=timedelta(minutes=5),
)


@workflow
def all_of_them(n: int) -> tuple[int, int]:
    """Run both kinds; one of them on another machine."""
    faster = env.config(resources=Resources(cpu=4))
    counted = count(n=n).with_overrides(task_config=faster)
    return double(x=counted), double(x=n)
