"""An attempt that fails for good before it can look for a job leaves none of the one before."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NoReturn

import pytest
from flyteidl.core.tasks_pb2 import TaskTemplate
from flytekit import Secret
from flytekit.models.literals import LiteralMap
from support.api_front import FaultyApi
from support.cells import Lab, open_lab
from support.flyte import Harness
from support.still_node import NODE, StillNode, Words, pod_of, raw
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.errors import ConfigError, MissingSecret, StorageFailed, TaskError
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.launch_record import LaunchRecords, Stage
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.pod import run
from perian_shim.pod.run_context import RunContext
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.work.idempotency import NodeIdentity
from perian_shim.work.task_run import Place

EVER = 1e9

pytestmark = pytest.mark.below_the_doors


@dataclass
class Release:
    """What ``release_previous`` does on the model, as the second attempt."""

    monkeypatch: pytest.MonkeyPatch
    template: TaskTemplate
    node: StillNode = field(default_factory=StillNode)
    said: list[str] = field(default_factory=list)

    def __call__(self) -> str:
        """Do it and return what it says."""
        attempt = self.node.attempt(1)
        self.build(attempt)
        place = Place(NodeIdentity("p", "d", "x", NODE), raw(1), f"{NODE}/1")
        context = RunContext(
            place.raw_prefix, place, {}, FlyteSecrets({}), lambda _: attempt.records.store
        )
        run.release_previous(context, self.template, Words(said=self.said))
        return "\n".join(self.said)

    def build(self, attempt: Attempt[str]) -> None:
        """Let it find the model where it looks for Perian, for the store and for the time."""

        def records_of(*_: object) -> LaunchRecords:
            # It does not know the key: that is made of inputs, which may be what cannot be read.
            return replace(attempt.records, record=replace(attempt.records.record, key=""))

        timed = partial(Retrier, clock=pod_of(attempt).clock())
        replacements = {
            "connector": lambda *_: attempt.jobs.connect,
            "records_of": records_of,
            "Retrier": timed,
        }
        for name, replacement in replacements.items():
            self.monkeypatch.setattr(run, name, replacement)


PLAIN_TASK = PerianContainerTask(
    name="test.previous", task_config=PerianConfig(cores=1), image="debian:12", command=["true"]
)


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, harness: Harness) -> Release:
    return Release(monkeypatch, harness.cluster.serialize(PLAIN_TASK).to_flyte_idl())


def test_its_job_is_ended(release: Release) -> None:
    release.node.with_job(0)
    assert "job job-0 is cancelled" in release()
    assert release.node.living() == []


def test_a_job_that_it_was_only_about_to_ask_for_is_ended(release: Release) -> None:
    release.node.with_job(0).records.keep(stage=Stage.INTENT, job_id=None)
    assert "job job-0 is cancelled" in release()
    assert release.node.living() == []


def test_what_it_had_done_with_is_left_alone(release: Release) -> None:
    release.node.with_job(0).records.keep(stage=Stage.REPORTED, reported=("job-0",))
    assert release() == ""
    assert release.node.living() == ["job-0"]


def test_what_cannot_be_ended_is_named(release: Release) -> None:
    release.node.with_job(0)
    release.node.world.spells["no cancellations"] = EVER
    assert "perian-shim cancel job-0" in release()


def test_a_store_that_fails_is_said_and_no_fault(release: Release) -> None:
    release.node.with_job(0)
    release.node.world.spells["store broken"] = EVER
    assert "what an attempt before has left is not known" in release()


def test_a_missing_credential_is_said_and_no_fault(release: Release) -> None:
    release.node.with_job(0)

    def connect() -> None:
        message = "Not found: perian_token"
        raise MissingSecret(message)

    build = release.build

    def without_credentials(attempt: Attempt[str]) -> None:
        build(attempt)
        release.monkeypatch.setattr(run, "connector", lambda *_: connect)

    release.monkeypatch.setattr(release, "build", without_credentials)
    assert "may go on, and could not be looked for: Not found: perian_token" in release()


def test_a_run_without_a_backend_has_no_attempt_before(release: Release) -> None:
    def no_store(uri: str) -> NoReturn:
        pytest.fail(f"there is nothing to look for at {uri}")

    nowhere = RunContext("s3://b/raw", None, {}, FlyteSecrets({}), no_store)
    run.release_previous(nowhere, release.template, Words(said=release.said))
    assert release.said == []


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (MissingSecret("gone"), True),
        (ConfigError("wrong"), True),
        (StorageFailed("slow"), False),
        (TaskError("else"), False),
    ],
    ids=repr,
)
def test_only_what_is_not_tried_again_is_final(error: TaskError, final: bool) -> None:
    assert run.is_final(error) is final


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
