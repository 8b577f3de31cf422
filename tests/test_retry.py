"""Asking again: what is repeated, how often, and how long is waited."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api import (
    ApiError,
    CreateJobRequest,
    DockerRun,
    InvalidRequest,
    Job,
    JobNotFound,
    MalformedResponse,
    Page,
    PerianClient,
    RateLimited,
    Requirements,
    ServerFault,
    TransportError,
    Unauthorized,
)
from perian_shim.retry import RetryingClient, RetryPolicy

REQUEST = CreateJobRequest(DockerRun("debian"), Requirements(cores=1))
JOB = Job("j", "Running")


def transport(method: str, path: str, *, sent: bool = True) -> TransportError:
    return TransportError("broke", sent=sent, method=method, path=path)


@dataclass
class Script:
    """A client whose calls go as written; the last line is repeated."""

    lines: list[ApiError | None]
    made: int = 0
    connections: int = 0
    closed: int = 0
    pauses: list[float] = field(default_factory=list)
    pages: list[Page[Job]] = field(default_factory=list)

    def play(self) -> None:
        line = self.lines[min(self.made, len(self.lines) - 1)]
        self.made += 1
        if line is not None:
            raise line

    def create_job(self, _request: CreateJobRequest) -> str:
        self.play()
        return "j"

    def get_job(self, _job_id: str) -> Job:
        self.play()
        return JOB

    def cancel_job(self, _job_id: str) -> None:
        self.play()

    def list_jobs(self, page: int, _limit: int) -> Page[Job]:
        self.play()
        return self.pages[min(page, len(self.pages)) - 1]

    def close(self) -> None:
        self.closed += 1

    def client(self, chance: float = 1.0, policy: RetryPolicy | None = None) -> RetryingClient:
        def connect() -> "Script":
            self.connections += 1
            return self

        return RetryingClient(
            cast("Callable[[], PerianClient]", connect),
            policy or RetryPolicy(),
            self.pauses.append,
            lambda: chance,
        )


Call = Callable[[RetryingClient], object]

REPEATABLE: list[tuple[str, str, Call]] = [
    ("GET", "/job/j", lambda client: client.get_job("j")),
    ("GET", "/job", lambda client: list(client.iter_jobs())),
    ("PATCH", "/job/j/cancel", lambda client: client.cancel_job("j")),
]


@pytest.mark.parametrize(("method", "path", "call"), REPEATABLE, ids=["get", "list", "cancel"])
@pytest.mark.parametrize(
    "kind",
    [
        transport,
        lambda method, path: ServerFault("500", method=method, path=path),
        lambda method, path: RateLimited("429", method=method, path=path),
        lambda method, path: MalformedResponse("half", method=method, path=path),
    ],
    ids=["broken", "500", "429", "malformed"],
)
def test_a_repeatable_call_is_tried_again_after_a_passing_fault(
    method: str, path: str, call: Call, kind: Callable[[str, str], ApiError]
) -> None:
    script = Script([*[kind(method, path)] * 5, None], pages=[Page((JOB,))])
    call(script.client())
    assert script.made == 6


def test_it_is_tried_so_often_and_no_more() -> None:
    script = Script([transport("GET", "/job/j")])
    with pytest.raises(TransportError):
        script.client().get_job("j")
    assert script.made == 6
    assert len(script.pauses) == 5


@pytest.mark.parametrize("fault", [JobNotFound("no"), InvalidRequest("no")])
def test_a_refusal_is_not_tried_again(fault: ApiError) -> None:
    script = Script([fault])
    with pytest.raises(type(fault)):
        script.client().get_job("j")
    assert script.made == 1


@pytest.mark.parametrize(
    "fault",
    [
        transport("POST", "/job"),
        ServerFault("500", method="POST", path="/job"),
        MalformedResponse("half", method="POST", path="/job"),
    ],
)
def test_a_submission_that_may_have_been_heard_is_never_sent_again(fault: ApiError) -> None:
    script = Script([fault, None])
    with pytest.raises(type(fault)):
        script.client().create_job(REQUEST)
    assert script.made == 1


@pytest.mark.parametrize(
    "fault",
    [
        transport("POST", "/job", sent=False),
        RateLimited("429", method="POST", path="/job", retry_after=3.0),
    ],
)
def test_a_submission_that_was_not_heard_is_sent_again(fault: ApiError) -> None:
    script = Script([fault, None])
    assert script.client().create_job(REQUEST) == "j"
    assert script.made == 2


def test_refused_credentials_are_read_anew_once() -> None:
    script = Script([Unauthorized("401"), None])
    script.client().get_job("j")
    assert (script.connections, script.closed, script.pauses) == (2, 1, [])


def test_credentials_refused_twice_are_refused() -> None:
    script = Script([Unauthorized("401")])
    with pytest.raises(Unauthorized):
        script.client().get_job("j")
    assert script.connections == 2


def test_pauses_double_up_to_a_bound() -> None:
    script = Script([transport("GET", "/job/j")])
    with pytest.raises(TransportError):
        script.client(policy=RetryPolicy(attempts=8)).get_job("j")
    assert script.pauses == [0.5, 1, 2, 4, 8, 16, 20]


@given(
    failures=st.integers(1, 10_000),
    chance=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(0, 1e6),
)
def test_a_pause_is_bounded_and_never_shorter_than_what_was_asked(
    failures: int, chance: float, asked: float | None
) -> None:
    policy = RetryPolicy()
    pause = policy.pause(failures, chance, asked)
    least = min(asked or 0.0, policy.longest_wait)
    assert least <= pause <= least + policy.longest


def test_those_who_were_told_the_same_do_not_come_back_together() -> None:
    policy = RetryPolicy()
    assert policy.pause(1, 0.1, 5.0) != policy.pause(1, 0.9, 5.0)


def test_the_list_is_read_page_by_page_and_each_job_is_given_once() -> None:
    a, b, c = (Job(name, "Running") for name in "abc")
    script = Script([None], pages=[Page((a, b), 1, has_next=True), Page((b, c), 2)])
    assert list(script.client().iter_jobs()) == [a, b, c]


def test_a_list_that_never_ends_is_left() -> None:
    script = Script([None], pages=[Page((JOB,), 1, has_next=True)])
    assert list(script.client().iter_jobs()) == [JOB]
    assert script.made == 2


def test_a_page_that_fails_for_good_fails_the_list() -> None:
    script = Script(
        [None, transport("GET", "/job")],
        pages=[Page((JOB,), 1, has_next=True), Page((Job("k", "Done"),), 2)],
    )
    with pytest.raises(TransportError):
        list(script.client().iter_jobs())


def test_closing_ends_the_connections_and_may_be_repeated() -> None:
    script = Script([None])
    client = script.client()
    client.get_job("j")
    client.close()
    client.close()
    assert script.closed == 1
