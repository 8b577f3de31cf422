"""Run time's entry: what ``pyflyte-execute`` reaches in the resolver container.

``template_resolver`` turns a template's path into a shim task, ``PerianExecutor`` runs it. Nothing
here knows how a job is made; it is the boundary to flytekit: literals in, a ``LiteralMap`` or a
reported error out. Imports of what a run needs are delayed, because this module is also imported
wherever a task is defined.

flytekit's own shim guesses Python types from the interface and decodes every input before the
executor sees it. That loses information, fails on types that the executor image does not have, and
unpickles what it was sent. Here literals go to the executor undecoded and a ``LiteralMap`` comes
back; values meet Python types only where those types exist.
"""

import os
from typing import Any

from flytekit.core.context_manager import FlyteContext, FlyteContextManager
from flytekit.core.python_customized_container_task import TaskTemplateResolver
from flytekit.core.shim_task import ExecutableTemplateShimTask, ShimTaskExecutor
from flytekit.models.interface import TypedInterface
from flytekit.models.literals import Literal, LiteralMap
from flytekit.models.task import TaskTemplate

from perian_shim.api.errors import PerianError
from perian_shim.errors import InvalidTemplate
from perian_shim.lifecycle.signals import TERMINATION


class LiteralDispatch(ExecutableTemplateShimTask):
    """Mixin: dispatches a task to its executor without touching the literals."""

    def dispatch_execute(self, ctx: FlyteContext, input_literal_map: LiteralMap) -> LiteralMap:  # noqa: ARG002 - flytekit's signature
        """Hand the inputs to the executor and return its outputs."""
        outputs = self.executor.execute_from_model(self.task_template, **input_literal_map.literals)
        assert isinstance(outputs, LiteralMap)
        return outputs


class TemplateTask(LiteralDispatch):
    """The task as the resolver container knows it: a template and an executor."""

    @property
    def interface(self) -> TypedInterface:
        """The declared interface; flytekit asks for it when it offloads a large output."""
        interface: TypedInterface = self.task_template.interface
        return interface


class TemplateResolver(TaskTemplateResolver):
    """flytekit's template resolver, with a task that passes literals through."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # flytekit

    def load_task(self, loader_args: list[str]) -> TemplateTask:  # type: ignore[override]  # flytekit's own does the same
        """Load the template from ``loader_args[0]``, the executor from ``loader_args[1]``.

        What follows are options for the executor, see ``perian_shim.resolver_options``.
        """
        TERMINATION.note()  # from the first moment that is ours, unless the entrypoint did before
        template, executor, *options = loader_args
        task = super().load_task([template, executor])
        loaded = TemplateTask(task.task_template, task.executor_type)
        if isinstance(loaded.executor, PerianExecutor):
            loaded.executor.options = tuple(options)
        return loaded


template_resolver = TemplateResolver()


class PerianExecutor(ShimTaskExecutor[Any]):
    """Runs one task on Perian.

    Attributes:
        options: the container's further arguments, see ``perian_shim.resolver_options``.
    """

    options: tuple[str, ...] = ()

    def execute_from_model(self, tt: TaskTemplate, **kwargs: object) -> LiteralMap:
        """Submit the job, wait for it and return its outputs.

        Args:
            tt: the task's template.
            **kwargs: the inputs as undecoded literals, as our resolver's task hands them over.

        Raises:
            PerianError: the run failed, and there is no backend to report it to.
            FlyteUserRuntimeException: the run failed and ``error.pb`` has been written.
        """
        from perian_shim.pod.report import hand_over  # noqa: PLC0415
        from perian_shim.pod.run import Finished, run_task  # noqa: PLC0415

        context = FlyteContextManager.current_context()
        try:
            inputs = as_literals(kwargs)
        except PerianError as error:
            return hand_over(context, Finished(error=error))
        return hand_over(context, run_task(context, tt, inputs, os.environ, self.options))


def as_literals(inputs: dict[str, object]) -> LiteralMap:
    """Return the inputs as a map.

    Raises:
        InvalidTemplate: they are Python values: flytekit's own resolver was used, which guesses.
    """
    for name, value in inputs.items():
        if not isinstance(value, Literal):
            location = template_resolver.location
            message = f"Input {name!r} arrived as a decoded {type(value).__name__}."
            remedy = f"Use the resolver {location}, as perian-shim's tasks do by themselves."
            raise InvalidTemplate(message, remedy=remedy)
    return LiteralMap(literals=inputs)
