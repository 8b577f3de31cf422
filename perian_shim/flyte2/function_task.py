"""Functions on Perian, by ``flyte.TaskEnvironment(plugin_config=PerianConfig(…))``.

The task is Flyte's own function task in every respect but where it runs: its pod is the small one
that waits, and the job runs Flyte's entry point ``a0`` with the pod's own arguments. In the job it
is a plain function task. Run locally, the function runs in this process, unless the raw data path
is remote: then it goes through Perian.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from flyte.extend import AsyncFunctionTaskTemplate
from flyte.models import SerializationContext

from perian_shim import task_argument
from perian_shim.definition.task_pod import TASK_TYPE
from perian_shim.flyte2 import dispatch, sdk
from perian_shim.flyte2.in_job import without_children
from perian_shim.flyte2.on_perian import OnPerian, in_job
from perian_shim.spec import ActionWork

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

RESOLVER = "--resolver"


@dataclass(kw_only=True)
class PerianFunctionTask(OnPerian[P, R, F], AsyncFunctionTaskTemplate[P, R, F]):
    """A function task that runs on Perian; made by ``@env.task``."""

    task_type: str = TASK_TYPE
    debuggable: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]  # flyte's own
        self.take_over(self.checker())

    def container_args(self, serialize_context: SerializationContext) -> list[str]:
        """Return the arguments of the task's pod: those of ``a0``, and the task itself."""
        program, *arguments = super().container_args(serialize_context)
        image = sdk.image_uri(serialize_context, self.job_environment, self.job_image)
        self.checker().shim_in_image(image)
        work = ActionWork()
        if RESOLVER in arguments:
            resolver, *loader = arguments[arguments.index(RESOLVER) + 1 :]
            work = ActionWork(resolver, tuple(loader))
        record = self.record(serialize_context, image, work)
        return [program, task_argument.OPTION, record, *arguments]

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, or wherever it is to be run."""
        if in_job(os.environ):
            with without_children(self.name):
                return await super().execute(*args, **kwargs)
        runner = dispatch.runner()
        if runner is not None:
            return await dispatch.run(self, runner, args, kwargs)
        return await super().execute(*args, **kwargs)
