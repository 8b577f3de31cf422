"""``PerianEnvironment``: what tasks of flytekit share, in the terms of Flyte 2's environments.

It is a thin layer: an environment makes of its settings the arguments of flytekit's ``@task`` and
of ``PerianContainerTask``, and nothing else. A task's own arguments win over the environment's, a
node's ``with_overrides`` over both.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, cast, overload

import flytekit
from flytekit import Documentation, ImageSpec, Secret

from perian_shim.config import AUTO, CANCEL, DEFAULT_SECRET_GROUP, PerianConfig
from perian_shim.definition.checks import WrongType
from perian_shim.definition.records import Resources, RetryStrategy, Timeout
from perian_shim.errors import ConfigError, DefinitionError
from perian_shim.flyte1 import function_task  # noqa: F401 - registers the task of the config
from perian_shim.flyte1.arguments import Checker
from perian_shim.flyte1.container_task import PerianContainerTask
from perian_shim.flyte1.known_settings import (
    INSTEAD,
    REFUSED,
    checked,
    expect_known,
    settings_of,
)

P = ParamSpec("P")
T = TypeVar("T")

AUTO_CACHE, NO_CACHE = "auto", "disable"

CONFIG = (
    *("country_code", "provider", "max_price_per_hour", "instance_type_id", "on_terminate"),
    *("secret_group", "executor_image", "storage_access", "reads", "writes"),
    "allow_short_access",
)
"""Settings that are ``PerianConfig``'s own, by its names."""

OF_NODES = ("retries", "interruptible", "cache")
"""Settings that a node overrides by arguments of its own."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")

TYPES: Mapping[str, tuple[Any, str]] = {
    "image": (str | ImageSpec | None, "an image reference or an ImageSpec"),
    "resources": (Resources | None, "a perian_shim.Resources"),
    "env_vars": (Mapping | None, "a dict of texts"),
    "retries": (int | RetryStrategy, "a number or a RetryStrategy"),
    "timeout": (int | timedelta | Timeout | None, "seconds, a timedelta or a Timeout"),
    "interruptible": (bool | None, "True or False"),
    "report": (bool, "True or False"),
    "description": (str, "a text"),
}
"""What a setting may be, in code and in words; a config checks its own."""


@checked
@dataclass(frozen=True)
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
    _: KW_ONLY
    image: str | ImageSpec | None = None
    resources: Resources | None = None
    secrets: Sequence[Secret] = ()
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
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    allow_short_access: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise self.wrong_type("name", "a text", self.name)
        if not NAME.fullmatch(self.name):
            raise self.error("name: expected letters, digits and any of '_.-', a letter first")
        for key, (types, told) in TYPES.items():
            value = getattr(self, key)
            number = key in {"retries", "timeout"} and isinstance(value, bool)
            if number or not isinstance(value, types):
                raise self.wrong_type(key, told, value)
        self.check_secrets()
        object.__setattr__(self, "secrets", tuple(self.secrets))
        if self.env_vars is not None:  # whoever made it may go on changing the dict
            object.__setattr__(self, "env_vars", dict(self.env_vars))
        if isinstance(self.image, str):
            Checker(self.name, "PerianEnvironment").image(self.image)
        if isinstance(self.retries, int) and self.retries < 0:
            raise self.error(f"retries: expected 0 or more, got {self.retries}")
        self.check_cache()
        self.config()

    def check_secrets(self) -> None:
        """Expect several secrets of flytekit's."""
        secrets = self.secrets
        if isinstance(secrets, str | Secret) or not isinstance(secrets, Sequence):
            raise self.wrong_type("secrets", "a list of flytekit.Secret", secrets)
        for secret in secrets:
            if not isinstance(secret, Secret):
                raise self.wrong_type("secrets", "a list of flytekit.Secret", secret)

    def check_cache(self) -> None:
        """Expect a way to cache."""
        if self.cache in (AUTO_CACHE, NO_CACHE) or isinstance(self.cache, bool):
            return
        known = hasattr(self.cache, "version") and hasattr(self.cache, "serialize")
        if not known or isinstance(self.cache, type):
            told = f"{AUTO_CACHE!r}, {NO_CACHE!r} or a flytekit.Cache with a version"
            raise self.wrong_type("cache", told, self.cache)

    def error(self, what: str, kind: type[DefinitionError] = DefinitionError) -> DefinitionError:
        """Return the error that names the environment."""
        return kind(f"PerianEnvironment {self.name!r}: {what}")

    def wrong_type(self, key: str, expected: str, given: object) -> DefinitionError:
        """Return the error for a setting of a wrong type."""
        return self.error(f"{key}: expected {expected}, got {type(given).__name__}", WrongType)

    def clone_with(self, name: str, **settings: Any) -> PerianEnvironment:
        """Return an environment of another name that differs in these settings.

        What is not named is inherited; what is named replaces the whole, also a list or a dict. But
        a ``timeout`` that is no ``Timeout`` leaves the limit of the queue as it was.

        Raises:
            DefinitionError: a setting is wrong, or cannot be honoured.
        """
        own = {key: getattr(self, key) for key in settings_of(self)}
        timeout, queued = settings.get("timeout"), self.limits.max_queued_time
        if queued and isinstance(timeout, int | timedelta) and not isinstance(timeout, bool):
            settings = {**settings, "timeout": Timeout(timeout or None, queued)}
        return PerianEnvironment(name, **{**own, **settings})

    def config(self, **settings: Any) -> PerianConfig:
        """Return the ``PerianConfig`` of the environment's tasks.

        Args:
            settings: what differs, for one node: ``with_overrides(task_config=env.config(…))``.

        Raises:
            DefinitionError: a setting is wrong, or cannot be honoured.
        """
        if settings:
            return self.of_a_node(settings).config()
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
            kind = WrongType if isinstance(error, TypeError) else DefinitionError
            raise self.error(error.message.removeprefix("PerianConfig."), kind) from None

    def of_a_node(self, settings: Mapping[str, Any]) -> PerianEnvironment:
        """Return the environment as one node has it.

        Raises:
            DefinitionError: a setting is wrong, or is none that a ``PerianConfig`` can carry.
        """
        expect_known(self.name, settings, settings_of(self))
        for key in settings:
            if key in OF_NODES:
                raise self.error(f"config({key}=…) would be lost: write with_overrides({key}=…)")
            if key not in {*CONFIG, "resources", "timeout"}:
                raise self.error(f"config({key}=…) would be lost: define another task for it")
        timeout = settings.get("timeout")
        if timeout is not None and (not isinstance(timeout, Timeout) or timeout.max_runtime):
            message = (
                "config(timeout=…): expected Timeout(max_queued_time=…); how long a node may run"
                " is said by with_overrides(timeout=…)"
            )
            raise self.error(message)
        return self.clone_with(self.name, **settings)

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
            if not inspect.isfunction(function):
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

        if len(functions) > 1:
            raise self.error(f"task: expected one function, got {len(functions)}")
        return decorate(functions[0]) if functions else decorate

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
        if not isinstance(name, str):
            raise self.wrong_type("container_task: name", "a text", name)
        if not NAME.fullmatch(name):
            raise self.error(
                f"container_task: name: expected letters, digits and any of '_.-', got {name!r}"
            )
        own, theirs = self.split(settings, PerianContainerTask.__init__)
        env = self.clone_with(self.name, **own)
        if env.image is None:
            raise self.error(f"{name}: image: expected an image reference, got none")
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
        known = settings_of(self)
        theirs = inspect.signature(made_by).parameters
        others = {*theirs} - {*INSTEAD, *REFUSED, "self", "name", "_task_function", "kwargs"}
        expect_known(self.name, settings, [*known, *sorted(others)])
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
