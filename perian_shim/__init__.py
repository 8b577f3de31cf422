"""Run Flyte tasks on the Perian GPU platform, with nothing deployed in the Flyte backend.

Names are imported when they are first used: the resolver container needs the executor only, and
starts for every waiting job.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perian_shim.api.errors import PerianError
    from perian_shim.config import PerianConfig
    from perian_shim.definition.notices import PerianWarning
    from perian_shim.definition.records import Resources, RetryStrategy, Timeout
    from perian_shim.executor import PerianExecutor
    from perian_shim.flyte1.container_task import PerianContainerTask
    from perian_shim.flyte1.environment import PerianEnvironment
    from perian_shim.flyte1.function_task import PerianTask
    from perian_shim.version import __version__

__all__ = [
    "PerianConfig",
    "PerianContainerTask",
    "PerianEnvironment",
    "PerianError",
    "PerianExecutor",
    "PerianTask",
    "PerianWarning",
    "Resources",
    "RetryStrategy",
    "Timeout",
    "__version__",
]

_HOMES = {
    # Not its home: with the config comes the task class that flytekit is to make of it.
    "PerianConfig": "perian_shim.flyte1.function_task",
    "PerianContainerTask": "perian_shim.flyte1.container_task",
    "PerianEnvironment": "perian_shim.flyte1.environment",
    "PerianError": "perian_shim.api.errors",
    "PerianExecutor": "perian_shim.executor",
    "PerianTask": "perian_shim.flyte1.function_task",
    "PerianWarning": "perian_shim.definition.notices",
    "Resources": "perian_shim.definition.records",
    "RetryStrategy": "perian_shim.definition.records",
    "Timeout": "perian_shim.definition.records",
    "__version__": "perian_shim.version",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - only when a name is looked up

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
