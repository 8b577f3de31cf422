"""A job that nobody follows is found and ended; one that somebody follows never is. Real pods."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.admin import AdminServer, UploadStore
from support.command import Printed, use_api
from support.flyte import Harness
from support.shell_task import shell
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig
from perian_shim.cli import main
from perian_shim.lifecycle.policies import RECORD_SECONDS
from perian_shim.remote.accounts import account_of
from perian_shim.sandbox.flyte.cluster import RunningPod
from perian_shim.settings import JOB_RECORDS
from perian_shim.storage import open_store

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors, pytest.mark.thorough]

LONG_AGO = 3600.0

SLEEP = "echo up; exec sleep 600"


@pytest.fixture
def admin(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminServer]:
    """A FlyteAdmin, which this process asks; so it does the sandbox."""
    sandbox = harness.sandbox
    variables = sandbox.environment()
    with AdminServer(UploadStore.from_environment(variables, sandbox.bucket)) as server:
        use_api(monkeypatch, outage="20")
        for name, value in {**variables, **server.environment()}.items():
            monkeypatch.setenv(name, value)
        yield server


class Run:
    """A pod, its job, and what FlyteAdmin says of its execution."""

    def __init__(self, harness: Harness, admin: AdminServer, **task: Any) -> None:
        self.harness, self.admin = harness, admin
        self.execution = harness.execution()
        self.over = False
        self.pod: RunningPod = harness.start(shell(SLEEP, **task), execution=self.execution)
        wait_until(self.runs, LONG_SECONDS, "the job runs and its pod has noted it")

    def runs(self) -> bool:
        jobs = self.harness.jobs(self.execution)
        if not jobs or jobs[0].state.status != "Running":
            return False
        records = (jobs[0].record.execution.environment or {})[JOB_RECORDS]
        store = open_store(records, self.harness.cluster.environment)
        return account_of(jobs[0].record.job_id, str(records), store).current

    @property
    def job_id(self) -> str:
        (job,) = self.harness.jobs(self.execution)
        return job.record.job_id

    @property
    def status(self) -> str:
        (job,) = self.harness.jobs(self.execution)
        return job.state.status.value

    def known_as(self, phase: str, ended: float = 0.0) -> None:
        """Let FlyteAdmin know the execution."""
        where = {"project": self.harness.cluster.project, "domain": self.harness.cluster.domain}
        self.admin.history.put(self.execution, phase, ended=ended, **where)
        self.admin.history.nodes[self.execution] = [self.pod.pod.inputs_uri]

    def lose_pod(self) -> None:
        self.pod.kill()
        self.see_end()

    def see_end(self) -> None:
        """Wait for the pod's end."""
        if not self.over:
            self.pod.wait()
        self.over = True

    def end(self) -> None:
        self.lose_pod()
        store = self.harness.sandbox.store
        assert store is not None
        store.cancel(self.job_id)


def judged(capsys: Printed, *options: str) -> dict[str, str]:
    """Return what ``jobs --orphans`` says of each job."""
    capsys.readouterr()
    assert main(["jobs", "--orphans", "-o", "json", *options]) == 0
    return {job["id"]: job["follower"]["kind"] for job in json.loads(capsys.readouterr().out)}


def test_a_forgotten_job_is_found_and_ended_and_a_healthy_one_is_not(
    harness: Harness, admin: AdminServer, capsys: Printed
) -> None:
    forgotten, healthy, between = (Run(harness, admin) for _ in range(3))
    try:
        forgotten.lose_pod()
        forgotten.known_as("ABORTED", ended=LONG_AGO)
        healthy.known_as("RUNNING")
        between.lose_pod()  # its next attempt may come
        between.known_as("RUNNING")
        found = judged(capsys)
        assert found[forgotten.job_id] == "orphan"
        assert found[healthy.job_id] == found[between.job_id] == "followed"
        assert main(["cancel", "--orphans", "--yes"]) == 0
        assert f"{forgotten.job_id}  ended: Cancelled" in capsys.readouterr().out
        assert forgotten.status == "Cancelled"
        assert healthy.status == between.status == "Running"
        assert main(["cancel", "--orphans", "--yes"]) == 0
        assert "no live job is an orphan" in capsys.readouterr().err
    finally:
        for run in (forgotten, healthy, between):
            run.end()


def test_without_a_flyte_to_ask_nothing_is_taken_for_an_orphan(
    harness: Harness, admin: AdminServer, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = Run(harness, admin)
    try:
        forgotten.lose_pod()
        monkeypatch.delenv("FLYTE_PLATFORM_URL")
        assert judged(capsys)[forgotten.job_id] == "unknown"
        assert main(["cancel", "--orphans", "--yes"]) == 0
        assert forgotten.status == "Running"
    finally:
        forgotten.end()


def test_a_detached_job_is_an_orphan_once_no_attempt_can_come(
    harness: Harness, admin: AdminServer, capsys: Printed
) -> None:
    config = PerianConfig(cores=1, on_terminate="detach")
    run = Run(harness, admin, task_config=config, timeout=3600)
    try:
        run.pod.delete()
        run.see_end()
        run.known_as("RUNNING")
        assert judged(capsys)[run.job_id] == "followed"
        run.known_as("ABORTED", ended=LONG_AGO)
        assert judged(capsys)[run.job_id] == "orphan"
    finally:
        run.end()


def test_of_executions_that_flyte_does_not_know_a_pod_that_writes_follows_its_job(
    harness: Harness, admin: AdminServer, capsys: Printed
) -> None:
    sibling = Run(harness, admin)
    sibling.end()
    forgotten, healthy = Run(harness, admin), Run(harness, admin)
    try:
        forgotten.lose_pod()
        assert judged(capsys, "--silence", "0")[forgotten.job_id] == "unknown"
        sibling.known_as("SUCCEEDED", ended=LONG_AGO)
        found = judged(capsys, "--silence", f"{RECORD_SECONDS + 15}")
        assert found[forgotten.job_id] == "orphan"
        assert found[healthy.job_id] == "followed"
    finally:
        forgotten.end()
        healthy.end()
