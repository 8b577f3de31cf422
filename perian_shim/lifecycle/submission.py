"""Getting exactly one live job for a piece of work: adopt, or submit so that nothing is doubled.

The API has neither idempotency keys nor names for jobs. What stands in for them: every job carries
its key in its environment, the list of jobs echoes it, and a record of the intent is kept before
the request is sent. An attempt first looks at what the attempt before recorded and at the list;
after a submission whose answer was lost it looks again, for a while, before it asks a second time;
after a submission it looks once more, because another pod of the same node may have been at the
same point: of two jobs the older one stays, whoever looks.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from perian_shim.api import ApiError, CreateJobRequest, Job, JobNotFound, PerianError
from perian_shim.api.phases import phase_of
from perian_shim.errors import ApiUnavailable, StorageFailed, SubmissionUnclear
from perian_shim.lifecycle.adoption import age_order, decide
from perian_shim.lifecycle.jobs import Lifecycle, ResourceMeta
from perian_shim.lifecycle.launch_record import Journal, LaunchRecord, Stage
from perian_shim.lifecycle.outage import Endurance
from perian_shim.settings import JOB_KEY, JOB_OUTPUT
from perian_shim.storage import join_uri

CLOCK_SLACK_SECONDS = 3600.0
"""How far the platform's clock and ours may differ when old jobs are left out of a search."""

LOOKS = (1.0, 2.0, 4.0, 8.0)
"""Pauses before looking for a job whose submission got no answer: it may appear late."""

LAST_WORDS = (0.0, 2.0, 4.0)
"""Pauses before looking at what another pod of the same node has to say of a cancelled job."""

RECHECKS = (60.0, 180.0, 600.0)
"""How long after a submission without an answer it is looked again for what came of it."""

ROUNDS = 3
"""How often a submission is sent when each time no job appears."""

T = TypeVar("T")

Warn = Callable[[str], None]
RequestFor = Callable[[str], CreateJobRequest]
"""Builds the request for a job that leaves what it produces below this URI."""


@dataclass
class Submission:
    """One attempt's way to its job.

    Attributes:
        lifecycle: the API's operations.
        journal: the launch records.
        key: the idempotency key.
        prefix: URI of the attempt's own prefix; each new job gets a place of its own in it.
        warn: prints a line.
        sleep: waits.
        now: seconds since the epoch.
        record: what this attempt has recorded.
        in_flight: whether a submission may have been sent whose answer is not known.
        doubtful: whether a job of ours may live beside the chosen one.
        unclear_at: when a submission got no answer last, in seconds since the epoch.
        rechecks: when to look again for what came of it, in seconds since the epoch.
        sent: how many jobs this attempt has asked for.
    """

    lifecycle: Lifecycle
    journal: Journal
    key: str
    prefix: str
    warn: Warn
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    record: LaunchRecord | None = field(default=None, init=False)
    in_flight: bool = field(default=False, init=False)
    doubtful: bool = field(default=False, init=False)
    unclear_at: float = field(default=float("-inf"), init=False)
    rechecks: tuple[float, ...] = field(default=(), init=False)
    sent: int = field(default=0, init=False)

    @property
    def output(self) -> str:
        """URI of the prefix below which the job asked for last leaves what it produces.

        Two jobs never share one: the second could be half way through replacing the first's.
        """
        return self.prefix if self.sent < 2 else join_uri(self.prefix, f"submission-{self.sent}")  # noqa: PLR2004 - the first one has the prefix to itself

    def adopt(self) -> Job | None:
        """Return the job of an attempt before that is to be followed or harvested, if any.

        Raises:
            ApiUnavailable: the list of jobs cannot be had, so submitting might double a job.
        """
        before = self.recall()
        told = self.journal.told()
        job = self.patiently(lambda: self.choose(self.record if before else None, told))
        if job is None and before is not None and before.job_id is None:
            self.warn("The attempt before may have asked for a job. Looking for it before asking.")
            self.doubt()
            self.unclear_at = self.now()
            job = self.look()
        if job is not None:
            same = before is not None and before.job_id == job.id
            self.take(job, before if same else None)
        return job

    def recall(self) -> LaunchRecord | None:
        """Go on from what the attempt before recorded, and return that."""
        before = self.journal.before(self.key)
        self.go_on_from(before)
        return before

    def go_on_from(self, before: LaunchRecord | None) -> None:
        """Make this attempt's record of what the attempt before recorded."""
        if before is None:
            # Nobody knows how old the jobs are that an attempt without a record may have left.
            self.record = LaunchRecord(self.key, Stage.INTENT, self.prefix, 0.0)
        elif before.stage is Stage.REPORTED and before.job_id is not None:
            spent = (*before.spent, before.job_id)
            self.record = replace(before, stage=Stage.INTENT, job_id=None, spent=spent)
        else:
            self.record = before

    def choose(self, record: LaunchRecord | None, told: Sequence[str] = ()) -> Job | None:
        """Look, decide which job it is, and end those that must not live beside it.

        Args:
            record: what is known of the jobs.
            told: what Flyte has been told of jobs that ended.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        assert self.record is not None
        decision = decide(self.find(record), record, told)
        spent = {*self.record.spent, *decision.spent}
        losers = {*(record or self.record).losers, *(job.id for job in decision.cancel)} - spent
        self.record = replace(self.record, spent=tuple(sorted(spent)), losers=tuple(sorted(losers)))
        if decision.cancel:
            self.keep()  # who follows one of them must be able to see that it was us
        self.end(decision.cancel)
        return decision.adopt

    def end(self, jobs: Iterable[Job]) -> None:
        """Cancel jobs that must not live beside the chosen one; never fails."""
        for job in jobs:
            self.warn(f"job {job.id} is not needed: cancelling it")
            try:
                self.lifecycle.delete(self.meta(job))
            except ApiError as error:
                self.doubtful = True
                self.warn(f"job {job.id} could not be cancelled: {error.message}")

    def take(self, job: Job, before: LaunchRecord | None = None) -> None:
        """Record that this is the job; ``before`` tells how far its log was printed."""
        assert self.record is not None
        self.record = replace(
            self.record,
            log_length=before.log_length if before else 0,
            log_digest=before.log_digest if before else "",
        )
        self.settled(job.id, job.env_variables.get(JOB_OUTPUT))

    def submit(self, request_for: RequestFor) -> ResourceMeta:
        """Submit a job, or find the one that a lost answer or another pod stands for.

        Args:
            request_for: builds the request, given where the job is to leave what it produces.

        Raises:
            JobRejected: Perian refused; another attempt would be refused as well.
            StorageFailed: the intent could not be recorded; nothing was submitted.
            SubmissionUnclear: no answer and no job, again and again.
            ApiUnavailable: nothing could be submitted.
        """
        known = self.record or LaunchRecord(self.key, Stage.INTENT, self.prefix, 0.0)
        self.sent += 1
        request = request_for(self.output)
        served = {known.job_id} - {None, *known.spent, *known.losers}
        self.record = replace(
            known,
            stage=Stage.INTENT,
            output=self.output,
            first_intent=known.first_intent or self.now(),
            job_id=None,
            losers=(*known.losers, *(job_id for job_id in served if job_id)),
            log_length=0,
            log_digest="",
        )
        self.journal.write(self.record)
        sent = self.send(request, request_for)
        if isinstance(sent, Job):
            self.take(sent)
            return self.resolve(self.meta(sent))
        self.settled(sent)
        return self.resolve(ResourceMeta(sent, self.key, self.output))

    def send(self, request: CreateJobRequest, request_for: RequestFor) -> str | Job:
        """Send the request until it is certain which job it made: a new one, or one that is found.

        What is found may be another pod's job: it leaves its outputs elsewhere.
        """
        for round_number in range(ROUNDS):
            if round_number:
                self.sent += 1
                request = request_for(self.output)
            self.in_flight = True
            try:
                return self.patiently(partial(self.lifecycle.create, request))
            except SubmissionUnclear as unclear:
                self.doubt()
                self.unclear_at = self.now()
                self.warn(f"{unclear.message} Looking for it before asking again.")
                try:
                    found = self.look()
                except ApiUnavailable as error:
                    message = f"{unclear.message} Looking for it failed: {error.message}"
                    raise SubmissionUnclear(f"{message} (key {self.key})") from error
                if found is not None:
                    return found
            except PerianError:
                self.in_flight = False  # the answer is certain: there is no job
                raise
        message = f"The job with key {self.key} was asked for {ROUNDS} times without an answer."
        raise SubmissionUnclear(message)

    def doubt(self) -> None:
        """Note that a job of ours may live beside the chosen one, and when to look for it."""
        self.doubtful = True
        self.rechecks = tuple(self.now() + pause for pause in RECHECKS)

    def patiently(self, act: Callable[[], T]) -> T:
        """Do something that changes nothing when it fails, and ride out an outage meanwhile.

        Raises:
            ApiUnavailable: no good answer for as long as an outage is ridden out.
        """
        return Endurance(self.now, self.sleep, self.warn).ride_out(act, self.lifecycle.client)

    def look(self) -> Job | None:
        """Look for a job that may appear late; None when it did not."""
        for pause in LOOKS:
            self.sleep(pause)
            found = self.patiently(lambda: self.choose(self.record))
            if found is not None:
                return found
        return None

    def resolve(self, ours: ResourceMeta) -> ResourceMeta:
        """Return the one job that stays when another pod has submitted too."""
        try:
            chosen = self.choose(self.record)
        except ApiUnavailable as error:  # our own job is known: follow it
            self.doubt()
            self.warn(f"could not look for other jobs of the same work: {error.message}")
            return ours
        if chosen is None or chosen.id == ours.job_id:
            return ours
        self.warn(f"job {chosen.id} does the same work and stays instead of {ours.job_id}")
        self.take(chosen)
        return self.meta(chosen)

    def sweep(self) -> None:
        """In the end: cancel what a lost answer or a failed look may have left beside the job.

        Never fails: what the job or the attempt ended with stands.
        """
        if not (self.doubtful or self.in_flight):
            return
        early = self.unclear_at + sum(LOOKS) - self.now()
        if early > 0:  # what was asked for without an answer may still appear
            self.sleep(early)
        try:
            self.end(self.living())
        except ApiUnavailable as error:
            self.warn(f"other jobs with key {self.key} may live: {error.message}")

    def recheck(self) -> None:
        """While the job runs: look, when it is time, whether a lost submission came late after all.

        Only what is younger than the job is cancelled: of two the older one stays, whoever looks.
        Never fails.
        """
        due = [at for at in self.rechecks if at <= self.now()]
        if not due:
            return
        self.rechecks = self.rechecks[len(due) :]
        try:
            jobs = self.find(self.record)
        except ApiUnavailable as error:
            self.warn(f"could not look for other jobs of the same work: {error.message}")
            return
        live = sorted((job for job in jobs if not phase_of(job.status).terminal), key=age_order)
        ours = [at for at, job in enumerate(live) if self.record and job.id == self.record.job_id]
        self.end(live[ours[0] + 1 :] if ours else ())

    def succeed(self, job_id: str) -> tuple[bool, Job | None]:
        """Tell what follows after the job was cancelled.

        Another pod of the same node may have cancelled it: because it chose another job, or in its
        last moments. Its record may come a little later than its deed.

        Returns:
            Whether it was one of ours, and the job that stays in its place, None to submit anew.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        assert self.record is not None
        served = replace(self.record, losers=(*self.record.losers, job_id), job_id=None)
        for pause in LAST_WORDS if self.journal.previous else LAST_WORDS[:1]:
            self.sleep(pause)
            chosen = self.patiently(lambda: self.choose(served))
            if chosen is not None:
                self.take(chosen)
                return True, chosen
            before = self.journal.before(self.key)
            if before is not None and ended_by(before, job_id):
                return True, None
        return False, None

    def find(self, record: LaunchRecord | None) -> list[Job]:
        """Return every job with our key.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        known = record is not None and record.first_intent > 0
        oldest = record.first_intent - CLOCK_SLACK_SECONDS if record and known else None
        try:
            jobs = {job.id: job for job in self.lifecycle.find(JOB_KEY, self.key, oldest)}
            if record is not None and record.job_id and record.job_id not in jobs:
                with contextlib.suppress(JobNotFound):
                    jobs[record.job_id] = self.lifecycle.client.get_job(record.job_id)
        except ApiError as error:
            raise ApiUnavailable(error.message, remedy=error.remedy) from error
        return list(jobs.values())

    def living(self) -> list[Job]:
        """Return the other jobs with our key that have not ended.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        ours = self.record and self.record.job_id
        return [
            job
            for job in self.find(self.record)
            if job.id != ours and not phase_of(job.status).terminal
        ]

    def meta(self, job: Job) -> ResourceMeta:
        """Return what is needed to follow a job."""
        known = self.record.output if self.record else self.output
        return ResourceMeta(job.id, self.key, job.env_variables.get(JOB_OUTPUT, known))

    def meta_of(self, job_id: str) -> ResourceMeta:
        """Return what is needed to get and cancel the job of the record."""
        return ResourceMeta(job_id, self.key, self.record.output if self.record else self.output)

    def settled(self, job_id: str, output: str | None = None) -> None:
        """Record which job it is."""
        assert self.record is not None
        self.record = replace(
            self.record, stage=Stage.SUBMITTED, job_id=job_id, output=output or self.output
        )
        self.in_flight = False
        self.keep()

    def mark(self, stage: Stage) -> None:
        """Record how the job was left."""
        if self.record is not None:
            self.record = replace(self.record, stage=stage)
            self.keep()

    def keep(self) -> None:
        """Write the record; the list of jobs is there in its place if that fails."""
        assert self.record is not None
        try:
            self.journal.write(self.record)
        except StorageFailed as error:
            self.warn(f"the launch record was not kept: {error.message}")


def ended_by(record: LaunchRecord, job_id: str) -> bool:
    """Whether the attempt that left a record ended a job."""
    own = record.job_id == job_id and record.stage in {Stage.CANCELLING, Stage.REPORTED}
    return own or job_id in record.losers
