"""Whether anybody follows a job: found out by evidence, never by the lack of it.

A job whose pod was killed, and whose execution has ended, goes on until its limit, and is paid for.
Two witnesses can tell. The *launch records* of its piece of work, which lie in the object store,
say what its pods have done with it. *FlyteAdmin* says how its execution is. A job is an *orphan*
only if one of them shows that nobody will follow it any more:

* its end was reported to Flyte, or it was decided that it is to end, by the latest record: no pod
  ever takes such a job again;
* its execution has ended, a while ago: no pod of it comes any more. That a job was detached
  (``on_terminate="detach"``) changes nothing: it is left to the next attempt, and there is none. A
  recovered execution is another one, with jobs of its own;
* its execution is not known to FlyteAdmin (``gone``). That alone shows nothing: it may be another
  Flyte's. So it must be this one's by another sign, and no pod must write the job's record.

All else is *unknown*, and left alone. A run on somebody's own machine is no execution: only its
records can tell.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from perian_shim.api.errors import PerianError
from perian_shim.lifecycle.clock import Clock
from perian_shim.owners import JobOrigin
from perian_shim.remote.accounts import Account, account_of
from perian_shim.remote.flyte import Execution, Flyte, FlyteUnreachable
from perian_shim.remote.jobs import Job
from perian_shim.storage import ObjectStore, open_store

REPORTING_SECONDS = 300.0
"""For how long after the end of an execution its last pod may still be about to leave."""

SILENT_SECONDS = 700.0
"""A pod that follows a job writes its record every half minute, but not more often than it looks at
the job: every ten minutes if the log is so long that little else can be read."""

MOST_SIBLINGS = 5
"""So many executions are looked up to find out whether a place is this Flyte's."""


@dataclass(frozen=True)
class Follower:
    """Whether anybody follows a job.

    Attributes:
        kind: ``"orphan"`` if it is shown that nobody does, ``"followed"`` if there is somebody,
            ``"unknown"`` if neither can be told.
        why: the evidence, in words.
    """

    kind: Literal["orphan", "followed", "unknown"]
    why: str


@dataclass
class Witnesses:
    """Those who can tell whether a job is followed.

    Attributes:
        flyte: FlyteAdmin, None if none is configured.
        store_of: returns the store that holds a URI.
        clock: time.
        silence: for how many seconds a pod must have written nothing, if Flyte does not know its
            execution.
        told: called with what takes long.
        executions: what FlyteAdmin said, by project, domain and name.
        stores: those that have been opened, by bucket.
        failure: why FlyteAdmin cannot be asked.
        others: jobs that may show what is this Flyte's; read when they are needed.
    """

    flyte: Flyte | None
    store_of: Callable[[str], ObjectStore] = open_store
    clock: Clock = field(default_factory=Clock)
    silence: float = SILENT_SECONDS
    told: Callable[[str], None] = lambda _: None
    executions: dict[tuple[str, str, str], Execution | None] = field(
        default_factory=dict, init=False
    )
    stores: dict[str, ObjectStore] = field(default_factory=dict, init=False)
    failure: str = field(default="", init=False)
    others: Iterable[Job] = field(default=(), init=False)

    def followers(self, jobs: Iterable[Job], others: Iterable[Job] = ()) -> dict[str, Follower]:
        """Return for each live job of ours whether anybody follows it, by its id.

        Args:
            jobs: those that are asked about; jobs that have ended or are not ours are left out.
            others: more of the organization's jobs, which may show what is this Flyte's.
        """
        asked = {job.id: job for job in jobs}
        live = [job for job in asked.values() if not job.done() and job.origin is not None]
        self.others = others
        found: dict[str, Follower] = {}
        gone: dict[str, tuple[JobOrigin, Account]] = {}
        for job in live:
            origin = job.origin
            assert origin is not None
            account = self.account(job.id, origin)
            follower = self.follower(origin, account)
            if follower is None:
                follower = self.stranger(job, origin, account)
            if follower is None:
                gone[job.id] = (origin, account)
            else:
                found[job.id] = follower
        return {**found, **self.silent(gone)}

    def account(self, job_id: str, origin: JobOrigin) -> Account:
        """Return what the launch records tell."""
        if not origin.records:
            return Account(obstacle="it does not say where its launch records are")
        try:
            return account_of(job_id, origin.records, self.store(origin.records))
        except (PerianError, OSError) as error:
            reason = error.message if isinstance(error, PerianError) else str(error)
            return Account(obstacle=f"its launch records cannot be read: {reason}")

    def store(self, uri: str) -> ObjectStore:
        """Return the store that holds a URI; each is opened once."""
        scheme, _, rest = uri.partition("://")
        bucket = f"{scheme}://{rest.partition('/')[0]}"
        if bucket not in self.stores:
            self.stores[bucket] = self.store_of(uri)
        return self.stores[bucket]

    def follower(self, origin: JobOrigin, account: Account) -> Follower | None:
        """Return what records and execution show; None if FlyteAdmin does not know the latter."""
        if account.orphan:
            return Follower("orphan", account.orphan)
        if not (origin.project and origin.domain and origin.execution):
            why = "a run on somebody's own machine: nobody else knows whether it waits"
            return Follower("unknown", why)
        if self.flyte is None:
            return Follower("unknown", "no Flyte is configured here, as it is for pyflyte")
        try:
            execution = self.execution(self.flyte, origin)
            return None if execution is None else self.known(self.flyte, origin, execution)
        except FlyteUnreachable as error:
            return Follower("unknown", error.message)

    def known(self, flyte: Flyte, origin: JobOrigin, execution: Execution) -> Follower:
        """Return what an execution shows that FlyteAdmin knows.

        Executions of two Flytes may have one name, as ``nightly``: one that has ended must be the
        job's own, which the place of its files shows.

        Raises:
            FlyteUnreachable: FlyteAdmin gave no good answer.
        """
        named = f"execution {origin.execution} is {execution.phase}"
        if not execution.over:
            # A pod may be between two attempts: as long as the execution goes on, one may come.
            return Follower("followed", named)
        closed = execution.closed_at
        if closed is None or self.clock.now() - closed.timestamp() < REPORTING_SECONDS:
            return Follower("unknown", f"{named}, only just: its pod may be about to leave")
        if not self.has_place(flyte, origin):
            why = f"{named}, but does not keep its files where the job's are: another Flyte's?"
            return Follower("unknown", why)
        return Follower("orphan", named)

    def has_place(self, flyte: Flyte, origin: JobOrigin) -> bool:
        """Whether FlyteAdmin's execution of this name keeps its files where a job's pods do.

        Raises:
            FlyteUnreachable: FlyteAdmin gave no good answer.
        """
        root = root_of(origin)
        folder = f"{root}-{origin.execution}/"
        identity = (origin.project, origin.domain, origin.execution)
        return bool(root) and any(uri.startswith(folder) for uri in flyte.places(*identity))

    def execution(self, flyte: Flyte, origin: JobOrigin) -> Execution | None:
        """Return a job's execution; each is asked about once.

        Raises:
            FlyteUnreachable: FlyteAdmin gave no good answer, now or before.
        """
        if self.failure:
            raise FlyteUnreachable(self.failure)
        identity = (origin.project, origin.domain, origin.execution)
        if identity not in self.executions:
            try:
                self.executions[identity] = flyte.execution(*identity)
            except FlyteUnreachable as error:
                self.failure = error.message  # it is not waited for again and again
                raise
        return self.executions[identity]

    def stranger(self, job: Job, origin: JobOrigin, account: Account) -> Follower | None:
        """Return why nothing follows from an execution that is not known; None if something may.

        The sign that it was this Flyte's: FlyteAdmin knows an execution that keeps its files in the
        same place, of a job that is older. A Flyte that has taken the place of another one, in the
        same bucket, knows none of these.
        """
        unknown = f"Flyte knows no execution {origin.execution}"
        if account.mark is None:
            return Follower("unknown", f"{unknown}, and {account.obstacle}")
        if not account.current:
            return Follower("unknown", f"{unknown}, and its pod has not this job")
        if not self.is_this_flytes(job, origin):
            return Follower("unknown", f"{unknown}: it may be another Flyte's")
        return None

    def is_this_flytes(self, job: Job, origin: JobOrigin) -> bool:
        """Whether the configured Flyte knows an older execution that has its files there."""
        place, created = root_of(origin), job.created_at
        if self.flyte is None or not place or created is None:
            return False
        self.others = siblings = list(self.others)
        older: dict[str, JobOrigin] = {}
        for other in sorted(siblings, key=lambda each: moment(each.created_at), reverse=True):
            theirs = other.origin
            before = 0 < moment(other.created_at) < created.timestamp()
            if theirs is not None and before and root_of(theirs) == place:
                older.setdefault(theirs.execution, theirs)
        older.pop(origin.execution, None)
        try:
            return any(
                self.execution(self.flyte, each) and self.has_place(self.flyte, each)
                for each in list(older.values())[:MOST_SIBLINGS]
            )
        except FlyteUnreachable:
            return False

    def silent(self, gone: Mapping[str, tuple[JobOrigin, Account]]) -> dict[str, Follower]:
        """Watch the records of jobs whose executions are gone: a pod that follows one writes."""
        if not gone:
            return {}
        self.told(
            f"Flyte does not know the executions of {len(gone)} jobs: looking for"
            f" {self.silence:.0f} s whether a pod follows them all the same"
        )
        self.clock.sleep(self.silence)
        found = {}
        for job_id, (origin, before) in gone.items():
            after = self.account(job_id, origin)
            named = f"Flyte knows no execution {origin.execution} any more"
            if after.mark is None:
                found[job_id] = Follower("unknown", f"{named}, and {after.obstacle}")
            elif after.mark != before.mark:
                found[job_id] = Follower("followed", f"{named}, but a pod still writes its record")
            else:
                why = f"{named}, and no pod has written its record for {self.silence:.0f} s"
                found[job_id] = Follower("orphan", why)
        return found


def root_of(origin: JobOrigin) -> str:
    """Return where Flyte keeps the files of a job's executions, "" if that cannot be told."""
    own = f"/{origin.project}-{origin.domain}-{origin.execution}/"
    before, found, _ = origin.records.partition(own)
    return f"{before}/{origin.project}-{origin.domain}" if found and origin.execution else ""


def moment(when: datetime | None) -> float:
    """Return a time as seconds since the epoch, 0 if it is not known."""
    return when.timestamp() if when else 0.0


def followers(
    jobs: Iterable[Job],
    others: Iterable[Job] = (),
    *,
    flyte: Flyte | None = None,
    silence: float = SILENT_SECONDS,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Follower]:
    """Return for each live job of a Flyte task whether anybody follows it, by its id.

    Args:
        jobs: those that are asked about.
        others: more of the organization's jobs, ended ones too: see ``Witnesses.is_this_flytes``.
        flyte: FlyteAdmin; None: the one that pyflyte would use, if one is configured.
        silence: see ``Witnesses``.
        told: called with what takes long.
    """
    failure = ""
    try:
        flyte = flyte or Flyte.configured()
    except FlyteUnreachable as error:
        failure = error.message
    witnesses = Witnesses(flyte, silence=silence, told=told)
    witnesses.failure = failure
    return witnesses.followers(jobs, others)
