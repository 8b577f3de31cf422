"""A user's module that works where it is registered, and lacks a package in the job's image."""

import os

from flytekit import task

from perian_shim import PerianConfig
from perian_shim.settings import JOB_KEY

if JOB_KEY in os.environ:
    import a_package_that_the_image_lacks  # type: ignore[import-not-found]  # noqa: F401 - as said


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def unreachable(number: int) -> int:
    """Never run in the job."""
    return number
