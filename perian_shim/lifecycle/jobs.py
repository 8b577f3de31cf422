"""A job's life as a few operations on Perian's API, each made again as far as that is safe.

``submit``, ``read``, ``cancel`` and ``scan``, after the contract of Flyte's own asynchronous
plugins: creating is remembered by the caller, reading is cheap, cancelling may be repeated and
never fails on a job that has ended.

How patient a call is depends on what is known. An answer about a job that exists, or may exist, is
never believed when it says that we are not allowed, or that there is no such job: it is waited out
as an outage is. While nothing can exist yet, a refusal is final at once.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import (
    ApiError,
    ApiTimeout,
    InstanceTypeNotFound,
    InsufficientCredit,
    InvalidRequest,
    JobAlreadyDone,
    JobNotFound,
    PerianError,
    Redirected,
    TlsFailure,
    Unauthorized,
)
from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Glance, Job
from perian_shim.api.paging import Pager
from perian_shim.errors import ApiUnavailable, JobRejected, JobVanished, SubmissionUnclear
from perian_shim.lifecycle.policies import LookPolicy
from perian_shim.lifecycle.retrying import Retrier, minutes
from perian_shim.lifecycle.shortage import Offers, asked_for, why
from perian_shim.settings import JOB_KEY

T = TypeVar("T")

EXPLAIN_SECONDS = 20.0
"""How long it may take to find out why Perian refused."""

CREDENTIALS_REMEDY = (
    "Check the Flyte secrets perian_organization and perian_token (or PERIAN_ORGANIZATION and"
    " PERIAN_TOKEN): they must be right, belong together and not have expired."
)


@dataclass(frozen=True)
class Scan:
    """What one look through the list of jobs has shown.

    Attributes:
        jobs: those with our key.
        listed: ids of all jobs seen.
        whole: whether the list was read as far as it matters, and each entry could be told.
    """

    jobs: tuple[Job, ...] = ()
    listed: frozenset[str] = frozenset()
    whole: bool = True


@dataclass
class Jobs:
    """The operations.

    Attributes:
        connect: makes a client with the credentials as they are now.
        retrier: makes calls again.
        looks: how far a look through the list goes.
    """

    connect: Callable[[], PerianClient]
    retrier: Retrier
    looks: LookPolicy = field(default_factory=LookPolicy)
    _client: PerianClient | None = field(default=None, init=False, repr=False)

    def submit(
        self,
        request: CreateJobRequest,
        *,
        patient: bool = False,
        sending: Callable[[], None] = lambda: None,
        unheard: Callable[[], None] = lambda: None,
    ) -> str:
        """Submit a job and return its id. Sent again only while it certainly had no effect.

        Args:
            request: the job.
            patient: whether refused credentials are waited out, because a job may already exist.
            sending: called before each time it is sent; raises if it must not be.
            unheard: called when it certainly had no effect.

        Raises:
            JobRejected: Perian refused; another attempt would be refused as well.
            SubmissionUnclear: the answer was lost; a job may exist.
            ApiUnavailable: nothing was submitted.
        """

        def passes(error: PerianError) -> bool:
            if error.outcome_unknown:
                return False
            unheard()
            return error.retryable or (patient and isinstance(error, Unauthorized))

        def create(client: PerianClient) -> str:
            sending()
            return client.create_job(request)

        try:
            return self._call(create, passes)
        except Unauthorized as error:
            if patient:
                raise self._unavailable(error) from error
            raise JobRejected(error.message, remedy=CREDENTIALS_REMEDY) from error
        except (InvalidRequest, Redirected, TlsFailure) as error:
            raise self.refused(request, error) from error
        except ApiError as error:
            if error.outcome_unknown:
                raise SubmissionUnclear(f"{error.message} A job may have been created.") from error
            raise self._unavailable(error) from error

    def refused(self, request: CreateJobRequest, error: ApiError) -> JobRejected:
        """Return the error for a request that is refused; for want of a machine, say why."""
        found: list[str] = []
        if isinstance(error, InvalidRequest) and not isinstance(error, InsufficientCredit):
            clock = self.retrier.clock
            deadline = clock.monotonic() + EXPLAIN_SECONDS
            offers = Offers(
                lambda act: self._call(act, never), lambda: clock.monotonic() < deadline
            )
            with contextlib.suppress(ApiError):
                found = why(request, offers)
        if not found and not isinstance(error, InstanceTypeNotFound):
            return JobRejected(error.message, remedy=error.remedy)
        message = " ".join([error.message, f"The task asks for {asked_for(request)}.", *found])
        return JobRejected(message, remedy=InstanceTypeNotFound.remedy)

    def read(self, job_id: str, *, believe_absence: bool = False) -> Job:
        """Read a job that exists.

        Args:
            job_id: Perian's id.
            believe_absence: whether "no such job" is believed at once.

        Raises:
            JobVanished: Perian has not known it for as long as an outage is ridden out.
            ApiUnavailable: no good answer for that long.
        """
        return self._existing(
            job_id, lambda client: client.get_job(job_id), believe_absence=believe_absence
        )

    def _existing(
        self, job_id: str, call: Callable[[PerianClient], T], *, believe_absence: bool = False
    ) -> T:
        try:
            return self._call(
                call,
                lambda error: (
                    is_answer(error) and not (believe_absence and isinstance(error, JobNotFound))
                ),
            )
        except JobNotFound as error:
            silence = minutes(self.retrier.patience)
            message = f"Perian does not know job {job_id}; no good answer about it for {silence}."
            raise JobVanished(message, job_id=job_id) from error
        except ApiError as error:
            raise self._unavailable(error, job_id) from error

    def glance(self, job_id: str) -> Glance:
        """Look at a job that exists without reading its log.

        Raises:
            JobVanished: Perian has not known it for as long as an outage is ridden out.
            ApiUnavailable: no good answer for that long.
        """
        return self._existing(job_id, lambda client: client.glance(job_id))

    def peek(self, job_id: str) -> Job | None:
        """Read a job if it can be read at once; None if not."""
        try:
            return self._call(lambda client: client.get_job(job_id), never)
        except ApiError:
            return None

    def peek_at_head(self, job_id: str) -> Glance | None:
        """Look at a job without reading its log, if it can be seen at once; None if not."""
        try:
            return self._call(lambda client: client.glance(job_id), never)
        except ApiError:
            return None

    def cancel(self, job_id: str) -> None:
        """Ask a job to end. Whether it does is for a look to tell: an unknown job may be too new.

        Raises:
            ApiUnavailable: it could not be asked and may go on.
        """
        try:
            self._call(
                lambda client: client.cancel_job(job_id),
                lambda error: (
                    is_answer(error) and not isinstance(error, JobAlreadyDone | JobNotFound)
                ),
            )
        except (JobAlreadyDone, JobNotFound):
            return
        except ApiError as error:
            raise self._unavailable(error, job_id) from error

    def ask_to_end(self, job_id: str, *, brief: bool = False) -> Job | None:
        """Ask a job to end, once, and return it as it is then; None if it cannot be seen.

        Args:
            job_id: Perian's id.
            brief: whether no more than its status matters: a long log would take too long.
        """
        try:
            self._call(lambda client: client.cancel_job(job_id), never)
        except ApiTimeout:
            return None  # another call would hang as well
        except ApiError:
            pass
        if brief:
            glance = self.peek_at_head(job_id)
            if glance is None:
                return None
            if glance.job is not None:
                return glance.job
        return self.peek(job_id)

    def machine(self, instance_type_id: str) -> InstanceType | None:
        """Return an instance type, None if it cannot be had."""
        try:
            return self._call(lambda client: client.get_instance_type(instance_type_id), never)
        except ApiError:
            return None

    def pages(self, pager: Pager, *, patient: bool = True) -> Iterator[list[Job]]:
        """Yield the list of jobs page by page: of each page, what was not seen before.

        Args:
            pager: says which pages.
            patient: whether refused credentials are waited out.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        while (wanted := pager.next_request()) is not None:
            page, limit = wanted
            try:
                answer = self._call(
                    lambda client, page=page, limit=limit: client.list_jobs(page, limit),  # type: ignore[misc]  # mypy cannot infer a lambda's default
                    lambda error: (
                        not (limit > 1 and is_too_much(error))  # noqa: B023 - called before the loop goes on
                        and (is_answer(error) if patient else error.retryable)
                    ),
                )
            except ApiError as error:
                in_time = self.retrier.clock.monotonic() < self.retrier.deadline
                if is_too_much(error) and in_time and pager.shrink():
                    continue
                raise self._unavailable(error) from error
            yield pager.take(answer)

    def scan(
        self,
        key: str,
        *,
        since: datetime | None = None,
        seconds: float | None = None,
        patient: bool = True,
    ) -> Scan:
        """Look through the list for the jobs of a piece of work.

        The list is newest first and moves while it is read. It is read until it ends, until what
        follows is too old, or for as long and as far as the policy allows.

        Args:
            key: the idempotency key.
            since: jobs that the platform created before are of no interest; None: all are.
            seconds: how long it may take, None for the policy's bound.
            patient: whether refused credentials are waited out.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        clock = self.retrier.clock
        deadline = clock.monotonic() + (self.looks.scan if seconds is None else seconds)
        pager = Pager(max_pages=self.looks.pages)
        found: list[Job] = []
        listed: set[str] = set()
        newest_first, last, told = True, None, True
        for page in self.pages(pager, patient=patient):
            for job in page:
                listed.add(job.id)
                created = job.created_at or last
                newest_first = newest_first and (not last or not created or created <= last)
                last = created
                if since is not None and created is not None and created < since:
                    if newest_first:
                        return Scan(tuple(found), frozenset(listed), told)
                    continue
                seen: Job | None = job
                if JOB_KEY not in job.env_variables and not job.env_complete:
                    seen = self.peek(job.id) if clock.monotonic() < deadline else None
                    told = told and seen is not None
                if seen is not None and seen.env_variables.get(JOB_KEY) == key:
                    found.append(seen)
            if clock.monotonic() >= deadline:
                break
        return Scan(tuple(found), frozenset(listed), whole=told and pager.complete)

    def _unavailable(self, error: ApiError, job_id: str | None = None) -> ApiUnavailable:
        """Return the run's error for a call that failed for too long."""
        remedy = CREDENTIALS_REMEDY if isinstance(error, Unauthorized) else error.remedy
        about = f" about job {job_id}" if job_id else ""
        silence = minutes(self.retrier.patience)
        message = f"No good answer{about} for {silence}, last: {error.message}"
        return ApiUnavailable(message, job_id=job_id, remedy=remedy)

    def close(self) -> None:
        """Close the connections; the next call opens one with the credentials as they are then."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(self, call: Callable[[PerianClient], T], passes: Callable[[PerianError], bool]) -> T:
        renewed = False

        def act() -> T:
            if self._client is None:
                self._client = self.connect()
            return call(self._client)

        def passes_renewed(error: PerianError) -> bool:
            nonlocal renewed
            if isinstance(error, Unauthorized):
                self.close()  # mounted secrets rotate: the next attempt reads them anew
                first, renewed = not renewed, True
                return first or passes(error)
            return passes(error)

        return self.retrier.call(act, passes_renewed)


def is_answer(error: PerianError) -> bool:
    """Whether a failure is an API's answer, which may be somebody else's who stands in between."""
    return isinstance(error, ApiError)


def is_too_much(error: PerianError) -> bool:
    """Whether a page could not be had because of how much is on it."""
    return isinstance(error, ApiError) and error.smaller_may_succeed


def never(error: PerianError) -> bool:  # noqa: ARG001 - as any rule
    """Make nothing again."""
    return False
