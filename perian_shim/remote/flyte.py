"""FlyteAdmin, asked how executions are, configured as ``pyflyte`` is.

``FLYTECTL_CONFIG``, ``~/.flyte/config.yaml`` or ``FLYTE_PLATFORM_URL`` say where it is and how to
log in. flytekit is loaded only where one of them does, and when the first question is asked.
"""

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from perian_shim import settings
from perian_shim.api.errors import PerianError

ANSWER_SECONDS = 15.0
"""How long an answer may take."""

PLACES = ("FLYTECTL_CONFIG", "UCTL_CONFIG", "FLYTE_PLATFORM_URL")

FILES = ("flytekit.config", "~/.flyte/config", "~/.flyte/config.yaml")

MOST_NODES = 100
"""So many nodes of an execution are looked at."""

OVER = frozenset({"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"})


class FlyteUnreachable(PerianError):
    """FlyteAdmin gave no good answer."""

    code = "PERIAN:FlyteUnreachable"
    retryable = True
    remedy = "Check the configuration that pyflyte uses, and log in."


@dataclass(frozen=True)
class Execution:
    """An execution, as FlyteAdmin knows it.

    Attributes:
        phase: e.g. ``"RUNNING"``.
        closed_at: when it ended, None if it goes on or that is not said.
    """

    phase: str
    closed_at: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.phase in OVER


def is_configured() -> bool:
    """Whether anything says where FlyteAdmin is."""
    named = any(os.environ.get(name, "").strip() for name in PLACES)
    return named or any(Path(name).expanduser().exists() for name in FILES)


@dataclass
class Flyte:
    """One FlyteAdmin.

    Attributes:
        platform: flytekit's ``PlatformConfig``.
    """

    platform: Any
    _stub: Any = field(default=None, init=False, repr=False)

    @classmethod
    def configured(cls) -> "Flyte | None":
        """Return the one that pyflyte would use; None if none is configured or flytekit missing.

        Raises:
            FlyteUnreachable: the configuration cannot be read.
        """
        if not is_configured():
            return None
        try:
            from flytekit.configuration import PlatformConfig  # noqa: PLC0415 - takes a second
        except ImportError:
            return None
        try:
            return cls(PlatformConfig.auto())
        except Exception as error:  # of whatever reads it
            message = f"Flyte's configuration cannot be read: {error}"
            raise FlyteUnreachable(message) from error

    def execution(self, project: str, domain: str, name: str) -> Execution | None:
        """Return an execution, None if this FlyteAdmin knows none of this name.

        Raises:
            FlyteUnreachable: it gave no good answer.
        """
        from flyteidl.admin.execution_pb2 import WorkflowExecutionGetRequest  # noqa: PLC0415
        from flyteidl.core.execution_pb2 import WorkflowExecution  # noqa: PLC0415

        request = WorkflowExecutionGetRequest(id=identifier(project, domain, name))
        found = self.ask("GetExecution", request)
        if found is None:
            return None
        phase = WorkflowExecution.Phase.Name(found.closure.phase)
        return Execution(phase, closed_at(found.closure) if phase in OVER else None)

    def places(self, project: str, domain: str, name: str) -> list[str]:
        """Return URIs of files that nodes of an execution were given: where it keeps its files.

        Raises:
            FlyteUnreachable: it gave no good answer.
        """
        from flyteidl.admin.node_execution_pb2 import NodeExecutionListRequest  # noqa: PLC0415

        request = NodeExecutionListRequest(
            workflow_execution_id=identifier(project, domain, name), limit=MOST_NODES
        )
        found = self.ask("ListNodeExecutions", request)
        return [node.input_uri for node in found.node_executions if node.input_uri] if found else []

    def ask(self, method: str, request: Any) -> Any:
        """Make a call and return its answer, None if what it is about is not known.

        Raises:
            FlyteUnreachable: there was no good answer.
        """
        import grpc  # type: ignore[import-untyped]  # noqa: PLC0415 - comes with flytekit

        try:
            return getattr(self.stub(), method)(request, timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            said = f"{error.code().name}: {error.details()}"
            raise FlyteUnreachable(f"FlyteAdmin at {self.platform.endpoint}: {said}") from error
        except Exception as error:  # of whatever logs in
            message = f"FlyteAdmin at {self.platform.endpoint} cannot be asked: {error}"
            raise FlyteUnreachable(message) from error

    def stub(self) -> Any:
        """Return what calls it."""
        if self._stub is None:
            from flyteidl.service.admin_pb2_grpc import AdminServiceStub  # noqa: PLC0415
            from flytekit.clients.auth_helper import (  # noqa: PLC0415 - takes a second
                get_channel,
                upgrade_channel_to_authenticated,
                upgrade_channel_to_proxy_authenticated,
            )

            proxied = upgrade_channel_to_proxy_authenticated(
                self.platform, get_channel(self.platform)
            )
            channel = upgrade_channel_to_authenticated(self.platform, proxied)
            self._stub = AdminServiceStub(channel)  # type: ignore[no-untyped-call]  # flyteidl's
        return self._stub


def identifier(project: str, domain: str, name: str) -> Any:
    """Return an execution's identifier."""
    from flyteidl.core.identifier_pb2 import WorkflowExecutionIdentifier  # noqa: PLC0415

    return WorkflowExecutionIdentifier(project=project, domain=domain, name=name)


def closed_at(closure: Any) -> datetime | None:
    """Return when an execution ended, by FlyteAdmin's clock."""
    if closure.HasField("started_at") and closure.HasField("duration"):
        began: datetime = closure.started_at.ToDatetime(tzinfo=timezone.utc)
        lasted: timedelta = closure.duration.ToTimedelta()
        return began + lasted
    if closure.HasField("updated_at"):
        changed: datetime = closure.updated_at.ToDatetime(tzinfo=timezone.utc)
        return changed
    return None


def console() -> str:
    """Return the base URL of Flyte's console, "" if that is not known.

    ``PERIAN_FLYTE_CONSOLE`` says it, else pyflyte's configuration.
    """
    named = settings.text(settings.FLYTE_CONSOLE)
    if named:
        return named.rstrip("/")
    try:
        flyte = Flyte.configured()
    except FlyteUnreachable:
        return ""
    if flyte is None:
        return ""
    platform = flyte.platform
    scheme = "http" if platform.insecure else "https"
    return str(platform.console_endpoint or f"{scheme}://{platform.endpoint}").rstrip("/")


def link(base: str, project: str, domain: str, execution: str) -> str:
    """Return the URL of an execution in Flyte's console, "" if something of it is missing."""
    if not all((base, project, domain, execution)):
        return ""
    path = f"/console/projects/{project}/domains/{domain}/executions/{execution}"
    return base.removesuffix("/console") + path
