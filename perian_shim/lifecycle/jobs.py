"""A job's life as four operations over a small record; the loop over them is in ``watcher``.

``create`` submits, ``get`` reads, ``delete`` cancels and never fails on a job that has ended,
``status`` is pure. ``find`` and ``read`` look for jobs that other attempts may have left. Calls
that may be repeated are, by the client's own policy.
"""

from collections.abc import Callable
from dataclasses import dataclass

from perian_shim.api import (
    ApiError,
    CreateJobRequest,
    InvalidRequest,
    Job,
    JobAlreadyDone,
    JobNotFound,
    Redirected,
    TlsFailure,
    Unauthorized,
)
from perian_shim.api.phases import Phase, phase_of
from perian_shim.errors import ApiUnavailable, JobRejected, SubmissionUnclear
from perian_shim.lifecycle.retrying import RetryingClient

Emit = Callable[[str], None]

CREDENTIALS_REMEDY = (
    "Check the Flyte secrets perian_organization and perian_token (or PERIAN_ORGANIZATION and"
    " PERIAN_TOKEN): they must be right, belong together and not have expired."
)


@dataclass(frozen=True)
class ResourceMeta:
    """What is enough to get, judge and cancel a job.

    Attributes:
        job_id: Perian's id.
        key: the idempotency key.
        output: URI of the prefix below which the job leaves what it produced.
    """

    job_id: str
    key: str
    output: str


@dataclass(frozen=True)
class Lifecycle:
    """The operations.

    Attributes:
        client: the REST API.
    """

    client: RetryingClient

    def create(self, request: CreateJobRequest) -> str:
        """Submit a job and return its id.

        Raises:
            JobRejected: Perian refused; another attempt would be refused as well.
            SubmissionUnclear: the answer was lost; a job may exist.
            ApiUnavailable: nothing was submitted.
        """
        try:
            return self.client.create_job(request)
        except Unauthorized as error:
            raise JobRejected(error.message, remedy=CREDENTIALS_REMEDY) from error
        except (InvalidRequest, Redirected, TlsFailure) as error:
            raise JobRejected(error.message, remedy=error.remedy) from error
        except ApiError as error:
            if error.outcome_unknown:
                raise SubmissionUnclear(f"{error.message} A job may have been created.") from error
            raise ApiUnavailable(error.message, remedy=error.remedy) from error

    def get(self, meta: ResourceMeta) -> Job:
        """Read the job.

        Raises:
            ApiError: it could not be read.
        """
        return self.client.get_job(meta.job_id)

    def delete(self, meta: ResourceMeta) -> bool:
        """Cancel the job; one that has ended or is unknown is as good as cancelled.

        Returns:
            Whether it was still there to be cancelled.

        Raises:
            ApiError: it could not be cancelled and may go on.
        """
        try:
            self.client.cancel_job(meta.job_id)
        except (JobAlreadyDone, JobNotFound):
            return False
        return True

    @staticmethod
    def status(job: Job) -> Phase:
        """Return what the job's status means."""
        return phase_of(job.status)

    def find(self, variable: str, value: str, oldest: float | None) -> list[Job]:
        """Return the jobs that carry an environment variable with a value.

        Args:
            variable: the variable's name.
            value: its value.
            oldest: seconds since the epoch; jobs created before are of no interest. None: all are.

        Raises:
            ApiError: the list cannot be had.
        """
        found = []
        last = float("inf")
        newest_first = True
        recent = False
        for job in self.client.iter_jobs():
            created = job.created_at.timestamp() if job.created_at else last
            newest_first, last = newest_first and created <= last, created
            if oldest is not None and created < oldest:
                if recent and newest_first:  # all that follow are older still
                    break
                continue
            recent = True
            seen = job
            if not job.env_variables and job.command is None:  # a listing without the details
                try:
                    seen = self.client.get_job(job.id)
                except JobNotFound:
                    continue
            if seen.env_variables.get(variable) == value:
                found.append(seen)
        return found
