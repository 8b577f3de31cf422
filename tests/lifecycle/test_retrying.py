"""Making calls again: what is repeated, for how long, and how long is waited."""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import (
    ApiError,
    InvalidRequest,
    JobAlreadyDone,
    JobNotFound,
    MalformedResponse,
    RateLimited,
    ServerFault,
    TransportError,
    Unauthorized,
)
from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements
from perian_shim.api.jobs import Job
from perian_shim.api.pages import Page
from perian_shim.errors import (
    ApiUnavailable,
    JobRejected,
    JobVanished,
    StorageFailed,
    SubmissionUnclear,
)
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import PollPolicy, RetryPolicy
from perian_shim.lifecycle.retrying import Pace, PatientStore, Retrier
from perian_shim.storage import ObjectStore

REQUEST = CreateJobRequest(DockerRun("debian"), Requirements(cores=1))
JOB = Job("j", "Running", env_variables={"NAME": "value"})
OUTAGE = 1800.0


def transport(method: str, path: str, *, sent: bool = True) -> TransportError:
    return TransportError("broke.", sent=sent, method=method, path=path)


@dataclass
class Script:
    """A client whose calls go as written; the last line is repeated. Time passes only in pauses."""

    lines: list[ApiError | None]
    made: int = 0
    connections: int = 0
    closed: int = 0
    pauses: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

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
        return Page((JOB,), page)

    def close(self) -> None:
        self.closed += 1

    def jobs(self, chance: float = 1.0, policy: RetryPolicy | None = None) -> Jobs:
        def connect() -> "Script":
            self.connections += 1
            return self

        clock = Clock(
            monotonic=lambda: sum(self.pauses), sleep=self.pauses.append, chance=lambda: chance
        )
        retrier = Retrier(policy or RetryPolicy(OUTAGE), clock, self.said.append)
        return Jobs(cast("Callable[[], PerianClient]", connect), retrier)


Call = Callable[[Jobs], object]

REPEATABLE: list[tuple[str, str, Call]] = [
    ("GET", "/job/j", lambda jobs: jobs.read("j")),
    ("GET", "/job", lambda jobs: jobs.scan("key")),
    ("PATCH", "/job/j/cancel", lambda jobs: jobs.cancel("j")),
]


@pytest.mark.parametrize(("method", "path", "call"), REPEATABLE, ids=["get", "list", "cancel"])
@pytest.mark.parametrize(
    "kind",
    [
        transport,
        lambda method, path: ServerFault("500", method=method, path=path),
        lambda method, path: RateLimited("429", method=method, path=path),
        lambda method, path: MalformedResponse("half", method=method, path=path),
        lambda method, path: Unauthorized("401", method=method, path=path),
        lambda method, path: InvalidRequest("400", method=method, path=path),
    ],
    ids=["broken", "500", "429", "malformed", "401", "400"],
)
def test_about_a_job_that_may_exist_no_failure_is_believed_at_once(
    method: str, path: str, call: Call, kind: Callable[[str, str], ApiError]
) -> None:
    script = Script([*[kind(method, path)] * 9, None])
    call(script.jobs())
    assert script.made == 10


@pytest.mark.parametrize(("method", "path", "call"), REPEATABLE, ids=["get", "list", "cancel"])
def test_an_outage_is_ridden_out_so_long_and_no_longer(method: str, path: str, call: Call) -> None:
    script = Script([transport(method, path)])
    with pytest.raises(ApiUnavailable):
        call(script.jobs())
    assert sum(script.pauses[:-1]) < OUTAGE <= sum(script.pauses)


def test_a_job_that_is_not_known_for_a_whole_outage_has_vanished() -> None:
    script = Script([JobNotFound("no such job")])
    with pytest.raises(
        JobVanished, match="does not know job j; no good answer about it for 30 min"
    ):
        script.jobs().read("j")
    assert sum(script.pauses) >= OUTAGE


def test_that_a_job_is_not_known_is_believed_on_demand() -> None:
    script = Script([JobNotFound("no such job")])
    with pytest.raises(JobVanished):
        script.jobs().read("j", believe_absence=True)
    assert script.made == 1


@pytest.mark.parametrize("fault", [JobAlreadyDone("done"), JobNotFound("none")])
def test_cancelling_an_ended_or_unknown_job_is_a_success(fault: ApiError) -> None:
    script = Script([fault])
    script.jobs().cancel("j")
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
    with pytest.raises(SubmissionUnclear, match="A job may have been created"):
        script.jobs().submit(REQUEST)
    assert script.made == 1


@pytest.mark.parametrize(
    "fault",
    [
        transport("POST", "/job", sent=False),
        RateLimited("429", method="POST", path="/job", retry_after=3.0),
    ],
)
def test_a_submission_that_was_not_heard_is_sent_again(fault: ApiError) -> None:
    script = Script([*[fault] * 9, None])
    assert script.jobs().submit(REQUEST) == "j"
    assert script.made == 10


def test_refused_credentials_are_read_anew() -> None:
    script = Script([Unauthorized("401"), None])
    script.jobs().read("j")
    assert (script.connections, script.closed) == (2, 1)


def test_while_no_job_can_exist_credentials_refused_twice_end_the_run_at_once() -> None:
    script = Script([Unauthorized("401", method="POST", path="/job")])
    with pytest.raises(JobRejected, match="401") as caught:
        script.jobs().submit(REQUEST)
    assert script.connections == 2
    assert "perian_token" in caught.value.remedy


def test_where_a_job_may_exist_refused_credentials_are_waited_out() -> None:
    script = Script([*[Unauthorized("401", method="POST", path="/job")] * 9, None])
    assert script.jobs().submit(REQUEST, patient=True) == "j"


def test_pauses_double_up_to_a_bound() -> None:
    script = Script([*[transport("GET", "/job/j")] * 7, None])
    script.jobs().read("j")
    assert script.pauses == [0.5, 1, 2, 4, 8, 16, 20]


def test_an_outage_is_told_at_once_and_then_now_and_then() -> None:
    script = Script([*[transport("GET", "/job/j")] * 30, None])
    script.jobs().read("j")
    assert script.said[0].startswith("broke.")
    assert script.said[0].endswith("Trying again, for 30 min.")
    assert 3 <= len(script.said) <= 1 + sum(script.pauses) / 60


class Store:
    """An object store that fails as told before it answers."""

    def __init__(self, failures: int, *, passing: bool) -> None:
        self.failures, self.passing, self.asked = failures, passing, 0

    def read(self, _uri: str, _limit: int) -> bytes | None:
        self.asked += 1
        if self.asked <= self.failures:
            failure = StorageFailed("503")
            failure.passing = self.passing
            raise failure
        return b"content"


def patient(store: Store) -> PatientStore:
    pauses: list[float] = []
    clock = Clock(monotonic=lambda: sum(pauses), sleep=pauses.append, chance=lambda: 1.0)
    return PatientStore(cast("ObjectStore", store), Retrier(RetryPolicy(OUTAGE), clock))


def test_the_object_store_gets_the_patience_that_the_api_has() -> None:
    assert patient(Store(20, passing=True)).read("s3://b/k", 10) == b"content"


def test_a_store_that_refuses_us_is_believed() -> None:
    store = Store(1, passing=False)
    with pytest.raises(StorageFailed):
        patient(store).read("s3://b/k", 10)
    assert store.asked == 1


def test_a_store_that_fails_for_too_long_fails_the_run() -> None:
    with pytest.raises(StorageFailed):
        patient(Store(10_000, passing=True)).read("s3://b/k", 10)


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


def limited(method: str = "GET", path: str = "/job/j", asked: float | None = 1.0) -> RateLimited:
    return RateLimited("too many requests.", method=method, path=path, retry_after=asked)


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [*REPEATABLE, ("POST", "/job", lambda jobs: jobs.submit(REQUEST))],
    ids=["get", "list", "cancel", "submit"],
)
@pytest.mark.parametrize("asked", [None, 1.0, 30.0])
def test_a_wait_that_the_server_asks_for_is_kept(
    method: str, path: str, call: Call, asked: float | None
) -> None:
    script = Script([limited(method, path, asked)])
    with pytest.raises(ApiUnavailable):
        call(script.jobs(chance=0.5))
    assert min(script.pauses) >= (asked or 0.0)


def test_those_who_are_refused_again_and_again_are_spread_ever_wider() -> None:
    script = Script([*[limited()] * 8, None])
    script.jobs().read("j")
    assert script.pauses == [2.5, 2.5, 4, 7, 13, 25, 31, 31]


def test_a_limit_is_told_when_it_lasts() -> None:
    script = Script([*[limited()] * 4, None])
    script.jobs().read("j")
    assert script.said == []
    script = Script([*[limited()] * 7, None])
    script.jobs().read("j")
    assert len(script.said) == 1


def test_a_call_that_was_refused_slows_the_pace_once_however_often_it_was() -> None:
    script = Script([limited(), limited(), None, limited(), None])
    jobs = script.jobs()
    jobs.read("j")
    assert jobs.retrier.pace.stretch == 1.5
    jobs.read("j")
    assert jobs.retrier.pace.stretch == 2.25


def test_calls_that_are_answered_bring_the_pace_back() -> None:
    script = Script([limited(), limited(), None])
    jobs = script.jobs()
    stretches = []
    for _ in range(300):
        jobs.read("j")
        stretches.append(jobs.retrier.pace.stretch)
    assert stretches == sorted(stretches, reverse=True)
    assert stretches[-1] == 1


def test_in_a_hurry_a_server_that_asks_for_a_minute_gets_seconds() -> None:
    script = Script([limited(asked=60.0), None])
    script.jobs(policy=RetryPolicy.hurried(20.0)).read("j")
    assert sum(script.pauses) <= 4.0


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
            refusals[number] += 1
            if refusals[number] == 1:
                pace.refused()
            pause = retrying.pause(refusals[number], dice.random(), 1.0, pace.stretch)
        else:
            answered.append(now)
            answers[number] += now >= settled
            if not refusals[number]:
                pace.answered_at_once()
            refusals[number] = 0
            pause = polling.pause(0.0, dice.random(), pace.stretch)
        heapq.heapreplace(turns, (now + pause, number))
    refused = 1 - sum(answers) / asked
    assert refused <= most_refused
    assert sum(answers) >= 0.6 * limit * (end - settled)
    if crowd <= 100:
        assert min(answers) >= 0.3 * sum(answers) / crowd


def test_how_long_an_outage_is_ridden_out_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERIAN_OUTAGE_SECONDS", "60")
    assert RetryPolicy.from_environment() == RetryPolicy(60.0)


def test_closing_ends_the_connections_and_may_be_repeated() -> None:
    script = Script([None])
    jobs = script.jobs()
    jobs.read("j")
    jobs.close()
    jobs.close()
    assert script.closed == 1


def refused(method: str = "GET", path: str = "/job/j") -> TransportError:
    return transport(method, path, sent=False)


def attended(lines: list[ApiError | None]) -> Script:
    script = Script(lines)
    with pytest.raises(ApiUnavailable):
        script.jobs(policy=RetryPolicy(OUTAGE, unreached=10.0)).read("j")
    return script


def test_an_address_that_was_never_reached_is_given_up_in_seconds_where_somebody_waits() -> None:
    assert sum(attended([refused()]).pauses) == pytest.approx(10.0)


@pytest.mark.parametrize(
    "sign", [RateLimited("429"), transport("GET", "/job/j")], ids=["too busy", "sent"]
)
def test_an_api_that_shows_that_it_is_there_gets_the_whole_outage(sign: ApiError) -> None:
    assert sum(attended([sign, refused()]).pauses) >= OUTAGE


def test_an_api_that_has_answered_once_gets_the_whole_outage() -> None:
    script = Script([None, refused()])
    jobs = script.jobs(policy=RetryPolicy(OUTAGE, unreached=10.0))
    jobs.read("j")
    with pytest.raises(ApiUnavailable):
        jobs.read("j")
    assert sum(script.pauses) >= OUTAGE


def test_a_submission_that_was_refused_is_told_to_have_had_no_effect_before_the_next() -> None:
    told: list[str] = []
    jobs = Script([refused("POST", "/job"), None]).jobs()
    jobs.submit(
        REQUEST, sending=lambda: told.append("sending"), unheard=lambda: told.append("unheard")
    )
    assert told == ["sending", "unheard", "sending"]


def test_a_submission_whose_answer_is_lost_may_have_had_an_effect() -> None:
    told: list[str] = []
    with pytest.raises(SubmissionUnclear):
        Script([transport("POST", "/job")]).jobs().submit(
            REQUEST, unheard=lambda: told.append("unheard")
        )
    assert told == []
