"""The Perian REST API: jobs, what can be rented, and what has been paid.

One method is one call, tried once: when to try again is decided elsewhere, from the errors'
``retryable``, ``retry_after`` and ``outcome_unknown``. The exceptions to that rule, and timeouts,
redirects and proxies, are described in ``perian_shim.api.transport``. Timeouts are in seconds,
pages are counted from 1. A call that fails raises an ``ApiError`` (``ClientConfigError`` if proxy
settings make it impossible); the token is in none of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, final

from perian_shim.api.catalogue import AcceleratorType, InstanceType
from perian_shim.api.errors import (
    ApiError,
    InstanceTypeNotFound,
    InvalidRequest,
    JobNotFound,
    MalformedResponse,
)
from perian_shim.api.fields import Fields
from perian_shim.api.ids import checked_id, read_job_id
from perian_shim.api.job_request import CreateJobRequest, Requirements
from perian_shim.api.jobs import LISTED_JOBS, ONE_JOB, Glance, Job
from perian_shim.api.pages import Page, every_item, item_named, page_query
from perian_shim.api.paging import Pager
from perian_shim.api.responses import Answer, Call, Clock, read_answer
from perian_shim.api.transport import Credentials, Transport
from perian_shim.version import __version__

if TYPE_CHECKING:  # a pod asks for no bill
    from perian_shim.api.billing import AuditEntry, Bill, Credits
    from perian_shim.api.tokens import TokenSource

T = TypeVar("T")

DEFAULT_LIMIT = 25
"""Items per page, as the API's own default."""


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


@final
class PerianClient:
    """A client for one organization; a context manager.

    Args:
        base_url: of the API, e.g. ``https://api.perian.cloud``; a trailing slash does not matter.
        organization: name of the organization.
        token: its API token, or what gets one and may get another (``perian_shim.api.tokens``).
        connect_timeout: seconds to establish a connection.
        read_timeout: seconds without a byte of the answer; ten times as much for the whole of it,
            twice as much for a page of jobs, which may be asked for in smaller ones.
        user_agent: value of the User-Agent header; None: name and version of perian-shim.
        clock: tells the time, to read a ``Retry-After`` that is a date.

    Raises:
        ClientConfigError: base URL, organization or token cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        organization: str,
        token: "str | TokenSource",
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
        user_agent: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._transport = Transport(
            base_url,
            Credentials(organization, token),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            user_agent=user_agent or f"perian-shim/{__version__}",
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
        answer = self._transport.send(call)
        return replace(self._job(call, answer, job_id), answer_bytes=answer.size)

    def glance(self, job_id: str) -> Glance:
        """Return what can be told of a job without reading its log, of which little is sent.

        Raises:
            JobNotFound: there is none of this id.
            ApiError: any other failure.
        """
        call = Call("GET", f"/job/{checked_id(job_id)}", keep=ONE_JOB, brief=True)
        answer = self._transport.send(call)
        if answer.left and not answer.body:
            return Glance(None, answer.announced)
        job = self._job(call, answer, job_id)
        if not answer.left:
            return Glance(replace(job, answer_bytes=answer.size), answer.size, whole=True)
        return Glance(replace(job, logs=None), answer.announced)

    def _job(self, call: Call, answer: Answer, job_id: str) -> Job:
        return self._read_one(call, answer, "jobs", job_id, Job.from_json, JobNotFound)

    def list_jobs(self, page: int = 1, limit: int = DEFAULT_LIMIT) -> Page[Job]:
        """Return one page of the organization's jobs, without their logs.

        A job that cannot be read does not hide the others, see ``Job.from_listing``.
        """
        call = Call("GET", "/job", query=page_query(page, limit), keep=LISTED_JOBS, patience=2)

        def read(entry: object, where: str) -> Job | None:
            return Job.from_listing(entry, f"page {page}, {where}")

        return self._call(
            call,
            lambda fields: Page.from_json(fields.values, "jobs", read, page=page, limit=limit),
        )

    def iter_jobs(self, limit: int = 100) -> Iterator[Job]:
        """Yield all jobs, each once, asking for one page after the other.

        Pages may move meanwhile, see ``Pager``; one that cannot be had is asked for in smaller
        ones.

        Args:
            limit: jobs per page.

        Raises:
            MalformedResponse: the listing has no end, or shows the same again and again.
            ApiError: a page could not be had.
        """
        pager = Pager(limit)
        while (request := pager.next_request()) is not None:
            yield from self._take_page(pager, *request)
        if not pager.complete:
            message = "GET /job: the listing has no end, or keeps showing the same jobs."
            raise MalformedResponse(message, method="GET", path="/job")

    def _take_page(self, pager: Pager, number: int, limit: int) -> list[Job]:
        try:
            return pager.take(self.list_jobs(number, limit))
        except ApiError as error:
            if not (error.smaller_may_succeed and pager.shrink()):
                raise
            return []

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
            query=page_query(page, limit),
            body={"instance_type_query": query},
        )
        return self._call(
            call,
            lambda fields: Page.from_json(
                fields.values, "instance_types", InstanceType.from_json, page=page, limit=limit
            ),
        )

    def iter_instance_types(
        self, requirements: Requirements | None = None, limit: int = 100
    ) -> Iterator[InstanceType]:
        """Yield all instance types that meet the requirements, page by page, cheapest first.

        Raises:
            MalformedResponse: the listing has no end, or shows the same again and again.
            ApiError: a page could not be had.
        """
        return every_item(
            "instance types", lambda page: self.list_instance_types(requirements, page, limit)
        )

    def get_instance_type(self, instance_type_id: str) -> InstanceType:
        """Return an instance type.

        Raises:
            InstanceTypeNotFound: there is none of this id.
            ApiError: any other failure.
        """
        path = f"/instance-type/{checked_id(instance_type_id, 'an instance type')}"
        return self._one(
            Call("GET", path),
            "instance_types",
            instance_type_id,
            InstanceType.from_json,
            InstanceTypeNotFound,
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
            query=page_query(page, limit),
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

    def iter_accelerator_types(self) -> Iterator[AcceleratorType]:
        """Yield all accelerator types; raises as ``iter_instance_types`` does."""
        return every_item(
            "accelerator types", lambda page: self.list_accelerator_types(page, limit=100)
        )

    def get_credits(self) -> "Credits":
        """Return what the organization can still spend.

        Raises:
            InvalidRequest: the organization has no such account: its plan is unlimited.
            ApiError: any other failure.
        """
        from perian_shim.api.billing import CREDITS, Credits  # noqa: PLC0415 - not for a pod

        return self._call(CREDITS, lambda fields: Credits.from_json(fields.values))

    def get_bill(self, start: datetime, end: datetime, currency: str | None = None) -> "Bill":
        """Return what the organization pays for an interval.

        Args:
            start: of the interval, with an offset.
            end: of the interval, with an offset.
            currency: to show it in, e.g. ``"USD"``; None: the API's choice, EUR.

        Raises:
            ValueError: a time has no offset.
            ApiError: the call failed.
        """
        from perian_shim.api.billing import Bill, bill_call  # noqa: PLC0415 - not for a pod

        call = bill_call(self._transport.organization, start, end, currency)
        return self._call(call, lambda fields: Bill.from_json(fields.values))

    def list_audit_log(self, page: int = 1, page_size: int = 50) -> "Page[AuditEntry]":
        """Return one page of the requests made in the organization's name, without what they sent.

        Args:
            page: its number.
            page_size: entries per page, at most 50.

        Raises:
            ValueError: a number is out of bounds.
            ApiError: the call failed.
        """
        from perian_shim.api.billing import audit_call, read_audit_page  # noqa: PLC0415 - as above

        return self._call(
            audit_call(page, page_size),
            lambda fields: read_audit_page(fields.values, page, page_size),
        )

    def _one(
        self,
        call: Call,
        key: str,
        wanted: str,
        read: Callable[[object, str], T],
        missing: type[InvalidRequest],
    ) -> T:
        """Make a call for one item, which comes as a listing of itself."""
        return self._read_one(call, self._transport.send(call), key, wanted, read, missing)

    def _read_one(
        self,
        call: Call,
        answer: Answer,
        key: str,
        wanted: str,
        read: Callable[[object, str], T],
        missing: type[InvalidRequest],
    ) -> T:
        """Read an answer about one item."""

        def found(fields: Fields) -> T:
            entry = item_named(fields, key, wanted)
            if entry is None:
                message = f"{call}: the answer's {key} are empty."
                raise missing(message, method=call.method, path=call.path, status_code=200)
            return read(entry.values, entry.where)

        return self._read(call, answer, found)

    def _call(self, call: Call, read: Callable[[Fields], T]) -> T:
        """Make a call and read its answer."""
        return self._read(call, self._transport.send(call), read)

    def _read(self, call: Call, answer: Answer, read: Callable[[Fields], T]) -> T:
        """Read an answer."""
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
