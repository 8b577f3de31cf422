"""A container task whose program is a line of shell."""

from typing import Any

from perian_shim import PerianConfig, PerianContainerTask


def shell(script: str = "true", **arguments: Any) -> PerianContainerTask:
    """Return a task that runs a script; arguments as those of the class."""
    given: dict[str, Any] = {
        "name": "test.shell",
        "task_config": PerianConfig(cores=1),
        "image": "debian:12",
        "command": ["/bin/sh", "-c", script],
    }
    return PerianContainerTask(**{**given, **arguments})
