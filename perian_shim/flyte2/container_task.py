"""``PerianContainerTask`` of Flyte 2: any image on Perian. What is wrong is said when it is made.

Constructors raise ``DefinitionError`` (a ``ValueError``) naming the task, the argument, what was
expected and what was given; a wrong type is a ``TypeError`` as well.
"""

import hashlib
import inspect
import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import flyte
from flyte.models import NativeInterface, SerializationContext

from perian_shim import task_argument
from perian_shim.config import PerianConfig
from perian_shim.definition.checks import WrongType
from perian_shim.definition.task_pod import TASK_TYPE
from perian_shim.errors import DefinitionError
from perian_shim.flyte2 import dispatch, sdk
from perian_shim.flyte2.checker import Checker
from perian_shim.flyte2.on_perian import OnPerian
from perian_shim.spec import DECK, DEFAULT_INPUT_DIR, DEFAULT_OUTPUT_DIR, ContainerWork

LAYERS = (
    "an image with layers is built for an environment of Python tasks, and one by name is looked up"
    " for it; build it before, and give its reference"
)


@dataclass(kw_only=True)
class _ContainerTask(OnPerian[Any, Any, Any]):
    """The fields of a container task, as ``override`` copies them."""

    task_type: str = TASK_TYPE
    work: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]  # flyte's own
        self.take_over(self.checker())
        caching: Any = self.cache
        if caching.behavior == "auto":  # whatever an override has changed counts as well
            self.cache = replace(caching, policies=[ContentPolicy(self.content())])

    def override(self, *, plugin_config: Any = None, **changes: Any) -> Any:
        """Return a copy with other arguments, as any task's ``override``.

        Raises:
            DefinitionError: an argument is wrong.
        """
        # Flyte would make a function task of whatever is given a config: it goes first, and alone.
        task = self if plugin_config is None else replace(self, plugin_config=plugin_config)
        return super(_ContainerTask, task).override(**changes)

    def content(self) -> str:
        """Return what the job does, not where it runs or what is shown of it, as a text."""
        spec = self.job_spec(self.checker(), self.image_reference(), self.work).to_custom()
        del spec["config"]
        spec.pop(DECK, None)
        return json.dumps(spec, sort_keys=True)

    def checker(self) -> Checker:
        """Return what checks the task's arguments."""
        return Checker(self.name, "PerianContainerTask")

    def container_args(self, serialize_context: SerializationContext) -> list[str]:
        """Return the arguments of the task's pod."""
        record = self.record(serialize_context, self.image_reference(), self.work)
        given = {
            task_argument.OPTION: record,
            "--inputs": serialize_context.input_path,
            "--outputs-path": serialize_context.output_path,
            "--version": serialize_context.version or "none",
            "--raw-data-path": "{{.rawOutputDataPrefix}}",
            "--checkpoint-path": "{{.checkpointOutputPrefix}}",
            "--prev-checkpoint": "{{.prevCheckpointPrefix}}",
            "--run-name": "{{.runName}}",
            "--name": "{{.actionName}}",
        }
        return ["a0", *(word for option in given.items() for word in option)]

    def image_reference(self) -> str:
        """Return the reference of the job's image."""
        return str(self.job_image.uri)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Say how a container task is run: not by a plain call."""
        del args, kwargs
        raise self.checker().wrong("a container is run by flyte.run(…), or within a task")

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run the container on Perian.

        Raises:
            DefinitionError: this is a local run with nothing that a job could reach.
        """
        runner = dispatch.runner()
        if runner is None:
            raise DefinitionError(
                f"PerianContainerTask {self.name!r}: a local run has no place that its job reaches",
                remedy="Give one: flyte.with_runcontext(mode='local', raw_data_path='s3://…').",
            )
        return await dispatch.run(self, runner, args, kwargs)


class PerianContainerTask(_ContainerTask):
    """A task of Flyte 2 that runs one container image on Perian.

    It is made a part of a deployment by ``flyte.TaskEnvironment.from_task("name", task)``.

    Args:
        name: unique name of the task.
        plugin_config: what to ask of Perian.
        image: reference of the image to run, or a ``flyte.Image`` without layers.
        command: argv of the container. Elements may hold ``{{.inputs.x}}`` and the other templates
            that docs/reference/container-tasks.md lists.
        inputs: names and Python types of the inputs.
        arguments: more argv, after ``command``.
        outputs: names and Python types of the outputs.
        input_data_dir: absolute path; input ``x`` is at ``<input_data_dir>/x``.
        output_data_dir: absolute path; output ``x`` is read from ``<output_data_dir>/x``.
        env_vars: environment variables of the job.
        cache: as for any task of Flyte's; ``"auto"`` derives the version from image, command and
            environment.
        **kwargs: ``secrets`` that the job gets, as variables by their ``as_env_var``;
            ``resources`` that the machine must have, where ``plugin_config`` leaves them open;
            ``timeout``, which Perian enforces: seconds, a timedelta or a ``flyte.Timeout``;
            ``report``, whether the console shows how the job fares; and ``retries``,
            ``interruptible``, ``docs``, ``short_name``, ``queue``, ``pod_template``,
            ``service_account`` as for any task: what is Kubernetes' is the pod's.

    Raises:
        DefinitionError: an argument is wrong.
    """

    def __init__(
        self,
        name: str,
        plugin_config: PerianConfig,
        image: str | flyte.Image,
        command: Sequence[str] = (),
        inputs: Mapping[str, Any] | None = None,
        *,
        arguments: Sequence[str] | None = None,
        outputs: Mapping[str, Any] | None = None,
        input_data_dir: str | pathlib.PurePath = DEFAULT_INPUT_DIR,
        output_data_dir: str | pathlib.PurePath = DEFAULT_OUTPUT_DIR,
        env_vars: Mapping[str, str] | None = None,
        cache: Any = "disable",
        **kwargs: Any,
    ) -> None:
        if "work" in kwargs:  # ``override`` makes a copy, field by field
            copied = {"plugin_config": plugin_config, "image": image, "cache": cache, **kwargs}
            super().__init__(name=name, env_vars=env_vars, **copied)  # type: ignore[arg-type]  # as it was
            return
        if not isinstance(name, str) or not name:
            message = f"PerianContainerTask: name: expected a text, got {name!r}"
            raise WrongType(message)
        check = Checker(name, "PerianContainerTask")
        check.config(plugin_config)
        if not isinstance(image, str | flyte.Image):
            raise check.wrong_type("image", "an image reference or a flyte.Image", image)
        reference = image if isinstance(image, str) else sdk.plain_reference(image)
        if reference is None:
            raise check.refusal("image", LAYERS)
        check.reference(reference)
        for argument, types in (("inputs", inputs), ("outputs", outputs)):
            if types is not None and not isinstance(types, Mapping):
                raise check.wrong_type(argument, "a dict of names and types", types)
            check.names(argument, types or {})
        folders = str(input_data_dir), str(output_data_dir)
        check.directories(*folders)
        argv = check.command(command, arguments or (), inputs or {})
        work = ContainerWork(argv, *folders)
        parameters = {key: (each, inspect.Parameter.empty) for key, each in (inputs or {}).items()}
        try:
            super().__init__(
                name=name,
                interface=NativeInterface(parameters, dict(outputs or {})),
                plugin_config=plugin_config,
                image=image,
                work=work,
                env_vars=dict(check.variables(env_vars)),
                cache=cache,
                **kwargs,
            )
        except TypeError as error:
            if isinstance(error, DefinitionError):
                raise
            raise WrongType(f"PerianContainerTask {name!r}: {error}") from error
        typed = sdk.typed_interface(self.native_interface)
        types = {key: each.type for key, each in typed.inputs.variables.items()}
        check.input_types(types)
        check.injections(argv, types)
        check.output_types({key: each.type for key, each in typed.outputs.variables.items()})


@dataclass(frozen=True)
class ContentPolicy:
    """A cache policy that versions a task by what its job does.

    Attributes:
        content: as a text.
    """

    content: str

    def get_version(self, salt: str, params: Any) -> str:
        """Return the version."""
        del params
        return hashlib.sha256(f"{self.content}{salt}".encode()).hexdigest()
