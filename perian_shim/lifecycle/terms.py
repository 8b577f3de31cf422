"""What a run is told from outside: which work, and on which terms its job is followed."""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.lifecycle.policies import Limits
from perian_shim.lifecycle.rental import Rental

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


@dataclass(frozen=True)
class Terms:
    """On which terms a job is followed.

    Attributes:
        limits: how long it may take.
        detach: whether it goes on when the pod is ended, for the next attempt to rejoin.
        grace: seconds that a signal leaves.
        rental: what was asked for.
    """

    limits: Limits = field(default_factory=Limits)
    detach: bool = False
    grace: float = 25.0
    rental: Rental = field(default_factory=Rental)
