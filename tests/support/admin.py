"""A FlyteAdmin stand-in: a gRPC server on flyteidl's own stubs, for flytekit's own client.

It keeps what is registered by FlyteAdmin's rules, records executions without running them and
signs upload URLs on a real S3. Real ``pyflyte`` processes reach it by `AdminServer.environment` or
`AdminServer.config`::

    with AdminServer(UploadStore.from_environment(sandbox.environment(), sandbox.bucket)) as admin:
        run_pyflyte(admin, folder, "register", ".")
        spec = admin.tasks[EntityId("flytesnacks", "development", "module.task", version)]

Types and bindings are not checked when a workflow is registered; what flytekit's registration and
launch do not call is ``UNIMPLEMENTED``. Closing it ends its threads and its connections.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import grpc  # type: ignore[import-untyped]  # its stubs are no dependency of ours
from flyteidl.admin import (
    launch_plan_pb2,
    project_pb2,
    task_pb2,
    version_pb2,
    workflow_pb2,
)
from flyteidl.service import (
    admin_pb2_grpc,
    auth_pb2,
    auth_pb2_grpc,
    dataproxy_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
)
from support.admin_answers import TOKEN_HEADER, Answer, Desk, Refused
from support.admin_entities import DOMAINS, EntityId
from support.admin_executions import Execution, Executions
from support.admin_registry import Registry
from support.admin_uploads import DataProxy, UploadStore
from support.flytekit_versions import OLDEST

__all__ = ["AdminServer", "EntityId", "Execution", "UploadStore", "run_pyflyte"]

PROJECT = "flytesnacks"
VERSION = "v1.16.8"
WORKERS = 8
PATIENCE_SECONDS = 120
EXECUTOR_IMAGE = "registry.example.org/executor:1"
"""What the machine of those who register names."""


class AdminServer:
    """Listens on a free port of the loopback interface while entered.

    Args:
        store: where uploads go.
        token: what clients must bring; None for a FlyteAdmin without authentication.
        projects: ids of the projects that exist.
    """

    def __init__(
        self,
        store: UploadStore,
        *,
        token: str | None = None,
        projects: tuple[str, ...] = (PROJECT,),
    ) -> None:
        self.projects = projects
        self._store = store
        self._desk = Desk(token)
        self._registry = Registry(projects)
        self._executions = Executions(self._registry)
        self._port = 0

    def __enter__(self) -> "AdminServer":  # noqa: PYI034 - Self needs Python 3.11
        self._proxy = DataProxy(self._store)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="admin")
        # Without SO_REUSEPORT a port is never shared with a server that somebody else started.
        self._server = grpc.server(self._workers, options=[("grpc.so_reuseport", 0)])
        self._add_services()
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server.stop(grace=None).wait(PATIENCE_SECONDS), "the server does not stop"
        self._workers.shutdown()
        self._proxy.close()

    @property
    def endpoint(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def tasks(self) -> dict[EntityId, task_pb2.TaskSpec]:
        """The registered tasks, in order."""
        return self._registry.tasks.specs

    @property
    def workflows(self) -> dict[EntityId, workflow_pb2.WorkflowSpec]:
        """The registered workflows, in order."""
        return self._registry.workflows.specs

    @property
    def launch_plans(self) -> dict[EntityId, launch_plan_pb2.LaunchPlanSpec]:
        """The registered launch plans, in order; default inputs completed as FlyteAdmin does."""
        return self._registry.launch_plans.specs

    @property
    def executions(self) -> dict[str, Execution]:
        """The executions that were created, by name, in order."""
        return dict(self._executions.by_name)

    @property
    def history(self) -> Executions:
        """All executions: what a test says has run is put here."""
        return self._executions

    @property
    def uploads(self) -> list[str]:
        """The ``s3://`` URLs given out for uploads, in order."""
        return list(self._proxy.uploads)

    @property
    def calls(self) -> list[str]:
        """Names of the gRPC methods that were called, in order."""
        return list(self._desk.calls)

    def environment(self) -> dict[str, str]:
        """Return the variables with which flytekit finds this server."""
        variables = {"FLYTE_PLATFORM_URL": self.endpoint, "FLYTE_PLATFORM_INSECURE": "true"}
        if self._desk.token is not None:
            variables["FLYTE_CREDENTIALS_AUTH_MODE"] = "ExternalCommand"
            variables["FLYTE_CREDENTIALS_COMMAND"] = f"echo,{self._desk.token}"
        return variables

    def config(self, folder: Path) -> Path:
        """Write the configuration file with which flytekit and flytectl find this server."""
        settings: dict[str, object] = {"endpoint": f"dns:///{self.endpoint}", "insecure": True}
        if self._desk.token is not None:
            settings["authType"] = "ExternalCommand"
            settings["command"] = ["echo", self._desk.token]
        path = folder / "flyte.yaml"
        path.write_text(json.dumps({"admin": settings}))  # JSON is YAML
        return path

    def _add_services(self) -> None:
        about_itself: dict[str, Answer] = {
            "GetVersion": lambda _: version_pb2.GetVersionResponse(
                control_plane_version=version_pb2.Version(Version=VERSION)
            ),
            "GetProject": self._project,
            "ListProjects": lambda _: project_pb2.Projects(
                projects=[project(name) for name in self.projects]
            ),
            "GetDomains": lambda _: project_pb2.GetDomainsResponse(domains=domains()),
        }
        self._serve(
            admin_pb2_grpc.add_AdminServiceServicer_to_server,
            admin_pb2_grpc.AdminServiceServicer(),
            {**self._registry.answers(), **self._executions.answers(), **about_itself},
        )
        self._serve(
            dataproxy_pb2_grpc.add_DataProxyServiceServicer_to_server,
            dataproxy_pb2_grpc.DataProxyServiceServicer(),
            self._proxy.answers(),
        )
        if self._desk.token is not None:  # without authentication FlyteAdmin has not these two
            self._serve(
                auth_pb2_grpc.add_AuthMetadataServiceServicer_to_server,
                auth_pb2_grpc.AuthMetadataServiceServicer(),
                {
                    "GetOAuth2Metadata": lambda _: auth_pb2.OAuth2MetadataResponse(),
                    "GetPublicClientConfig": lambda _: auth_pb2.PublicClientAuthConfigResponse(
                        client_id="flytectl", authorization_metadata_key=TOKEN_HEADER
                    ),
                },
                public=True,
            )
            self._serve(
                identity_pb2_grpc.add_IdentityServiceServicer_to_server,
                identity_pb2_grpc.IdentityServiceServicer(),
                {"UserInfo": lambda _: identity_pb2.UserInfoResponse(subject="user", name="User")},
            )

    def _serve(
        self,
        add: Callable[..., object],
        servicer: object,
        answers: Mapping[str, Answer],
        *,
        public: bool = False,
    ) -> None:
        add(self._desk.staffed(servicer, answers, public=public), self._server)

    def _project(self, request: project_pb2.ProjectGetRequest) -> project_pb2.Project:
        if request.id not in self.projects:
            raise Refused("NOT_FOUND", f"project [{request.id}] not found")
        return project(request.id)


def project(name: str) -> project_pb2.Project:
    """Return a project, as FlyteAdmin shows it."""
    return project_pb2.Project(id=name, name=name, domains=domains())


def domains() -> list[project_pb2.Domain]:
    """Return the domains that every project has."""
    return [project_pb2.Domain(id=name, name=name) for name in DOMAINS]


def run_pyflyte(
    admin: AdminServer, folder: Path, *arguments: str, config: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run ``pyflyte`` in a folder as on a user's machine: no variables of this process, a new home.

    Args:
        admin: the server that it talks to.
        folder: working directory.
        arguments: of ``pyflyte``.
        config: configuration file to pass; without one the server is named by variables, or by a
            file after all if flytekit is too old to look at variables alone.

    Returns:
        The ended process, whatever its exit code, with its output and errors as one text.
    """
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as home:
        if config is None and OLDEST:
            config = admin.config(Path(home))
        options = [] if config is None else ["-c", str(config)]
        return subprocess.run(
            [str(binaries / "pyflyte"), *options, *arguments],
            cwd=folder,
            env={
                "PATH": os.pathsep.join([str(binaries), os.defpath]),
                "HOME": home,
                "COLUMNS": "200",
                "PERIAN_SHIM_IMAGE": EXECUTOR_IMAGE,
                **(admin.environment() if config is None else {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
