"""A signal leaves seconds: whatever hangs or lags, the job is asked to end until it has."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
from support.perian_model import EPOCH, ModelClient, ModelStore, Plan, StillPod, World

from perian_shim.api import CreateJobRequest, DockerRun, JobNotFound, PerianClient, Requirements
from perian_shim.lifecycle.jobs import Lifecycle
from perian_shim.lifecycle.launch_record import Journal, LaunchRecord, Stage, record_uri
from perian_shim.lifecycle.retrying import RetryingClient
from perian_shim.lifecycle.shutdown import FAREWELL_SECONDS, Farewell
from perian_shim.lifecycle.shutdown import beside as beside_for_a_moment
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.submission import Submission
from perian_shim.pod.run import HURRIED
from perian_shim.settings import JOB_KEY, JOB_OUTPUT

KEY = "the-key"
SIGNAL = Terminated("SIGTERM")


def raw(attempt: int) -> str:
    return f"s3://b/raw/x-n0-{attempt}"


def request(attempt: int) -> CreateJobRequest:
    variables = {JOB_KEY: KEY, JOB_OUTPUT: raw(attempt)}
    return CreateJobRequest(DockerRun("debian", env_variables=variables), Requirements(cores=1))


@dataclass
class LaggingClient(ModelClient):
    """Cancels only from a moment on; before, it says that there is no such job."""

    knows_from: float = 0.0

    def cancel_job(self, job_id: str) -> None:
        if self.world.now < self.knows_from:
            raise JobNotFound("none", method="PATCH", path=f"/job/{job_id}/cancel")
        super().cancel_job(job_id)


@dataclass
class Scene:
    """A world with a job in it, and an attempt that got a signal."""

    world: World = field(default_factory=lambda: World(plans=[Plan(running=1e6)]))
    knows_from: float = 0.0

    def farewell(
        self, attempt: int = 0, beside: Callable[[Callable[[], object]], None] | None = None
    ) -> Farewell:
        pod = StillPod(self.world)

        def connect() -> PerianClient:
            return cast("PerianClient", LaggingClient(self.world, pod, self.knows_from))

        client = RetryingClient(connect, HURRIED, pod.sleep, lambda: 0.5)
        store = ModelStore(self.world, pod)
        previous = raw(attempt - 1) if attempt else None
        journal = Journal(store, raw(attempt), previous, self.world.diary.append)
        submission = Submission(
            Lifecycle(client),
            journal,
            KEY,
            raw(attempt),
            self.world.diary.append,
            pod.sleep,
            lambda: EPOCH + self.world.now,
        )
        return Farewell(
            submission,
            client,
            attempt > 0,
            self.world.diary.append,
            lambda: self.world.now,
            beside or act_at_once,
        )

    @property
    def living(self) -> list[str]:
        self.world.advance(self.world.now + 60.0)
        return [job.id for job in self.world.living()]


def act_at_once(act: Callable[[], object]) -> None:
    act()


def with_job(scene: Scene, end: Farewell) -> Farewell:
    end.submission.record = LaunchRecord(KEY, Stage.SUBMITTED, raw(0), EPOCH, "job-0")
    scene.world.create(request(0))
    return end


def test_a_cancellation_that_nobody_understood_is_repeated() -> None:
    scene = Scene(knows_from=10.0)
    error = with_job(scene, scene.farewell()).cancel(SIGNAL)
    assert "job job-0 is cancelled" in error.message
    assert scene.living == []


def test_a_job_that_goes_on_is_not_said_to_be_cancelled() -> None:
    scene = Scene(knows_from=1e9)
    error = with_job(scene, scene.farewell()).cancel(SIGNAL)
    assert "is still running" in error.message
    assert "cancel it in Perian's console" in error.message
    assert scene.world.now <= FAREWELL_SECONDS + 5


@pytest.mark.parametrize("hours", [0.1, 5.0])
def test_the_job_of_an_attempt_without_a_record_is_found_however_old_it_is(hours: float) -> None:
    scene = Scene()
    scene.world.create(request(0))
    scene.world.advance(hours * 3600)
    error = scene.farewell(attempt=2).cancel(SIGNAL)
    assert "job job-0 is cancelled" in error.message
    assert scene.living == []


def test_a_store_that_hangs_does_not_keep_the_job_alive() -> None:
    scene = Scene()
    scene.world.create(request(0))
    scene.world.objects[record_uri(raw(0))] = b"{}"
    hanging: list[Callable[[], object]] = []
    error = scene.farewell(attempt=1, beside=hanging.append).cancel(SIGNAL)
    assert "job job-0 is cancelled" in error.message
    assert scene.living == []


def test_what_hangs_is_waited_for_only_a_moment() -> None:
    forever = threading.Event()
    beside_for_a_moment(forever.wait)
    forever.set()


def test_a_job_that_had_ended_by_itself_is_the_next_attempts() -> None:
    scene = Scene()
    scene.world.plans = [Plan(running=1.0)]
    scene.world.create(request(0))
    scene.world.advance(100.0)
    end = scene.farewell()
    end.submission.record = LaunchRecord(KEY, Stage.SUBMITTED, raw(0), EPOCH, "job-0")
    error = end.cancel(SIGNAL)
    assert "job job-0 is succeeded" in error.message
    record = LaunchRecord.from_json(scene.world.objects[record_uri(raw(0))])
    assert record.stage is Stage.SUBMITTED


def test_a_detached_job_goes_on() -> None:
    scene = Scene()
    error = with_job(scene, scene.farewell()).detach(SIGNAL)
    assert "Job job-0 goes on" in error.message
    assert scene.living == ["job-0"]
