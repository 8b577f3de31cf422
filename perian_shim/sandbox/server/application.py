"""The platform's API, from a request to a response, without any transport.

Failures are responses: 400 in the platform's error shape for what it calls a client error, 401 for
wrong credentials, 422 in its framework's shape for what breaks the contract, 500 for a fault here.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from perian_shim.sandbox.records import Json
from perian_shim.sandbox.server.account import Account, AccountRefusal
from perian_shim.sandbox.server.catalogue import ACCELERATORS, INSTANCE_TYPES
from perian_shim.sandbox.server.job_request import JobPolicy, read_submission
from perian_shim.sandbox.server.matching import read_accelerator_query, read_instance_query
from perian_shim.sandbox.server.store import JobStore
from perian_shim.sandbox.server.validation import (
    InvalidRequest,
    Problem,
    Reader,
    parse_body,
    parse_uuid,
)
from perian_shim.sandbox.server.views import (
    accelerator_view,
    failure,
    instance_view,
    jobs_view,
    page_of,
    success,
)

LOGGER = logging.getLogger(__name__)

DEFAULT_LIMIT = 25

NO_JOB = "No job found with specified ID"
ALREADY_DONE = "The job you are trying to cancel is already complete."
NEITHER = "Please either provide a specific instance type ID or requirements for the job"
NO_OFFER = "The selected Instance Type was not found"
NO_QUERY = "Please either provide a specific instance_type ID or a query"
NO_INSTANCE_TYPE = "No instance type found with specified ID"
NO_ACCELERATOR_TYPE = "No accelerator type found"
CREDITS_TOLD = "Remaining credits information retrieved successfully"

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    Attributes:
        method: upper case.
        path: decoded, without the query.
        query: values by name.
        headers: by lower-case name.
        body: as received.
        client: the address that it came from, empty if unknown.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = ""


@dataclass(frozen=True)
class Response:
    """An HTTP response; content type and length are added where it is written."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, value: Json) -> "Response":
        """Give a JSON response."""
        return cls(status, json.dumps(value).encode("utf-8"))


class Refusal(Exception):
    """A request that the platform turns down.

    Args:
        detail: its words.
        status: its HTTP status.
    """

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


@dataclass(frozen=True)
class Credentials:
    """What a request must carry."""

    organization: str
    token: str = field(repr=False)

    def check(self, headers: Mapping[str, str]) -> None:
        """Compare a request's headers, in a time that does not depend on how far they agree.

        Raises:
            Refusal: they are missing or wrong.
        """
        organization = headers.get("x-perian-auth-org")
        authorization = headers.get("authorization")
        for name, value in (
            ("X-PERIAN-AUTH-ORG", organization),
            ("Authorization", authorization),
        ):
            if value is None:
                raise Refusal(f"The required header {name} is missing")
        right = [
            hmac.compare_digest((given or "").encode("utf-8"), expected.encode("utf-8"))
            for given, expected in (
                (organization, self.organization),
                (authorization, f"Bearer {self.token}"),
            )
        ]
        if not all(right):
            raise Refusal("The provided organization or token is not valid", 401)


class Application:
    """Answers requests.

    Args:
        store: the jobs.
        policy: how new jobs run.
        credentials: who may ask.
        account: what is paid with; None for one with the usual credits.
    """

    def __init__(
        self,
        store: JobStore,
        policy: JobPolicy,
        credentials: Credentials,
        account: Account | None = None,
    ) -> None:
        self.store = store
        self.policy = policy
        self.credentials = credentials
        self.account = account or Account(store, credentials.organization)

    def __call__(self, request: Request) -> Response:
        """Answer a request, and log it if it names the organization; never raises."""
        headers = request.headers
        if headers.get("x-perian-auth-org") != self.credentials.organization:
            return self.answer(request)
        end = self.account.note(
            request.method, request.path, request.query, headers, request.client
        )
        response = self.answer(request)
        end(response.status)
        return response

    def answer(self, request: Request) -> Response:
        """Answer a request; never raises."""
        try:
            return self.route(request)
        except Refusal as refusal:
            return Response.of(refusal.status, failure(refusal.status, refusal.detail))
        except AccountRefusal as refusal:
            return Response.of(400, failure(400, str(refusal)))
        except InvalidRequest as error:
            return Response.of(422, error.to_json())
        except Exception as error:
            LOGGER.exception("%s %s failed", request.method, request.path)
            return Response.of(500, failure(500, f"{type(error).__name__} in the sandbox"))

    def route(self, request: Request) -> Response:
        """Find who answers, check the credentials, let them answer."""
        words = tuple(request.path.strip("/").split("/"))
        handlers: dict[str, Callable[[], Json]]
        match words:
            case ("job",):
                handlers = {
                    "GET": lambda: self.list_jobs(request),
                    "POST": lambda: self.create_job(request),
                }
            case ("job", job_id):
                handlers = {"GET": lambda: self.get_job(job_id)}
            case ("job", job_id, "cancel"):
                handlers = {"PATCH": lambda: self.cancel_job(job_id)}
            case ("instance-type",):
                handlers = {"POST": lambda: self.query_instance_types(request)}
            case ("instance-type", entry):
                handlers = {"GET": lambda: self.get_instance_type(entry)}
            case ("accelerator-type",):
                handlers = {
                    "GET": self.list_accelerator_types,
                    "POST": lambda: self.query_accelerator_types(request),
                }
            case ("accelerator-type", entry):
                handlers = {"GET": lambda: self.get_accelerator_type(entry)}
            case _:
                handlers = self.account_handlers(words, request)
        if not handlers:
            return Response.of(404, {"detail": "Not Found"})
        handler = handlers.get(request.method)
        if handler is None:
            return Response.of(405, {"detail": "Method Not Allowed"})
        self.credentials.check(request.headers)
        return Response.of(200, handler())

    def account_handlers(
        self, words: Sequence[str], request: Request
    ) -> dict[str, Callable[[], Json]]:
        """Give who answers about the organization's account, by method."""
        account, query = self.account, request.query
        match words:
            case ("billing", "remaining-credits"):
                return {"GET": lambda: {**success(CREDITS_TOLD), **account.credits()}}
            case ("billing", "generate"):
                return {"GET": lambda: account.bill(query)}
            case ("organization", "logs"):
                return {"GET": lambda: success(audit_logs=account.audit_log(query))}
            case ("organization",):
                return {"GET": self.get_organization}
            case _:
                return {}

    def list_jobs(self, request: Request) -> Json:
        """``GET /job``: the newest first."""
        page, limit = paging(request)
        snapshots, total = self.store.page(page, limit)
        return jobs_view(snapshots, page, limit, total)

    def create_job(self, request: Request) -> Json:
        """``POST /job``."""
        submission = read_submission(parse_body(request.body))
        if submission.instance_type_id is None and submission.query is None:
            raise Refusal(NEITHER)
        offer = submission.offer()
        if offer is None:
            raise Refusal(NO_OFFER)
        job_id = self.store.create(submission.job_view(offer), submission.execution(self.policy))
        return success("Job created successfully", id=job_id)

    def get_job(self, text: str) -> Json:
        """``GET /job/{job_id}``."""
        snapshot = self.store.get(path_id(text, "job_id"))
        if snapshot is None:
            raise Refusal(NO_JOB)
        return jobs_view([snapshot], 1, DEFAULT_LIMIT, 1)

    def cancel_job(self, text: str) -> Json:
        """``PATCH /job/{job_id}/cancel``: answers once the request is noted."""
        try:
            cancelled = self.store.cancel(path_id(text, "job_id"))
        except KeyError as error:
            raise Refusal(NO_JOB) from error
        if not cancelled:
            raise Refusal(ALREADY_DONE)
        return success()

    def query_instance_types(self, request: Request) -> Json:
        """``POST /instance-type``: the cheapest first."""
        page, limit = paging(request)
        reader = Reader(parse_body(request.body), ("body",), [])
        query = read_instance_query(reader.child("instance_type_query"))
        reader.check()
        if not reader.has("instance_type_query"):
            raise Refusal(NO_QUERY)
        found = query.select()
        return success(
            limit=limit,
            no=len(part(found, page, limit)),
            instance_types=[instance_view(offer) for offer in part(found, page, limit)],
            pagination=page_of(page, limit, len(found)),
        )

    def get_instance_type(self, text: str) -> Json:
        """``GET /instance-type/{instance_type_id}``."""
        wanted = path_id(text, "instance_type_id")
        found = [instance_view(offer) for offer in INSTANCE_TYPES if offer.id == wanted]
        if not found:
            raise Refusal(NO_INSTANCE_TYPE)
        return success(
            limit=DEFAULT_LIMIT,
            no=1,
            instance_types=list[Json](found),
            pagination=page_of(1, DEFAULT_LIMIT, 1),
        )

    def list_accelerator_types(self) -> Json:
        """``GET /accelerator-type``."""
        return accelerators_view([accelerator_view(kind) for kind in ACCELERATORS])

    def query_accelerator_types(self, request: Request) -> Json:
        """``POST /accelerator-type``; like the platform it does not divide the result."""
        reader = Reader(parse_body(request.body), ("body",), [])
        found = read_accelerator_query(reader.child("accelerator_type_query"))
        reader.check()
        return accelerators_view([accelerator_view(kind) for kind in found])

    def get_accelerator_type(self, text: str) -> Json:
        """``GET /accelerator-type/{accelerator_type_id}``."""
        wanted = path_id(text, "accelerator_type_id")
        return accelerators_view(
            [accelerator_view(kind) for kind in ACCELERATORS if kind.id == wanted]
        )

    def get_organization(self) -> Json:
        """``GET /organization``: not in the contract, but what the official login asks for."""
        own = self.credentials
        return success(organization={"name": own.organization, "access_token": own.token})


def accelerators_view(found: list[dict[str, Json]]) -> Json:
    """Give the response with some accelerator types.

    Raises:
        Refusal: there are none.
    """
    if not found:
        raise Refusal(NO_ACCELERATOR_TYPE)
    return success(
        no=len(found),
        accelerator_types=list[Json](found),
        pagination=page_of(1, max(DEFAULT_LIMIT, len(found)), len(found)),
    )


def part(items: Sequence[T], page: int, limit: int) -> Sequence[T]:
    """Give one page; pages count from 1."""
    return items[(page - 1) * limit : page * limit]


def path_id(text: str, name: str) -> str:
    """Read an identifier in a path.

    Raises:
        InvalidRequest: it is no UUID.
    """
    identifier = parse_uuid(text)
    if identifier is None:
        raise InvalidRequest(
            [Problem(("path", name), "Input should be a valid UUID", "uuid_parsing")]
        )
    return identifier


def paging(request: Request) -> tuple[int, int]:
    """Read page and limit.

    Raises:
        InvalidRequest: one is not a positive whole number.
    """
    problems: list[Problem] = []
    numbers = []
    for name, default in (("page", 1), ("limit", DEFAULT_LIMIT)):
        given = request.query.get(name, (str(default),))[-1]
        if given.isascii() and given.isdigit() and int(given) > 0:
            numbers.append(int(given))
        else:
            message = "Input should be a valid integer greater than 0"
            problems.append(Problem(("query", name), message, "int_parsing"))
    if problems:
        raise InvalidRequest(problems)
    return numbers[0], numbers[1]
