"""Getting exactly one live job for a piece of work: adopt, or submit so that nothing is doubled.

The API has neither idempotency keys nor names for jobs. What stands in for them: every job carries
its key in its environment, the list of jobs echoes it, and a record of the intent is kept before
the request is sent. An attempt first looks at what the attempt before recorded and at the list;
after a submission whose answer was lost it looks again, for a while, before it asks a second time;
after a submission it looks once more, because another pod of the same node may have been at the
same point: of two jobs the older one stays, whoever looks.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from perian_shim.adoption import Decision, decide
from perian_shim.api import ApiError, CreateJobRequest, Job, JobNotFound
from perian_shim.environment import JOB_KEY, JOB_OUTPUT
from perian_shim.errors import ApiUnavailable, StorageFailed, SubmissionUnclear
from perian_shim.journal import Journal, LaunchRecord, Stage
from perian_shim.lifecycle import Lifecycle, ResourceMeta

CLOCK_SLACK_SECONDS = 3600.0
"""How far the platform's clock and ours may differ when old jobs are left out of a search."""

LOOKS = (1.0, 2.0, 4.0, 8.0)
"""Pauses before looking for a job whose submission got no answer: it may appear late."""

ROUNDS = 3
"""How often a submission is sent when each time no job appears."""

Warn = Callable[[str], None]


@dataclass
class Submission:
    """One attempt's way to its job.

    Attributes:
        lifecycle: the API's operations.
        journal: the launch records.
        key: the idempotency key.
        output: URI of the prefix below which a new job would leave what it produced.
        warn: prints a line.
        sleep: waits.
        now: seconds since the epoch.
        record: what this attempt has recorded.
        in_flight: whether a submission may have been sent whose answer is not known.
    """

    lifecycle: Lifecycle
    journal: Journal
    key: str
    output: str
    warn: Warn
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    record: LaunchRecord | None = field(default=None, init=False)
    in_flight: bool = field(default=False, init=False)

    def adopt(self) -> Job | None:
        """Return the job of an attempt before that is to be followed or harvested, if any.

        Raises:
            ApiUnavailable: the list of jobs cannot be had, so submitting might double a job.
        """
        before = self.journal.before(self.key)
        jobs = self.find(before)
        decision = decide(jobs, before)
        self.cancel_losers(decision)
        spent = {job.id for job in jobs} if before is None else {*before.spent, before.job_id}
        self.record = LaunchRecord(
            key=self.key,
            stage=Stage.INTENT,
            output=self.output,
            first_intent=before.first_intent if before else self.now(),
            spent=tuple(sorted(filter(None, spent))) if decision.adopt is None else (),
        )
        if decision.adopt is None:
            return None
        same = before is not None and before.job_id == decision.adopt.id
        self.record = replace(
            self.record,
            stage=Stage.SUBMITTED,
            output=decision.adopt.env_variables.get(JOB_OUTPUT, self.output),
            job_id=decision.adopt.id,
            spent=before.spent if before else (),
            log_length=before.log_length if same and before else 0,
            log_digest=before.log_digest if same and before else "",
        )
        self.keep()
        return decision.adopt

    def submit(self, request: CreateJobRequest) -> ResourceMeta:
        """Submit a job, or find the one that a lost answer or another pod stands for.

        Raises:
            JobRejected: Perian refused; another attempt would be refused as well.
            StorageFailed: the intent could not be recorded; nothing was submitted.
            SubmissionUnclear: no answer and no job, again and again.
            ApiUnavailable: nothing could be submitted.
        """
        intent = self.record or LaunchRecord(self.key, Stage.INTENT, self.output, self.now())
        self.record = intent
        self.journal.write(intent)
        job_id = self.send(request)
        self.settled(job_id)
        return self.resolve(job_id)

    def send(self, request: CreateJobRequest) -> str:
        """Send the request until it is certain which job it made."""
        for _ in range(ROUNDS):
            self.in_flight = True
            try:
                return self.lifecycle.create(request)
            except SubmissionUnclear as unclear:
                self.warn(f"{unclear.message} Looking for it before asking again.")
                try:
                    found = self.look()
                except ApiUnavailable as error:
                    message = f"{unclear.message} Looking for it failed: {error.message}"
                    raise SubmissionUnclear(f"{message} (key {self.key})") from error
                if found is not None:
                    return found.id
        message = f"The job with key {self.key} was asked for {ROUNDS} times without an answer."
        raise SubmissionUnclear(message)

    def look(self) -> Job | None:
        """Look for a job that may appear late; None when it did not."""
        for pause in LOOKS:
            self.sleep(pause)
            decision = decide(self.find(self.record), self.record)
            self.cancel_losers(decision)
            if decision.adopt is not None:
                return decision.adopt
        return None

    def resolve(self, job_id: str) -> ResourceMeta:
        """Return the one job that stays when another pod has submitted too."""
        try:
            decision = decide(self.find(self.record), self.record)
        except ApiUnavailable as error:  # our own job is known: follow it
            self.warn(f"could not look for other jobs of the same work: {error.message}")
            return ResourceMeta(job_id, self.key, self.output)
        self.cancel_losers(decision)
        if decision.adopt is None or decision.adopt.id == job_id:
            return ResourceMeta(job_id, self.key, self.output)
        self.warn(f"job {decision.adopt.id} was there first and stays; {job_id} was cancelled")
        self.settled(decision.adopt.id, decision.adopt.env_variables.get(JOB_OUTPUT))
        return self.meta(decision.adopt)

    def find(self, record: LaunchRecord | None) -> list[Job]:
        """Return every job with our key.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        oldest = record.first_intent - CLOCK_SLACK_SECONDS if record else None
        try:
            jobs = {job.id: job for job in self.lifecycle.find(JOB_KEY, self.key, oldest)}
            if record is not None and record.job_id and record.job_id not in jobs:
                known = self.lifecycle.client.get_job(record.job_id)
                jobs[known.id] = known
        except JobNotFound:
            pass
        except ApiError as error:
            raise ApiUnavailable(error.message, remedy=error.remedy) from error
        return list(jobs.values())

    def cancel_losers(self, decision: Decision) -> None:
        """Cancel jobs that must not live beside the chosen one."""
        for job in decision.cancel:
            self.warn(f"job {job.id} does the same work as {decision.adopt and decision.adopt.id}")
            self.lifecycle.delete(self.meta(job))

    def meta(self, job: Job) -> ResourceMeta:
        """Return what is needed to follow a job."""
        return ResourceMeta(job.id, self.key, job.env_variables.get(JOB_OUTPUT, self.output))

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
