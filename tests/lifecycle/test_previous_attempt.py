"""An attempt that fails for good before it can look for a job leaves none of the one before."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from flytekit import Secret
from flytekit.models.literals import LiteralMap
from support.api_front import FaultyApi
from support.cells import Lab, open_lab
from support.flyte import Harness
from support.perian_model import EPOCH, ModelClient, ModelStore, Plan, StillPod, World
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.api import CreateJobRequest, DockerRun, PerianClient, Requirements
from perian_shim.errors import ConfigError, MissingSecret, StorageFailed
from perian_shim.lifecycle.launch_record import LaunchRecord, Stage, record_uri
from perian_shim.lifecycle.previous_attempt import cancel_earlier, is_final
from perian_shim.lifecycle.retrying import RetryingClient, RetryPolicy
from perian_shim.settings import JOB_KEY

KEY = "the-key"
PREVIOUS = "s3://b/raw/x-n0-0"


@pytest.fixture
def world() -> World:
    world = World(plans=[Plan(running=1e6)])
    docker = DockerRun("debian", env_variables={JOB_KEY: KEY})
    world.create(CreateJobRequest(docker, Requirements(cores=1)))
    return world


def left(world: World, stage: Stage, job_id: str | None = "job-0") -> None:
    record = LaunchRecord(KEY, stage, PREVIOUS, EPOCH, job_id)
    world.objects[record_uri(PREVIOUS)] = record.to_json()


def cancel(world: World) -> list[str]:
    pod = StillPod(world)
    said: list[str] = []

    def connect() -> RetryingClient:
        model = cast("PerianClient", ModelClient(world, pod))
        return RetryingClient(lambda: model, RetryPolicy(attempts=2), pod.sleep)

    cancel_earlier(PREVIOUS, lambda _: ModelStore(world, pod), connect, said.append)
    world.advance(world.now + 60)
    return said


@pytest.mark.parametrize("stage", [Stage.SUBMITTED, Stage.DETACHED])
def test_its_job_is_cancelled(world: World, stage: Stage) -> None:
    left(world, stage)
    assert "job-0 of the attempt before is cancelled" in cancel(world)[0]
    assert world.living() == []


def test_a_job_that_it_was_only_about_to_ask_for_is_cancelled(world: World) -> None:
    left(world, Stage.INTENT, None)
    cancel(world)
    assert world.living() == []


def test_what_it_had_done_with_is_left_alone(world: World) -> None:
    left(world, Stage.REPORTED)
    assert cancel(world) == []
    assert world.living() != []


def test_what_cannot_be_cancelled_is_named(world: World) -> None:
    left(world, Stage.SUBMITTED)
    world.faults["list"] = ["refused"] * 9
    (line,) = cancel(world)
    assert line.startswith("job job-0 of the attempt before may go on")


def test_a_damaged_record_is_said_and_no_fault(world: World) -> None:
    world.objects[record_uri(PREVIOUS)] = b"{"
    assert "it may have left a job" in cancel(world)[0]


def test_only_what_is_not_tried_again_is_final() -> None:
    assert is_final(MissingSecret("gone"))
    assert is_final(ConfigError("wrong"))
    assert not is_final(StorageFailed("slow"))


@pytest.fixture
def lab(harness: Harness) -> Iterator[Lab]:
    with open_lab(harness) as opened:
        yield opened


def test_a_secret_that_has_gone_does_not_leave_the_job_of_a_lost_node(lab: Lab) -> None:
    task = PerianContainerTask(
        name="test.earlier",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["/bin/bash", "-c", lab.gate.command],
        secret_requests=[Secret("shop", "password")],
    )
    execution = lab.harness.execution()
    with FaultyApi(lab.harness.sandbox) as api:
        cluster = lab.cluster(api)
        known = {**cluster.secrets, ("shop", "password"): "canary"}
        template = cluster.serialize(task)
        first = replace(cluster, secrets=known).start(template, LiteralMap({}), execution)
        lab.gate.wait_for(execution)
        wait_until(lambda: lab.live(execution) == 1, LONG_SECONDS, "no job")
        first.process.kill()
        first.wait()
        second = cluster.start(template, LiteralMap({}), execution, attempt=1).wait()
    assert second.error is not None
    assert second.error.code == "PERIAN:MissingSecret"
    wait_until(lambda: lab.live(execution) == 0, LONG_SECONDS, second.log)
