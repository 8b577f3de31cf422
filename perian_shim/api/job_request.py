"""What is sent to the Perian API: frozen records, checked when made, that know their JSON.

Units: memory and storage are in gigabytes, ``timeout_seconds`` in seconds counted by Perian from
the job's start, prices per hour in the currency of the offers. What is None is left out of the
JSON. A wrong value raises ``ValueError`` naming the field. ``repr`` shows no secrets, passwords,
environment values or file contents.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import PurePosixPath

JsonObject = dict[str, object]

# Up to API 0.2.8 an operator could only be EQUALS, INCLUDES or UNDEFINED, so no price limit could
# be expressed; 0.4.0 added LESS_THAN, LESS_THAN_OR_EQUAL, GREATER_THAN and GREATER_THAN_OR_EQUAL.
# QueryOptions only pages and orders. "At most" is therefore the operator of the price's own
# subquery. The query knows no granularity: the limit is compared with the catalogue's unit prices,
# which are per hour. Numbers of cores and the like carry no operator, as in the official connector:
# the API then reads them as "at least". Whoever must be sure of the limit compares ``Job.price``.
AT_MOST = "LESS_THAN_OR_EQUAL"


@dataclass(frozen=True)
class Requirements:
    """What a machine must have. All None: any machine.

    Attributes:
        cores: CPU cores.
        memory_gb: memory.
        accelerators: number of accelerators.
        accelerator_type: name of their kind, e.g. ``"A100"``.
        country_code: two letters.
        provider: the provider's short name.
        max_price_per_hour: upper limit of the machine's price.
    """

    cores: int | None = None
    memory_gb: Decimal | float | None = None
    accelerators: int | None = None
    accelerator_type: str | None = None
    country_code: str | None = None
    provider: str | None = None
    max_price_per_hour: Decimal | float | None = None

    def __post_init__(self) -> None:
        check_count("cores", self.cores, least=1)
        check_count("accelerators", self.accelerators, least=0)
        check_positive("memory_gb", self.memory_gb)
        check_positive("max_price_per_hour", self.max_price_per_hour)
        for name in ("accelerator_type", "country_code", "provider"):
            value = getattr(self, name)
            if value is not None:
                check_text(name, value)

    def to_json(self) -> JsonObject:
        """Return the API's ``InstanceTypeQuery``."""
        price = (
            None
            if self.max_price_per_hour is None
            else {"operator": AT_MOST, "unit_price": plain_number(self.max_price_per_hour)}
        )
        memory = None if self.memory_gb is None else plain_number(self.memory_gb)
        return filled(
            cpu=filled(cores=self.cores) or None,
            ram=filled(size=memory) or None,
            accelerator=filled(no=self.accelerators, name=self.accelerator_type) or None,
            region=filled(location=self.country_code) or None,
            provider=filled(name_short=self.provider) or None,
            price=price,
        )


@dataclass(frozen=True)
class ContainerFile:
    """A file put into the container before it starts.

    Attributes:
        path: absolute path in the container.
        content: its bytes.
        read_only: whether the container may not change it.
    """

    path: str
    content: bytes = field(repr=False)
    read_only: bool = False

    def __post_init__(self) -> None:
        check_text("container_files.path", self.path)
        if not self.path.startswith("/"):
            raise wrong("container_files.path", "an absolute path", self.path)

    def is_within(self, paths: Iterable[str]) -> bool:
        """Whether any of the paths is that of the file or of a directory above it."""
        above = {self.path, *map(str, PurePosixPath(self.path).parents)} - {"/"}
        return any(path.rstrip("/") in above for path in paths)

    def to_json(self) -> JsonObject:
        """Return the API's ``ContainerFile``."""
        return {
            "path": self.path,
            "read_only": self.read_only,
            "base64_content": base64.b64encode(self.content).decode("ascii"),
        }


@dataclass(frozen=True)
class DockerRun:
    """What runs.

    Attributes:
        image_name: image without tag.
        image_tag: tag, or what follows the last colon of a digest; joined by ``":"``.
        command: one command string, split by the platform as a shell would split words.
        env_variables: the container's environment.
        secrets: as ``env_variables``, but meant to be hidden by the platform.
        container_files: files put into the container.
    """

    image_name: str
    image_tag: str | None = None
    command: str | None = None
    env_variables: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    container_files: tuple[ContainerFile, ...] = ()

    def __post_init__(self) -> None:
        check_text("image_name", self.image_name)
        if self.image_tag is not None:
            check_text("image_tag", self.image_tag)
        for name in ("env_variables", "secrets"):
            values = getattr(self, name)
            check_variables(name, values)
            object.__setattr__(self, name, dict(values))  # a later change must not reach us
        object.__setattr__(self, "container_files", tuple(self.container_files))

    def to_json(self) -> JsonObject:
        """Return the API's ``DockerRunParameters``."""
        return filled(
            image_name=self.image_name,
            image_tag=self.image_tag,
            command=self.command,
            env_variables=dict(self.env_variables) or None,
            secrets=dict(self.secrets) or None,
            container_files=[file.to_json() for file in self.container_files] or None,
        )


@dataclass(frozen=True)
class RegistryCredentials:
    """How the platform may pull the image.

    Attributes:
        url: the registry.
        username: user there.
        password: the user's password or token.
    """

    url: str
    username: str = field(repr=False)
    password: str = field(repr=False)

    def to_json(self) -> JsonObject:
        """Return the API's ``DockerRegistryCredentials``."""
        return {"url": self.url, "username": self.username, "password": self.password}


@dataclass(frozen=True)
class CreateJobRequest:
    """The body of ``POST /job``. An instance type, requirements or both must be given.

    Attributes:
        docker: what runs.
        requirements: what the machine must have.
        instance_type_id: id of the machine to take.
        auto_failover_instance_type: whether another machine may be taken if that one is not to be
            had.
        timeout_seconds: limit of the run.
        os_storage_gb: size of the system disk; None: the platform's default.
        registry: how to pull the image, None for public ones.
    """

    docker: DockerRun
    requirements: Requirements | None = None
    instance_type_id: str | None = None
    auto_failover_instance_type: bool = True
    timeout_seconds: int | None = None
    os_storage_gb: int | None = None
    registry: RegistryCredentials | None = None

    def __post_init__(self) -> None:
        check_count("timeout_seconds", self.timeout_seconds, least=1)
        check_count("os_storage_gb", self.os_storage_gb, least=1)
        if self.instance_type_id is not None:
            check_text("instance_type_id", self.instance_type_id)
        elif self.requirements is None:
            raise wrong("requirements", "requirements or an instance_type_id", None)

    def to_json(self) -> JsonObject:
        """Return the API's ``CreateJobRequest``."""
        return filled(
            instance_type_id=self.instance_type_id,
            auto_failover_instance_type=self.auto_failover_instance_type,
            timeout_seconds=self.timeout_seconds,
            os_storage_config=filled(size=self.os_storage_gb) or None,
            requirements=None if self.requirements is None else self.requirements.to_json(),
            docker_run_parameters=self.docker.to_json(),
            docker_registry_credentials=None if self.registry is None else self.registry.to_json(),
        )

    def confidential(self) -> tuple[str, ...]:
        """Return the values that a server must not be able to put into our messages.

        A secret may be a file: one that a secret variable names, itself or a directory above it.
        Its content is confidential as it is and as the request carries it.
        """
        password = () if self.registry is None else (self.registry.password,)
        secrets = tuple(self.docker.secrets.values())
        files = [file for file in self.docker.container_files if file.is_within(secrets)]
        contents = (file.content.decode(errors="replace") for file in files)
        encoded = (base64.b64encode(file.content).decode("ascii") for file in files)
        return (*secrets, *password, *contents, *encoded)


def filled(**values: object) -> JsonObject:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def plain_number(value: Decimal | float) -> str:
    """Write a number without exponent or superfluous zeros: ``64``, ``0.5``."""
    return f"{Decimal(str(value)).normalize():f}"


def wrong(name: str, expected: str, given: object) -> ValueError:
    """Return the error for one field: its name, what was expected and what was given."""
    return ValueError(f"{name}: expected {expected}, got {given!r}")


def check_count(name: str, value: object, *, least: int) -> None:
    """Accept None or a whole number of at least ``least``."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise wrong(name, f"a whole number of at least {least}", value)


def check_positive(name: str, value: object) -> None:
    """Accept None or a finite number above zero."""
    if value is None:
        return
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(str(value))
        if number.is_finite() and number > 0:
            return
    raise wrong(name, "a finite number above 0", value)


def check_text(name: str, value: object) -> None:
    """Accept text that is not blank and has no NUL."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise wrong(name, "text that is not empty", value)


def check_variables(name: str, values: Mapping[str, object]) -> None:
    """Accept names and values that an environment can hold; values are never shown."""
    for key, value in values.items():
        if not key or "=" in key or "\0" in key:
            raise wrong(name, "names without '=' and NUL that are not empty", key)
        if not isinstance(value, str) or "\0" in value:
            message = f"{name}[{key!r}]: expected text without NUL, got {type(value).__name__}"
            raise ValueError(message)
