"""What the tasks of Flyte 2 have in common here: a small pod of ours, and a job that is the task's.

Flyte 2 makes a task's container of its ``image``, ``resources``, ``env_vars`` and ``secrets``. Here
these are the job's: whatever a task or an ``override`` names is taken over into fields of the
job's, and what the pod needs is put in its place. An ``override`` copies a task field by field;
what it has not touched is still the very object that was put there, and is left alone. The task
remembers these objects, since a task may have been pickled: each is then another, but the same one
in both places.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import flyte
from flyte.extend import TaskTemplate as FlyteTask
from flyte.models import SerializationContext
from flyteidl.core.tasks_pb2 import TaskTemplate

from perian_shim import settings as env
from perian_shim import task_argument
from perian_shim.config import PerianConfig
from perian_shim.definition import task_pod
from perian_shim.definition.reasons import NOT_REUSABLE
from perian_shim.flyte2 import sdk
from perian_shim.flyte2.checker import Checker
from perian_shim.spec import ActionWork, JobSpec, Work

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

POD_RESOURCES = flyte.Resources(
    cpu=(task_pod.CPU, task_pod.CPU_LIMIT), memory=(task_pod.MEMORY, task_pod.MEMORY_LIMIT)
)

OF_THE_POD = {
    "image": "job_image",
    "resources": "job_resources",
    "env_vars": "job_variables",
    "secrets": "job_secrets",
}
"""Fields of Flyte's that say what its container is, and ours for the job."""

POD_ENVIRONMENT = "perian-shim-executor"
"""In place of the name under which an environment's image is looked up: the pod's is another."""

LOCAL = "perian-shim-local"
"""The organization of runs without a backend: nothing of them is deployed."""

SECRETS_FOLDER = Path("/etc/flyte/secrets")


@dataclass(kw_only=True)
class OnPerian(FlyteTask[P, R, F]):
    """A task whose job runs on Perian.

    Attributes:
        plugin_config: what to ask of Perian.
        job_image: the job's image.
        job_environment: name of the environment that it may have been built for.
        job_resources: what the job is to have.
        job_variables: its environment variables.
        job_secrets: secrets that it is given.
        put: what was put in the places of what the job's things were taken from, by field.
    """

    plugin_config: Any = None
    job_image: Any = None
    job_environment: str | None = None
    job_resources: Any = None
    job_variables: Any = None
    job_secrets: Any = None
    put: Any = field(default=None, repr=False)

    def take_over(self, check: Checker) -> None:
        """Take over what the task names for its job, and put the pod's things in its place.

        Raises:
            DefinitionError: something cannot be honoured.
        """
        config = self.plugin_config
        check.config(config)
        if self.reusable is not None:
            raise check.refusal("reusable", NOT_REUSABLE)
        check.pod_template(self.pod_template)
        before = self.put or {}
        for name, job_name in OF_THE_POD.items():
            if name not in before or getattr(self, name) is not before[name]:
                setattr(self, job_name, getattr(self, name))
                if name == "image":
                    self.job_environment = self.parent_env_name
        check.job_image(self.job_image)
        self.job_spec(check, "", ActionWork())
        self.put = {
            "image": executor_image(config),
            "resources": POD_RESOURCES,
            "env_vars": self.pod_variables(),
            "secrets": own_secrets(config, self.job_secrets),
        }
        for name, thing in self.put.items():
            setattr(self, name, thing)
        self.parent_env_name = POD_ENVIRONMENT

    def pod_variables(self) -> dict[str, str]:
        """Return the pod's variables: what is not said is registration's and the cluster's."""
        if self.max_inline_io_bytes == flyte.models.MAX_INLINE_IO_BYTES:
            return {}
        return {env.MAX_OUTPUT_BYTES: str(self.max_inline_io_bytes)}

    def checker(self) -> Checker:
        """Return what checks the task's arguments."""
        return Checker(self.name, type(self).__name__)

    def job_spec(self, check: Checker, image: str, work: Work) -> JobSpec:
        """Return the job's record.

        Args:
            check: makes errors that name the task.
            image: the job's image.
            work: what runs in it.

        Raises:
            DefinitionError: something cannot be honoured.
        """
        config, seconds = check.limits(self.plugin_config, self.timeout)
        config = check.completed(config, self.job_resources)
        check.requirements(config)
        check.detaching(config, seconds)
        variables = check.variables(self.job_variables)
        secrets = check.requested_secrets(self.job_secrets)
        order = tuple(self.native_interface.outputs)
        return JobSpec(config, image, work, variables, secrets, self.report, order)

    def seconds(self) -> int | None:
        """Return how long a job may run, None for ever."""
        return self.checker().limits(self.plugin_config, self.timeout)[1]

    def record(self, context: SerializationContext, image: str, work: Work) -> str:
        """Return the task as an argument of its pod's command."""
        spec = self.job_spec(self.checker(), image, work)
        template = TaskTemplate(type=task_pod.TASK_TYPE)
        template.id.name, template.id.version = self.name, context.version or ""
        template.interface.CopyFrom(sdk.typed_interface(self.native_interface))
        custom: Any = spec.to_custom()
        template.custom.update(custom)
        template.metadata.timeout.seconds = self.seconds() or 0
        if context.org != LOCAL and not task_pod.named_image(self.plugin_config):
            task_pod.warn_of_default_image(f"{type(self).__name__} {self.name!r}")
        return task_argument.encode(template)


def own_secrets(config: PerianConfig, requested: Any) -> list[flyte.Secret]:
    """Return the secrets of a pod: the user's, and those that it reads itself.

    A secret of ours is a variable where its group's name can be a part of one, else a file.
    """
    if requested is None:
        asked: list[Any] = []
    else:
        asked = [requested] if isinstance(requested, str | flyte.Secret) else [*requested]
    users = [flyte.Secret(key=each) if isinstance(each, str) else each for each in asked]
    known = {(secret.group, secret.key) for secret in users}
    group = config.secret_group
    own = [secret(group, key) for key in task_pod.SECRET_KEYS if (group, key) not in known]
    return [*users, *own]


def secret(group: str, key: str) -> flyte.Secret:
    """Return one secret of ours."""
    try:
        return flyte.Secret(key=key, group=group)
    except ValueError:
        return flyte.Secret(key=key, group=group, mount=SECRETS_FOLDER)


def in_job(environ: Mapping[str, str]) -> bool:
    """Whether this process runs in a job of ours."""
    return bool(environ.get(env.JOB_KEY))


def executor_image(config: PerianConfig) -> flyte.Image:
    """Return the pod's image."""
    return image(task_pod.named_image(config) or task_pod.DEFAULT_EXECUTOR_IMAGE)


@functools.cache
def image(reference: str) -> flyte.Image:
    """Return one object for a reference: an environment takes no tasks of several images."""
    return flyte.Image.from_base(reference)
