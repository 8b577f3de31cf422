"""What is known about a job, and how it is written down.

Times are UTC in ISO 8601 with offset; durations are seconds. A `JobRecord` never changes after the
job was accepted; a `JobState` is replaced as a whole at each change of status. Reading a file that
was not written by this version of the sandbox raises ``ValueError``.
"""

import base64
import binascii
import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TypeAlias

FORMAT_VERSION = 1

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class Status(str, enum.Enum):
    """The platform's job statuses. The sandbox itself never sets the last four."""

    QUEUED = "Queued"
    INITIALIZING = "Initializing"
    RUNNING = "Running"
    DONE = "Done"
    USER_ERROR = "UserError"
    SERVER_ERROR = "ServerError"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"
    MODEL_LOADING = "ModelLoading"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    UNDEFINED = "Undefined"


FINAL = frozenset(
    {Status.DONE, Status.USER_ERROR, Status.SERVER_ERROR, Status.TIMEOUT, Status.CANCELLED}
)


def timestamp() -> str:
    """Give the present time as it is written down."""
    return datetime.now(timezone.utc).isoformat()


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Attributes:
        status: its status.
        updated_at: when the status was set.
        started_at: when it began to run; None before.
        done_at: when it ended; None before.
        errors: why it failed; None while nothing failed.
    """

    status: Status
    updated_at: str
    started_at: str | None = None
    done_at: str | None = None
    errors: str | None = None

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self.status in FINAL

    def moved_to(self, status: Status, errors: str | None = None) -> "JobState":
        """Give the state after a change of status, now."""
        now = timestamp()
        return JobState(
            status=status,
            updated_at=now,
            started_at=now if status is Status.RUNNING else self.started_at,
            done_at=now if status in FINAL else None,
            errors=errors,
        )

    def to_json(self) -> dict[str, Json]:
        """Give the JSON object of the state file."""
        return {**asdict(self), "status": self.status.value}

    @classmethod
    def from_json(cls, value: Json) -> "JobState":
        """Read the JSON object of a state file."""
        fields = mapping(value)
        return cls(
            status=Status(text(fields, "status")),
            updated_at=text(fields, "updated_at"),
            started_at=optional_text(fields, "started_at"),
            done_at=optional_text(fields, "done_at"),
            errors=optional_text(fields, "errors"),
        )


@dataclass(frozen=True)
class ContainerFile:
    """A file that the job finds in its file system.

    Attributes:
        path: absolute path in the job.
        content: its bytes.
        read_only: whether the job may not change it.
    """

    path: str
    content: bytes
    read_only: bool = False

    def __repr__(self) -> str:
        return f"ContainerFile(path={self.path!r}, {len(self.content)} bytes)"

    def to_json(self) -> dict[str, Json]:
        """Give it in the API's form."""
        content = base64.b64encode(self.content).decode("ascii")
        return {"path": self.path, "base64_content": content, "read_only": self.read_only}

    @classmethod
    def from_json(cls, value: Json) -> "ContainerFile":
        """Read the API's form."""
        fields = mapping(value)
        try:
            content = base64.b64decode(text(fields, "base64_content"), validate=True)
        except binascii.Error as error:
            raise ValueError(f"base64_content is not base64: {error}") from error
        return cls(text(fields, "path"), content, bool(fields.get("read_only")))


@dataclass(frozen=True)
class Execution:
    """What the supervisor needs to run the job.

    Attributes:
        isolation: value of an `Isolation`.
        engine: path of the container engine, with container isolation.
        image: the full image reference.
        image_root: directory that is the image's root; None if the image is not known.
        pull_error: why the image cannot be had; None if it can.
        command: the command as one string, or None for the image's own.
        environment: the requested variables and secrets.
        files: files to put into the job's file system.
        timeout_seconds: longest run, counted from Running; None for no limit.
        queued_seconds: how long to stay Queued.
        initializing_seconds: how long to stay Initializing.
        grace_seconds: from SIGTERM to SIGKILL.
        rewrite_prefixes: directories that rewrite isolation maps into the job's folder.
        extra_path: directories that come before the default PATH.
        notice: the first line of the job's log, empty for none.
    """

    isolation: str
    image: str
    command: str | None
    engine: str | None = None
    image_root: str | None = None
    pull_error: str | None = None
    environment: Mapping[str, str] | None = None
    files: tuple[ContainerFile, ...] = ()
    timeout_seconds: float | None = None
    queued_seconds: float = 0.0
    initializing_seconds: float = 0.0
    grace_seconds: float = 2.0
    rewrite_prefixes: tuple[str, ...] = ()
    extra_path: tuple[str, ...] = ()
    notice: str = ""

    def __repr__(self) -> str:
        return f"Execution(isolation={self.isolation!r}, image={self.image!r}, …)"

    def to_json(self) -> dict[str, Json]:
        """Give the JSON object kept in the request file."""
        fields: dict[str, Json] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }
        fields["files"] = [file.to_json() for file in self.files]
        fields["environment"] = dict(self.environment or {})
        return fields

    @classmethod
    def from_json(cls, value: Json) -> "Execution":
        """Read the JSON object kept in the request file."""
        fields = mapping(value)
        timeout = fields.get("timeout_seconds")
        return cls(
            isolation=text(fields, "isolation"),
            image=text(fields, "image"),
            command=optional_text(fields, "command"),
            engine=optional_text(fields, "engine"),
            image_root=optional_text(fields, "image_root"),
            pull_error=optional_text(fields, "pull_error"),
            environment={
                name: text(mapping(fields["environment"]), name)
                for name in mapping(fields["environment"])
            },
            files=tuple(ContainerFile.from_json(file) for file in sequence(fields["files"])),
            timeout_seconds=None if timeout is None else number(fields, "timeout_seconds"),
            queued_seconds=number(fields, "queued_seconds"),
            initializing_seconds=number(fields, "initializing_seconds"),
            grace_seconds=number(fields, "grace_seconds"),
            rewrite_prefixes=tuple(str(item) for item in sequence(fields["rewrite_prefixes"])),
            extra_path=tuple(str(item) for item in sequence(fields["extra_path"])),
            notice=optional_text(fields, "notice") or "",
        )


@dataclass(frozen=True)
class JobRecord:
    """An accepted job.

    Attributes:
        job_id: a UUID.
        created_at: when it was accepted.
        order: grows with each job of a state directory.
        view: the parts of the API's job view that never change.
        execution: how to run it.
    """

    job_id: str
    created_at: str
    order: int
    view: Mapping[str, Json]
    execution: Execution

    def to_json(self) -> dict[str, Json]:
        """Give the JSON object of the request file."""
        return {
            "version": FORMAT_VERSION,
            "id": self.job_id,
            "created_at": self.created_at,
            "order": self.order,
            "view": dict(self.view),
            "execution": self.execution.to_json(),
        }

    @classmethod
    def from_json(cls, value: Json) -> "JobRecord":
        """Read the JSON object of a request file."""
        fields = mapping(value)
        if fields.get("version") != FORMAT_VERSION:
            raise ValueError(
                f"a job of format {fields.get('version')!r}; this sandbox reads {FORMAT_VERSION}"
            )
        return cls(
            job_id=text(fields, "id"),
            created_at=text(fields, "created_at"),
            order=int(number(fields, "order")),
            view=mapping(fields["view"]),
            execution=Execution.from_json(fields["execution"]),
        )


def mapping(value: Json) -> dict[str, Json]:
    """Give a JSON object, or raise ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")  # noqa: TRY004 - a bad file
    return value


def sequence(value: Json) -> list[Json]:
    """Give a JSON array, or raise ValueError."""
    if not isinstance(value, list):
        raise ValueError(f"expected an array, got {type(value).__name__}")  # noqa: TRY004 - a bad file
    return value


def text(fields: Mapping[str, Json], name: str) -> str:
    """Give the text in field ``name``, or raise ValueError."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text, got {type(value).__name__}")  # noqa: TRY004 - a bad file
    return value


def optional_text(fields: Mapping[str, Json], name: str) -> str | None:
    """Give the text in field ``name``, None if absent, or raise ValueError."""
    return None if fields.get(name) is None else text(fields, name)


def number(fields: Mapping[str, Json], name: str) -> float:
    """Give the number in field ``name``, or raise ValueError."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}: expected a number, got {type(value).__name__}")  # noqa: TRY004 - a bad file
    return value
