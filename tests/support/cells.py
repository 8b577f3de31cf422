"""One cell of the fault matrix: a node run to its end under a fault, and what it has cost.

A ``Lab`` has what all cells share; ``Lab.run`` runs one node with Flyte's retries, and gives an
``Outcome``: attempts, jobs with their times, and what was still running when each attempt ended.
Cells are run side by side: each has an execution, an API front and a storage front of its own.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate
from support.actions import Actions
from support.api_front import FaultyApi
from support.doors import Door
from support.flyte import Harness
from support.in_pod import joined
from support.job_gate import JobGate
from support.outcomes import (
    ANSWER,
    GRACE_SECONDS,
    KILLED,
    SUPERSEDED,
    Ending,
    JobTrace,
    Known,
    Outcome,
    now,
)
from support.storage_front import StorageFront
from support.waiting import LONG_SECONDS, wait_until
from support.zygote import signal_executor

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.flyte.cluster import Attempt, Cluster, RunningPod
from perian_shim.sandbox.server.store import JobStore

PLAIN, DETACHING, IMPATIENT, WAITING, THRIFTY, BRIEF = (
    *("plain", "detaching", "impatient", "waiting", "thrifty", "brief"),
)
"""The tasks: cancel or detach when terminated; give up when queued for a second, or for eight; pay
no more than 5 an hour; run for no more than 3 seconds."""

FAST = {
    "PERIAN_POLL_MIN_SECONDS": "0.1",
    "PERIAN_POLL_MAX_SECONDS": "0.3",
    "PERIAN_READ_TIMEOUT_SECONDS": "2",
}


@dataclass
class WatchedPod(RunningPod):
    """A pod that tells when it has ended."""

    ended: Callable[[Attempt], None] = lambda _attempt: None

    def wait(self) -> Attempt:
        """Wait for the container's end."""
        attempt = super().wait()
        self.ended(attempt)
        return attempt


@dataclass
class WatchedCluster(Cluster):
    """A cluster whose pods a test can get hold of.

    Attributes:
        pods: all that were started.
        starting: called with the number of each attempt before it is started.
        ended: called with each attempt that has ended.
    """

    pods: list[RunningPod] = field(default_factory=list)
    starting: Callable[[int], None] = lambda _number: None
    ended: Callable[[Attempt], None] = lambda _attempt: None

    # boto3's clients and flytekit's contexts are not made for being set up in parallel.
    turn = threading.Lock()

    def start(
        self,
        template: TaskTemplate,
        inputs: LiteralMap,
        execution: str,
        node: str = "n0",
        attempt: int = 0,
    ) -> RunningPod:
        """Start one attempt."""
        self.starting(attempt)
        with self.turn:
            pod = super().start(template, inputs, execution, node, attempt)
        fields = (pod.pod, pod.process, pod.folder, pod.store, pod.template, pod.echo)
        watched = WatchedPod(*fields, ended=self.ended)
        self.pods.append(watched)
        return watched

    def signal(self, number: int) -> None:
        """Send a signal to the pod started last, which may be about to be noted."""
        wait_until(lambda: self.pods, LONG_SECONDS, "no pod was started")
        signal_executor(self.pods[-1].process, number, self.bin_dir)


@dataclass
class WatchedActions(WatchedCluster, Actions):
    """The same of Flyte 2."""


@dataclass
class Lab:
    """What cells share.

    Attributes:
        harness: a sandbox and a cluster.
        gate: where jobs wait.
        templates: the tasks, by name.
    """

    harness: Harness
    gate: JobGate
    templates: Mapping[str, TaskTemplate]

    @property
    def store(self) -> JobStore:
        """The sandbox's jobs."""
        store = self.harness.sandbox.store
        assert store is not None
        return store

    @property
    def superseded(self) -> str:
        """How a pod ends whose work a later one has: without a word where that has its place."""
        return KILLED if self.harness.door is Door.A0 else SUPERSEDED

    def jobs(self, execution: str) -> list[JobTrace]:
        """Return an execution's jobs, the oldest first."""
        return [JobTrace.of(job) for job in reversed(self.harness.jobs(execution))]

    def cluster(
        self, api: FaultyApi, storage: StorageFront | None = None, **settings: object
    ) -> WatchedCluster:
        """Return a cluster whose pods use these fronts."""
        base = self.harness.cluster
        variables = joined(base.environment, FAST, api.environment)
        if storage is not None:
            variables["PERIAN_S3_PUBLIC_ENDPOINT"] = self.harness.sandbox.s3_endpoint
            variables["FLYTE_AWS_ENDPOINT"] = variables["AWS_ENDPOINT_URL_S3"] = storage.url
        shared = (base.bucket, variables, base.secrets, base.project, base.domain, base.bin_dir)
        kind = WatchedActions if self.harness.door is Door.A0 else WatchedCluster
        known = kind(*shared)
        return replace(known, **settings)  # type: ignore[arg-type]  # checked by dataclasses

    def run(
        self,
        cluster: WatchedCluster,
        execution: str,
        task: str = PLAIN,
        ended: frozenset[int] = frozenset(),
    ) -> Outcome:
        """Run a node with Flyte's retries and see what is left.

        Args:
            cluster: starts the pods.
            execution: its name.
            task: which one.
            ended: numbers of the attempts that are to end their job.
        """
        endings = self.watch(cluster, execution)
        try:
            cluster.run(self.templates[task], LiteralMap({}), execution=execution)
            return self.outcome(execution, endings, Known(ended=ended))
        finally:
            self.clean(execution)

    def watch(self, cluster: WatchedCluster, execution: str) -> list[Ending]:
        """Return the list of how a cluster's pods end, which grows as they do."""
        endings: list[Ending] = []
        cluster.ended = lambda attempt: endings.append(Ending(attempt, now(), self.live(execution)))
        return endings

    def outcome(self, execution: str, endings: list[Ending], known: Known) -> Outcome:
        """Return the outcome, once the jobs that were asked to end have had time to."""
        left = self.settle(execution)
        in_order = sorted(endings, key=lambda ending: ending.attempt.number)
        return Outcome(in_order, self.jobs(execution), left, known)

    def settle(self, execution: str) -> int:
        """Wait for the end of the jobs that were asked to end; return how many were not.

        Whoever cancels a job is answered at once, and the job ends a little later.
        """
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.live(execution), GRACE_SECONDS, "some live on")
        return self.live(execution)

    def live(self, execution: str) -> int:
        """Return how many jobs of an execution are live."""
        return sum(job.live for job in self.jobs(execution))

    def clean(self, execution: str) -> None:
        """End whatever jobs are left."""
        for job in self.jobs(execution):
            if job.live:
                self.store.cancel(job.job_id)


@contextmanager
def open_lab(harness: Harness) -> Iterator[Lab]:
    """Prepare what cells share."""
    with ExitStack() as stack:
        gate = stack.enter_context(JobGate())
        script = f"echo begins; {gate.command}; echo {ANSWER} > /var/outputs/answer; echo ends"
        configs = {
            PLAIN: PerianConfig(cores=1),
            DETACHING: PerianConfig(cores=1, on_terminate="detach"),
            IMPATIENT: PerianConfig(cores=1, max_queued_time=1),
            WAITING: PerianConfig(cores=1, max_queued_time=8),
            THRIFTY: PerianConfig(cores=1, max_price_per_hour=5),
            BRIEF: PerianConfig(cores=1),
        }
        templates = {
            name: harness.cluster.serialize(
                PerianContainerTask(
                    name=f"test.faults.{name}",
                    task_config=config,
                    image="debian:12",
                    command=["/bin/bash", "-ec", script],
                    outputs={"answer": int},
                    timeout=3 if name == BRIEF else 3600,
                )
            )
            for name, config in configs.items()
        }
        yield Lab(harness, gate, templates)
