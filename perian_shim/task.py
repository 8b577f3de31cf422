"""The names of ``flytekitplugins.perian_job.task``: to migrate, change the import's package.

They are what ``perian_shim`` exports under the same names. There is no connector.
"""

from perian_shim.config import PerianConfig
from perian_shim.flyte1.container_task import PerianContainerTask
from perian_shim.flyte1.function_task import PerianTask

__all__ = ["PerianConfig", "PerianContainerTask", "PerianTask"]
