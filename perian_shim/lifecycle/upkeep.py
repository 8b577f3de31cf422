"""Access that lasts as long as the job: what is done for it between two looks.

While a job is followed, what it may use to reach its data is renewed in good time. That cannot
reach a job that has not started yet: it holds one URL, and if that ends while the job waits for a
machine, it could not even begin. Such a job is replaced while it costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from perian_shim.errors import QueuedTooLong, StorageFailed, TaskError
from perian_shim.settings import JOB_ACCESS

WAITING_SHARE = 0.75
"""Of the life of what a job holds at first, so much may pass before it has a machine; the rest is
for starting it."""

AGAIN_SECONDS = 30.0
"""How long after a failure it is not tried again."""


class AccessRunsOut(QueuedTooLong):
    """A job waits for so long that its access to its data would end before it begins."""


class Renewing(Protocol):
    """The part of a piece of work that is done here."""

    def keep(self, output: str) -> None:
        """Renew the access of the job that writes below this URI, if it is time."""
        ...

    def revoke(self, output: str) -> None:
        """Take it from a job that has ended."""
        ...


@dataclass
class Upkeep:
    """Sees to the access of the jobs of one run. Never fails: it warns.

    Attributes:
        work: the piece of work.
        warn: prints a line of ours.
        now: the time, in seconds since some moment.
        again: when it is tried next after a failure.
        said: what was warned of last.
    """

    work: Renewing
    warn: Callable[[str], None]
    now: Callable[[], float]
    again: float = field(default=float("-inf"), init=False)
    said: str = field(default="", init=False)

    def tend(self, output: str) -> None:
        """Renew a job's access, if it is time."""
        if self.now() < self.again:
            return
        try:
            self.work.keep(output)
        except TaskError as error:
            self.again = self.now() + AGAIN_SECONDS
            if error.message != self.said:
                self.said = error.message
                self.warn(f"the job's access to its data could not be renewed yet: {error.message}")
        else:
            self.said = ""

    def end(self, output: str) -> None:
        """Take its access from a job that has ended."""
        try:
            self.work.revoke(output)
        except StorageFailed as error:
            self.warn(f"what the job could read its access from was not deleted: {error.message}")


def longest_wait(environment: Mapping[str, str]) -> float:
    """Return how many seconds a job may wait for a machine before its access would end.

    Args:
        environment: the job's, which says for how long what it holds is good.
    """
    try:
        return float(environment[JOB_ACCESS]) * WAITING_SHARE
    except (KeyError, ValueError):
        return float("inf")
