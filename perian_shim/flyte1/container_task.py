"""``PerianContainerTask``: definition time only. What is wrong is said when it is defined.

The task stores everything that a run needs in its template's ``custom`` (a ``JobSpec``) and names
only flytekit's entry point and our resolver in its container; so the resolver container needs
neither the user's code nor anything deployed in the backend. Constructors raise ``DefinitionError``
(a ``ValueError``) naming the task, the argument, what was expected and what was given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flytekit import Documentation, ImageSpec, Resources, Secret
from flytekit.configuration import SerializationSettings
from flytekit.core.base_task import TaskMetadata
from flytekit.core.context_manager import FlyteContext
from flytekit.core.interface import Interface
from flytekit.core.python_auto_container import get_registerable_container_image
from flytekit.core.python_customized_container_task import PythonCustomizedContainerTask
from flytekit.models.literals import LiteralMap
from flytekit.models.task import Container

from perian_shim.config import PerianConfig
from perian_shim.definition.task_pod import DEFAULT_EXECUTOR_IMAGE, TASK_TYPE
from perian_shim.executor import LiteralDispatch, PerianExecutor, template_resolver
from perian_shim.flyte1 import resolver_container
from perian_shim.flyte1.arguments import Checker, types_of
from perian_shim.flyte1.caching import CacheSettings
from perian_shim.flyte1.documented import documented
from perian_shim.flyte1.nodes import OnNodes
from perian_shim.pyflyte import explained
from perian_shim.spec import DEFAULT_INPUT_DIR, DEFAULT_OUTPUT_DIR, ContainerWork, JobSpec

if TYPE_CHECKING:
    from flytekit import Cache  # from flytekit 1.15 on


@documented
class PerianContainerTask(  # type: ignore[misc]  # two bases of flytekit's own shim disagree
    OnNodes, LiteralDispatch, PythonCustomizedContainerTask[PerianConfig]
):
    """A task that runs one container image on Perian.

    Args:
        name: unique name of the task.
        task_config: what to ask of Perian.
        image: the image to run; one that Perian can pull. An ``ImageSpec`` is built by flytekit.
        command: argv of the container. Elements may hold ``{{.inputs.x}}`` and the other templates
            that docs/reference/container-tasks.md lists. The image's ENTRYPOINT, if any, must run
            what it is given.
        inputs: names and Python types of the inputs.
        arguments: more argv, after ``command``.
        outputs: names and Python types of the outputs.
        metadata: all of the task's metadata at once, instead of the arguments from ``cache`` to
            ``pod_template_name``; together with one of them it is refused.
        input_data_dir: absolute path; input ``x`` is at ``<input_data_dir>/x``.
        output_data_dir: absolute path; output ``x`` is read from ``<output_data_dir>/x``.
        environment: environment variables of the job, which gets no others: what
            ``pyflyte register --env`` names is the resolver container's alone.
        secret_requests: Flyte secrets that the job gets.
        executor_image: image of the resolver container; default that of ``task_config``, else
            ``PERIAN_SHIM_IMAGE``, else ``perian-shim-executor:<version>``.
        requests: resources of the resolver container (not of the job), by default small.
        limits: the same; a default on the other side gives way to what is given.
        cache: ``True``, or a ``Cache`` with a version. With ``True`` and no ``cache_version`` the
            version is derived from image, command and environment, so that changing them is a
            cache miss; an image that is a ``{{.image…}}`` placeholder needs a ``cache_version``.
        cache_version: version of the cached values.
        cache_serialize: run identical tasks one after the other.
        cache_ignore_input_vars: inputs that do not matter for the cache.
        retries: how often a failed job is repeated.
        timeout: how long an attempt may take, in whole seconds or as a timedelta, above zero. Flyte
            counts from the attempt's start, the wait for a machine included; Perian counts the
            job's own time, so that a job that nobody follows any more ends as well.
        interruptible: whether the resolver container may run on preemptible nodes.
        deprecated: a warning for those who use the task.
        pod_template_name: Kubernetes pod template for the resolver container.
        docs: documentation of the task.
        enable_deck: whether Flyte's console has a tab that shows how the job fares.

    Raises:
        DefinitionError: an argument is wrong.
    """

    RESOURCES_ARE_THE_PODS = True

    @explained
    def __init__(
        self,
        name: str,
        task_config: PerianConfig,
        image: str | ImageSpec,
        command: Sequence[str],
        inputs: Mapping[str, object] | None = None,
        *,
        arguments: Sequence[str] | None = None,
        outputs: Mapping[str, object] | None = None,
        metadata: TaskMetadata | None = None,
        input_data_dir: str = DEFAULT_INPUT_DIR,
        output_data_dir: str = DEFAULT_OUTPUT_DIR,
        environment: Mapping[str, str] | None = None,
        secret_requests: Sequence[Secret] | None = None,
        executor_image: str | None = None,
        requests: Resources | None = None,
        limits: Resources | None = None,
        cache: bool | Cache = False,
        cache_version: str | None = None,
        cache_serialize: bool = False,
        cache_ignore_input_vars: Sequence[str] = (),
        retries: int = 0,
        timeout: timedelta | int | None = None,
        interruptible: bool | None = None,
        deprecated: str = "",
        pod_template_name: str | None = None,
        docs: Documentation | None = None,
        enable_deck: bool = False,
    ) -> None:
        check = Checker(name)
        check.config(task_config)
        check.requirements(task_config)
        check.image(image)
        check.names("inputs", inputs or {})
        check.names("outputs", outputs or {})
        check.directories(input_data_dir, output_data_dir)
        check.environment(environment or {})
        argv = check.command(command, arguments or (), inputs or {})
        forwarded = check.secrets(secret_requests or ())
        resources = check.resources(lambda: resolver_container.pod_resources(requests, limits))
        self._job_image = image
        self._executor_image = executor_image
        self._job = JobSpec(
            config=task_config,
            image=image if isinstance(image, str) else "",
            work=ContainerWork(argv, input_data_dir, output_data_dir),
            environment=dict(environment or {}),
            secrets=forwarded,
        )
        if metadata is not None:
            check.alone(
                "metadata",
                cache=cache is not False,
                cache_version=cache_version is not None,
                cache_serialize=cache_serialize,
                cache_ignore_input_vars=bool(cache_ignore_input_vars),
                retries=retries != 0,
                timeout=timeout is not None,
                interruptible=interruptible is not None,
                deprecated=bool(deprecated),
                pod_template_name=pod_template_name is not None,
            )
            check.timeout(metadata.timeout)
            timeout = metadata.timeout
        else:
            check.timeout(timeout)
            caching = CacheSettings.from_arguments(
                cache,
                cache_version,
                cache_serialize,
                cache_ignore_input_vars,
                self._job,
                image,
                check,
            )
            metadata = TaskMetadata(
                cache=caching.enabled,
                cache_version=caching.version,
                cache_serialize=caching.serialize,
                cache_ignore_input_vars=caching.ignored,
                retries=retries,
                timeout=timeout,
                interruptible=interruptible,
                deprecated=deprecated,
                pod_template_name=pod_template_name,
            )
        check.detaching(task_config, timeout)
        super().__init__(
            name=name,
            task_config=task_config,
            container_image=executor_image or DEFAULT_EXECUTOR_IMAGE,
            executor_type=PerianExecutor,
            task_resolver=template_resolver,
            task_type=TASK_TYPE,
            requests=resources.requests,
            limits=resources.limits,
            environment=dict(environment or {}),
            secret_requests=resolver_container.with_own_secrets(task_config, secret_requests or ()),
            metadata=metadata,
            interface=declared_interface(inputs or {}, outputs or {}),
            docs=docs,
            enable_deck=enable_deck,
        )
        input_types = types_of(self.interface.inputs)
        check.input_types(input_types)
        check.injections(argv, input_types)
        check.output_types(types_of(self.interface.outputs))

    def become_variant(self) -> None:
        """Take over the config of a node."""
        config = self._task_config
        check = Checker(self.name)
        check.requirements(config)
        check.detaching(config, self.metadata.timeout)
        self._job = replace(self._job, config=config)
        self._task_template = None  # type: ignore[assignment]  # as flytekit begins

    def dispatch_execute(self, ctx: FlyteContext, input_literal_map: LiteralMap) -> LiteralMap:
        """Run the task without a backend."""
        self.warn_of_variants()
        return super().dispatch_execute(ctx, input_literal_map)

    def get_image(self, settings: SerializationSettings) -> str:
        """Return the resolver container's image."""
        return resolver_container.executor_image(
            self.label, settings, self._task_config, self._executor_image
        )

    def get_custom(self, settings: SerializationSettings) -> dict[str, object]:
        """Return the ``JobSpec`` as it goes into the template."""
        return self.job_spec(settings).to_custom()

    def job_spec(self, settings: SerializationSettings) -> JobSpec:
        """Return the job's record with the image that these settings name.

        Nothing of ``settings.env`` is in it: that may hold keys and proxies of the cluster's.
        """
        image = self._job_image
        if isinstance(image, ImageSpec) or "{{" in image:
            image = get_registerable_container_image(image, settings.image_config)
        return replace(self._job, image=image, deck=resolver_container.wants_deck(self))

    def get_command(self, settings: SerializationSettings) -> list[str]:  # noqa: ARG002 - flytekit's
        """Return the arguments of the resolver container."""
        return resolver_container.resolver_arguments({})

    def get_container(self, settings: SerializationSettings) -> Container:
        """Return the resolver container. ``environment`` is the job's and does not go here."""
        return resolver_container.resolver_container(
            settings, self.get_image(settings), self.resources
        )


def declared_interface(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Interface:
    """Return flytekit's interface; its types may be any that Python has, ``int | None`` too."""
    return Interface(dict(inputs), dict(outputs))
