"""A task's own pod: the small resolver container that waits for the job.

Its image has perian-shim and nothing of the user's; its arguments are flytekit's entry point with
our resolver. What only registration knows (the user's code archive, what a map task binds) is
passed on as further arguments, because these, unlike ``custom``, are filled in by whoever registers
or runs the task.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

from flytekit import Resources, Secret
from flytekit.configuration import SerializationSettings
from flytekit.configuration.default_images import DefaultImages
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.python_customized_container_task import PythonCustomizedContainerTask
from flytekit.core.resources import ResourceSpec, convert_resources_to_resource_model
from flytekit.models.task import Container

from perian_shim import settings as env
from perian_shim.config import PerianConfig
from perian_shim.definition import notices, task_pod
from perian_shim.definition.task_pod import (
    CPU,
    CPU_LIMIT,
    DEFAULT_EXECUTOR_IMAGE,
    MEMORY,
    MEMORY_LIMIT,
    SECRET_KEYS,
    named_image,
)
from perian_shim.executor import PerianExecutor, template_resolver
from perian_shim.flyte1.dynamics import carry_executor_image
from perian_shim.flyte1.resources import quantity

RESOLVER_REQUESTS = Resources(cpu=CPU, mem=MEMORY)
RESOLVER_LIMITS = Resources(cpu=CPU_LIMIT, mem=MEMORY_LIMIT)

Quantity: TypeAlias = str | int | float | None


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


carry_executor_image()


def executor_image(
    task: str, settings: SerializationSettings, config: PerianConfig, given: str | None = None
) -> str:
    """Return the resolver container's image.

    The first that is named counts: the task's argument, its config, the registration's ``--env``,
    the variable, the default. A registration that is left with the default is warned of.

    Args:
        task: what the warning calls the task.
        settings: what registers it.
        config: its config.
        given: its argument.
    """
    by_registration = env.text(env.EXECUTOR_IMAGE, environ=settings.env or {})
    named = given or named_image(config, by_registration)
    if not named and is_registration(settings):
        task_pod.warn_of_default_image(task)
    return named or DEFAULT_EXECUTOR_IMAGE


def warn_of_default_image(task: str, settings: SerializationSettings, image: str) -> None:
    """Warn of a function task whose job would run flytekit's own image, which lacks its code."""
    if image == DefaultImages.default_image() and is_registration(settings):
        notices.warn_once(
            "job image",
            f"{task}: no image is named for the job, so that it will run flytekit's {image}, which"
            " has neither perian-shim nor what your code imports. Set"
            " container_image=, or --image when registering",
        )


def is_registration(settings: SerializationSettings) -> bool:
    """Whether a task is serialized to be registered, not for a run without a backend."""
    state = FlyteContextManager.current_context().execution_state
    local = state is not None and state.is_local_execution()
    return not local and settings is not PythonCustomizedContainerTask.SERIALIZE_SETTINGS


def pod_resources(requests: Resources | None, limits: Resources | None) -> ResourceSpec:
    """Return the resolver container's resources, small by default.

    Where only a request or only a limit is given, the default for the other gives way, so that no
    request is above its limit: Kubernetes would refuse such a pod.

    Raises:
        ValueError: a quantity cannot be read, or a request is given that is above the given limit.
    """
    asked, allowed = requests or Resources(), limits or Resources()
    fields = [bounded(asked, allowed, name) for name in ("cpu", "mem", "gpu", "ephemeral_storage")]
    low, high = zip(*fields, strict=True)
    return ResourceSpec(Resources(*low), Resources(*high))


def bounded(asked: Resources, allowed: Resources, name: str) -> tuple[Quantity, Quantity]:
    """Return request and limit of one resource."""
    low, high = getattr(asked, name), getattr(allowed, name)
    given = low is not None and high is not None
    if given and amount(name, low) > amount(name, high):
        raise ValueError(f"requests: {name}={low!r} is above the limit of {high!r}")
    default_low = getattr(RESOLVER_REQUESTS, name)
    default_high = getattr(RESOLVER_LIMITS, name)
    if default_low is None:  # without a default both sides are the same: GPUs must be, disks may be
        return (low, high) if given else (low or high, low or high)
    if low is None:
        low = default_low if high is None else min(default_low, high, key=partial(amount, name))
    if high is None:
        high = max(default_high, low, key=partial(amount, name))
    return low, high


def amount(name: str, value: Quantity) -> Decimal:
    """Return one quantity as a number, in Kubernetes' base unit."""
    resources = Resources(**{name: value})  # type: ignore[arg-type]  # Resources checks by itself
    number = quantity(ResourceSpec(resources, Resources()), name)
    return number or Decimal(0)


def resolver_container(
    settings: SerializationSettings,
    image: str,
    resources: ResourceSpec,
    options: Mapping[str, str] | None = None,
) -> Container:
    """Return the container that Flyte starts for a task.

    Args:
        settings: what registers the task; its ``env`` is this container's.
        image: the image.
        resources: its resources.
        options: further arguments for our resolver, by name.
    """
    return ResolverContainer(  # type: ignore[no-untyped-call]  # flytekit
        image=image,
        command=[],  # so that the image's ENTRYPOINT, an init, stays
        args=resolver_arguments(options or {}),
        resources=convert_resources_to_resource_model(resources.requests, resources.limits),
        env=settings.env or {},
        config={},
    )


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


def with_own_secrets(config: PerianConfig, requested: Sequence[Secret]) -> list[Secret]:
    """Return the user's secret requests and those of the executor.

    Those are the credentials of Perian and of the image's registry, and keys of object stores: they
    sign what a container task's job is given, and hand out what a function task's job holds.

    Args:
        config: names the secret group.
        requested: the user's own.
    """
    group = config.secret_group
    asked = {(secret.group, secret.key) for secret in requested}
    own = [key for key in SECRET_KEYS if (group, key) not in asked]
    return [*requested, *(Secret(group=group, key=key) for key in own)]


def job_environment(
    settings: SerializationSettings, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of a function task's job: those of the registration, then its own.

    flytekit gives a function's container what ``pyflyte register --env`` names, and so does this.
    What is meant for the resolver container is left out: keys of the bucket, proxies, certificates
    and endpoints are the cluster's and would reach, or break, a machine elsewhere. A container
    task's job has its own ``environment`` only and does not come here.
    """
    return task_pod.job_environment(settings.env or {}, environment)


def wants_deck(task: Any) -> bool:
    """Whether a task has ``enable_deck``."""
    wanted = getattr(task, "enable_deck", None)  # flytekit 1.14 tells only the opposite
    return not task.disable_deck if wanted is None else bool(wanted)
