"""What became of a node: its attempts and its jobs, and the rules that hold in every case."""

import datetime
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from flytekit.models.literals import LiteralMap
from support.waiting import on_this_machine

from perian_shim.sandbox.flyte.cluster import Attempt
from perian_shim.sandbox.server.store import JobSnapshot

ANSWER = 42

CANCELLED = "Cancelled"

SUPERSEDED = "PERIAN:Superseded SYSTEM recoverable"
KILLED = "Interrupted SYSTEM recoverable"
"""Ends of attempts."""

GRACE_SECONDS = 10.0
"""How long a job that was asked to end may take."""

KNOWN_SECONDS = 75.0
"""How long two jobs may go on, in the API's seconds, once the list shows what was not known."""

FAR = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


def now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.timezone.utc)


@dataclass(frozen=True)
class JobTrace:
    """A job after the fact.

    Attributes:
        job_id: Perian's id.
        status: its last one.
        created: when it was accepted.
        done: when it ended, a far moment if it has not.
        attempt: number of the attempt that submitted it.
    """

    job_id: str
    status: str
    created: datetime.datetime
    done: datetime.datetime
    attempt: int

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.done == FAR

    @classmethod
    def of(cls, job: JobSnapshot) -> "JobTrace":
        """Read a job of the sandbox's store."""
        done = job.state.done_at
        return cls(
            job.record.job_id,
            job.state.status.value,
            datetime.datetime.fromisoformat(job.record.created_at),
            datetime.datetime.fromisoformat(done) if done else FAR,
            int((job.record.execution.environment or {}).get("FLYTE_ATTEMPT_NUMBER", 0)),
        )


@dataclass(frozen=True)
class Ending:
    """The end of one attempt.

    Attributes:
        attempt: what became of it.
        at: when it ended.
        live: how many jobs were live then.
    """

    attempt: Attempt
    at: datetime.datetime
    live: int


@dataclass(frozen=True)
class Known:
    """What the pods of a cell could know, and what was asked of them.

    Attributes:
        lag: how long after its creation a job is listed, in the API's seconds.
        speed: how many of those a real second has.
        double: whether a job may be submitted while another one is live: nobody could know of it.
        ended: numbers of the attempts that were asked to end their job, or that had to.
    """

    lag: float = 0.0
    speed: float = 1.0
    double: bool = False
    ended: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """What became of a node.

    Attributes:
        endings: of its attempts.
        jobs: its jobs, the oldest first.
        left: how many were still running once Flyte had given up or was content.
        known: what the pods could know.
    """

    endings: list[Ending]
    jobs: list[JobTrace]
    left: int
    known: Known = field(default_factory=Known)

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts."""
        return [ending.attempt for ending in self.endings]

    @property
    def statuses(self) -> list[str]:
        """How the jobs have ended."""
        return [job.status for job in self.jobs]

    @property
    def final(self) -> str:
        """``success``, or the last error's code and kind."""
        return state_of(self.attempts[-1])

    @property
    def pairs(self) -> Iterator[tuple[JobTrace, JobTrace]]:
        """Each job that was submitted while another one was live, after that one."""
        for earlier, later in itertools.combinations(self.jobs, 2):
            if earlier.done > later.created:
                yield earlier, later

    @property
    def doubled(self) -> int:
        """How many jobs were submitted while another one was live."""
        return len({later.job_id for _, later in self.pairs})

    @property
    def twin(self) -> float:
        """For how many of the API's seconds two jobs were live that could both be known.

        Whoever submitted the later one knows it; the earlier one is in the list after its lag.
        """
        lag = datetime.timedelta(seconds=self.known.lag / self.known.speed)
        spans = [
            min(earlier.done, later.done) - max(later.created, earlier.created + lag)
            for earlier, later in self.pairs
        ]
        return max([0.0, *(span.total_seconds() * self.known.speed for span in spans)])

    @property
    def beyond(self) -> list[str]:
        """In what there were more jobs than it takes when nobody can know better."""
        found = []
        if self.doubled and not self.known.double:
            found.append(f"{self.doubled} jobs were submitted while another one was live")
        if self.twin > on_this_machine(KNOWN_SECONDS):
            found.append(f"two known jobs were live for {self.twin:.0f} s")
        return found

    @property
    def healthy(self) -> list[JobTrace]:
        """The jobs that were cancelled although they ran well and nobody asked for their end."""
        return [
            job
            for job in self.jobs
            if job.status == CANCELLED and not self.lost(job) and not self.had_to_end(job)
        ]

    def lost(self, job: JobTrace) -> bool:
        """Whether another job was there in the place of this one when it ended."""
        return any(
            other is not job
            and other.created < job.done
            and (other.done > job.done or other.status == "Done")
            for other in self.jobs
        )

    def had_to_end(self, job: JobTrace) -> bool:
        """Whether an attempt that was to end its job may have ended this one."""
        grace = datetime.timedelta(seconds=on_this_machine(GRACE_SECONDS))
        return any(
            job.attempt <= ending.attempt.number and job.done <= ending.at + grace
            for ending in self.endings
            if ending.attempt.number in self.known.ended
        )

    @property
    def log(self) -> str:
        """What the pods printed."""
        return "\n".join(
            f"--- attempt {each.number}, exit code {each.exit_code}, {state_of(each)}\n{each.log}"
            for each in self.attempts
        )

    def violations(self) -> list[str]:
        """Return what broke the rules that hold in every cell."""
        broken = self.beyond
        if self.left:
            broken.append(f"{self.left} jobs were left running")
        broken += [f"healthy job {job.job_id} was cancelled" for job in self.healthy]
        broken += [
            f"attempt {attempt.number} succeeded with wrong outputs"
            for attempt in self.attempts
            if attempt.outputs is not None and answer_of(attempt.outputs) != ANSWER
        ]
        done = self.statuses.count("Done")
        if self.final == "success" and done != 1:
            broken.append(f"success, and {done} jobs are Done")
        if self.final != "success" and done:
            broken.append(f"{done} jobs are Done, and nobody has their outputs")
        return broken


def state_of(attempt: Attempt) -> str:
    """Return ``success``, or an error's code, kind and whether it may be tried again."""
    error = attempt.error
    if error is None:
        return "success"
    return f"{error.code} {error.kind}{' recoverable' if error.recoverable else ''}"


def answer_of(outputs: LiteralMap) -> object:
    """Return the job's one output."""
    literal = outputs.literals.get("answer")
    return literal and literal.scalar and literal.scalar.primitive.integer
