"""A user's module: tasks and launch plans that are mapped over lists."""

# mypy: disable-error-code="assignment,arg-type"
# flytekit's annotations do not know what a task or workflow is once it is decorated.

import functools

from flytekit import LaunchPlan, map_task, task, workflow

from perian_shim import PerianConfig


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def joined(item: str, prefix: str, times: int) -> str:
    """Put a prefix before an item."""
    return prefix * times + item


@workflow
def over_items(items: list[str], times: list[int]) -> list[str]:
    """Map the task, with one input that all items share."""
    mapped = map_task(functools.partial(joined, prefix="p-"), concurrency=2)
    results: list[str] = mapped(item=items, times=times)
    return results


@workflow
def over_all(items: list[str], prefixes: list[str], times: list[int]) -> list[str]:
    """Map the task, with nothing that all items share."""
    results: list[str] = map_task(joined)(item=items, prefix=prefixes, times=times)
    return results


@workflow
def one(item: str) -> str:
    """Be mapped over by way of a launch plan."""
    result: str = joined(item=item, prefix="p-", times=1)
    return result


@workflow
def over_launch_plans(items: list[str]) -> list[str]:
    """Map a launch plan."""
    results: list[str] = map_task(LaunchPlan.get_or_create(one))(item=items)
    return results
