"""What a run is told from outside: which work, and on which terms its job is followed."""

from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.errors import TaskError
from perian_shim.lifecycle.policies import Limits
from perian_shim.lifecycle.rental import Rental, rules_of
from perian_shim.lifecycle.strays import Strays

T_co = TypeVar("T_co", covariant=True)


class Work(Protocol[T_co]):
    """What differs between kinds of work."""

    def request(self, output: str) -> CreateJobRequest:
        """Return the request for a job that leaves what it produces below this URI.

        Raises:
            TaskError: it cannot be put together.
        """
        ...

    def harvest(self, job: Job, output: str) -> T_co:
        """Return what a job has left below this URI whose container has ended, well or badly.

        Raises:
            TaskError: what it ended with.
        """
        ...

    def keep(self, output: str) -> None:
        """Renew the access of the job that leaves what it produces below this URI, if it is time.

        Raises:
            TaskError: it could not be renewed yet.
        """
        ...

    def revoke(self, output: str) -> None:
        """Take its access from a job that has ended.

        Raises:
            StorageFailed: it could not be taken yet.
        """
        ...


class TurnLost(TaskError):
    """It is another pod's turn to submit by now. This one waits again; Flyte never sees it."""

    code = "PERIAN:TurnLost"
    remedy = "Nothing: the pod waits for its next turn."


class Turn(Protocol):
    """One submission's place among those that wait."""

    def comes(self) -> bool:
        """Wait until a job may be submitted.

        Returns:
            Whether it does. False: a job of this work has shown meanwhile, to be looked at first.

        Raises:
            TooManyJobs: that took too long.
            Superseded: a later pod has the work.
        """
        ...

    def hold(self) -> None:
        """Make sure, right before a job is sent, that the turn has not passed meanwhile.

        Raises:
            TurnLost: it has; the pod has to wait again.
            TaskError: whether it has cannot be seen.
        """
        ...

    def used(self, job_id: str) -> None:
        """Say that it has led to this job. Never fails."""
        ...

    def leave(self, *, unknown: bool) -> None:
        """Give it up unless it has been used. Never fails.

        Args:
            unknown: whether there may be a job all the same.
        """
        ...


class Turns(Protocol):
    """Where the number of jobs at once is limited: who may submit when."""

    def begin(self, strays: Strays) -> Turn:
        """Return the turn of a submission that has not begun to wait.

        Args:
            strays: the jobs of its work.
        """
        ...


@dataclass(frozen=True)
class Terms:
    """On which terms a job is followed.

    Attributes:
        limits: how long it may take.
        detach: whether it goes on when the pod is ended, for the next attempt to rejoin.
        grace: seconds that a signal leaves.
        rental: what was asked for.
        turns: who may submit when, None where nothing limits the number of jobs.
    """

    limits: Limits = field(default_factory=Limits)
    detach: bool = False
    grace: float = 25.0
    rental: Rental = field(default_factory=Rental)
    turns: Turns | None = None

    def limits_of(self, job: Job) -> Limits:
        """Return how long a job may take: where the task has no timeout, what it was given.

        Args:
            job: says under which rules of the platform's it was submitted.
        """
        rules = rules_of(job) if self.limits.running is None else None
        return replace(self.limits, running=rules.timeout_seconds) if rules else self.limits
