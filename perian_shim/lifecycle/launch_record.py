"""The launch record: what an attempt has done, kept in the object store for the next attempt.

One small JSON object per attempt, beside its checkpoints (Flyte tells an attempt where those of the
attempt before are, and nothing older, so every attempt carries on what it found). The checkpoint
folder itself is the user's: flytekit expects to find one file of theirs in it.

The record says first that a job is about to be submitted, then which job it is, then how it was
left. It never holds anything secret. A record that is missing, damaged or of another piece of work
reads as None: a warning, never a failure, because the list of jobs tells the same less quickly.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum

from flyteidl.core import errors_pb2, execution_pb2
from google.protobuf.message import DecodeError

from perian_shim.errors import StorageFailed, TaskError
from perian_shim.storage import ObjectStore, join_uri

RECORD_NAME = "launch.json"
VERSION = 1
MAX_RECORD_BYTES = 64 * 1024
MAX_REPORT_BYTES = 2 * 1024 * 1024


class Stage(str, Enum):
    """How far an attempt came."""

    INTENT = "intent"
    """A job is about to be submitted; it may or may not exist."""
    SUBMITTED = "submitted"
    """The job exists."""
    CANCELLING = "cancelling"
    """We are cancelling the job, or have cancelled it."""
    DETACHED = "detached"
    """The job goes on without us; the next attempt is to rejoin it."""
    REPORTED = "reported"
    """The job failed, and Flyte has been told: it is spent."""


@dataclass(frozen=True)
class LaunchRecord:
    """What is known of one piece of work's job.

    Attributes:
        key: the idempotency key.
        stage: how far it came.
        output: URI of the prefix below which the job leaves what it produced.
        first_intent: when the first job for this key was about to be submitted, in seconds since
            the epoch: no job of ours is older.
        job_id: Perian's id, None before it is known.
        spent: ids of jobs that have served: their failure was reported, or we cancelled them.
        losers: ids of jobs cancelled in favour of another: they count only if they were faster.
        log_length: how much of the job's log has been printed.
        log_digest: of that much of it, so that the place can be found again.
    """

    key: str
    stage: Stage
    output: str
    first_intent: float
    job_id: str | None = None
    spent: tuple[str, ...] = ()
    losers: tuple[str, ...] = ()
    log_length: int = 0
    log_digest: str = ""

    def __post_init__(self) -> None:
        texts = (self.key, self.output, self.log_digest, *self.spent, *self.losers)
        known = () if self.job_id is None else (self.job_id,)
        numbers = (self.first_intent, self.log_length)
        if not all(isinstance(value, str) for value in (*texts, *known)) or not all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in numbers
        ):
            message = "a field of the launch record has a wrong type"
            raise ValueError(message)

    def to_json(self) -> bytes:
        """Return the record as it is stored."""
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "LaunchRecord":
        """Read a stored record.

        Raises:
            ValueError: it is damaged, or a newer version's.
        """
        try:
            values = json.loads(content)
        except RecursionError as error:
            raise ValueError(str(error)) from error
        if not isinstance(values, dict) or values.pop("version", None) != VERSION:
            message = "no launch record of this version"
            raise ValueError(message)
        try:
            values["stage"] = Stage(values.get("stage"))
            for name in ("spent", "losers"):
                values[name] = tuple(values.get(name, ()))
            return cls(**values)
        except TypeError as error:
            raise ValueError(str(error)) from error


@dataclass
class Journal:
    """This attempt's record, and what the attempt before left.

    Attributes:
        store: the object store.
        prefix: URI of this attempt's own prefix.
        previous: URI of the prefix of the attempt before, None at the first.
        reports: URIs of what the attempts before may have told Flyte (``error.pb``).
        warn: prints a warning.
    """

    store: ObjectStore
    prefix: str
    previous: str | None
    warn: Callable[[str], None]
    reports: tuple[str, ...] = ()

    def before(self, key: str) -> LaunchRecord | None:
        """Return what the attempt before left about this piece of work."""
        if self.previous is None:
            return None
        uri = record_uri(self.previous)
        try:
            content = self.store.read(uri, MAX_RECORD_BYTES)
            record = None if content is None else LaunchRecord.from_json(content)
        except (StorageFailed, ValueError) as error:
            self.warn(f"{uri} cannot be read ({error}): looking for the job of the attempt before")
            return None
        return record if record is not None and record.key == key else None

    def told(self) -> tuple[str, ...]:
        """Return what attempts before told Flyte of how their jobs ended.

        For when the attempt before died so early that it left no record: then its own predecessor's
        is out of reach, and a failure must not be reported twice.
        """
        texts = []
        for uri in self.reports:
            try:
                content = self.store.read(uri, MAX_REPORT_BYTES)
            except StorageFailed as error:
                self.warn(f"{uri} cannot be read ({error})")
                continue
            text = told_of_a_job(content or b"")
            if text is not None:
                texts.append(text)
        return tuple(texts)

    def write(self, record: LaunchRecord) -> None:
        """Keep a record.

        Raises:
            StorageFailed: it cannot be written.
        """
        self.store.write(record_uri(self.prefix), record.to_json())


def record_uri(prefix: str) -> str:
    """Return where the record of an attempt is."""
    return join_uri(prefix, "_perian", RECORD_NAME)


def told_of_a_job(report: bytes) -> str | None:
    """Return the message of an ``error.pb`` about how a job ended, None if about another thing.

    After such a message the next attempt needs another job.
    """
    try:
        error = errors_pb2.ErrorDocument.FromString(report).error
    except DecodeError:
        return None
    users = error.origin == execution_pb2.ExecutionError.USER
    return str(error.message) if users or error.code in spending_codes() else None


def spending_codes() -> frozenset[str]:
    """Return the codes of the errors that are about how a job ended."""
    found: set[str] = set()
    todo: list[type[TaskError]] = [TaskError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.spends_job:
            found.add(kind.code)
    return frozenset(found)
