"""Looking at one job for little traffic, though each answer of the API holds the job's whole log.

While answers are short they are read whole. Of longer ones the head is read, up to the log, and the
connection closed: that costs some kilobytes. It tells the status, if that stands there, and how
long the answer is, if the API says so. The log is read again when ``TrafficPolicy`` allows it and
it has grown, or may have. If the status stands behind the log, an answer that grows is one about a
job that goes on; when it has stopped growing, it is read. If even its length is not told, it has to
be read at each look, which are rare then.

Sizes are in bytes of the answers.
"""

from dataclasses import dataclass, field, replace

from perian_shim.api.jobs import Glance, Job
from perian_shim.errors import ApiUnavailable, JobVanished
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import TrafficPolicy


@dataclass
class Looks:
    """The looks at one job.

    Attributes:
        jobs: the API.
        job_id: Perian's id of the job.
        policy: how much is read how often.
        began: when it was looked at first.
        spent: how much has been read of answers that were very long.
        size: how long the answer was that has been read last.
        read_at: when that was.
        announced: how long the last answer was said to be, whether it was read or not.
        last: the job as it was then.
        blind: whether answers have to be read whole to tell anything.
    """

    jobs: Jobs
    job_id: str
    policy: TrafficPolicy = field(default_factory=TrafficPolicy)
    began: float = field(init=False)
    spent: int = field(default=0, init=False)
    size: int = field(default=0, init=False)
    read_at: float = field(default=0.0, init=False)
    announced: int | None = field(default=None, init=False)
    last: Job | None = field(default=None, init=False)
    blind: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.began = self.read_at = self.now

    @property
    def now(self) -> float:
        """The time, in seconds since some moment."""
        return self.jobs.retrier.clock.monotonic()

    @property
    def brief(self) -> bool:
        """Whether answers are too long to be read whole at each look."""
        return self.size > self.policy.short

    @property
    def longest_pause(self) -> float:
        """How long the pause before the next look may be, for its cost."""
        if self.blind:
            return min(self.policy.blind, self.size / self.policy.rate)
        return self.policy.longest if self.size > self.policy.long else 0.0

    def look(self) -> Job:
        """Return the job as it is, without its log if that was not read.

        Raises:
            ApiUnavailable: see ``Jobs.read``; ``JobVanished`` too.
        """
        if not self.brief:
            return self.read()
        glance = self.jobs.glance(self.job_id)
        if glance.whole and glance.job is not None:
            return self.note(glance.job)
        job = self.told(glance)
        if job is not None and job.phase.terminal:
            self.announced = glance.answer_bytes
            return job
        if self.is_due(glance):
            return self.read()
        return job or replace(self.known, logs=None)

    def read(self) -> Job:
        """Return the job with its log.

        Raises:
            ApiUnavailable: see ``Jobs.read``; ``JobVanished`` too.
        """
        return self.note(self.jobs.read(self.job_id))

    def again(self) -> Job | None:
        """Look at a job that has ended: with its log, if that is short; None if it is not seen."""
        if not self.brief:
            job = self.jobs.peek(self.job_id)
            return None if job is None else self.note(job)
        glance = self.jobs.peek_at_head(self.job_id)
        if glance is None or (glance.whole and glance.job is not None):
            return None if glance is None or glance.job is None else self.note(glance.job)
        self.announced = glance.answer_bytes or self.announced
        return self.told(glance) or replace(self.known, logs=None)

    def whole(self) -> Job | None:
        """Return a job that has ended with its log; None if that cannot be had for a minute.

        It has been paid for and is known to have ended: its outputs do not wait for its log.
        """
        with self.jobs.retrier.bounded(self.policy.patience):
            try:
                return self.read()
            except (ApiUnavailable, JobVanished):
                return None

    @property
    def known(self) -> Job:
        """The job as it was read last."""
        assert self.last is not None, "an answer is long only after one has been read"
        return self.last

    def note(self, job: Job) -> Job:
        """Note a job that has been read."""
        self.last, self.read_at = job, self.now
        self.size = self.announced = job.answer_bytes
        if job.answer_bytes > self.policy.long:
            self.spent += job.answer_bytes
        return job

    def told(self, glance: Glance) -> Job | None:
        """Return the job with the status that a glance tells, and what was known of it before.

        When it last changed, or ended, is of now or not known: what it costs depends on it.
        """
        seen = glance.job
        return seen and replace(
            self.known,
            status=seen.status,
            started_at=seen.started_at or self.known.started_at,
            updated_at=seen.updated_at,
            done_at=seen.done_at,
            logs=None,
        )

    def is_due(self, glance: Glance) -> bool:
        """Whether the log is to be read now."""
        size, before = glance.answer_bytes, self.announced
        self.announced = size
        self.blind = size is None and glance.job is None
        if self.blind:
            return True
        if size is None:  # as if it grew evenly
            since = max(self.read_at - self.began, 1.0)
            size = int(self.size * max((self.now - self.began) / since, 1.0))
        elif size == self.size:
            return False
        elif size == before and glance.job is None:
            return True
        if size <= self.policy.long:
            apart = max(size / self.policy.rate, self.policy.aging * (self.now - self.began))
            return self.now - self.read_at >= apart
        return self.spent + size <= self.policy.share * size
