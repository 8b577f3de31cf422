"""flytekit's door: what ``pyflyte-execute`` reaches in any image that has flytekit.

``template_resolver`` turns a template's path into a shim task, ``PerianExecutor`` runs it. Nothing
here knows how a job is made; it is the boundary to flytekit: its context, models, secrets and file
access on one side, the records and protobufs of ``perian_shim.pod`` on the other. Imports of what a
run needs are delayed, because this module is also imported wherever a task is defined.

flytekit's own shim guesses Python types from the interface and decodes every input before the
executor sees it. That loses information, fails on types that the executor image does not have, and
unpickles what it was sent. Here literals go to the executor undecoded.

What a run comes to is written to ``outputs.pb`` or ``error.pb`` by ``pod.report``, as in our own
image: flytekit has no exception class for most of our outcomes, and its models of a long list take
hundreds of times its size. flytekit is then told to write nothing: that is what its
``IgnoreOutputs`` means inside a ``FlyteUserRuntimeException``.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flytekit.core.base_task import IgnoreOutputs
from flytekit.core.context_manager import ExecutionParameters, FlyteContext, FlyteContextManager
from flytekit.core.python_customized_container_task import TaskTemplateResolver
from flytekit.core.shim_task import ExecutableTemplateShimTask, ShimTaskExecutor
from flytekit.exceptions.user import FlyteUserRuntimeException
from flytekit.loggers import logger
from flytekit.models.interface import TypedInterface
from flytekit.models.literals import Literal, LiteralMap
from flytekit.models.task import TaskTemplate

from perian_shim.api.errors import PerianError
from perian_shim.errors import InvalidTemplate
from perian_shim.lifecycle.signals import TERMINATION

if TYPE_CHECKING:
    from perian_shim.pod.run_context import RunContext
    from perian_shim.pod.secrets import FlyteSecrets
    from perian_shim.storage import ObjectStore

WRITTEN = "perian-shim has written what the task came to"


class LiteralDispatch(ExecutableTemplateShimTask):
    """Mixin: dispatches a task to its executor without touching the literals."""

    def dispatch_execute(self, ctx: FlyteContext, input_literal_map: LiteralMap) -> LiteralMap:  # noqa: ARG002 - flytekit's signature
        """Hand the inputs to the executor and return its outputs."""
        executor, literals = self.executor, input_literal_map.literals
        if isinstance(executor, PerianExecutor):
            return executor.run(self.task_template, literals)  # an input may be called "tt"
        outputs = executor.execute_from_model(self.task_template, **literals)
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
        """Do what ``run`` does; flytekit's own way to start an executor."""
        return self.run(tt, kwargs)

    def run(self, tt: TaskTemplate, literals: Mapping[str, object]) -> LiteralMap:
        """Submit the job, wait for it and return its outputs.

        Args:
            tt: the task's template.
            literals: the inputs as undecoded literals, as our resolver's task hands them over.

        Returns:
            The outputs of a run without a backend.

        Raises:
            PerianError: the run failed and there is no backend to report it to, or that failed.
            FlyteUserRuntimeException: a backend has been told what the run came to.
        """
        from flyteidl.core import literals_pb2  # noqa: PLC0415

        from perian_shim.pod.report import report  # noqa: PLC0415
        from perian_shim.pod.run import Finished, run_task  # noqa: PLC0415
        from perian_shim.resolver_options import LaunchOptions  # noqa: PLC0415
        from perian_shim.values.serialized import literal_map  # noqa: PLC0415

        context = run_context(FlyteContextManager.current_context(), os.environ)
        template = tt.to_flyte_idl()
        try:
            inputs = {name: message_of(name, value) for name, value in literals.items()}
            options = LaunchOptions.from_arguments(self.options)
        except PerianError as error:
            finished = Finished(error=error)
        else:
            finished = run_task(context, template, inputs, options)
        if context.place is not None:
            report(context, finished, template.interface.outputs.variables)
            logger.addFilter(not_our_notice)
            # Without a cause: flytekit would print that as well.
            raise FlyteUserRuntimeException(IgnoreOutputs(WRITTEN)) from None
        finished.reported()
        if finished.error is not None:
            from perian_shim.pyflyte import for_people  # noqa: PLC0415

            raise for_people(finished.error) from None
        assert finished.outputs is not None
        document = literals_pb2.LiteralMap.FromString(literal_map(finished.outputs))
        outputs: LiteralMap = LiteralMap.from_flyte_idl(document)
        return outputs


def not_our_notice(record: logging.LogRecord) -> bool:
    """Drop flytekit's warning that it writes no outputs: they are written."""
    return WRITTEN not in record.getMessage()


def message_of(name: str, value: object) -> Any:
    """Return an input as flyteidl's ``Literal``.

    Raises:
        InvalidTemplate: it is a Python value: flytekit's own resolver was used, which guesses.
    """
    if not isinstance(value, Literal):
        location = template_resolver.location
        message = f"Input {name!r} arrived as a decoded {type(value).__name__}."
        remedy = f"Use the resolver {location}, as perian-shim's tasks do by themselves."
        raise InvalidTemplate(message, remedy=remedy)
    return value.to_flyte_idl()


def run_context(context: FlyteContext, environ: Mapping[str, str]) -> "RunContext":
    """Return what flytekit knows of a run."""
    from perian_shim.pod.run_context import RunContext, opened_once  # noqa: PLC0415
    from perian_shim.work.task_run import Place  # noqa: PLC0415

    raw_prefix = str(context.file_access.raw_output_prefix).rstrip("/")
    state = context.execution_state
    parameters = state.user_space_params if state else None
    output_prefix = parameters.output_metadata_prefix if parameters else None
    place = None
    if output_prefix is not None:
        saved, previous = checkpoint_paths(parameters)
        place = Place.of_attempt(raw_prefix, str(output_prefix), saved, previous, environ)

    def upload(path: Path, uri: str) -> None:
        context.file_access.put_data(str(path), uri, is_multipart=path.is_dir())

    def open_any(uri: str) -> "ObjectStore":
        from perian_shim.storage import needs_flytekit, open_store  # noqa: PLC0415
        from perian_shim.storage.fsspec import FsspecStore  # noqa: PLC0415

        if needs_flytekit(uri):
            return FsspecStore(context.file_access.get_filesystem_for_path)
        return open_store(uri, environ)

    secrets = secrets_of(context, environ)
    return RunContext(raw_prefix, place, environ, secrets, opened_once(open_any), upload)


def secrets_of(context: FlyteContext, environ: Mapping[str, str]) -> "FlyteSecrets":
    """Return what reads secrets where flytekit would, but as they are: flytekit strips them."""
    from flytekit.configuration import SecretsConfig  # noqa: PLC0415

    from perian_shim.pod.secrets import FlyteSecrets  # noqa: PLC0415

    config, state = SecretsConfig.auto(), context.execution_state
    is_local = state is None or state.is_local_execution()
    prefixes = (config.env_prefix, "") if is_local else (config.env_prefix,)
    return FlyteSecrets(environ, prefixes, config.default_dir, config.file_prefix)


def checkpoint_paths(parameters: ExecutionParameters | None) -> tuple[str | None, str | None]:
    """Return where this attempt saves checkpoints and where the one before did."""
    try:
        checkpoint = parameters.checkpoint if parameters else None
    except NotImplementedError:  # flytekit's way to say that it got no checkpoint path
        checkpoint = None
    # flytekit has no public names for what it was given on the command line.
    saved = getattr(checkpoint, "_checkpoint_dest", None)
    previous = getattr(checkpoint, "_checkpoint_src", None)
    return saved or None, previous or None
