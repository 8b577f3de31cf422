"""``PerianTask``: Python functions on Perian, by ``@task(task_config=PerianConfig(…))``.

It is flytekit's own function task in every respect but where it runs: its container is the small
resolver, and its ``custom`` says how to start flytekit's entry point in a job. In the job it is a
plain function task, so executing it there runs the function and can submit nothing. Run without a
backend (``pyflyte run``, a call in a test), the function runs in this process, unless the raw
output prefix is remote: then it goes through Perian. Constructor errors are ``DefinitionError``.
"""

import inspect
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from flytekit import ImageSpec, PodTemplate, Resources, Secret
from flytekit.configuration import SerializationSettings
from flytekit.core.array_node_map_task import ArrayNodeMapTask
from flytekit.core.context_manager import FlyteContext
from flytekit.core.python_customized_container_task import PythonCustomizedContainerTask
from flytekit.core.python_function_task import PythonFunctionTask
from flytekit.core.resources import ResourceSpec
from flytekit.core.task import TaskPlugins
from flytekit.extras.accelerators import BaseAccelerator
from flytekit.models.literals import LiteralMap
from flytekit.models.task import Container, K8sPod, TaskSpec, TaskTemplate
from flytekit.tools.translator import get_serializable

from perian_shim import settings as env
from perian_shim.config import PerianConfig
from perian_shim.definition import official
from perian_shim.definition.task_pod import TASK_TYPE
from perian_shim.errors import DefinitionError
from perian_shim.executor import PerianExecutor
from perian_shim.flyte1 import resolver_container
from perian_shim.flyte1.arguments import Checker
from perian_shim.flyte1.documented import documented
from perian_shim.flyte1.importable import wrong_when_made, wrong_when_registered
from perian_shim.flyte1.nodes import OnNodes
from perian_shim.flyte1.resources import completed
from perian_shim.pyflyte import explained
from perian_shim.resolver_options import DESTINATION, DISTRIBUTION, MAPPED
from perian_shim.spec import FunctionWork, JobSpec

try:
    from flytekit.core.python_function_task import AsyncPythonFunctionTask
except ImportError:  # flytekit 1.14 knows no async tasks
    AsyncPythonFunctionTask = PythonFunctionTask  # type: ignore[misc,assignment]

UNFILLED_LOCATION = "{{ .remote_package_path }}"
UNFILLED_DESTINATION = "{{ .dest_dir }}"
"""What flytectl fills in when it registers a package, where an argument is exactly this."""


@documented
class PerianTask(OnNodes, AsyncPythonFunctionTask[PerianConfig]):  # type: ignore[metaclass,misc]  # flytekit's own
    """A function task that runs on Perian. Made by flytekit's ``@task``, with its arguments.

    ``requests``, ``limits``, ``resources`` and ``accelerator`` are requirements of the job, where
    ``task_config`` leaves them open; ``environment`` and ``secret_requests`` are the job's too.
    ``pod_template_name``, ``labels`` and ``annotations`` are the resolver container's.

    Args:
        task_config: what to ask of Perian.
        task_function: the function, ``async`` or not.
        container_image: the job's image; it needs the user's code, flytekit and perian-shim.
        environment: environment variables of the job.
        secret_requests: Flyte secrets that the job gets.
        requests: resources of the job.
        limits: the same, where ``requests`` says nothing.
        resources: both at once.
        accelerator: flytekit's name for the kind of GPU.
        pod_template: refused: a job is no pod.
        shared_memory: refused.
        execution_mode: only the default one.
        **kwargs: as for any function task of flytekit's.

    Raises:
        DefinitionError: an argument is wrong, or cannot be honoured.
    """

    @explained
    def __init__(
        self,
        task_config: PerianConfig,
        task_function: Callable[..., Any],
        *,
        container_image: str | ImageSpec | None = None,
        environment: Mapping[str, str] | None = None,
        secret_requests: Sequence[Secret] | None = None,
        requests: Resources | None = None,
        limits: Resources | None = None,
        resources: Resources | None = None,
        accelerator: BaseAccelerator[Any] | None = None,
        pod_template: PodTemplate | None = None,
        shared_memory: bool | str | None = None,
        execution_mode: PythonFunctionTask.ExecutionBehavior = (
            PythonFunctionTask.ExecutionBehavior.DEFAULT
        ),
        **kwargs: Any,
    ) -> None:
        check = Checker(getattr(task_function, "__name__", str(task_function)), "PerianTask")
        check.config(task_config)
        check.refused(
            pod_template=pod_template is not None and "a job is no pod",
            shared_memory=shared_memory is not None and "Perian has no such setting",
            execution_mode=execution_mode != PythonFunctionTask.ExecutionBehavior.DEFAULT
            and "a @dynamic or @eager function drives Flyte and runs in the cluster",
        )
        reason = wrong_when_made(task_function)
        if reason and kwargs.get("task_resolver") is None:
            raise check.wrong(f"task_function: {reason}.")
        if container_image is not None:
            check.image(container_image)
        told = official.wrong_packages(getattr(container_image, "packages", None) or ())
        if told:
            check.warn(f"container_image: {told}")
        check.environment(environment or {})
        self._forwarded = check.secrets(secret_requests or ())
        if resources is not None and (requests is not None or limits is not None):
            raise check.wrong("resources: expected no requests and no limits beside it")
        asked = (
            ResourceSpec.from_multiple_resource(resources)
            if resources is not None
            else ResourceSpec(requests or Resources(), limits or Resources())
        )
        self._check, self._asked, self._accelerator = check, asked, accelerator
        self._timeout = getattr(kwargs.get("metadata"), "timeout", None)
        self.job_config(task_config)
        super().__init__(
            task_config=task_config,
            task_function=task_function,
            task_type=TASK_TYPE,
            container_image=container_image,
            environment=dict(environment or {}),
            secret_requests=resolver_container.with_own_secrets(task_config, secret_requests or ()),
            execution_mode=execution_mode,
            **kwargs,
        )
        self._resources = resolver_container.pod_resources(None, None)

    def job_config(self, config: PerianConfig) -> PerianConfig:
        """Return a config with its open points filled from the task's other arguments.

        Raises:
            DefinitionError: they cannot be honoured, or nothing at all is asked for.
        """
        try:
            complete = completed(config, self._asked, self._accelerator)
        except ValueError as error:
            raise self._check.wrong(str(error)) from error
        self._check.requirements(complete)
        self._check.detaching(complete, self._timeout)
        return complete

    def become_variant(self) -> None:
        """Take over the config of a node."""
        self.job_config(self._task_config)
        self.reset_command_fn()  # type: ignore[no-untyped-call]  # flytekit

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(self.task_function)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call the task within a workflow, or run it."""
        if self.is_async:
            return self.called(*args, **kwargs)
        result = PythonFunctionTask.__call__(self, *args, **kwargs)
        self.own_node()
        return result

    async def called(self, *args: object, **kwargs: object) -> Any:
        """Do the same for a coroutine function."""
        result = await AsyncPythonFunctionTask.__call__(self, *args, **kwargs)
        self.own_node()
        return result

    def execute(self, **kwargs: object) -> Any:
        """Run the function in this process."""
        if self.is_async:
            return super().execute(**kwargs)
        return PythonFunctionTask.execute(self, **kwargs)

    def dispatch_execute(self, ctx: FlyteContext, input_literal_map: LiteralMap) -> Any:
        """Run the function in this process, or through Perian when asked for without a backend."""
        if not self.goes_through_perian(ctx):
            return super().dispatch_execute(ctx, input_literal_map)
        from perian_shim.flyte1.local_code import shipped_code  # noqa: PLC0415 - for such runs only

        self.warn_of_variants()
        executor = PerianExecutor()  # type: ignore[no-untyped-call]  # flytekit
        settings = local_settings(ctx)
        template = self.local_template(ctx)
        code = shipped_code(ctx, settings, self.task_function.__module__)
        executor.options = tuple(part for option in code.items() for part in option)
        return executor.run(template, input_literal_map.literals)  # an input may be called "tt"

    def goes_through_perian(self, ctx: FlyteContext) -> bool:
        """Whether a call in this process is to become a job: locally, with a remote prefix."""
        state = ctx.execution_state
        if state is None or not state.is_local_execution() or os.environ.get(env.JOB_KEY):
            return False
        return urlsplit(str(ctx.file_access.raw_output_prefix)).scheme not in {"", "file"}

    def local_template(self, ctx: FlyteContext) -> TaskTemplate:
        """Return the template for a run without a backend."""
        if self.container_image is None and ctx.serialization_settings is None:
            message = f"PerianTask {self.name!r}: no image is named for the job"
            raise DefinitionError(message, remedy="Name one with container_image=.")
        spec = get_serializable(OrderedDict(), local_settings(ctx), self)
        assert isinstance(spec, TaskSpec)
        template: TaskTemplate = spec.template
        return template

    def get_custom(self, settings: SerializationSettings) -> dict[str, object]:
        """Return the ``JobSpec`` as it goes into the template."""
        reason = wrong_when_registered(self, self.origin)
        if reason:
            raise self._check.wrong(f"task_function: {reason}.")
        loader_args = self.task_resolver.loader_args(settings, self)
        environment = dict(self.environment)
        image = self.container_image
        packages = getattr(image, "runtime_packages", None)  # ImageSpec's, from flytekit 1.16 on
        if packages:
            environment[env.RUNTIME_PACKAGES] = " ".join(packages)
        job_image = self.get_image(settings)
        if not image:
            resolver_container.warn_of_default_image(self.label, settings, job_image)
        return JobSpec(
            config=self.job_config(self._task_config),
            image=job_image,
            work=FunctionWork(self.task_resolver.location, tuple(loader_args)),
            environment=resolver_container.job_environment(settings, environment),
            secrets=self._forwarded,
            deck=resolver_container.wants_deck(self),
        ).to_custom()

    def get_container(self, settings: SerializationSettings) -> Container:
        """Return the resolver container."""
        return resolver_container.resolver_container(
            settings,
            resolver_container.executor_image(self.label, settings, self._task_config),
            self.resources,
            self.launch_options(settings),
        )

    def launch_options(self, settings: SerializationSettings) -> dict[str, str]:
        """Return what the executor is to know of this registration."""
        options: dict[str, str] = {}
        fast = settings.fast_serialization_settings
        if fast is not None and fast.enabled:
            options[DISTRIBUTION] = fast.distribution_location or UNFILLED_LOCATION
            options[DESTINATION] = fast.destination_dir or UNFILLED_DESTINATION
        # While it serializes, a map task puts its own command in the place of ours.
        mapper = getattr(self._get_command_fn, "__self__", None)
        if isinstance(mapper, ArrayNodeMapTask):
            options[MAPPED] = ",".join(sorted(mapper.bound_inputs))
        return options

    def get_k8s_pod(self, settings: SerializationSettings) -> K8sPod | None:  # type: ignore[override]  # noqa: ARG002 - flytekit's
        """Return None: the task's pod is a plain container."""
        return None

    def get_extended_resources(self, settings: SerializationSettings) -> None:  # noqa: ARG002 - flytekit's
        """Return None: the accelerator is the job's, not the pod's."""
        return


def local_settings(ctx: FlyteContext) -> SerializationSettings:
    """Return what a run without a backend serializes with."""
    return ctx.serialization_settings or PythonCustomizedContainerTask.SERIALIZE_SETTINGS


TaskPlugins.register_pythontask_plugin(PerianConfig, PerianTask)
