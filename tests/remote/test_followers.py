"""Whether anybody follows a job: only evidence makes it an orphan."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.admin import AdminServer, UploadStore
from support.memory_store import MemoryStore

from perian_shim.api.jobs import Job as Seen
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.launch_record import LaunchRecord, Owner, Stage
from perian_shim.remote.connection import Connection
from perian_shim.remote.flyte import Flyte
from perian_shim.remote.followers import SILENT_SECONDS, Follower, Witnesses
from perian_shim.remote.jobs import Job
from perian_shim.sandbox import Sandbox
from perian_shim.settings import (
    EXECUTION_DOMAIN,
    EXECUTION_ID,
    EXECUTION_PROJECT,
    JOB_KEY,
    JOB_RECORDS,
)

ROOT = "s3://bucket/metadata"
LONG_AGO = 3600.0
NOW = datetime.now(timezone.utc)
ASKS = Connection("acme", "token", "http://127.0.0.1:1")


def place(execution: str, root: str = ROOT) -> str:
    return f"{root}/flytesnacks-development-{execution}"


def job(
    execution: str = "mine",
    *,
    job_id: str = "j1",
    status: str = "Running",
    root: str = ROOT,
    age: int = 10,
) -> Job:
    """Return a job of an execution, submitted so many minutes ago."""
    variables = {
        JOB_KEY: "k",
        JOB_RECORDS: f"{place(execution, root)}/n0/data/_perian/attempts",
        EXECUTION_PROJECT: "flytesnacks",
        EXECUTION_DOMAIN: "development",
        EXECUTION_ID: execution,
    }
    created = NOW - timedelta(minutes=age)
    return Job(Seen(job_id, status, created_at=created, env_variables=variables), ASKS)


def local(job_id: str = "j1") -> Job:
    variables = {JOB_KEY: "k", JOB_RECORDS: f"{ROOT}/local/_perian/attempts"}
    return Job(Seen(job_id, "Running", created_at=NOW, env_variables=variables), ASKS)


class Scene:
    """Launch records, a FlyteAdmin, and what follows from both."""

    def __init__(self, admin: AdminServer, flyte: Flyte) -> None:
        self.store = MemoryStore()
        self.admin = admin
        self.flyte: Flyte | None = flyte
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def record(self, of: Job, attempt: int = 0, **fields: Any) -> None:
        """Write the record of a pod of a job's node."""
        assert of.origin is not None
        owner = Owner(attempt, 0, "abc")
        record = replace(LaunchRecord("k"), **fields)
        self.store.write(f"{of.origin.records}/{owner.name}", record.to_json())

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.meanwhile()

    def follower(self, of: Job, *others: Job) -> Follower:
        clock = Clock(sleep=self.sleep)
        witnesses = Witnesses(self.flyte, lambda _: self.store, clock)
        return witnesses.followers([of], others)[of.id]

    def kind(self, of: Job, *others: Job) -> str:
        return self.follower(of, *others).kind


@pytest.fixture
def admin(sandbox: Sandbox) -> Iterator[AdminServer]:
    store = UploadStore.from_environment(sandbox.environment(), sandbox.bucket)
    with AdminServer(store) as server:
        yield server


@pytest.fixture
def scene(admin: AdminServer, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for name, value in admin.environment().items():
        monkeypatch.setenv(name, value)
    flyte = Flyte.configured()
    assert flyte is not None
    return Scene(admin, flyte)


# --- by the records ---


@pytest.mark.parametrize(
    "record",
    [
        {"job_id": "j1", "stage": Stage.REPORTED},
        {"job_id": "j1", "stage": Stage.CANCELLING},
        {"job_id": "j2", "stage": Stage.SUBMITTED, "losers": ("j1",)},
        {"job_id": "j2", "stage": Stage.SUBMITTED, "cancelled": ("j1",)},
        {"job_id": "j2", "stage": Stage.SUBMITTED, "reported": ("j1",)},
        {"stage": Stage.LOOKING, "cancelled": ("j1",)},
    ],
)
def test_a_job_that_its_records_have_given_up_is_an_orphan(
    scene: Scene, record: dict[str, Any]
) -> None:
    scene.flyte = None
    scene.record(job(), **record)
    assert scene.kind(job()) == "orphan"


@pytest.mark.parametrize(
    "record",
    [
        {"job_id": "j1", "stage": Stage.SUBMITTED},
        {"job_id": "j1", "stage": Stage.REPORTING},
        {"job_id": "j1", "stage": Stage.SUBMITTED, "losers": ("j1",)},
        {"job_id": "j2", "stage": Stage.SUBMITTED},
        {"stage": Stage.INTENT, "asked": 1},
    ],
)
def test_a_job_that_its_records_have_not_given_up_is_not_known_to_be_one(
    scene: Scene, record: dict[str, Any]
) -> None:
    scene.flyte = None
    scene.record(job(), **record)
    assert scene.kind(job()) == "unknown"


def test_what_an_older_pod_has_decided_does_not_count(scene: Scene) -> None:
    scene.flyte = None
    scene.record(job(), 0, job_id="j1", stage=Stage.CANCELLING)
    scene.record(job(), 1, job_id="j1", stage=Stage.SUBMITTED)
    assert scene.kind(job()) == "unknown"


def test_a_record_that_cannot_be_read_shows_nothing(scene: Scene) -> None:
    scene.flyte = None
    origin = job().origin
    assert origin is not None
    scene.store.write(f"{origin.records}/{Owner(0).name}", b"{")
    assert scene.kind(job()) == "unknown"


def test_a_local_run_is_told_by_its_records_alone(scene: Scene) -> None:
    assert scene.kind(local()) == "unknown"
    scene.record(local(), job_id="j1", stage=Stage.REPORTED)
    assert scene.kind(local()) == "orphan"
    assert not scene.admin.calls


def test_jobs_that_have_ended_or_are_not_ours_are_not_judged(scene: Scene) -> None:
    ended = job(status="Done")
    theirs = Job(Seen("j3", "Running"), ASKS)
    assert Witnesses(scene.flyte).followers([ended, theirs]) == {}


# --- by Flyte ---


@pytest.mark.parametrize("phase", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])
def test_a_job_whose_execution_has_ended_a_while_ago_is_an_orphan(scene: Scene, phase: str) -> None:
    scene.admin.history.put("mine", phase, place=place("mine"), ended=LONG_AGO)
    scene.record(job(), job_id="j1", stage=Stage.SUBMITTED)
    assert scene.follower(job()) == Follower("orphan", f"execution mine is {phase}")


@pytest.mark.parametrize("phase", ["QUEUED", "RUNNING", "SUCCEEDING", "FAILING", "ABORTING"])
def test_a_job_whose_execution_goes_on_is_followed(scene: Scene, phase: str) -> None:
    scene.admin.history.put("mine", phase, place=place("mine"))
    assert scene.kind(job()) == "followed"


def test_the_last_pod_of_an_execution_has_time_to_leave(scene: Scene) -> None:
    scene.admin.history.put("mine", "SUCCEEDED", place=place("mine"), ended=10)
    assert scene.kind(job()) == "unknown"


def test_an_execution_that_does_not_say_when_it_ended_may_have_just_ended(scene: Scene) -> None:
    scene.admin.history.put("mine", "ABORTED", place=place("mine"), ended=LONG_AGO)
    scene.admin.history.by_name["mine"].answer.closure.ClearField("updated_at")
    assert scene.kind(job()) == "unknown"


def test_an_execution_of_the_same_name_at_another_flyte_shows_nothing(scene: Scene) -> None:
    scene.admin.history.put("mine", "ABORTED", place=place("mine", "s3://other"), ended=LONG_AGO)
    assert scene.kind(job()) == "unknown"


def test_an_execution_that_has_begun_no_node_shows_nothing(scene: Scene) -> None:
    scene.admin.history.put("mine", "ABORTED", ended=LONG_AGO)
    assert scene.kind(job()) == "unknown"


def test_a_flyte_that_cannot_be_asked_shows_nothing_and_is_asked_once(scene: Scene) -> None:
    from flytekit.configuration import PlatformConfig  # noqa: PLC0415 - here only

    scene.flyte = Flyte(PlatformConfig(endpoint="127.0.0.1:1", insecure=True))
    witnesses = Witnesses(scene.flyte, lambda _: scene.store)
    found = witnesses.followers([job("one"), job("two", job_id="j2")])
    assert {follower.kind for follower in found.values()} == {"unknown"}
    assert witnesses.failure


def test_without_a_flyte_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("FLYTECTL_CONFIG", raising=False)
    monkeypatch.delenv("FLYTE_PLATFORM_URL", raising=False)
    assert Flyte.configured() is None


# --- executions that Flyte does not know ---


def test_a_job_of_an_unknown_execution_may_be_another_flytes(scene: Scene) -> None:
    scene.record(job(), job_id="j1", stage=Stage.SUBMITTED)
    follower = scene.follower(job())
    assert follower.kind == "unknown"
    assert "another Flyte's" in follower.why
    assert not scene.slept


def test_it_is_this_flytes_if_an_older_one_in_the_same_place_is_and_no_pod_writes(
    scene: Scene,
) -> None:
    scene.admin.history.put("older", "SUCCEEDED", place=place("older"), ended=LONG_AGO)
    scene.record(job(), job_id="j1", stage=Stage.SUBMITTED)
    older = job("older", job_id="j0", status="Done", age=60)
    follower = scene.follower(job(), older)
    assert follower.kind == "orphan"
    assert "Flyte knows no execution mine any more" in follower.why
    assert scene.slept == [SILENT_SECONDS]


def test_a_newer_one_in_the_same_place_is_no_sign(scene: Scene) -> None:
    scene.admin.history.put("newer", "SUCCEEDED", place=place("newer"), ended=LONG_AGO)
    scene.record(job(), job_id="j1", stage=Stage.SUBMITTED)
    assert scene.kind(job(), job("newer", job_id="j0", age=1)) == "unknown"


def test_an_older_one_in_another_place_is_no_sign(scene: Scene) -> None:
    elsewhere = place("older", "s3://other")
    scene.admin.history.put("older", "SUCCEEDED", place=elsewhere, ended=LONG_AGO)
    scene.record(job(), job_id="j1", stage=Stage.SUBMITTED)
    assert scene.kind(job(), job("older", job_id="j0", age=60, root="s3://other")) == "unknown"


def test_a_pod_that_goes_on_writing_follows_its_job(scene: Scene) -> None:
    scene.admin.history.put("older", "SUCCEEDED", place=place("older"), ended=LONG_AGO)
    scene.record(job(), job_id="j1", stage=Stage.SUBMITTED)

    def write() -> None:
        scene.record(job(), job_id="j1", stage=Stage.SUBMITTED, running_seconds=30.0)

    scene.meanwhile = write
    assert scene.kind(job(), job("older", job_id="j0", age=60)) == "followed"


def test_a_job_without_records_is_not_judged_by_what_flyte_does_not_know(scene: Scene) -> None:
    scene.admin.history.put("older", "SUCCEEDED", place=place("older"), ended=LONG_AGO)
    assert scene.kind(job(), job("older", job_id="j0", age=60)) == "unknown"
