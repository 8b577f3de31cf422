"""Following one job: looks that grow rare with its age and its log, to its end.

The machinery is that of the pods (``lifecycle``): outages are ridden out, a log that is long is
read at a bounded rate, and each line of it is given once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from perian_shim.api.jobs import Job as Seen
from perian_shim.api.redaction import without_signatures
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.logs import LogTail
from perian_shim.lifecycle.looks import Looks
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.remote.asking import FOLLOWING_SECONDS, retrier
from perian_shim.remote.connection import Connection

LONGEST_PAUSE = 10.0
"""Between two looks, while somebody watches; longer for logs that are very long."""

LAST_WORDS = (0.3, 0.7, 1.5)
"""Pauses before the looks at a job that has ended: the end of its log may come later."""


@dataclass
class Following:
    """Looks at one job until it has ended.

    Attributes:
        connection: who asks.
        job_id: Perian's id.
        clock: time and chance.
        seconds: how long to follow it, None for any time.
        words: whether the log matters, to its last line.
    """

    connection: Connection
    job_id: str
    clock: Clock = field(default_factory=Clock)
    seconds: float | None = None
    words: bool = False

    def looks(self) -> Iterator[Seen]:
        """Yield the job at each look; without its log where that was not read.

        Raises:
            TimeoutError: ``seconds`` have passed and it goes on.
            ApiUnavailable: no good answer for as long as an outage is ridden out; ``JobVanished``
                too.
            ConfigError: the environment's settings are wrong.
        """
        jobs = Jobs(self.connection.open, retrier(self.clock, FOLLOWING_SECONDS))
        looks = Looks(jobs, self.job_id)
        policy = PollPolicy.from_environment()
        policy = replace(policy, longest=max(policy.shortest, min(policy.longest, LONGEST_PAUSE)))
        began = changed = self.clock.monotonic()
        status = ""
        try:
            while not (job := looks.look()).phase.terminal:
                yield job
                now = self.clock.monotonic()
                changed = changed if job.status == status else now
                status = job.status
                pause = policy.pause(
                    now - changed,
                    self.clock.chance(),
                    jobs.retrier.pace.stretch,
                    looks.longest_pause,
                )
                if self.seconds is not None:
                    left = began + self.seconds - now
                    if left <= 0:
                        message = f"Job {self.job_id} goes on after {self.seconds:g} s ({status})."
                        raise TimeoutError(message)
                    pause = min(pause, left)
                self.clock.sleep(pause)
            yield from self.last_words(job, looks) if self.words else [job]
        finally:
            jobs.close()

    def last_words(self, job: Seen, looks: Looks) -> Iterator[Seen]:
        """Yield a job that has ended until its log stands still."""
        last = looks.whole() if job.logs is None else job
        yield last or job
        for pause in LAST_WORDS:
            self.clock.sleep(pause)
            before = looks.announced
            again = looks.again()
            if again is None or (again.logs is None and looks.announced == before):
                return
            seen = again if again.logs is not None else looks.whole()
            if seen is None or (last is not None and seen.logs == last.logs):
                return
            last = seen
            yield seen

    def lines(self, tail: int | None) -> Iterator[str]:
        """Yield the log's lines as they come, each once; raises what ``looks`` does.

        Args:
            tail: how many of those that are there already, None for all.
        """
        log = LogTail()
        first = True
        for job in self.looks():
            if first and job.phase.terminal:
                yield from lines_of(job, tail)
                return
            new = log.feed(job.logs)
            yield from map(without_signatures, new if not first else last_of(new, tail))
            first = first and job.logs is None
        yield from map(without_signatures, log.flush())


def lines_of(job: Seen, tail: int | None) -> Iterator[str]:
    """Yield the lines of a job's log as it is.

    Args:
        job: with its log.
        tail: how many of the last ones, None for all.
    """
    log = LogTail()
    yield from map(without_signatures, last_of([*log.feed(job.logs), *log.flush()], tail))


def last_of(lines: list[str], number: int | None) -> list[str]:
    """Return the last lines, all if there is no number."""
    return lines if number is None else list(deque(lines, maxlen=number))
