"""``POST /job``: from the request's body to something that a supervisor can run.

Secrets and registry passwords are needed to run a job but are never shown again: the job's view has
asterisks in their place. Everything else of the run parameters is echoed, as on the platform.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from perian_shim.sandbox.records import ContainerFile, Execution, Json
from perian_shim.sandbox.server.catalogue import INSTANCE_TYPES, InstanceType
from perian_shim.sandbox.server.images import ImageCatalogue, full_reference
from perian_shim.sandbox.server.matching import InstanceQuery, read_instance_query
from perian_shim.sandbox.server.validation import Problem, Reader
from perian_shim.sandbox.server.views import price_view
from perian_shim.sandbox.supervisor.isolation import Isolation, IsolationChoice
from perian_shim.sandbox.supervisor.rewrite import DEFAULT_PREFIXES

MASK = "***"
DEFAULT_STORAGE_GB = 50


@dataclass(frozen=True)
class JobPolicy:
    """How this sandbox runs jobs; durations are seconds.

    Attributes:
        isolation: what keeps jobs apart.
        images: which images there are.
        queued_seconds: how long a job stays Queued.
        initializing_seconds: how long it then stays Initializing.
        grace_seconds: from SIGTERM to SIGKILL on cancellation and timeout.
        rewrite_prefixes: directories that are moved into the job's folder under rewrite isolation.
        extra_path: directories that come before the default PATH of jobs on this machine's root.
    """

    isolation: IsolationChoice
    images: ImageCatalogue = field(default_factory=ImageCatalogue)
    queued_seconds: float = 0.0
    initializing_seconds: float = 0.0
    grace_seconds: float = 2.0
    rewrite_prefixes: tuple[str, ...] = DEFAULT_PREFIXES
    extra_path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("queued_seconds", "initializing_seconds", "grace_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected seconds >= 0, got {getattr(self, name)!r}")
        for prefix in self.rewrite_prefixes:
            if not prefix.startswith("/") or not prefix.strip("/"):
                raise ValueError(f"rewrite_prefixes: expected absolute paths, got {prefix!r}")


@dataclass(frozen=True)
class Submission:
    """A valid request for a job.

    Attributes:
        instance_type_id: the instance type asked for, if one was.
        query: the requirements, if there were any.
        image: full image reference.
        command: one string, or None.
        environment: variables and secrets.
        files: container files.
        timeout_seconds: longest run, None for no limit.
        view: the parts of the job's view that follow from the request.
    """

    instance_type_id: str | None
    query: InstanceQuery | None
    image: str
    command: str | None
    environment: Mapping[str, str]
    files: tuple[ContainerFile, ...]
    timeout_seconds: int | None
    view: Mapping[str, Json]

    def offer(self) -> InstanceType | None:
        """Give the instance type that the job gets: the one asked for, or the cheapest fit."""
        if self.instance_type_id is not None:
            return next((item for item in INSTANCE_TYPES if item.id == self.instance_type_id), None)
        return next(iter(self.query.select()), None) if self.query is not None else None

    def execution(self, policy: JobPolicy) -> Execution:
        """Give what the supervisor needs."""
        root: str | None = None
        pull_error: str | None = None
        notice = ""
        if policy.isolation.mode is not Isolation.CONTAINER:
            try:
                root = str(policy.images.root(self.image))
                notice = policy.images.notice(self.image)
            except LookupError as error:
                pull_error = str(error)
        return Execution(
            isolation=policy.isolation.mode.value,
            engine=policy.isolation.engine,
            image=self.image,
            image_root=root,
            pull_error=pull_error,
            command=self.command,
            environment=self.environment,
            files=self.files,
            timeout_seconds=self.timeout_seconds,
            queued_seconds=policy.queued_seconds,
            initializing_seconds=policy.initializing_seconds,
            grace_seconds=policy.grace_seconds,
            rewrite_prefixes=policy.rewrite_prefixes,
            extra_path=policy.extra_path if root == "/" else (),
            notice=notice,
        )

    def job_view(self, offer: InstanceType) -> dict[str, Json]:
        """Give the unchanging parts of the job's view."""
        return {**self.view, "price": price_view(offer)}


def read_submission(body: Json) -> Submission:
    """Read the body of ``POST /job``.

    Raises:
        InvalidRequest: it breaks the contract; names every place.
    """
    problems: list[Problem] = []
    reader = Reader(body, ("body",), problems)
    instance_type_id = reader.identifier("instance_type_id")
    timeout = reader.integer("timeout_seconds", at_least=1)
    failover = reader.boolean("auto_failover_instance_type")
    storage = reader.child("os_storage_config").integer("size", at_least=1)
    requirements = reader.child("requirements")
    query = read_instance_query(requirements) if reader.has("requirements") else None
    docker = reader.child("docker_run_parameters")
    name, tag, command = docker.text("image_name"), docker.text("image_tag"), docker.text("command")
    variables, secrets = docker.variables("env_variables"), docker.variables("secrets")
    files = tuple(read_file(item) for item in docker.items("container_files"))
    credentials = reader.child("docker_registry_credentials")
    url, username = credentials.text("url"), credentials.text("username")
    credentials.text("password")
    reader.check()
    parameters: dict[str, Json] = {
        "image_name": name or "",
        "image_tag": tag,
        "command": command,
        "env_variables": dict(docker.child("env_variables").fields),
        "secrets": dict.fromkeys(secrets, MASK),
        "container_files": [file.to_json() for file in files],
    }
    view: dict[str, Json] = {
        "docker_metadata": {
            "docker_run_parameters": parameters,
            "docker_registry_credentials": {
                "url": url or "",
                "username": username or "",
                "password": MASK if credentials.has("password") else "",
            },
        },
        "requirement_metadata": {
            "requirements": dict(requirements.fields),
            "os_storage_config": {"size": storage or DEFAULT_STORAGE_GB},
        },
        "runtime_metadata": {
            "instance_type_id": instance_type_id,
            "auto_failover_instance_type": bool(failover),
            "timeout_seconds": timeout,
        },
    }
    return Submission(
        instance_type_id=instance_type_id,
        query=query,
        image=full_reference(name or "", tag),
        command=command,
        environment={**variables, **secrets},
        files=files,
        timeout_seconds=timeout,
        view=view,
    )


def read_file(reader: Reader) -> ContainerFile:
    """Read one container file."""
    path = reader.text("path")
    if not reader.has("path"):
        reader.complain(("path",), "Field required", "missing")
    elif path is not None and (
        not path.startswith("/") or path.endswith("/") or "\0" in path or ".." in path.split("/")
    ):
        reader.complain(("path",), "Value error, not an absolute path of a file", "value_error")
    return ContainerFile(
        path or "", reader.content("base64_content"), bool(reader.boolean("read_only"))
    )
