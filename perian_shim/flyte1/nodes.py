"""Nodes of Perian tasks: what ``with_overrides`` of one node may ask for.

flytekit puts a node's ``task_config`` into the task that all its nodes share, which is either
ignored (what has been serialized stays) or means every node. Here it makes a variant: a further
task, registered beside the first, that differs in its ``PerianConfig`` and does the same work. What
would change the small pod where the job is meant is refused, or warned of.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
from datetime import timedelta
from typing import Any

from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.node import Node
from flytekit.models.interface import TypedInterface
from typing_extensions import Self

from perian_shim.config import PerianConfig
from perian_shim.definition import notices
from perian_shim.definition.records import Resources, RetryStrategy, Timeout
from perian_shim.errors import DefinitionError
from perian_shim.flyte1.arguments import Checker

REFUSED = {
    "container_image": (
        "it would replace the image of the task's own pod, which has to be perian-shim's. Name that"
        " one with with_overrides(task_config=PerianConfig(executor_image=…)); for another image of"
        " the job define another task"
    ),
    "pod_template": "it would replace the task's own small pod; the job is no pod",
    "shared_memory": "it would concern the task's own small pod; Perian has no such setting",
    "accelerator": (
        "it would put the task's own small pod on a node with GPUs. Name the job's with"
        " with_overrides(task_config=PerianConfig(accelerator_type=…))"
    ),
}
PARAMETERS = tuple(
    name
    for name in inspect.signature(Node.with_overrides).parameters
    if name not in {"self", "args", "kwargs"}
)
RECORDS = {"timeout": Timeout, "retries": RetryStrategy, "cache": str, "resources": Resources}
RESOURCES = ("requests", "limits", "resources")


class PerianNode(Node):
    """A node of a task of ours."""

    def with_overrides(self, *args: Any, **kwargs: Any) -> Any:
        """Override what can be overridden for one node.

        Raises:
            DefinitionError: it would change something else than it seems to.
        """
        bound = inspect.signature(Node.with_overrides).bind(self, *args, **kwargs).arguments
        given: dict[str, Any] = dict(bound)
        task = self.flyte_entity
        if not isinstance(task, OnNodes):
            return super().with_overrides(*args, **kwargs)
        unknown = [*bound.get("kwargs", {})]
        if unknown:
            known = ", ".join(name for name in PARAMETERS if name not in REFUSED)
            raise task.wrong_node(
                f"with_overrides({unknown[0]}=…) would be ignored: a node can override {known}."
            )
        for name, kind in RECORDS.items():
            if isinstance(given.get(name), kind):
                raise task.wrong_node(
                    f"with_overrides({name}=…) takes what flytekit takes, not a"
                    f" {kind.__name__} of perian_shim."
                )
        for name, reason in REFUSED.items():
            if given.get(name) is not None:
                raise task.wrong_node(f"with_overrides({name}=…) is refused: {reason}.")
        told = [name for name in RESOURCES if given.get(name) is not None]
        if told and not task.RESOURCES_ARE_THE_PODS:
            notices.warn(
                f"{task.label}: with_overrides({told[0]}=…) concerns the task's own small pod, not"
                " the job; for the job's machine: with_overrides(task_config=PerianConfig(…))"
            )
        retries = given.get("retries")
        if retries is not None and not (type(retries) is int and retries >= 0):
            raise task.wrong_node(
                f"with_overrides(retries=…) takes a number from 0, got {retries!r}."
            )
        task.check_timeout(given.get("timeout"))
        config = given.get("task_config")
        if config is not None:
            self._flyte_entity = task.variant(config)
        ours = {"self", "args", "kwargs", "task_config"}
        rest = {name: value for name, value in given.items() if name not in ours}
        return super().with_overrides(**rest)


class OnNodes:
    """Mixin: a task whose nodes are ``PerianNode``."""

    RESOURCES_ARE_THE_PODS = False
    """Whether the task's ``requests`` and ``limits`` are its pod's, as a node's are."""

    name: str
    interface: TypedInterface
    metadata: Any

    @property
    def label(self) -> str:
        """How texts name the task."""
        return f"{type(self).__name__} {self.name!r}"

    @property
    def origin(self) -> Self:
        """The task of which this is a variant; itself if it is none."""
        origin: Self = self.__dict__.get("_origin", self)
        return origin

    @property
    def variants(self) -> tuple[Self, ...]:
        """The tasks that nodes with a ``task_config`` of their own made of it."""
        made: dict[str, Self] = self.__dict__.get("_variants", {})
        return tuple(made.values())

    @property
    def _task_config(self) -> PerianConfig:
        config: PerianConfig = self.__dict__["_own_config"]
        return config

    @_task_config.setter
    def _task_config(self, config: PerianConfig) -> None:
        # flytekit's with_overrides sets it, on the task that all nodes share.
        if self.__dict__.setdefault("_own_config", config) != config:
            message = (
                "this node's with_overrides(task_config=…) cannot be kept apart from the task's"
                " other nodes (a map task's, for example)."
            )
            raise self.wrong_node(message)

    def wrong_node(self, message: str) -> DefinitionError:
        """Return the error for an override."""
        remedy = (
            "Define a second task for it, a function of its own or a PerianContainerTask with"
            " another name."
        )
        return DefinitionError(f"{self.label}: {message}", remedy=remedy)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call the task within a workflow, or run it."""
        result = super().__call__(*args, **kwargs)  # type: ignore[misc]  # flytekit's, of the other base
        self.own_node()
        return result

    def own_node(self) -> None:
        """Let the overrides of the node that was just made, if one was, be ours."""
        state = FlyteContextManager.current_context().compilation_state
        node = state.nodes[-1] if state and state.nodes else None
        if type(node) is Node and node.flyte_entity is self:
            node.__class__ = PerianNode

    def check_timeout(self, timeout: object) -> None:
        """Warn of a node's timeout that the job does not get.

        Raises:
            DefinitionError: it is negative.
        """
        own = self.metadata.timeout
        seconds = timedelta(seconds=timeout) if isinstance(timeout, int) else timeout
        if isinstance(seconds, timedelta) and seconds < timedelta(0):
            raise self.wrong_node(f"with_overrides(timeout=…) takes no negative time: {timeout!r}.")
        if own and isinstance(seconds, timedelta) and seconds > own:
            notices.warn(
                f"{self.label}: with_overrides(timeout=…) is longer than the task's own timeout of"
                f" {own}, after which Perian ends the job; raise the task's own"
            )

    def variant(self, config: object) -> Self:
        """Return the task for a node that asks for another machine; the same one for equal configs.

        Raises:
            DefinitionError: the config cannot be honoured.
        """
        if self.origin is not self:
            return self.origin.variant(config)
        check = Checker(self.name, type(self).__name__)
        check.config(config)
        assert isinstance(config, PerianConfig)
        if config == self._task_config:
            return self
        if config.secret_group != self._task_config.secret_group:
            message = "task_config: secret_group cannot be overridden, the secrets are requested"
            raise check.wrong(message)
        what = json.dumps([config.to_json(), config.executor_image], sort_keys=True)
        digest = hashlib.sha256(what.encode()).hexdigest()[:8]
        variants: dict[str, Self] = self.__dict__.setdefault("_variants", {})
        if digest not in variants:
            made = copy.copy(self)
            made.__dict__ |= {
                "_own_config": config,
                "_origin": self,
                "_variants": {},
                "_name": f"{self.name}_{digest}",
            }
            made.become_variant()
            variants[digest] = made
        return variants[digest]

    def become_variant(self) -> None:
        """Adapt what a copy has of the task that it was copied from.

        Raises:
            DefinitionError: the config cannot be honoured.
        """

    def warn_of_variants(self) -> None:
        """Warn in a run without a backend, which knows no nodes."""
        if self.__dict__.get("_variants"):
            notices.warn(
                f"{self.label}: a run without a backend asks for the task's own task_config, not"
                " for that of a node's with_overrides(task_config=…)"
            )
