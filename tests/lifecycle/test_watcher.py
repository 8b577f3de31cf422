"""Following a job, over real HTTP, with the clock in the test's hand."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from support.answers import close, reply
from support.api_front import FaultyServer
from support.front import Behaviour

from perian_shim.api.client import PerianClient
from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import (
    ApiUnavailable,
    JobTimedOut,
    JobVanished,
    QueuedTooLong,
    StatusUnknown,
    SubmissionUnclear,
)
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import Limits, PollPolicy, RetryPolicy
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.lifecycle.watcher import Ages, Watcher

JOB = str(uuid.uuid4())
REQUEST = CreateJobRequest(DockerRun("debian"), Requirements(cores=1))
POLICY = PollPolicy(shortest=2, longest=20, share=0.05, jitter=0, unknown=100)


def job(status: str, logs: str | None = None) -> Behaviour:
    return reply(200, {"jobs": [{"id": JOB, "status": status, "logs": logs}]})


@dataclass
class Time:
    """Time that passes only in sleep."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Scene:
    """A server that answers as told, and a watcher of its job."""

    server: FaultyServer
    watcher: Watcher
    clock: Time
    printed: list[str]


@pytest.fixture
def scenes() -> Iterator[Any]:
    """Return a function that makes a scene from the server's answers."""
    opened: list[Any] = []

    def make(*answers: Behaviour, **settings: Any) -> Scene:
        server = FaultyServer(*answers)
        server.__enter__()
        client = PerianClient(server.url, "org", "token-value")
        opened.extend([client, server])
        clock = Time()
        printed: list[str] = []
        time = Clock(monotonic=lambda: clock.now, sleep=clock.sleep, chance=lambda: 0.5)
        jobs = Jobs(lambda: client, Retrier(RetryPolicy(200.0), time, printed.append))
        watcher = Watcher(
            jobs, POLICY, printed.append, settings.pop("limits", Limits()), **settings
        )
        return Scene(server, watcher, clock, printed)

    yield make
    for thing in opened:
        thing.__exit__(None, None, None)


def test_each_log_line_is_printed_once_and_each_change_of_status(scenes: Any) -> None:
    scene: Scene = scenes(
        job("Queued"),
        job("Running", "one\ntw"),
        job("Running", "one\ntwo\n"),
        job("Running", "one\n"),
        job("Done", "one\ntwo\nthr"),
        job("Done", "one\ntwo\nthree"),
    )
    assert scene.watcher.follow(JOB).status == "Done"
    assert scene.printed == [
        f"[perian-shim] job {JOB}: Queued after 0.0 s",
        f"[perian-shim] job {JOB}: Queued -> Running after 2.0 s",
        "one",
        "two",
        f"[perian-shim] job {JOB}: Running -> Done after 8.3 s",
        "three",
    ]


def test_when_a_job_began_and_ended_is_told_by_whichever_look_shows_it(scenes: Any) -> None:
    began, ended = "2025-01-01T00:00:00+00:00", "2025-01-01T00:05:00+00:00"
    late = {"id": JOB, "status": "Done", "started_at": began, "done_at": ended}
    scene: Scene = scenes(job("Done"), reply(200, {"jobs": [late]}))
    seen = scene.watcher.follow(JOB)
    assert (seen.started_at, seen.done_at) == (
        datetime.fromisoformat(began),
        datetime.fromisoformat(ended),
    )


def test_pauses_grow_with_the_phases_age_and_start_anew_with_a_change(scenes: Any) -> None:
    scene: Scene = scenes(*[job("Queued")] * 60, job("Running"), job("Done"))
    scene.watcher.follow(JOB)
    pauses = scene.clock.pauses
    assert pauses[0] == 2
    assert 2 < pauses[58] <= 20
    assert pauses[60] == 2


def test_an_outage_is_ridden_out_as_long_as_the_policy_allows(scenes: Any) -> None:
    scene: Scene = scenes(job("Running"), *[reply(503, {})] * 12, job("Done"))
    assert scene.watcher.follow(JOB).status == "Done"


def test_an_outage_that_lasts_too_long_ends_the_run(scenes: Any) -> None:
    scene: Scene = scenes(job("Running"), reply(503, {}))
    with pytest.raises(ApiUnavailable) as caught:
        scene.watcher.follow(JOB)
    assert scene.clock.now > 100
    assert JOB in str(caught.value)


def test_after_a_refusal_for_a_rate_limit_the_job_is_looked_at_less_often(scenes: Any) -> None:
    limited = reply(429, {}, headers={"Retry-After": "30"})
    scene: Scene = scenes(job("Running"), limited, job("Running"), job("Done"))
    scene.watcher.follow(JOB)
    first, refused, longer = scene.clock.pauses
    assert first == 2
    assert refused == pytest.approx(30 + 45 * 0.5)
    assert longer == pytest.approx(1.5 * (2 + 0.05 * (first + refused)))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_that_lasts_leaves_the_job_alone_and_says_what_to_check(
    scenes: Any, status: int
) -> None:
    scene: Scene = scenes(job("Running"), reply(status, {"detail": "no such user"}))
    with pytest.raises(ApiUnavailable, match="perian_token") as caught:
        scene.watcher.follow(JOB)
    assert scene.clock.now > 200
    assert caught.value.outcome.recoverable
    assert {request.method for request in scene.server.requests} == {"GET"}


def test_a_job_that_is_not_known_for_too_long_has_vanished_and_is_left_alone(scenes: Any) -> None:
    scene: Scene = scenes(job("Running"), reply(400, {"detail": "No job found with specified ID"}))
    with pytest.raises(JobVanished) as caught:
        scene.watcher.follow(JOB)
    assert scene.clock.now > 200
    assert caught.value.outcome.recoverable
    assert {request.method for request in scene.server.requests} == {"GET"}


@pytest.mark.parametrize("status", [302, 400, 404, 431])
def test_what_stands_between_us_and_the_api_does_not_end_a_run(scenes: Any, status: int) -> None:
    page = reply(status, {"detail": "default backend"}, headers={"Location": "/elsewhere"})
    scene: Scene = scenes(job("Running"), page, page, job("Done"))
    assert scene.watcher.follow(JOB).status == "Done"


@pytest.mark.parametrize("odd", [(401, "who?"), (400, "No job found with specified ID")])
def test_an_odd_answer_after_an_outage_is_not_believed_at_once(
    scenes: Any, odd: tuple[int, str]
) -> None:
    status, detail = odd
    answer = reply(status, {"detail": detail})
    outage = [reply(503, {}, headers={"Retry-After": "20"})] * 4
    scene: Scene = scenes(job("Running"), *outage, answer, answer, job("Done"))
    assert scene.watcher.follow(JOB).status == "Done"


def test_a_status_that_flaps_does_not_make_a_job_wait_for_ever(scenes: Any) -> None:
    scene: Scene = scenes(*[job("Queued"), job("Undefined")] * 20, limits=Limits(queued=30.0))
    with pytest.raises(QueuedTooLong):
        scene.watcher.follow(JOB)
    assert scene.clock.now < 100


def test_a_job_that_waits_for_too_long_is_not_waited_for(scenes: Any) -> None:
    scene: Scene = scenes(job("Queued"), limits=Limits(queued=9.0))
    with pytest.raises(
        QueuedTooLong, match=r"waited 11 s for a machine, and max_queued_time is 9 s"
    ):
        scene.watcher.follow(JOB)


def test_only_the_time_in_the_queue_is_waiting(scenes: Any) -> None:
    failover = [job("Queued"), *[job("Running")] * 20, job("Queued"), job("Queued"), job("Running")]
    scene: Scene = scenes(*failover, job("Done"), limits=Limits(queued=8.0))
    assert scene.watcher.follow(JOB).status == "Done"
    assert scene.watcher.ages.queued < 8 < scene.clock.now


def test_what_an_attempt_before_has_seen_of_the_queue_counts(scenes: Any) -> None:
    scene: Scene = scenes(job("Queued"), limits=Limits(queued=9.0), ages=Ages(queued=8.0))
    with pytest.raises(QueuedTooLong, match="waited 10 s"):
        scene.watcher.follow(JOB)


@pytest.mark.parametrize("stamp", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_no_stamp_of_another_clock_makes_a_job_late(scenes: Any, stamp: str) -> None:
    stamps = {"created_at": stamp, "started_at": stamp}
    running = reply(200, {"jobs": [{"id": JOB, "status": "Running", **stamps}]})
    limits = Limits(queued=5.0, running=60.0)
    scene: Scene = scenes(running, running, job("Done"), limits=limits)
    assert scene.watcher.follow(JOB).status == "Done"


def test_a_job_that_runs_on_after_its_limit_is_not_waited_for(scenes: Any) -> None:
    scene: Scene = scenes(job("Running"), limits=Limits(running=20.0))
    with pytest.raises(JobTimedOut, match="its limit of 20 s passed unheeded"):
        scene.watcher.follow(JOB)
    assert scene.clock.now > 80


def test_a_running_job_is_not_held_to_the_waiting_time(scenes: Any) -> None:
    scene: Scene = scenes(*[job("Running")] * 20, job("Done"), limits=Limits(queued=5.0))
    assert scene.watcher.follow(JOB).status == "Done"


def test_a_job_that_is_to_be_followed_instead_ends_the_watch(scenes: Any) -> None:
    better = Job("other", "Running")
    scene: Scene = scenes(job("Running"), between=lambda _: better)
    assert scene.watcher.follow(JOB) is better


def test_the_machine_is_held_against_the_request_once_there_is_one(scenes: Any) -> None:
    seen: list[Phase] = []
    answers = [job("Queued"), job("Initializing"), job("Running"), job("Done")]
    scene: Scene = scenes(*answers, check=lambda job: seen.append(job.phase))
    scene.watcher.follow(JOB)
    assert seen == [Phase.STARTING]


def test_an_unknown_status_is_watched_for_a_while_and_then_given_up(scenes: Any) -> None:
    scene: Scene = scenes(job("Hibernating"))
    with pytest.raises(StatusUnknown, match="'Hibernating'"):
        scene.watcher.follow(JOB)


@pytest.mark.parametrize(
    "detail",
    ["The job you are trying to cancel is already complete.", "No job found with specified ID"],
)
def test_cancelling_an_ended_or_unknown_job_is_a_success(scenes: Any, detail: str) -> None:
    scene: Scene = scenes(reply(400, {"status": "Error", "detail": detail, "status_code": 400}))
    scene.watcher.jobs.cancel(JOB)


def test_a_submission_whose_answer_is_lost_is_unclear(scenes: Any) -> None:
    scene: Scene = scenes(close())
    with pytest.raises(SubmissionUnclear, match="A job may have been created"):
        scene.watcher.jobs.submit(REQUEST)
    assert len(scene.server.requests) == 1
