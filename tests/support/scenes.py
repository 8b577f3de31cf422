"""Scenes: a node of an execution on an API that misbehaves, in time that passes faster.

Pods are processes of their own that live as fast as the API's front: what takes two minutes takes
seconds. Jobs wait at a gate until the scene lets them go on.
"""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate
from support.api_calls import Call
from support.api_front import FaultyApi
from support.cells import PLAIN, Lab, WatchedCluster
from support.front import Behaviour
from support.in_pod import joined
from support.outcomes import Ending, JobTrace, Known, Outcome, now
from support.storage_front import StorageFront
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox.flyte.cluster import Attempt, RunningPod

PATIENT_POLLING = {"PERIAN_POLL_MIN_SECONDS": "0.8", "PERIAN_POLL_MAX_SECONDS": "5"}


@dataclass
class Scene:
    """A node and its pods.

    Attributes:
        lab: what all scenes share.
        api: the front to Perian that the pods use.
        cluster: starts the pods.
        execution: its name.
        pods: all that were started.
        lines: what the pods have printed.
        endings: of the pods that have ended.
    """

    lab: Lab
    api: FaultyApi
    cluster: WatchedCluster
    execution: str
    pool: ThreadPoolExecutor
    task: str = PLAIN
    pods: list[RunningPod] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    endings: list[Ending] = field(init=False)

    def __post_init__(self) -> None:
        self.cluster.echo = self.lines.append
        self.endings = self.lab.watch(self.cluster, self.execution)

    def wait_for_line(self, words: str) -> None:
        """Wait until a pod has printed a line with these words."""
        self.wait_for(lambda: any(words in line for line in [*self.lines]), words)

    def wait_for_decision(self) -> None:
        """Wait until a pod has found the job of an earlier one, or has ended one of two."""
        self.wait_for(
            lambda: re.search("rejoining job|is not needed", "\n".join([*self.lines])),
            "a pod has decided which job it is",
        )
        self.wait_for(lambda: len(self.live) == 1, "one job goes on")

    @property
    def template(self) -> TaskTemplate:
        return self.lab.templates[self.task]

    @property
    def jobs(self) -> list[JobTrace]:
        return self.lab.jobs(self.execution)

    @property
    def live(self) -> list[JobTrace]:
        return [job for job in self.jobs if job.live]

    def start(self, number: int = 0, **variables: str) -> Future[Attempt]:
        """Start an attempt; returns what becomes of it."""
        self.cluster.environment = joined(self.cluster.environment, variables)
        pod = self.cluster.start(self.template, LiteralMap({}), self.execution, attempt=number)
        self.pods.append(pod)
        return self.pool.submit(pod.wait)

    def run(self) -> list[Attempt]:
        """Run the node with Flyte's retries, until it is over."""
        return self.cluster.run(self.template, LiteralMap({}), execution=self.execution)

    def running(self) -> "Future[list[Attempt]]":
        """Run the node with Flyte's retries beside what the test does."""
        return self.pool.submit(self.run)

    def let_go(self) -> None:
        """Let the jobs go on."""
        self.lab.gate.open(self.execution)

    def wait_for(self, what: Callable[[], object], description: str) -> None:
        """Wait until something is so."""
        wait_until(what, LONG_SECONDS, lambda: f"{description}: {self.jobs}")

    def wait_for_jobs(self, number: int) -> None:
        """Wait until so many jobs have been submitted."""
        self.wait_for(lambda: len(self.jobs) >= number, f"{number} jobs")

    def wait_for_calls(self, call: Call, number: int) -> None:
        """Wait until a call has been made so often."""
        self.wait_for(lambda: self.api.seen.count(call) >= number, f"{number} x {call.value}")

    def let_go_when_settled(self, lag: float = 0.0) -> None:
        """Let the job go when it is the only one, is followed, and the list shows all jobs."""
        self.wait_for(lambda: Call.READ in self.api.seen and self.settled(lag), "one job goes on")
        self.let_go()

    def settled(self, lag: float) -> bool:
        """Whether one job goes on, and every job is old enough to be listed."""
        jobs = self.jobs
        youngest = max((job.created for job in jobs), default=now())
        age = (now() - youngest).total_seconds() * self.api.speed
        return sum(job.live for job in jobs) == 1 and age >= lag

    def outcome(self, known: Known) -> Outcome:
        """Return what has become of the node, once all pods have ended."""
        known = replace(known, speed=self.api.speed)
        return self.lab.outcome(self.execution, self.endings, known)

    def wait_for_one(self, of: int) -> float:
        """Wait until one of so many jobs is left; return for how many of the API's seconds."""
        self.wait_for_jobs(of)
        began = time.monotonic()
        self.wait_for(lambda: len(self.live) == 1, f"one of {of} jobs goes on")
        return (time.monotonic() - began) * self.api.speed


@contextmanager
def scene(
    lab: Lab,
    *behaviours: Behaviour,
    task: str = PLAIN,
    speed: float = 1.0,
    queued_seconds: float = 0.0,
    storage: tuple[Behaviour, ...] = (),
    **variables: str,
) -> Iterator[Scene]:
    """Set a scene; nothing is left of it at the end."""
    execution = lab.harness.execution()
    with ExitStack() as stack:
        api = FaultyApi(
            lab.harness.sandbox, *behaviours, queued_seconds=queued_seconds, speed=speed
        )
        stack.enter_context(api)
        front: StorageFront | None = None
        if storage:
            front = StorageFront(lab.harness.sandbox.s3_endpoint, *storage, speed=speed)
            stack.enter_context(front)
        cluster = lab.cluster(api, front)
        if speed != 1:
            cluster.environment = {**cluster.environment, **PATIENT_POLLING}
        cluster.environment = joined(cluster.environment, variables)
        pool = stack.enter_context(ThreadPoolExecutor(4))
        stack.callback(lab.clean, execution)
        stack.callback(lab.gate.open, execution)
        made = Scene(lab, api, cluster, execution, pool, task)
        stack.callback(kill_all, made)
        yield made


def kill_all(scene: Scene) -> None:
    """End what pods are left when a test fails."""
    for pod in (*scene.pods, *scene.cluster.pods):
        if pod.process.poll() is None:
            pod.process.kill()
