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
from dataclasses import asdict, dataclass, replace
from enum import Enum

from perian_shim.errors import StorageFailed
from perian_shim.storage import ObjectStore, join_uri

RECORD_NAME = "launch.json"
VERSION = 1
MAX_RECORD_BYTES = 64 * 1024


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
        log_length: how much of the job's log has been printed.
        log_digest: of that much of it, so that the place can be found again.
    """

    key: str
    stage: Stage
    output: str
    first_intent: float
    job_id: str | None = None
    spent: tuple[str, ...] = ()
    log_length: int = 0
    log_digest: str = ""

    def to_json(self) -> bytes:
        """Return the record as it is stored."""
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "LaunchRecord":
        """Read a stored record.

        Raises:
            ValueError: it is damaged, or a newer version's.
        """
        values = json.loads(content)
        if not isinstance(values, dict) or values.pop("version", None) != VERSION:
            message = "no launch record of this version"
            raise ValueError(message)
        try:
            record = cls(**values)
            return replace(
                record,
                stage=Stage(record.stage),
                first_intent=float(record.first_intent),
                spent=tuple(str(job_id) for job_id in record.spent),
            )
        except TypeError as error:
            raise ValueError(str(error)) from error


@dataclass
class Journal:
    """This attempt's record, and what the attempt before left.

    Attributes:
        store: the object store.
        prefix: URI of this attempt's own prefix.
        previous: URI of the prefix of the attempt before, None at the first.
        warn: prints a warning.
    """

    store: ObjectStore
    prefix: str
    previous: str | None
    warn: Callable[[str], None]

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

    def write(self, record: LaunchRecord) -> None:
        """Keep a record.

        Raises:
            StorageFailed: it cannot be written.
        """
        self.store.write(record_uri(self.prefix), record.to_json())


def record_uri(prefix: str) -> str:
    """Return where the record of an attempt is."""
    return join_uri(prefix, "_perian", RECORD_NAME)
