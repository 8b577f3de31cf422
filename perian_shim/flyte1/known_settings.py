"""Which settings an environment has, and what is said of names that are none of them.

Flyte 2 has settings that cannot be honoured here, flytekit and ``PerianConfig`` have other names
for some of ours: each is answered with the reason, or with what to write.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from perian_shim.definition import official
from perian_shim.definition.checks import WrongType
from perian_shim.definition.reasons import NO_SHM, NOT_REUSABLE
from perian_shim.errors import DefinitionError
from perian_shim.pyflyte import explained
from perian_shim.settings import MAX_OUTPUT_BYTES

E = TypeVar("E")

REFUSED = {
    "reusable": NOT_REUSABLE,
    "queue": "Flyte 1 has no queues of tasks; an execution's queue is chosen when it is launched",
    "triggers": "in Flyte 1 a launch plan has a schedule, and a task has none",
    "pod_template": "a job is no pod; pod_template_name= of a task is its small pod's",
    "depends_on": "flytekit registers whatever a workflow uses",
    "service_account": "a job has none; that of a task's pod is its execution's",
    "links": "flytekit's tasks have none; the deck (report=True) names the job and shows its logs",
    "plugin_config": "an environment is that; give its settings themselves",
    "include": "`pyflyte register --copy all` ships files beside the code",
    "shm": NO_SHM,
    "partition": "Perian rents whole GPUs",
    "short_name": "flytekit names a task by its module and function",
    "max_inline_io_bytes": f"it is a setting of the tasks' pods: {MAX_OUTPUT_BYTES}",
}
"""Settings of Flyte 2's environments and tasks that cannot be honoured, and why."""

INSTEAD: Mapping[str, str] = {
    "accelerator": "resources=Resources(gpu=…)",
    "accelerators": "resources=Resources(gpu=…)",
    "accelerator_type": "resources=Resources(gpu=…)",
    "cache_ignore_input_vars": "cache=flytekit.Cache(ignored_inputs=…)",
    "cache_serialize": "cache=flytekit.Cache(serialize=…)",
    "cache_version": "cache=flytekit.Cache(version=…)",
    "container_image": "image=",
    "cores": "resources=Resources(cpu=…)",
    "cpu": "resources=Resources(cpu=…)",
    "disk": "resources=Resources(disk=…)",
    "disable_deck": "report=",
    "enable_deck": "report=",
    "environment": "env_vars=",
    "gpu": "resources=Resources(gpu=…)",
    "limits": "resources=",
    "max_queued_time": "timeout=Timeout(max_queued_time=…)",
    "mem": "resources=Resources(mem=…)",
    "memory": "resources=Resources(mem=…)",
    "metadata": "its parts: retries=, timeout=, cache=, interruptible=",
    "os_storage_size": "resources=Resources(disk=…)",
    "requests": "resources=",
    "secret_requests": "secrets=",
    "task_config": "its fields themselves, such as country_code=",
}
"""Settings of flytekit's tasks and of ``PerianConfig`` that an environment has by other names."""


def checked(kind: type[E]) -> type[E]:
    """Have an environment's constructor say what it knows of names that are no settings."""
    made: Callable[..., None] = kind.__init__

    @explained
    @functools.wraps(made)
    def init(self: E, *args: Any, **given: Any) -> None:
        name = args[0] if args else given.get("name", "")
        expect_known(name, given, ["name", *settings_of(kind)])
        made(self, *args, **given)

    kind.__init__ = init  # type: ignore[method-assign,assignment]  # the same, with better errors
    return kind


def settings_of(kind: Any) -> list[str]:
    """Return the names of an environment's settings."""
    return [field.name for field in fields(kind) if field.name != "name"]


def expect_known(environment: object, given: Mapping[str, Any], known: Collection[str]) -> None:
    """Expect settings that there are.

    Raises:
        DefinitionError: one cannot be honoured.
        WrongType: there is no such setting.
    """
    where = f"PerianEnvironment {environment!r}"
    if told := official.wrong_settings(given):
        raise WrongType(f"{where}: {told}")
    for key in given:
        if key in known:
            continue
        if key in REFUSED:
            raise DefinitionError(f"{where}: {key}: cannot be honoured: {REFUSED[key]}.")
        if key in INSTEAD:
            raise WrongType(
                f"{where}: {key} is not a setting of environments: write {INSTEAD[key]}."
            )
        near = difflib.get_close_matches(key, known, n=1)
        there = ", ".join(dict.fromkeys(each for each in known if each not in REFUSED))
        meant = f"did you mean {near[0]!r}?" if near else f"there are {there}."
        raise WrongType(f"{where}: unknown setting {key!r}; {meant}")
