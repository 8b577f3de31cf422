"""``PerianEnvironment``: what tasks of flytekit share, in the terms of Flyte 2's environments.

It is a thin layer: an environment makes of its settings the arguments of flytekit's ``@task`` and
of ``PerianContainerTask``, and nothing else. A task's own arguments win over the environment's, a
node's ``with_overrides`` over both.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, cast, overload

import flytekit
from flytekit import Documentation, ImageSpec, Secret

from perian_shim.config import AUTO, CANCEL, DEFAULT_SECRET_GROUP, PerianConfig
from perian_shim.definition import official
from perian_shim.definition.checks import WrongType
from perian_shim.definition.records import Resources, RetryStrategy, Timeout
from perian_shim.errors import ConfigError, DefinitionError
from perian_shim.flyte1 import function_task  # noqa: F401 - registers the task of the config
from perian_shim.flyte1.container_task import PerianContainerTask
from perian_shim.pyflyte import explained

P = ParamSpec("P")
T = TypeVar("T")

AUTO_CACHE, NO_CACHE = "auto", "disable"

REFUSED = {
    "reusable": "a job is one container that ends with its task; nothing is there to be reused",
    "queue": "Flyte 1 has no queues of tasks; an execution's queue is chosen when it is launched",
    "triggers": "in Flyte 1 a launch plan has a schedule, and a task has none",
    "pod_template": "a job is no pod; pod_template_name= of a task is its small pod's",
    "depends_on": "flytekit registers whatever a workflow uses",
    "service_account": "a job has none; that of a task's pod is its execution's",
    "links": "flytekit takes them in each task's own decorator",
    "plugin_config": "an environment is that; give its settings themselves",
    "include": "`pyflyte register --copy all` ships files beside the code",
    "shm": "Perian has no such setting",
    "partition": "Perian rents whole GPUs",
    "short_name": "flytekit names a task by its module and function",
    "max_inline_io_bytes": "it is a setting of the platform: PERIAN_SHIM_MAX_OUTPUT_BYTES",
}
"""Settings of Flyte 2's environments and tasks that cannot be honoured, and why."""

CONFIG = (
    *("country_code", "provider", "max_price_per_hour", "instance_type_id", "on_terminate"),
    *("secret_group", "executor_image", "storage_access", "reads", "writes"),
    "allow_short_access",
)
"""Settings that are ``PerianConfig``'s own, by its names."""


COVERED = {
    *("task_config", "container_image", "environment", "secret_requests", "requests", "limits"),
    *("enable_deck", "cache_version", "metadata", "self", "name"),
}
"""Arguments of tasks that an environment gives by settings of its own."""


@dataclass(frozen=True, init=False)
class PerianEnvironment:
    """Settings that tasks on Perian share.

    ``country_code``, ``provider``, ``max_price_per_hour``, ``instance_type_id``, ``on_terminate``,
    ``secret_group``, ``executor_image``, ``storage_access``, ``reads``, ``writes`` and
    ``allow_short_access`` are ``PerianConfig``'s.

    Attributes:
        name: of the environment; container tasks are called ``<environment>.<name>``.
        image: the jobs' image; a function task without one has that of the registration.
        resources: what the machine must have, at least.
        secrets: Flyte secrets that the jobs get.
        env_vars: environment variables of the jobs.
        cache: ``"auto"`` caches under a version made of a function's source, or of what a container
            does; ``"disable"``; or a ``flytekit.Cache`` with a version.
        retries: how often a failed job is repeated.
        timeout: limits of an attempt: seconds, a timedelta or a ``Timeout``.
        interruptible: whether the tasks' own pods may run on preemptible nodes.
        report: whether Flyte's console shows how a job fares.
        description: what the environment is for; documents tasks that have no docstring.

    Raises:
        DefinitionError: a setting is wrong, or cannot be honoured; a wrong type and an unknown
            name are a ``TypeError`` as well.
    """

    name: str
    image: str | ImageSpec | None = None
    resources: Resources | None = None
    secrets: tuple[Secret, ...] = ()
    env_vars: Mapping[str, str] | None = None
    cache: Any = NO_CACHE
    retries: int | RetryStrategy = 0
    timeout: int | timedelta | Timeout | None = None
    interruptible: bool | None = None
    report: bool = False
    description: str = ""
    country_code: str | None = None
    provider: str | None = None
    max_price_per_hour: Any = None
    instance_type_id: str | None = None
    on_terminate: str = CANCEL
    secret_group: str = DEFAULT_SECRET_GROUP
    executor_image: str | None = None
    storage_access: str = AUTO
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    allow_short_access: bool = False

    @explained
    def __init__(self, name: str, **settings: Any) -> None:
        if not isinstance(name, str) or not name:
            raise self.wrong_type("name", "a text", name)
        object.__setattr__(self, "name", name)
        known = {field.name: field.default for field in fields(self) if field.name != "name"}
        self.expect_known(settings, known)
        for key, default in known.items():
            object.__setattr__(self, key, settings.get(key, default))
        self.check()

    def expect_known(self, settings: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        """Expect settings that there are.

        Raises:
            DefinitionError: one cannot be honoured.
            WrongType: there is no such setting.
        """
        if told := official.wrong_settings(settings):
            raise WrongType(f"PerianEnvironment {self.name!r}: {told}")
        for key in settings:
            if key in known:
                continue
            if key in REFUSED:
                raise self.wrong(f"{key}: cannot be honoured: {REFUSED[key]}")
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise WrongType(f"PerianEnvironment {self.name!r}: unknown setting {key!r}{meant}")

    def check(self) -> None:
        """Expect settings of the right types."""
        expected: dict[str, tuple[Any, str]] = {
            "image": (str | ImageSpec | None, "an image reference or an ImageSpec"),
            "resources": (Resources | None, "a perian_shim.Resources"),
            "env_vars": (Mapping | None, "a dict of texts"),
            "retries": (int | RetryStrategy, "a number or a RetryStrategy"),
            "timeout": (int | timedelta | Timeout | None, "seconds, a timedelta or a Timeout"),
            "interruptible": (bool | None, "True or False"),
            "report": (bool, "True or False"),
            "description": (str, "a text"),
        }
        for key, (types, told) in expected.items():
            value = getattr(self, key)
            number = key in {"retries", "timeout"} and isinstance(value, bool)
            if number or not isinstance(value, types):
                raise self.wrong_type(key, told, value)
        secrets = self.secrets
        if isinstance(secrets, str | Secret) or not isinstance(secrets, Sequence):
            raise self.wrong_type("secrets", "a list of flytekit.Secret", secrets)
        for secret in secrets:
            if not isinstance(secret, Secret):
                raise self.wrong_type("secrets", "a list of flytekit.Secret", secret)
        object.__setattr__(self, "secrets", tuple(secrets))
        if isinstance(self.retries, int) and self.retries < 0:
            raise self.wrong(f"retries: expected 0 or more, got {self.retries}")
        self.check_cache()
        self.config()

    def check_cache(self) -> None:
        """Expect a way to cache."""
        if self.cache in (AUTO_CACHE, NO_CACHE) or isinstance(self.cache, bool):
            return
        if not hasattr(self.cache, "version") or not hasattr(self.cache, "serialize"):
            told = f"{AUTO_CACHE!r}, {NO_CACHE!r} or a flytekit.Cache with a version"
            raise self.wrong_type("cache", told, self.cache)

    def wrong(self, what: str) -> DefinitionError:
        """Return the error that names the environment."""
        return DefinitionError(f"PerianEnvironment {self.name!r}: {what}")

    def wrong_type(self, key: str, expected: str, given: object) -> WrongType:
        """Return the error for a setting of a wrong type."""
        who = f"PerianEnvironment {getattr(self, 'name', '')!r}"
        return WrongType(f"{who}: {key}: expected {expected}, got {type(given).__name__}")

    def clone_with(self, name: str, **settings: Any) -> PerianEnvironment:
        """Return an environment of another name that differs in these settings.

        What is not named is inherited; what is named replaces the whole, also a list or a dict.

        Raises:
            DefinitionError: a setting is wrong, or cannot be honoured.
        """
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        del own["name"]
        return PerianEnvironment(name, **{**own, **settings})

    def config(self, **settings: Any) -> PerianConfig:
        """Return the ``PerianConfig`` of the environment's tasks.

        Args:
            settings: what differs, for one node: ``with_overrides(task_config=env.config(…))``.

        Raises:
            DefinitionError: a setting is wrong, or cannot be honoured.
        """
        if settings:
            return self.clone_with(self.name, **settings).config()
        resources, timeout = self.resources or Resources(), self.limits
        gpus = resources.gpus
        try:
            return PerianConfig(
                cores=resources.cores,
                memory=resources.memory,
                accelerators=gpus.count if gpus else None,
                accelerator_type=gpus.kind if gpus else None,
                os_storage_size=resources.os_storage_size,
                max_queued_time=timeout.max_queued_time,
                **{key: getattr(self, key) for key in CONFIG},
            )
        except ConfigError as error:
            raise self.wrong(error.message.removeprefix("PerianConfig.")) from None

    @property
    def limits(self) -> Timeout:
        """The limits of an attempt."""
        return self.timeout if isinstance(self.timeout, Timeout) else Timeout(self.timeout or None)

    @property
    def retry_count(self) -> int:
        """How often a failed job is repeated."""
        return self.retries.count if isinstance(self.retries, RetryStrategy) else self.retries

    @overload
    def task(self, function: Callable[P, T], /) -> Callable[P, T]: ...

    @overload
    def task(self, **settings: Any) -> Callable[[Callable[P, T]], Callable[P, T]]: ...

    def task(self, *functions: Any, **settings: Any) -> Any:
        """Make a function, ``async`` or not, a task on Perian.

        Args:
            functions: the function, if the decorator has no arguments.
            settings: the environment's settings, for this task; and the arguments of flytekit's
                ``@task`` that an environment does not have, such as ``docs`` or ``deprecated``.

        Raises:
            DefinitionError: a setting is wrong, or cannot be honoured.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            if not callable(function):
                raise self.wrong_type("task", "a function", function)
            own, theirs = self.split(settings, flytekit.task)
            env = self.clone_with(self.name, **own)
            arguments: dict[str, Any] = {
                "task_config": env.config(),
                "container_image": env.image,
                "environment": dict(env.env_vars or {}),
                "secret_requests": [*env.secrets],
                "retries": env.retry_count,
                "timeout": env.limits.max_runtime or 0,
                "interruptible": env.interruptible,
                **env.caching(lambda: source_version(function)),
                **({"enable_deck": True} if env.report else {}),
                **theirs,
            }
            if env.description and not function.__doc__ and "docs" not in theirs:
                arguments["docs"] = Documentation(short_description=env.description)
            made = flytekit.task(**arguments)(function)
            return cast("Callable[P, T]", made)

        return decorate(*functions) if functions else decorate

    def container_task(
        self,
        name: str,
        *,
        command: Sequence[str],
        inputs: Mapping[str, object] | None = None,
        outputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> PerianContainerTask:
        """Make a container a task on Perian.

        Args:
            name: the task is called ``<environment>.<name>``.
            command: argv of the container.
            inputs: names and Python types of the inputs.
            outputs: names and Python types of the outputs.
            settings: the environment's settings, for this task; and the arguments of
                ``PerianContainerTask`` that an environment does not have.

        Raises:
            DefinitionError: a setting is wrong, or cannot be honoured.
        """
        own, theirs = self.split(settings, PerianContainerTask.__init__)
        env = self.clone_with(self.name, **own)
        if env.image is None:
            raise self.wrong(f"{name}: image: expected an image reference, got none")
        if env.description and "docs" not in theirs:
            theirs = {**theirs, "docs": Documentation(short_description=env.description)}
        return PerianContainerTask(
            f"{self.name}.{name}",
            env.config(),
            env.image,
            command,
            inputs,
            outputs=outputs,
            environment=dict(env.env_vars or {}),
            secret_requests=env.secrets,
            retries=env.retry_count,
            timeout=env.limits.max_runtime,
            interruptible=env.interruptible,
            enable_deck=env.report,
            **env.caching(None),
            **theirs,
        )

    def split(
        self, settings: Mapping[str, Any], made_by: Callable[..., Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return those settings that are an environment's, and those of what makes the task.

        Raises:
            DefinitionError: one cannot be honoured.
            WrongType: there is no such setting.
        """
        known = {field.name: None for field in fields(self) if field.name != "name"}
        parameters = inspect.signature(made_by).parameters
        others = {key: None for key in parameters if key not in {*known, *COVERED, *REFUSED}}
        self.expect_known(settings, {**known, **others})
        own = {key: value for key, value in settings.items() if key in known}
        return own, {key: value for key, value in settings.items() if key not in known}

    def caching(self, version_of: Callable[[], str] | None) -> dict[str, Any]:
        """Return the arguments of a task about caching.

        Args:
            version_of: returns the version to use, None if the task derives it itself.
        """
        if self.cache in (NO_CACHE, False):
            return {}
        if self.cache not in (AUTO_CACHE, True):
            return {"cache": self.cache}
        return {"cache": True, **({"cache_version": version_of()} if version_of else {})}


def source_version(function: Callable[..., Any]) -> str:
    """Return a version of cached values that changes with a function's source."""
    source = textwrap.dedent(inspect.getsource(function))
    return hashlib.sha256(source.encode()).hexdigest()[:32]
