"""A user's module: a function whose error is longer than Flyte can read."""

from flytekit import task

from perian_shim import PerianConfig


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def endless_message(size: int) -> int:
    """Fail with so many characters."""
    if size > 0:
        raise ValueError("begin " + "x" * size + " end")
    return size
