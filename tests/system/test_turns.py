"""A limit of jobs at once, kept by real pods: never more jobs, the older pod first, nobody stuck.

Pods have only Perian's list of jobs and the object store. All jobs of the sandbox count, so that
each test begins when none lives.
"""

import datetime
import itertools
import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import pytest
from support.api_front import FaultyApi
from support.flyte import Harness
from support.job_gate import JobGate
from support.listings import ListingLag
from support.shell_task import shell
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.flyte.cluster import Attempt, RunningPod
from perian_shim.sandbox.server.store import JobSnapshot

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors, pytest.mark.thorough]

FAST = {"PERIAN_POLL_MIN_SECONDS": "0.1", "PERIAN_POLL_MAX_SECONDS": "0.3"}
"""A pod that is killed is forgotten after fifteen times the longest pause, at least 20 seconds."""

ENDED = {"Done", "UserError", "ServerError", "Cancelled", "Timeout"}


@dataclass
class Crowd:
    """Pods that want to run a job each.

    Attributes:
        harness: starts them.
        gate: holds their jobs.
        pods: by the names of their executions, in the order in which they came.
    """

    harness: Harness
    gate: JobGate
    pods: dict[str, RunningPod] = field(default_factory=dict)
    waited: set[str] = field(default_factory=set)

    def comes(self, *, project: str = "", **config: object) -> str:
        """Start a pod and wait until it waits or has a job; return its execution."""
        execution = self.harness.execution()
        harness = self.harness
        if project:
            harness = replace(harness, cluster=replace(harness.cluster, project=project))
        before = {*self.tickets("waiting")}
        self.pods[execution] = harness.start(self.task(**config), execution=execution)
        wait_until(
            lambda: self.jobs(execution) or {*self.tickets("waiting")} - before,
            LONG_SECONDS,
            f"{execution} neither waits nor has a job",
        )
        # The store tells seconds: of two pods that came in the same one chance decides.
        came = int(time.time())
        wait_until(lambda: int(time.time()) > came, LONG_SECONDS, "the next second")
        return execution

    def task(self, **config: object) -> PerianContainerTask:
        """Return the task that all run."""
        return shell(
            command=["/bin/bash", "-c", self.gate.command],
            task_config=PerianConfig(cores=1, **config),  # type: ignore[arg-type]  # checked by it
        )

    def tickets(self, kind: str = "") -> list[str]:
        """Return the names of the tickets of all pods."""
        bucket = self.harness.sandbox.bucket
        found = self.harness.store.listed(f"s3://{bucket}/_perian/turns")
        return [uri for uri in found if kind in uri]

    def jobs(self, execution: str) -> list[JobSnapshot]:
        """Return the jobs of a pod."""
        return self.harness.jobs(execution)

    def over(self, execution: str) -> bool:
        """Whether a pod has ended."""
        return self.pods[execution].process.poll() is not None

    def runs(self, execution: str) -> None:
        """Wait until a pod's job runs."""
        wait_until(lambda: self.jobs(execution) or self.over(execution), LONG_SECONDS, "no job")
        assert self.jobs(execution), self.attempt(execution).log
        self.gate.wait_for(execution)

    def ends(self, execution: str) -> Attempt:
        """Let a pod's job end, and return what the pod has told Flyte."""
        self.gate.open(execution)
        return self.attempt(execution)

    def attempt(self, execution: str) -> Attempt:
        """Wait for a pod's end."""
        self.waited.add(execution)
        pod = self.pods[execution]
        return pod.wait()

    def all_jobs(self) -> list[JobSnapshot]:
        """Return the jobs of all pods."""
        return [job for execution in self.pods for job in self.jobs(execution)]

    def most_at_once(self) -> int:
        """Return how many jobs lived at the same time, at most."""
        changes = []
        for job in self.all_jobs():
            changes.append((moment(job.record.created_at), 1))
            assert job.state.done_at is not None
            changes.append((moment(job.state.done_at), -1))
        return max(itertools.accumulate(change for _, change in sorted(changes)))


def moment(stamp: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(stamp)


@contextmanager
def crowd(
    harness: Harness, *, variables: dict[str, str] | None = None, **rules: object
) -> Iterator[Crowd]:
    """Give a crowd whose pods have these rules, when no job lives; none is left."""
    store = harness.sandbox.store
    assert store is not None
    with store.lock:
        snapshots = [store.snapshot(record) for record in store.load()]
    for job in snapshots:
        if job.state.status.value not in ENDED:
            store.cancel(job.record.job_id)
    with ExitStack() as stack:
        gate = stack.enter_context(JobGate())
        own = harness.with_variables(PERIAN_POLICY=json.dumps(rules), **FAST, **(variables or {}))
        made = Crowd(own, gate)
        try:
            yield made
        finally:
            for execution, pod in made.pods.items():
                if execution not in made.waited:
                    pod.kill()
                    pod.wait()
            for job in made.all_jobs():
                store.cancel(job.record.job_id)


def test_there_are_never_more_jobs_than_the_limit_and_the_older_pod_is_first(
    harness: Harness,
) -> None:
    with crowd(harness, max_jobs=2) as pods:
        came = [pods.comes() for _ in range(5)]
        for execution, following in zip(came, came[2:], strict=False):
            pods.runs(execution)
            assert pods.jobs(following) == []
            assert pods.ends(execution).error is None
            pods.runs(following)
        assert [pods.ends(execution).error for execution in came[-2:]] == [None, None]
        jobs = sorted(pods.all_jobs(), key=lambda job: moment(job.record.created_at))
        assert pods.most_at_once() == 2
    order = [
        (job.record.execution.environment or {})["FLYTE_INTERNAL_EXECUTION_ID"] for job in jobs
    ]
    assert order == came


def test_five_pods_at_once_keep_the_limit_too(harness: Harness) -> None:
    with crowd(harness, max_jobs=2) as pods:
        executions = [harness.execution() for _ in range(5)]
        for execution in executions:
            pods.pods[execution] = pods.harness.start(shell("sleep 0.5"), execution=execution)
        attempts = [pods.attempt(execution) for execution in executions]
        assert [attempt.error for attempt in attempts] == [None] * 5
        assert len(pods.all_jobs()) == 5
        assert pods.most_at_once() <= 2


def test_a_list_that_shows_jobs_late_lets_nobody_through(harness: Harness) -> None:
    with FaultyApi(harness.sandbox, ListingLag(2)) as api:
        variables = {"PERIAN_API_URL": api.environment["PERIAN_API_URL"]}
        with crowd(harness, max_jobs=1, variables=variables) as pods:
            first = pods.comes()
            pods.runs(first)
            second = pods.comes()
            wait_until(lambda: pods.tickets("waiting"), LONG_SECONDS, "nobody waits")
            assert pods.jobs(second) == []
            assert pods.ends(first).error is None
            pods.runs(second)
            assert pods.ends(second).error is None
            assert pods.most_at_once() == 1


def test_what_is_waited_for_is_said_at_once_and_its_time_is_none_in_the_queue(
    harness: Harness,
) -> None:
    with crowd(harness, max_jobs=1) as pods:
        first = pods.comes()
        pods.runs(first)
        second, began = pods.comes(max_queued_time=5), time.monotonic()
        third = pods.comes()
        pods.runs(first)
        (job,) = pods.jobs(first)
        # The second one's time in the queue would be over, if it counted.
        wait_until(lambda: time.monotonic() - began > 6, LONG_SECONDS, "time to pass")
        assert pods.ends(first).error is None
        pods.runs(second)
        ended = pods.ends(second)
        pods.runs(third)
        assert pods.ends(third).error is None
    assert ended.error is None
    line = next(line for line in ended.log.splitlines() if "no job is asked for yet" in line)
    assert "max_jobs allows 1" in line
    assert job.record.job_id in line
    assert "it is this task's turn after" in ended.log


def test_a_signal_ends_a_waiting_pod_at_once_and_leaves_neither_job_nor_ticket(
    harness: Harness,
) -> None:
    with crowd(harness, max_jobs=1) as pods:
        first = pods.comes()
        pods.runs(first)
        second = pods.comes()
        pods.pods[second].process.send_signal(signal.SIGTERM)
        attempt = pods.attempt(second)
        assert attempt.error is not None
        assert attempt.error.code == "PERIAN:Terminated"
        assert "no job was submitted" in attempt.error.message
        assert pods.jobs(second) == []
        assert pods.tickets("waiting") == []
        assert pods.ends(first).error is None


def test_a_killed_pod_that_waited_holds_up_the_others_for_a_while_only(harness: Harness) -> None:
    with crowd(harness, max_jobs=1) as pods:
        first = pods.comes()
        pods.runs(first)
        killed = pods.comes()
        third = pods.comes()
        pods.pods[killed].kill()
        pods.attempt(killed)
        assert len(pods.tickets("waiting")) == 2
        assert pods.ends(first).error is None
        pods.runs(third)
        assert pods.ends(third).error is None
        assert pods.jobs(killed) == []
        assert pods.tickets("waiting") == []


def test_a_project_at_its_limit_holds_up_no_other(harness: Harness) -> None:
    with crowd(harness, max_jobs=3, max_jobs_per_project={"a": 1, "*": 2}) as pods:
        first = pods.comes(project="a")
        pods.runs(first)
        second = pods.comes(project="a")
        other = pods.comes(project="b")
        pods.runs(other)
        assert pods.jobs(second) == []
        assert pods.ends(first).error is None
        pods.runs(second)
        assert pods.ends(other).error is None
        ended = pods.ends(second)
    assert ended.error is None
    assert "max_jobs_per_project allows 1" in ended.log


def test_a_wait_that_takes_too_long_may_be_tried_again_and_names_the_jobs(
    harness: Harness,
) -> None:
    with crowd(harness, max_jobs=1, max_wait_seconds=4) as pods:
        first = pods.comes()
        pods.runs(first)
        second = pods.comes()
        error = pods.attempt(second).error
        (job,) = pods.jobs(first)
        assert pods.jobs(second) == []
        assert pods.ends(first).error is None
    assert error is not None
    assert (error.code, error.kind, error.recoverable) == ("PERIAN:TooManyJobs", "USER", True)
    for words in (job.record.job_id, "max_wait_seconds of PERIAN_POLICY is 4", "max_jobs allows 1"):
        assert words in error.message


def test_a_job_that_is_there_is_rejoined_without_a_turn(harness: Harness) -> None:
    with crowd(harness, max_jobs=1) as pods:
        first = pods.comes()
        pods.runs(first)
        second = pods.comes()
        pods.pods[first].kill()
        pods.attempt(first)
        task = pods.task()
        pod = pods.harness.start(task, execution=first, attempt=1)
        pods.gate.open(first)
        attempt = pod.wait()
        assert attempt.error is None, attempt.log
        assert "rejoining job" in attempt.log
        assert len(pods.jobs(first)) == 1
        pods.runs(second)
        assert pods.ends(second).error is None
