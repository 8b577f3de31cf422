"""A user's module: functions that fail, each in its own way."""

import ctypes
import resource
import sys

from flytekit import task
from flytekit.exceptions.user import FlyteRecoverableException

from perian_shim import PerianConfig


class TeapotError(FlyteRecoverableException):
    """A user's own exception that is worth another attempt."""


def pour(cups: int) -> int:
    """Fail somewhere down the stack."""
    raise ValueError(f"cannot pour {cups} cups")


def brew(cups: int) -> int:
    """Fail in a way that may pass."""
    raise TeapotError(f"{cups} cups: not yet")


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def value_error(cups: int) -> int:
    """Fail for good."""
    return pour(cups)


@task
def plain_value_error(cups: int) -> int:
    """Fail for good, in Flyte's own pod."""
    return pour(cups)


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def recoverable(cups: int) -> int:
    """Fail for now."""
    return brew(cups)


@task
def plain_recoverable(cups: int) -> int:
    """Fail for now, in Flyte's own pod."""
    return brew(cups)


def last_words(text: str) -> None:
    """Leave something in the log."""
    print(f"last words: {text}", flush=True)


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def exits(code: int) -> int:
    """Leave without a word to Flyte."""
    last_words("leaving")
    if code >= 0:
        sys.exit(code)
    return code


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def segfaults(code: int) -> int:
    """Die of a segmentation fault."""
    last_words("falling")
    ctypes.string_at(0)
    return code


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def is_killed(code: int) -> int:
    """Die as for want of memory: the kernel itself kills it.

    A signal that it sent to itself would do nothing: it is the first process of its container.
    """
    last_words("growing")
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))  # more than that is used already
    while code:
        pass
    return code
