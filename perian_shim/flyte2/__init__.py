"""Tasks of Flyte 2 on Perian, with nothing deployed in the backend: ``perian-shim[flyte2]``.

``PerianConfig`` is the ``plugin_config`` of a ``flyte.TaskEnvironment`` whose functions are to run
on Perian, ``PerianContainerTask`` a task that runs any image there. flytekit is not loaded.
"""

from perian_shim.flyte2 import sdk

sdk.check()

from perian_shim.config import PerianConfig  # noqa: E402 - what follows needs the SDK
from perian_shim.definition.notices import PerianWarning  # noqa: E402
from perian_shim.flyte2.container_task import PerianContainerTask  # noqa: E402
from perian_shim.flyte2.function_task import PerianFunctionTask  # noqa: E402

__all__ = ["PerianConfig", "PerianContainerTask", "PerianFunctionTask", "PerianWarning"]

sdk.register(PerianConfig, PerianFunctionTask)
