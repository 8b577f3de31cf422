"""Getting a job: the one that an attempt before has left, or a new one, and never two.

The API has neither idempotency keys nor names for jobs. What stands in for them: every job carries
its key in its environment, the list of jobs echoes it, and the launch record says before each
submission that there may be one more job. An id that a record names is read by id before anything
is listed, and believed only if that job carries our key. A submission without an answer is looked
for before it is sent again; what the looks have not found is ended when it shows (``strays``).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import ApiUnavailable, JobVanished, SubmissionUnclear, TaskError
from perian_shim.lifecycle.adoption import decide, hidden
from perian_shim.lifecycle.launch_record import LaunchRecords, Stage
from perian_shim.lifecycle.strays import Strays, refuse_when_superseded
from perian_shim.lifecycle.terms import Turn, TurnLost, Turns
from perian_shim.settings import JOB_KEY, JOB_OUTPUT
from perian_shim.storage import join_uri

RequestFor = Callable[[str], CreateJobRequest]
"""Builds the request for a job that leaves what it produces below this URI."""


@dataclass
class Submission:
    """One pod's way to a job.

    Attributes:
        strays: the jobs of this work.
        records: the launch records.
        prefix: URI of the pod's own prefix; each job that it asks for gets a place of its own.
        turns: who may submit when, None where nothing limits the number of jobs.
        sent: how many jobs this pod has asked for.
        asked_before: how many all attempts had asked for before the submission that is made now.
        posted: whether the submission that the record speaks of may have been sent.
        in_flight: whether a submission may have been sent whose answer is not known.
        turn: the turn to submit that is used now, where there are turns.
    """

    strays: Strays
    records: LaunchRecords
    prefix: str
    turns: Turns | None = None
    sent: int = field(default=0, init=False)
    asked_before: int = field(default=0, init=False)
    posted: bool = field(default=False, init=False)
    in_flight: bool = field(default=False, init=False)
    turn: Turn | None = field(default=None, init=False)

    @property
    def output(self) -> str:
        """URI of the prefix below which the job asked for last leaves what it produces.

        Two jobs never share one: the second could be half way through replacing the first's.
        """
        generation = self.records.owner.generation
        if not generation and self.sent < 2:  # noqa: PLR2004 - the first one has the prefix to itself
            return self.prefix
        return join_uri(self.prefix, f"submission-{generation}-{self.sent}")

    def adopt(self) -> Job | None:
        """Return the job that is to be followed or harvested, None to submit a new one.

        Raises:
            ApiUnavailable: what there is cannot be seen, so submitting might double a job.
            Superseded: a later pod has the work.
        """
        current = self.named()
        if current is not None:
            decision = decide([current], self.records.record, blind=self.records.blind)
            if decision.adopt is not None:
                return self.take(current)
        if not self.strays.in_doubt:
            return None
        self.strays.look()
        chosen = self.strays.choose().adopt
        if chosen is None and hidden(self.records.record, self.strays.found):
            self.records.warn("an attempt before may have asked for a job: looking for it first")
            chosen = self.look_again()
        return None if chosen is None else self.take(chosen)

    def named(self) -> Job | None:
        """Return the job that the records name; None if there is none, or it is not ours.

        Raises:
            ApiUnavailable: it cannot be seen.
        """
        record = self.records.record
        if record.job_id is None or record.job_id in {*record.reported, *record.losers}:
            return None
        jobs = self.strays.jobs
        try:
            # A job that an attempt before has not seen for as long as an outage is not waited for
            # again; it counts as one that may show late.
            job = jobs.read(record.job_id, believe_absence=record.unseen > 0)
        except JobVanished:
            if not record.unseen:
                raise
            job = None
        if job is None or job.env_variables.get(JOB_KEY) != record.key:
            what = "cannot be seen" if job is None else "is not of this work"
            self.records.warn(f"job {record.job_id}, which the launch record names, {what}")
            self.records.keep(job_id=None)
            return None
        self.strays.note(job)
        return job

    def take(self, job: Job) -> Job:
        """Record that this is the job that goes on."""
        record = self.records.record
        changes: dict[str, Any] = {"stage": Stage.SUBMITTED}
        if job.id != record.job_id:
            changes |= {"queued_seconds": 0.0, "running_seconds": 0.0}
            changes |= {"log_length": 0, "log_digest": ""}
        elif job.phase is not Phase.UNKNOWN:  # it was read by its id, and understood
            changes["unseen"] = 0
        output = job.env_variables.get(JOB_OUTPUT) or record.output or self.output
        self.in_flight = False
        self.records.keep(job_id=job.id, output=output, **changes)
        return job

    def followed(self, beside: Callable[[Callable[[], object]], None]) -> str | None:
        """Return the id of the job that goes on, None if it is not known yet.

        It is not the recorded one where a better one has been chosen, and a signal came before that
        was recorded: then it is now.

        Args:
            beside: does something that must not hold up for long what follows.
        """
        record = self.records.record
        done_with = {*record.reported, *record.losers, *self.strays.ending}
        if record.stage is Stage.LOOKING:  # an attempt before has asked them to end
            done_with |= set(record.cancelled)
        if record.job_id is not None and record.job_id not in done_with:
            return record.job_id
        chosen = decide(self.strays.found.values(), record, blind=self.records.blind).adopt
        if chosen is None:
            return None
        beside(partial(self.take, chosen))
        return chosen.id

    def submit(self, request_for: RequestFor) -> Job:
        """Submit a job when it is this pod's turn; raises what ``obtain`` does, and ``Turn.comes``.

        A job of this work that shows meanwhile is taken instead.
        """
        if self.turns is None:
            return self.obtain(request_for)
        self.turn = turn = self.turns.begin(self.strays)
        try:
            while True:
                if not turn.comes():
                    shown = self.adopt()
                    if shown is not None:
                        return shown
                    continue
                try:
                    job = self.obtain(request_for)
                except TurnLost as lost:
                    self.records.warn(lost.message)
                    continue
                turn.used(job.id)
                return job
        finally:
            turn.leave(unknown=self.in_flight)

    def obtain(self, request_for: RequestFor) -> Job:
        """Submit a job, or find the one that a lost answer stands for.

        Raises:
            JobRejected: Perian refused; another attempt would be refused as well.
            StorageFailed: the intent could not be recorded; nothing was submitted.
            SubmissionUnclear: no answer and no job for as long as an outage is ridden out.
            ApiUnavailable: nothing could be submitted.
            Superseded: a later pod has the work; nothing was submitted.
        """
        retrier = self.strays.jobs.retrier
        began = retrier.clock.monotonic()
        while True:
            try:
                return self.send(request_for)
            except SubmissionUnclear as unclear:
                self.strays.unanswered()
                self.records.warn(f"{unclear.message} Looking for it before asking again.")
                try:
                    found = self.look_again()
                except ApiUnavailable as error:
                    raise self.unclear(unclear, error.message) from error
                if found is not None:
                    return self.take(found)
                if retrier.clock.monotonic() - began >= retrier.policy.outage:
                    raise self.unclear(unclear, "It was looked for in vain.") from unclear

    def unclear(self, error: SubmissionUnclear, looked: str) -> SubmissionUnclear:
        """Return the error for a submission that nobody knows the effect of."""
        key = self.records.record.key
        message = f"{error.message} {looked} (sent {self.sent} times, key {key})"
        return SubmissionUnclear(message)

    def send(self, request_for: RequestFor) -> Job:
        """Send one submission; what is returned is new, so only its id and place are known."""
        record = self.records.record
        self.sent += 1
        request = request_for(self.output)
        alone = record.stage is Stage.INTENT and record.asked == self.sent == 1
        self.asked_before = record.asked - alone
        self.posted = False
        if not alone:  # otherwise the record says so already, and nobody else had one
            served = (record.job_id,) if record.job_id is not None else ()
            self.records.write(
                stage=Stage.INTENT,
                asked=record.asked + 1,
                job_id=None,
                losers=tuple(dict.fromkeys((*record.losers, *served))),
                output=self.output,
                queued_seconds=0.0,
                running_seconds=0.0,
                unseen=0,
                log_length=0,
                log_digest="",
            )
            refuse_when_superseded(self.records)
        tries = count()

        def sending() -> None:
            if self.turn is not None:
                self.turn.hold()
            if next(tries):
                refuse_when_superseded(self.records)
            self.posted = self.in_flight = True

        def unheard() -> None:
            self.posted = self.in_flight = False

        try:
            job_id = self.strays.jobs.submit(
                request, patient=not alone, sending=sending, unheard=unheard
            )
        except SubmissionUnclear:
            raise
        except TaskError:
            self.in_flight = False  # the answer is certain: there is no job
            self.records.keep(stage=Stage.LOOKING, asked=self.records.record.asked - 1)
            raise
        self.strays.answered(job_id)
        return self.take(Job(job_id, "", env_variables=request.docker.env_variables))

    def withdraw(self, beside: Callable[[Callable[[], object]], None]) -> None:
        """Take back the intent to submit if nothing was sent.

        Args:
            beside: does something that must not hold up for long what follows.
        """
        record = self.records.record
        if record.stage is Stage.INTENT and not self.posted:
            asked = min(record.asked, self.asked_before)  # the record may not count it yet
            beside(lambda: self.records.keep(stage=Stage.LOOKING, asked=asked))

    def look_again(self) -> Job | None:
        """Look a few times for a job that may show late; None when it did not."""
        clock = self.strays.jobs.retrier.clock
        for pause in self.strays.jobs.looks.first:
            clock.sleep(pause)
            self.strays.look()
            chosen = self.strays.choose().adopt
            if chosen is not None:
                return chosen
        return None

    def succeed(self, ended: Job) -> tuple[bool, Job | None]:
        """Tell what follows after the followed job was cancelled.

        A pod before this one may have cancelled it in its last moments: it says so in its record
        before it acts.

        Returns:
            Whether it was one of ours, and the job that stays in its place, None to submit anew.

        Raises:
            ApiUnavailable: what there is cannot be seen.
            Superseded: a later pod has the work.
        """
        refuse_when_superseded(self.records)
        self.records.inherit()
        record = self.records.record
        if ended.id not in {*record.cancelled, *record.losers}:
            return False, None
        self.records.keep(job_id=None)
        self.strays.note(ended)
        self.strays.refresh()
        chosen = self.strays.choose().adopt
        self.strays.resume(chosen.id if chosen else None)
        return True, None if chosen is None else self.take(chosen)
