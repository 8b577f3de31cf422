"""A task's own pod: the small resolver container that waits for the job.

Its image has perian-shim and nothing of the user's; its arguments are flytekit's entry point with
our resolver. What only registration knows (the user's code archive, what a map task binds) is
passed on as further arguments, because these, unlike ``custom``, are filled in by whoever registers
or runs the task.
"""

from collections.abc import Mapping, Sequence

from flytekit import Resources, Secret
from flytekit.configuration import SerializationSettings
from flytekit.core.resources import ResourceSpec
from flytekit.core.utils import _get_container_definition
from flytekit.models.task import Container

from perian_shim import environment as env
from perian_shim.config import PerianConfig
from perian_shim.executor import PerianExecutor, template_resolver
from perian_shim.secrets import REGISTRY_KEYS, REQUIRED_KEYS
from perian_shim.version import __version__

TASK_TYPE = "perian_shim"
"""No plugin claims it, so Flyte hands it to the default one: the container plugin."""

DEFAULT_EXECUTOR_IMAGE = f"perian-shim-executor:{__version__}"
"""Without a registry, so that it can be loaded into a cluster's nodes; see the README."""

RESOLVER_REQUESTS = Resources(cpu="100m", mem="200Mi")
RESOLVER_LIMITS = Resources(cpu="1", mem="500Mi")


class ResolverContainer(Container):
    """A container whose arguments stay as they are.

    When code is registered apart from the image, flytekit puts ``pyflyte-fast-execute`` before the
    arguments of every function task. The user's code must not get into the resolver container:
    there it would only cost a download and a process, and could shadow what the executor imports.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_args" and hasattr(self, "_args"):
            return
        super().__setattr__(name, value)


def executor_image(given: str | None) -> str:
    """Return the resolver container's image: the one given, the environment's or the default."""
    return given or env.text(env.EXECUTOR_IMAGE) or DEFAULT_EXECUTOR_IMAGE


def pod_resources(requests: Resources | None, limits: Resources | None) -> ResourceSpec:
    """Return the resolver container's resources, small by default."""
    return ResourceSpec(requests or RESOLVER_REQUESTS, limits or RESOLVER_LIMITS)


def resolver_container(
    settings: SerializationSettings,
    image: str,
    resources: ResourceSpec,
    options: Mapping[str, str] | None = None,
) -> Container:
    """Return the container that Flyte starts for a task.

    Args:
        settings: what registers the task; its ``env`` is the container's.
        image: the image.
        resources: its resources.
        options: further arguments for our resolver, by name.
    """
    container = _get_container_definition(
        image=image,
        resource_spec=resources,
        command=[],
        args=resolver_arguments(options or {}),
        data_loading_config=None,
        environment=settings.env or {},
    )
    fields = {name[1:]: value for name, value in vars(container).items()}
    return ResolverContainer(**fields)  # type: ignore[no-untyped-call]  # flytekit


def resolver_arguments(options: Mapping[str, str]) -> list[str]:
    """Return the arguments of the container, with the templates that Flyte's backend fills."""
    return [
        "pyflyte-execute",
        "--inputs",
        "{{.input}}",
        "--output-prefix",
        "{{.outputPrefix}}",
        "--raw-output-data-prefix",
        "{{.rawOutputDataPrefix}}",
        "--checkpoint-path",
        "{{.checkpointOutputPrefix}}",
        "--prev-checkpoint",
        "{{.prevCheckpointPrefix}}",
        "--resolver",
        template_resolver.location,
        "--",
        "{{.taskTemplatePath}}",
        f"{PerianExecutor.__module__}.{PerianExecutor.__name__}",
        *(part for option in options.items() for part in option),
    ]


def with_own_secrets(config: PerianConfig, requested: Sequence[Secret], *more: str) -> list[Secret]:
    """Return the user's secret requests and those of the executor.

    Args:
        config: names the secret group.
        requested: the user's own.
        *more: keys of the group beyond the credentials of Perian and of the image's registry.
    """
    group = config.secret_group
    asked = {(secret.group, secret.key) for secret in requested}
    keys = [*REQUIRED_KEYS, *REGISTRY_KEYS, *more]
    return [*requested, *(Secret(group=group, key=k) for k in keys if (group, k) not in asked)]


def job_environment(
    settings: SerializationSettings, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the job's variables: those of the registration, then the task's own.

    Settings of the resolver container and flytekit's own transport are left out.
    """
    hidden = {*env.SETTINGS, env.SERIALIZED_CONTEXT}
    shared = {k: v for k, v in (settings.env or {}).items() if k not in hidden}
    return {**shared, **environment}
