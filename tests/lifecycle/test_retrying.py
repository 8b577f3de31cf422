"""Asking again: what is repeated, how often, and how long is waited."""

import heapq
import random
from collections import deque
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
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.retrying import Pace, RetryingClient, RetryPolicy

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
    said: list[str] = field(default_factory=list)
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
            clock=lambda: sum(self.pauses),
            warn=self.said.append,
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
    assert least <= pause <= least + max(least, policy.longest)


def test_those_who_were_told_the_same_do_not_come_back_together() -> None:
    policy = RetryPolicy()
    assert policy.pause(1, 0.0, 5.0) == 5.0
    assert policy.pause(1, 0.9, 5.0) == pytest.approx(9.5)


# --- a rate limit ---

PATIENT = RetryPolicy(outage=1800.0)


def limited(method: str = "GET", path: str = "/job/j", asked: float | None = 1.0) -> RateLimited:
    return RateLimited("too many requests.", method=method, path=path, retry_after=asked)


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [*REPEATABLE, ("POST", "/job", lambda client: client.create_job(REQUEST))],
    ids=["get", "list", "cancel", "submit"],
)
@pytest.mark.parametrize("asked", [None, 1.0, 30.0])
def test_a_limited_call_is_repeated_for_as_long_as_an_outage_is_ridden_out(
    method: str, path: str, call: Call, asked: float | None
) -> None:
    script = Script([limited(method, path, asked)], pages=[Page((JOB,))])
    with pytest.raises(RateLimited):
        call(script.client(chance=0.5, policy=PATIENT))
    assert sum(script.pauses) >= 1800
    assert sum(script.pauses[:-1]) < 1800
    assert min(script.pauses) >= (asked or 0.0)


def test_a_limited_call_succeeds_as_soon_as_it_is_answered() -> None:
    script = Script([*[limited()] * 30, None])
    assert script.client(chance=0.0, policy=PATIENT).get_job("j") == JOB
    assert script.made == 31


def test_who_is_in_a_hurry_repeats_a_limited_call_no_more_often_than_any() -> None:
    script = Script([limited()])
    with pytest.raises(RateLimited):
        script.client(policy=RetryPolicy(attempts=1)).get_job("j")
    assert script.made == 1


def test_refusals_for_a_limit_do_not_use_up_the_attempts() -> None:
    faults = [transport("GET", "/job/j"), limited()] * 5
    script = Script([*[limited()] * 10, *faults, None])
    assert script.client(chance=0.5, policy=PATIENT).get_job("j") == JOB


def test_those_who_are_refused_again_and_again_are_spread_ever_wider() -> None:
    script = Script([*[limited()] * 8, None])
    script.client(chance=1.0, policy=PATIENT).get_job("j")
    assert script.pauses == [2.5, 2.5, 4, 7, 13, 25, 31, 31]


def test_a_limit_that_lasts_is_told_once() -> None:
    script = Script([*[limited()] * 20, None])
    script.client(policy=PATIENT).get_job("j")
    assert script.said == ["too many requests. Asking again, and less often."]


def test_a_call_that_was_refused_slows_the_pace_once_however_often_it_was() -> None:
    script = Script([limited(), limited(), None, limited(), None])
    client = script.client(policy=PATIENT)
    client.get_job("j")
    assert client.pace.stretch == 1.5
    client.get_job("j")
    assert client.pace.stretch == 2.25


def test_calls_that_are_answered_bring_the_pace_back() -> None:
    script = Script([limited(), limited(), None])
    client = script.client(policy=PATIENT)
    stretches = []
    for _ in range(300):
        client.get_job("j")
        stretches.append(client.pace.stretch)
    assert stretches == sorted(stretches, reverse=True)
    assert stretches[-1] == 1


def test_a_rest_is_longer_after_a_refusal_but_never_long() -> None:
    script = Script([limited(asked=1.0), limited(asked=60.0), None])
    client = script.client(chance=0.5, policy=RetryPolicy(attempts=1))
    client.rest(0.5)
    for _ in range(2):
        with pytest.raises(RateLimited):
            client.get_job("j")
        client.rest(0.5)
    client.get_job("j")
    client.rest(0.5)
    assert script.pauses == [0.5, 1.75, 2.0, 0.5]


@pytest.mark.parametrize(("crowd", "most_refused"), [(50, 0.05), (100, 0.1), (400, 0.5)])
def test_a_crowd_comes_to_ask_as_often_as_it_may(crowd: int, most_refused: float) -> None:
    """Polling every 2 s, fifty want 1.25 times what they may, and four hundred 10 times."""
    limit, settled, end = 20, 150.0, 350.0
    dice = random.Random(7)
    polling, retrying = PollPolicy(shortest=2.0, share=0.0), RetryPolicy()
    paces = [Pace() for _ in range(crowd)]
    refusals = [0] * crowd
    turns = [(dice.random(), number) for number in range(crowd)]
    heapq.heapify(turns)
    answered: deque[float] = deque()
    asked, answers = 0, [0] * crowd
    while turns[0][0] < end:
        now, number = turns[0]
        while answered and now - answered[0] >= 1:
            answered.popleft()
        pace = paces[number]
        asked += now >= settled
        if len(answered) >= limit:
            pace.refused(1.0, again=refusals[number] > 0)
            refusals[number] += 1
            pause = retrying.pause(refusals[number], dice.random(), 1.0, pace.stretch)
        else:
            answered.append(now)
            answers[number] += now >= settled
            pace.answered(at_once=not refusals[number])
            refusals[number] = 0
            pause = polling.pause(0.0, dice.random(), pace.stretch)
        heapq.heapreplace(turns, (now + pause, number))
    refused = 1 - sum(answers) / asked
    assert refused <= most_refused
    assert sum(answers) >= 0.6 * limit * (end - settled)
    if crowd <= 100:
        assert min(answers) >= 0.3 * sum(answers) / crowd


def test_how_long_a_limit_is_ridden_out_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERIAN_OUTAGE_SECONDS", "60")
    assert RetryPolicy.from_environment() == RetryPolicy(outage=60.0)


# --- the list ---


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
