"""The Perian REST API: jobs, instance types and accelerator types.

One method is one call, tried once: when to try again is decided elsewhere, from the errors'
``retryable``, ``retry_after`` and ``outcome_unknown``. The exceptions to that rule, and timeouts,
redirects and proxies, are described in ``perian_shim.api.transport``. Timeouts are in seconds,
pages are counted from 1. A call that fails raises an ``ApiError`` (``ClientConfigError`` if proxy
settings make it impossible); the token is in none of them.
"""

import importlib.metadata
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from types import TracebackType
from typing import TypeVar, final

import requests

from perian_shim.api.catalogue import AcceleratorType, InstanceType
from perian_shim.api.errors import InvalidRequest, JobNotFound, MalformedResponse
from perian_shim.api.fields import Fields, optional
from perian_shim.api.job_request import CreateJobRequest, Requirements
from perian_shim.api.jobs import LISTED_JOBS, ONE_JOB, Job
from perian_shim.api.paging import Page
from perian_shim.api.responses import Answer, Call, Clock, read_answer
from perian_shim.api.transport import Credentials, Transport

T = TypeVar("T")

DEFAULT_LIMIT = 25
"""Items per page, as the API's own default."""

MAX_PAGES = 10_000
"""Pages after which a listing is taken for endless."""

# Ids are UUIDs today. What matters is that an id can never become another path.
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


def default_user_agent() -> str:
    """Return ``perian-shim/<version>``."""
    try:
        version = importlib.metadata.version("perian-shim")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        version = "unknown"
    return f"perian-shim/{version}"


@final
class PerianClient:
    """A client for one organization; a context manager.

    Args:
        base_url: of the API, e.g. ``https://api.perian.cloud``; a trailing slash does not matter.
        organization: name of the organization.
        token: its API token.
        connect_timeout: seconds to establish a connection.
        read_timeout: seconds without a byte of the answer; ten times as much for the whole of it,
            twice as much for a page of jobs, which may be asked for in smaller ones.
        session: a ``requests`` session to use; the caller closes it. None: one of our own.
        user_agent: value of the User-Agent header; None: name and version of perian-shim.
        clock: tells the time, to read a ``Retry-After`` that is a date.

    Raises:
        ClientConfigError: base URL, organization or token cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        organization: str,
        token: str,
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
        session: requests.Session | None = None,
        user_agent: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._transport = Transport(
            base_url,
            Credentials(organization, token),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            session=session,
            user_agent=user_agent or default_user_agent(),
        )
        self._clock = clock

    def __repr__(self) -> str:
        return f"PerianClient({self.base_url!r})"

    def __enter__(self) -> "PerianClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """The base URL, without trailing slash."""
        return self._transport.base_url

    def close(self) -> None:
        """Close the connections. Closing twice is fine."""
        self._transport.close()

    def create_job(self, request: CreateJobRequest) -> str:
        """Submit a job.

        Returns:
            The job's id.

        Raises:
            InsufficientCredit: the organization cannot pay for it.
            InstanceTypeNotFound: no machine fits.
            ApiError: any other failure; if ``outcome_unknown``, the job may exist all the same.
        """
        call = Call(
            "POST",
            "/job",
            body=request.to_json(),
            repeatable=False,
            confidential=request.confidential(),
        )
        return self._call(call, lambda fields: read_job_id(fields, call))

    def get_job(self, job_id: str) -> Job:
        """Return a job with its log, of which the middle is left out if it is very long.

        If the rest of the log takes too long to arrive, the job comes without what stands after it
        in the answer: ``env_complete`` is False then, and ``price`` may be None.

        Raises:
            JobNotFound: there is none of this id.
            ApiError: any other failure.
        """
        call = Call("GET", f"/job/{checked_id(job_id)}", keep=ONE_JOB)
        return self._call(call, lambda fields: read_one_job(fields, call, job_id))

    def list_jobs(self, page: int = 1, limit: int = DEFAULT_LIMIT) -> Page[Job]:
        """Return one page of the organization's jobs, without their logs.

        A job that cannot be read does not hide the others, see ``Job.from_listing``.
        """
        call = Call("GET", "/job", query=paging(page, limit), keep=LISTED_JOBS, patience=2)

        def read(entry: object, where: str) -> Job | None:
            return Job.from_listing(entry, f"page {page}, {where}")

        return self._call(
            call,
            lambda fields: Page.from_json(fields.values, "jobs", read, page=page, limit=limit),
        )

    def iter_jobs(self, limit: int = 100) -> Iterator[Job]:
        """Yield all jobs, each once, asking for one page after the other.

        Jobs submitted meanwhile shift the pages: a job seen before is left out. A page that brings
        nothing new ends the listing, whatever the server says of further pages.

        Args:
            limit: jobs per page.

        Raises:
            MalformedResponse: after ``MAX_PAGES`` pages there were still new jobs.
            ApiError: a page could not be had.
        """
        seen: set[str] = set()
        for number in range(1, MAX_PAGES + 1):
            page = self.list_jobs(number, limit)
            fresh = {job.id: job for job in page.items if job.id not in seen}
            yield from fresh.values()
            seen |= fresh.keys()
            if not fresh or not page.has_next:
                return
        message = f"GET /job: the listing has not ended after {MAX_PAGES} pages."
        raise MalformedResponse(message, method="GET", path="/job")

    def cancel_job(self, job_id: str) -> None:
        """Ask for a job's end. It may go on for a while.

        Raises:
            JobAlreadyDone: it has ended already.
            JobNotFound: there is none of this id.
            ApiError: any other failure.
        """
        self._call(Call("PATCH", f"/job/{checked_id(job_id)}/cancel"), lambda _: None)

    def list_instance_types(
        self,
        requirements: Requirements | None = None,
        page: int = 1,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[InstanceType]:
        """Return one page of the instance types that meet the requirements, cheapest first."""
        query = {} if requirements is None else requirements.to_json()
        call = Call(
            "POST",
            "/instance-type",
            query=paging(page, limit),
            body={"instance_type_query": query},
        )
        return self._call(
            call,
            lambda fields: Page.from_json(
                fields.values, "instance_types", InstanceType.from_json, page=page, limit=limit
            ),
        )

    def list_accelerator_types(
        self, page: int = 1, limit: int = DEFAULT_LIMIT
    ) -> Page[AcceleratorType]:
        """Return one page of the accelerator types.

        The API documents no paging of them: it may return all at once and ignore ``limit``. Then
        the page says so by having no next one.
        """
        call = Call(
            "POST",
            "/accelerator-type",
            query=paging(page, limit),
            body={"accelerator_type_query": {}},
        )
        return self._call(
            call,
            lambda fields: Page.from_json(
                fields.values,
                "accelerator_types",
                AcceleratorType.from_json,
                page=page,
                limit=0,
            ),
        )

    def _call(self, call: Call, read: Callable[[Fields], T]) -> T:
        """Make a call and read its answer."""
        answer: Answer = self._transport.send(call)
        fields = read_answer(call, answer, self._transport.redactor(call), self._clock)
        try:
            return read(fields)
        except MalformedResponse as fault:
            raise MalformedResponse(
                f"{call}: {fault.message}",
                method=call.method,
                path=call.path,
                status_code=answer.status_code,
            ) from None


def paging(page: int, limit: int) -> dict[str, int]:
    """Return the query parameters of a page.

    Raises:
        ValueError: one of the numbers is below 1.
    """
    for name, value in (("page", page), ("limit", limit)):
        if value < 1:
            message = f"{name}: expected a number of at least 1, got {value!r}"
            raise ValueError(message)
    return {"page": page, "limit": limit}


def checked_id(job_id: str) -> str:
    """Return the id if it can be a part of a path.

    Raises:
        InvalidRequest: it cannot; nothing is sent.
    """
    if _SAFE_ID.fullmatch(job_id):
        return job_id
    message = f"Not a job id: {job_id[:100]!r}."
    raise InvalidRequest(message, path="/job/{job_id}", remedy="Give the id as Perian shows it.")


def read_job_id(fields: Fields, call: Call) -> str:
    """Return the id of a job just created."""
    job_id = fields.required_text("id")
    if not _SAFE_ID.fullmatch(job_id):
        message = f"The answer's field {fields.place('id')} is no job id."
        raise MalformedResponse(message, method=call.method, path=call.path)
    return job_id


def read_one_job(fields: Fields, call: Call, job_id: str) -> Job:
    """Return the one job that was asked for from a listing."""
    jobs = Page.from_json(fields.values, "jobs", Fields, page=1, limit=0).items
    for entry in jobs:
        if (optional(entry.text, "id") or "").casefold() == job_id.casefold():
            return Job.from_json(entry.values, entry.where)
    if not jobs:
        message = f"{call}: the answer holds no job."
        raise JobNotFound(message, method=call.method, path=call.path, status_code=200)
    message = "The answer's jobs have other ids than the one that was asked for."
    raise MalformedResponse(message)
