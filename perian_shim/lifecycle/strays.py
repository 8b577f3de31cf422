"""Finding and ending strays: jobs with our key beside the one that is followed.

A stray comes from a submission whose answer was lost, or from another pod of the same node. Two
facts make it hard. A listing may lag behind, so *absence is never proof*: what a look has not shown
may still be there. And a cancellation may come too early for a new job, so *an answer is never
proof* either: a job is asked to end again and again until it is seen ended.

There is a doubt while more submissions may have taken effect than jobs are known, or while what an
attempt before has left is not known. It is over when the jobs have been found, or when the listing
has shown a job that is newer than the submission in doubt: a list that knows the newer job would
know the older one.

Before anything is ended, two things are made sure of: the record says durably that it was us, and
no later pod has taken over. A pod that has been superseded ends nothing.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from perian_shim.api.jobs import Job
from perian_shim.errors import ApiUnavailable, StorageFailed, Superseded
from perian_shim.lifecycle.adoption import Decision, decide, hidden
from perian_shim.lifecycle.jobs import Jobs, Scan
from perian_shim.lifecycle.launch_record import LaunchRecords, latest

ASK_AGAIN_SECONDS = 2.0
"""How often a job is asked to end that goes on."""


@dataclass
class Ending:
    """A job that is to end.

    Attributes:
        since: when it was first asked.
        asked: when it was asked last.
    """

    since: float
    asked: float


@dataclass
class Strays:
    """The jobs of one piece of work, beside the one that is followed.

    Attributes:
        jobs: the API.
        records: the launch records.
        ending: the jobs that are to end, by id.
        found: every job with our key that has been seen, as it was seen last.
        sent: when a submission was sent last that got no answer, None if all were answered.
        doubted: since when there is a doubt, None while there is none.
        looked: when the list was looked through last.
        probe: id of a job that is newer than whatever is in doubt.
        shown: whether the list has shown the probe.
    """

    jobs: Jobs
    records: LaunchRecords
    ending: dict[str, Ending] = field(default_factory=dict, init=False)
    found: dict[str, Job] = field(default_factory=dict, init=False)
    sent: float | None = field(default=None, init=False)
    doubted: float | None = field(default=None, init=False)
    looked: float = field(default=float("-inf"), init=False)
    probe: str | None = field(default=None, init=False)
    shown: bool = field(default=False, init=False)

    @property
    def now(self) -> float:
        """The time, in seconds since some moment."""
        return self.jobs.retrier.clock.monotonic()

    @property
    def in_doubt(self) -> bool:
        """Whether a job may exist that nobody has seen."""
        if self.records.blind or hidden(self.records.record, self.found):
            self.doubted = self.now if self.doubted is None else self.doubted
        else:
            self.doubted = None
        return self.doubted is not None

    @property
    def doubt_age(self) -> float:
        """How long ago the last thing in doubt was sent, or the doubt began."""
        since = self.doubted if self.sent is None else self.sent
        return 0.0 if since is None else self.now - since

    def unanswered(self) -> None:
        """Note that a submission got no answer: it may take effect, and may do so late."""
        self.sent, self.probe, self.shown = self.now, None, False

    def answered(self, job_id: str) -> None:
        """Note a job that has just been submitted: it is newer than whatever is in doubt."""
        self.probe, self.shown = job_id, False

    def look(self, followed: Job | None = None, *, seconds: float | None = None) -> Scan:
        """Look through the list and note what it shows.

        Args:
            followed: the job that is followed; what is much older need not be listed.
            seconds: how long it may take, None for the policy's bound.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        created = followed.created_at if followed else None
        since = created and created - timedelta(seconds=self.jobs.looks.margin)
        scan = self.jobs.scan(self.records.record.key, since=since, seconds=seconds)
        self.looked = self.now
        self.note(*scan.jobs)
        self.shown = self.shown or self.probe in scan.listed
        return scan

    def note(self, *jobs: Job) -> None:
        """Note how jobs with our key are. One that has ended has, whatever an old answer says."""
        for job in jobs:
            before = self.found.get(job.id)
            if before is None or not before.phase.terminal:
                self.found[job.id] = job

    def refresh(self) -> None:
        """See how the jobs that were found are by now, as far as they can be seen."""
        seen = [self.jobs.peek(job.id) for job in self.found.values() if not job.phase.terminal]
        self.note(*(job for job in seen if job is not None))

    def settled(self) -> None:
        """Note that no job is hidden."""
        current = self.records.record.job_id
        known = {*self.records.record.served, *self.found, *([current] if current else [])}
        self.records.blind = False
        if self.records.record.asked > len(known):
            self.records.keep(asked=len(known))

    def choose(self) -> Decision:
        """Decide which of the jobs that were found it is, and begin to end the others.

        Raises:
            Superseded: a later pod has the work; nothing was ended.
        """
        records = self.records
        decision = decide(self.found.values(), records.record, blind=records.blind)
        self.end([job.id for job in decision.end])
        return decision

    def resume(self, current: str | None = None) -> None:
        """See to it that what earlier pods have begun to end does end.

        Args:
            current: id of a job that goes on all the same.
        """
        record = self.records.record
        ended = {job.id for job in self.found.values() if job.phase.terminal}
        for job_id in {*record.losers, *record.cancelled} - {*record.reported, *ended, current}:
            self.ending.setdefault(job_id, Ending(self.now, float("-inf")))

    def end(self, job_ids: list[str]) -> None:
        """Begin to end jobs that must not go on; ``tick`` and ``finish`` see to it.

        Raises:
            Superseded: a later pod has the work; nothing was ended.
        """
        fresh = [job_id for job_id in job_ids if job_id not in self.ending]
        if not fresh:
            return
        before = self.records.record
        self.records.keep(losers=latest([*before.losers, *fresh]))
        try:
            refuse_when_superseded(self.records)
        except Superseded:
            self.records.record = before  # a later pod must not take it for true
            self.records.keep()
            raise
        for job_id in fresh:
            self.records.warn(f"job {job_id} is not needed: cancelling it")
            self.ending[job_id] = Ending(self.now, float("-inf"))
        self.press()

    def press(self) -> None:
        """Ask the jobs that are to end again, and see which have ended. Never fails."""
        for job_id, ending in list(self.ending.items()):
            if self.now - ending.asked < ASK_AGAIN_SECONDS:
                continue
            ending.asked = self.now
            job = self.jobs.ask_to_end(job_id)
            if job is not None:
                self.note(job)
            if job is not None and job.phase.terminal:
                self.records.warn(f"job {job_id}: {job.phase.value}")
                del self.ending[job_id]
            elif self.now - ending.since > self.jobs.looks.insist:
                self.records.warn(goes_on(job_id))
                del self.ending[job_id]

    def tick(self, followed: Job) -> Job | None:
        """While a job is followed: end what must end, and look again when it is time.

        Returns:
            Another job that is to be followed instead, None to go on.

        Raises:
            Superseded: a later pod has the work.
        """
        self.press()
        if not self.in_doubt:
            return None
        if self.doubt_age > self.jobs.looks.doubt and (self.shown or self.probe is None):
            self.settled()
            return None
        pause = self.jobs.looks.pause(self.doubt_age)
        if self.now - self.looked < pause:
            return None
        try:
            with self.jobs.retrier.bounded(pause):  # the followed job is not looked at meanwhile
                self.look(followed)
        except ApiUnavailable as error:
            self.looked = self.now
            self.records.warn(f"could not look for other jobs of the same work: {error.message}")
            return None
        self.note(followed)
        chosen = self.choose().adopt
        return chosen if chosen is not None and chosen.id != followed.id else None

    def finish(self, followed: Job | None) -> None:
        """At the end of a run: wait until no stray can be left, as long as that is bearable.

        Args:
            followed: the job that has ended, None if there is none.

        Raises:
            Superseded: a later pod has the work.
        """
        looks, began = self.jobs.looks, self.now
        deadline = began + looks.settle
        while self.in_doubt or self.ending:
            if self.in_doubt:
                refuse_when_superseded(self.records)
                try:
                    scan = self.look(followed, seconds=max(0.0, deadline - self.now))
                except ApiUnavailable as error:
                    self.records.warn(f"other jobs of this work may go on: {error.message}")
                    break
                ours = followed.id if followed else None
                self.end([job.id for job in scan.jobs if job.id != ours and not job.phase.terminal])
                if self.shown and self.doubt_age >= looks.late:
                    self.settled()
            self.press()
            if self.now >= deadline:
                break
            pause = looks.first[0] if self.ending else looks.pause(self.now - began)
            if self.in_doubt or self.ending:
                self.jobs.retrier.clock.sleep(min(pause, deadline - self.now))
        for job_id in self.ending:
            self.records.warn(goes_on(job_id))
        if self.in_doubt:
            key = self.records.record.key
            self.records.warn(
                "a job of this work may exist that could not be found; find it with: perian-shim"
                f" jobs --key {key}; end it with: perian-shim cancel --key {key}"
            )


def refuse_when_superseded(records: LaunchRecords) -> None:
    """Look before something is ended: a later pod may have taken over.

    A store that cannot be asked does not keep a job alive that costs money.

    Raises:
        Superseded: one has.
    """
    try:
        successor = records.successor(at_once=True)
    except StorageFailed as error:
        records.warn(f"whether a later attempt has the job is not known: {error.message}")
        return
    if successor is not None:
        raise Superseded(
            f"Attempt {successor.attempt} has taken over this work.", job_id=records.record.job_id
        )


def goes_on(job_id: str) -> str:
    """Return what is said of a job that does not end."""
    return f"job {job_id} was asked to end and goes on; end it with: perian-shim cancel {job_id}"
