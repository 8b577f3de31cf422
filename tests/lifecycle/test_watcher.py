"""Following a job, over real HTTP, with the clock in the test's hand."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.answers import close, reply
from support.api_front import FaultyServer
from support.front import Behaviour

from perian_shim.api import CreateJobRequest, DockerRun, PerianClient, Requirements
from perian_shim.errors import (
    ApiUnavailable,
    JobRejected,
    QueuedTooLong,
    StatusUnknown,
    SubmissionUnclear,
)
from perian_shim.lifecycle.jobs import Lifecycle, ResourceMeta
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.retrying import RetryingClient, RetryPolicy
from perian_shim.lifecycle.watcher import Patience, Watcher

JOB = str(uuid.uuid4())
META = ResourceMeta(JOB, "key", "s3://b/q7/x")
REQUEST = CreateJobRequest(DockerRun("debian"), Requirements(cores=1))
POLICY = PollPolicy(shortest=2, longest=20, share=0.05, jitter=0, outage=100)


def job(status: str, logs: str | None = None) -> Behaviour:
    return reply(200, {"jobs": [{"id": JOB, "status": status, "logs": logs}]})


@dataclass
class Clock:
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
    clock: Clock
    printed: list[str]


@pytest.fixture
def scenes() -> Iterator[Any]:
    """Return a function that makes a scene from the server's answers."""
    opened: list[Any] = []

    def make(*answers: Behaviour, **settings: Any) -> Scene:
        server = FaultyServer(*answers)
        server.__enter__()
        client = PerianClient(server.url, "org", "token-value")
        once = RetryingClient(lambda: client, RetryPolicy(attempts=1))
        opened.extend([client, server])
        clock = Clock()
        printed: list[str] = []
        watcher = Watcher(
            Lifecycle(once),
            POLICY,
            printed.append,
            clock=lambda: clock.now,
            sleep=clock.sleep,
            chance=lambda: 0.5,
            **settings,
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
    assert scene.watcher.follow(META).status == "Done"
    assert scene.printed == [
        f"[perian-shim] job {JOB}: Queued after 0.0 s",
        f"[perian-shim] job {JOB}: Queued -> Running after 2.0 s",
        "one",
        "two",
        f"[perian-shim] job {JOB}: Running -> Done after 8.3 s",
        "three",
    ]


def test_pauses_grow_with_the_phases_age_and_start_anew_with_a_change(scenes: Any) -> None:
    scene: Scene = scenes(*[job("Queued")] * 60, job("Running"), job("Done"))
    scene.watcher.follow(META)
    pauses = scene.clock.pauses
    assert pauses[0] == 2
    assert 2 < pauses[58] <= 20
    assert pauses[60] == 2


def test_an_outage_is_ridden_out_as_long_as_the_policy_allows(scenes: Any) -> None:
    scene: Scene = scenes(job("Running"), *[reply(503, {})] * 20, job("Done"))
    assert scene.watcher.follow(META).status == "Done"


def test_an_outage_that_lasts_too_long_ends_the_run(scenes: Any) -> None:
    scene: Scene = scenes(job("Running"), reply(503, {}))
    with pytest.raises(ApiUnavailable) as caught:
        scene.watcher.follow(META)
    assert scene.clock.now > 100
    assert JOB in str(caught.value)


def test_a_wait_that_the_server_asks_for_is_kept(scenes: Any) -> None:
    busy = reply(503, {}, headers={"Retry-After": "30"})
    scene: Scene = scenes(job("Running"), busy, job("Done"))
    scene.watcher.follow(META)
    assert scene.clock.pauses == [2, pytest.approx(30 + 2, rel=0.01)]


def test_a_wait_that_the_server_asks_for_is_bounded(scenes: Any) -> None:
    busy = reply(503, {}, headers={"Retry-After": "86400"})
    scene: Scene = scenes(job("Running"), busy, job("Done"))
    scene.watcher.follow(META)
    assert scene.clock.pauses == [2, pytest.approx(120 + 2, rel=0.01)]


def test_after_a_refusal_for_a_rate_limit_the_job_is_looked_at_less_often(scenes: Any) -> None:
    limited = reply(429, {}, headers={"Retry-After": "30"})
    scene: Scene = scenes(job("Running"), limited, job("Running"), job("Done"))
    scene.watcher.follow(META)
    assert scene.clock.pauses == [2, pytest.approx(30 + 2.1 * 1.5), pytest.approx(5.6, rel=0.01)]


def test_a_refusal_that_lasts_ends_the_run(scenes: Any) -> None:
    scene: Scene = scenes(job("Running"), reply(401, {"detail": "no such user"}))
    with pytest.raises(JobRejected):
        scene.watcher.follow(META)
    assert scene.clock.now > 60


@pytest.mark.parametrize("status", [302, 400, 404, 431])
def test_what_stands_between_us_and_the_api_does_not_end_a_run(scenes: Any, status: int) -> None:
    page = reply(status, {"detail": "default backend"}, headers={"Location": "/elsewhere"})
    scene: Scene = scenes(job("Running"), page, page, job("Done"))
    assert scene.watcher.follow(META).status == "Done"


@pytest.mark.parametrize("odd", [(401, "who?"), (400, "No job found with specified ID")])
def test_an_odd_answer_after_an_outage_is_not_believed_at_once(
    scenes: Any, odd: tuple[int, str]
) -> None:
    status, detail = odd
    answer = reply(status, {"detail": detail})
    outage = [reply(503, {}, headers={"Retry-After": "20"})] * 4
    scene: Scene = scenes(job("Running"), *outage, answer, answer, job("Done"))
    assert scene.watcher.follow(META).status == "Done"


def test_a_status_that_flaps_does_not_make_a_job_wait_for_ever(scenes: Any) -> None:
    flapping = [job("Queued"), job("Undefined")] * 10
    scene: Scene = scenes(
        *flapping, reply(200, {"status": "Success"}), patience=Patience(queued=30.0)
    )
    with pytest.raises(QueuedTooLong):
        scene.watcher.follow(META)
    assert scene.clock.now < 45


def test_a_job_that_waits_for_too_long_is_cancelled(scenes: Any) -> None:
    scene: Scene = scenes(
        *[job("Queued")] * 6, reply(200, {"status": "Success"}), patience=Patience(queued=9.0)
    )
    with pytest.raises(
        QueuedTooLong, match=r"waited 11 s for a machine, and max_queued_time is 9 s"
    ):
        scene.watcher.follow(META)
    assert scene.server.requests[-1].path == f"/job/{JOB}/cancel"


def test_a_running_job_is_not_held_to_the_waiting_time(scenes: Any) -> None:
    scene: Scene = scenes(*[job("Running")] * 20, job("Done"), patience=Patience(queued=5.0))
    assert scene.watcher.follow(META).status == "Done"


def test_an_unknown_status_is_watched_for_a_while_and_then_given_up(scenes: Any) -> None:
    scene: Scene = scenes(job("Hibernating"))
    with pytest.raises(StatusUnknown, match="'Hibernating'"):
        scene.watcher.follow(META)


@pytest.mark.parametrize(
    "detail",
    ["The job you are trying to cancel is already complete.", "No job found with specified ID"],
)
def test_cancelling_an_ended_or_unknown_job_is_a_success(scenes: Any, detail: str) -> None:
    scene: Scene = scenes(reply(400, {"status": "Error", "detail": detail, "status_code": 400}))
    scene.watcher.lifecycle.delete(META)


def test_a_submission_whose_answer_is_lost_is_unclear(scenes: Any) -> None:
    scene: Scene = scenes(close())
    with pytest.raises(SubmissionUnclear, match="A job may have been created"):
        scene.watcher.lifecycle.create(REQUEST)
    assert len(scene.server.requests) == 1
