"""The launch records: what each attempt has done for a piece of work, kept in the object store.

Every pod owns one small JSON object in a folder of the node's own; only its pod writes it, every
later one reads it. The folder lies beside Flyte's own files of the node, outside of everything that
a job may write to. A record never holds anything secret.

The records answer three questions:

*Who has the job?* The latest record's owner: by attempt, then by generation (a pod that Flyte
starts again within an attempt), then by chance. A pod writes its record before it looks for jobs,
so an older pod that looks before it cancels sees that it has been superseded.

*How many jobs may there be?* ``asked`` counts the submissions of all attempts that may have taken
effect, and is written before each of them. While fewer jobs are known than were asked for, one may
exist that nobody has seen.

*Which jobs have served?* Those whose end Flyte was told of, those that lost against another one,
and those that we asked to end.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum

from perian_shim.errors import StorageFailed
from perian_shim.storage import ObjectStore, join_uri

VERSION = 2
MAX_RECORD_BYTES = 256 * 1024
MAX_READ = 64
"""So many of the latest records are read. Each one carries on what those before it said, unless its
pod died before it had read them."""

MAX_IDS = 200
"""So many ids of jobs that have served are kept, the latest ones."""

_NAME = re.compile(r"(\d+)-(\d+)-([0-9a-f]+)\.json")


class Stage(str, Enum):
    """How far a pod came."""

    LOOKING = "looking"
    """It has taken over and looks for a job; it has asked for none."""
    INTENT = "intent"
    """A job is about to be submitted; it may or may not exist."""
    SUBMITTED = "submitted"
    """The job exists, and the pod follows it or has left it to the next one."""
    CANCELLING = "cancelling"
    """The pod asks the job to end, or has done so."""
    REPORTING = "reporting"
    """Flyte is about to be told how the job ended."""
    REPORTED = "reported"
    """Flyte has been told: the job has served."""


@dataclass(frozen=True)
class LaunchRecord:
    """What one pod knows of the piece of work.

    Attributes:
        key: the idempotency key.
        stage: how far it came.
        asked: how many submissions of all attempts may have taken effect.
        job_id: Perian's id of the current job, None before it is known.
        output: URI of the prefix below which the current job leaves what it produces.
        reported: ids of jobs whose end Flyte was told of.
        losers: ids of jobs that another one was preferred to: they are to end.
        cancelled: ids of jobs that were asked to end because nobody was to wait for them.
        queued_seconds: how long the current job has been seen waiting for a machine.
        running_seconds: how long it has been seen running.
        unseen: how many attempts in a row gave up because they could not see the job.
        log_length: how much of the current job's log has been printed.
        log_digest: of that much of it, so that the place can be found again.
    """

    key: str
    stage: Stage = Stage.LOOKING
    asked: int = 0
    job_id: str | None = None
    output: str = ""
    reported: tuple[str, ...] = ()
    losers: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    queued_seconds: float = 0.0
    running_seconds: float = 0.0
    unseen: int = 0
    log_length: int = 0
    log_digest: str = ""

    @property
    def served(self) -> frozenset[str]:
        """Ids of all jobs that are known beside the current one."""
        return frozenset((*self.reported, *self.losers, *self.cancelled))

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
            if not isinstance(values, dict) or values.pop("version", None) != VERSION:
                message = "not a launch record of this version"
                raise ValueError(message)
            values["stage"] = Stage(values.get("stage"))
            for name in ("reported", "losers", "cancelled"):
                values[name] = tuple(values.get(name, ()))
            record = cls(**values)
        except (RecursionError, TypeError) as error:
            raise ValueError(str(error)) from error
        for each in fields(cls):
            check_type(each.name, getattr(record, each.name))
        return record


_NUMBERS = {"asked", "unseen", "log_length", "queued_seconds", "running_seconds"}


def check_type(name: str, value: object) -> None:
    """Raise ``ValueError`` if a field has not the type that it is declared with."""
    if name in _NUMBERS:
        good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    elif isinstance(value, tuple):
        good = all(isinstance(each, str) for each in value)
    else:
        good = isinstance(value, str) or (name == "job_id" and value is None)
    if not good:
        message = f"field {name} of the launch record has a wrong type"
        raise ValueError(message)


@dataclass(frozen=True, order=True)
class Owner:
    """A pod, in the order in which pods take over.

    Attributes:
        attempt: Flyte's number of its attempt, from 0.
        generation: how many pods of the same attempt it found when it started.
        pod: a random name.
    """

    attempt: int
    generation: int = 0
    pod: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def name(self) -> str:
        """The name of its record, which sorts as pods do."""
        return f"{self.attempt:06d}-{self.generation:06d}-{self.pod}.json"

    @classmethod
    def from_uri(cls, uri: str) -> "Owner | None":
        """Read the name of a record, None if it is something else."""
        match = _NAME.fullmatch(uri.rpartition("/")[2])
        return match and cls(int(match[1]), int(match[2]), match[3])


@dataclass
class LaunchRecords:
    """The records of one piece of work, and this pod's own among them: its only writer.

    Attributes:
        store: the object store; a call that fails is made again for as long as that may help.
        folder: URI of the folder that holds them.
        owner: this pod.
        record: this pod's own record as it was written last.
        report_of: returns the URI of what an attempt may have told Flyte, None if there is none.
        warn: prints a line.
        at_once: the object store for what must not wait; a call is made once.
        blind: whether what earlier pods have left is not known: it has not been read yet, or an
            attempt before left no record, because it died early or the record is lost.
        taken: whether the work has been taken over.
        saved: whether the record is in the store as it is here.
    """

    store: ObjectStore
    folder: str
    owner: Owner
    record: LaunchRecord
    report_of: Callable[[int], str | None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None
    at_once: ObjectStore | None = None
    blind: bool = field(default=True, init=False)
    taken: bool = field(default=False, init=False)
    saved: bool = field(default=False, init=False)

    def take_over(self, *, to_submit: bool = True) -> None:
        """Say durably that the work is this pod's now, then read what earlier pods have left.

        A first attempt most often is alone, and may submit at once: its record says so from the
        beginning, which saves it a second one.

        Args:
            to_submit: whether a job is to be submitted if there is none.

        Raises:
            StorageFailed: the store cannot be read or written; nothing has been done.
        """
        first = to_submit and self.owner.attempt == 0
        if first:
            self.record = replace(self.record, stage=Stage.INTENT, asked=1)
        elif self.record.stage is Stage.INTENT:  # a signal came before it knew that it is alone
            self.record = replace(self.record, stage=Stage.LOOKING, asked=0)
        self.write()
        others = self.owners()
        same = [each.generation for each in others if each.attempt == self.owner.attempt]
        if same:
            self.owner = replace(self.owner, generation=max(same) + 1)
        if others and first:
            self.write(stage=Stage.LOOKING, asked=0)
        elif same:
            self.write()
        self.inherit(others)
        self.taken = True

    def inherit(self, others: Iterable[Owner] | None = None) -> None:
        """Add what earlier pods have left to this pod's own knowledge, oldest first.

        Raises:
            StorageFailed: the records cannot be read.
        """
        earlier = sorted(
            each for each in (self.owners() if others is None else others) if each < self.owner
        )
        left = {each.attempt for each in earlier}
        missing = [n for n in range(self.owner.attempt) if n not in left]
        for each in earlier[-MAX_READ:]:
            record = self.read(each)
            if record is None:
                missing.append(each.attempt)
            else:
                self.record = self.merged(each, record)
        self.blind = bool(missing)

    def merged(self, owner: Owner, earlier: LaunchRecord) -> LaunchRecord:
        """Return this pod's record with what an earlier one says."""
        mine = self.record
        reported = [*mine.reported, *earlier.reported]
        cancelled = [*mine.cancelled, *earlier.cancelled]
        job_id = earlier.job_id
        if job_id is not None and self.was_told(owner, earlier):
            reported.append(job_id)
        elif job_id is not None and earlier.stage is Stage.CANCELLING:
            cancelled.append(job_id)
        merged = replace(
            mine,
            key=mine.key or earlier.key,
            asked=max(mine.asked, earlier.asked),
            reported=latest(reported),
            losers=latest([*mine.losers, *earlier.losers]),
            cancelled=latest(cancelled),
        )
        if job_id is None or mine.stage is not Stage.LOOKING:
            return merged
        return replace(
            merged,
            job_id=job_id,
            output=earlier.output,
            queued_seconds=earlier.queued_seconds,
            running_seconds=earlier.running_seconds,
            unseen=earlier.unseen,
            log_length=earlier.log_length,
            log_digest=earlier.log_digest,
        )

    def was_told(self, owner: Owner, record: LaunchRecord) -> bool:
        """Whether Flyte knows how the job of a record ended; the pod may have died in between."""
        if record.stage is not Stage.REPORTING:
            return record.stage is Stage.REPORTED
        report = self.report_of(owner.attempt)
        return report is not None and self.store.size(report) is not None

    def successor(self, *, at_once: bool = False) -> Owner | None:
        """Return the pod that has taken over from this one, None if it is the latest.

        Args:
            at_once: whether the store is asked only once.

        Raises:
            StorageFailed: the records cannot be listed.
        """
        newest = max(self.owners(at_once=at_once), default=None)
        return newest if newest and newest > self.owner else None

    def owners(self, *, at_once: bool = False) -> list[Owner]:
        """Return the other pods that have a record.

        Raises:
            StorageFailed: they cannot be listed.
        """
        store = (self.at_once if at_once else None) or self.store
        found = (Owner.from_uri(each.uri) for each in store.iter_objects(self.folder))
        return [each for each in found if each is not None and each.pod != self.owner.pod]

    def read(self, owner: Owner) -> LaunchRecord | None:
        """Return another pod's record, None if it cannot be understood or is about other work.

        Raises:
            StorageFailed: the store cannot be read.
        """
        uri = join_uri(self.folder, owner.name)
        content = self.store.read(uri, MAX_RECORD_BYTES)
        try:
            record = None if content is None else LaunchRecord.from_json(content)
        except ValueError as error:
            self.warn(f"{uri} cannot be read ({error}): looking for the job in Perian's list")
            return None
        # A pod that could not read its inputs does not know the key, and learns it here.
        return record if record and self.record.key in {"", record.key} else None

    def write(self, **changes: object) -> None:
        """Change this pod's record and keep it.

        Raises:
            StorageFailed: it could not be written.
        """
        self._write(self.store, changes)

    def _write(self, store: ObjectStore, changes: dict[str, object]) -> None:
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]  # checked by dataclasses
        self.saved = False
        store.write(join_uri(self.folder, self.owner.name), self.record.to_json())
        self.saved = True

    def keep(self, *, patient: bool = False, **changes: object) -> None:
        """Change this pod's record and keep it; a failure is only said, and mended by the next.

        Args:
            patient: whether an outage of the store is ridden out.
            changes: the fields that change.
        """
        try:
            self._write((None if patient else self.at_once) or self.store, changes)
        except StorageFailed as error:
            self.warn(f"the launch record was not kept: {error.message}")


def latest(ids: list[str]) -> tuple[str, ...]:
    """Return the ids, each once, the oldest ones dropped if there are very many."""
    return tuple(dict.fromkeys(ids))[-MAX_IDS:]
