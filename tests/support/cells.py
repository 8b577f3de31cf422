"""One cell of the fault matrix: a node run to its end under a fault, and what it has cost.

A ``Lab`` has what all cells share; ``Lab.run`` runs one node with Flyte's retries, and gives an
``Outcome``: attempts, jobs with their times, and what was still running when each attempt ended.
Cells are run side by side: each has an execution, an API front and a storage front of its own.
"""

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate
from support.api_front import FaultyApi
from support.flyte import Harness
from support.in_pod import joined
from support.job_gate import JobGate
from support.storage_front import StorageFront
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.flyte.cluster import Attempt, Cluster, RunningPod
from perian_shim.sandbox.server.store import JobSnapshot, JobStore

ANSWER = 42

PLAIN, DETACHING, IMPATIENT, WAITING, THRIFTY = (
    *("plain", "detaching", "impatient", "waiting", "thrifty"),
)
"""The tasks: cancel or detach when terminated; give up when queued for a second, or for eight; pay
no more than 5 an hour."""

FAST = {
    "PERIAN_POLL_MIN_SECONDS": "0.1",
    "PERIAN_POLL_MAX_SECONDS": "0.3",
    "PERIAN_READ_TIMEOUT_SECONDS": "2",
}

GRACE_SECONDS = 10.0
"""How long a job that was asked to end may take."""

FAR = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


def now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.timezone.utc)


@dataclass(frozen=True)
class JobTrace:
    """A job after the fact.

    Attributes:
        job_id: Perian's id.
        status: its last one.
        created: when it was accepted.
        done: when it ended, a far moment if it has not.
        attempt: number of the attempt that submitted it.
    """

    job_id: str
    status: str
    created: datetime.datetime
    done: datetime.datetime
    attempt: int

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.done == FAR

    @classmethod
    def of(cls, job: JobSnapshot) -> "JobTrace":
        """Read a job of the sandbox's store."""
        done = job.state.done_at
        return cls(
            job.record.job_id,
            job.state.status.value,
            datetime.datetime.fromisoformat(job.record.created_at),
            datetime.datetime.fromisoformat(done) if done else FAR,
            int((job.record.execution.environment or {}).get("FLYTE_ATTEMPT_NUMBER", 0)),
        )


@dataclass(frozen=True)
class Ending:
    """The end of one attempt.

    Attributes:
        attempt: what became of it.
        at: when it ended.
        live: how many jobs were live then.
    """

    attempt: Attempt
    at: datetime.datetime
    live: int


@dataclass(frozen=True)
class Outcome:
    """What became of a node.

    Attributes:
        endings: of its attempts.
        jobs: its jobs, the oldest first.
        left: how many were still running once Flyte had given up or was content.
    """

    endings: list[Ending]
    jobs: list[JobTrace]
    left: int

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts."""
        return [ending.attempt for ending in self.endings]

    @property
    def final(self) -> str:
        """``success``, or the last error's code and kind."""
        return state_of(self.attempts[-1])

    @property
    def doubled(self) -> int:
        """How many jobs were submitted while another one was live."""
        return sum(
            earlier.done > later.created
            for index, later in enumerate(self.jobs)
            for earlier in self.jobs[:index]
        )

    @property
    def log(self) -> str:
        """What the pods printed."""
        return "\n".join(
            f"--- attempt {each.number}, exit code {each.exit_code}, {state_of(each)}\n{each.log}"
            for each in self.attempts
        )

    def violations(self) -> list[str]:
        """Return what broke the rules that hold in every cell."""
        broken = []
        if self.doubled:
            broken.append(f"{self.doubled} jobs were submitted while another one was live")
        if self.left:
            broken.append(f"{self.left} jobs were left running")
        broken += [
            f"attempt {attempt.number} succeeded with wrong outputs"
            for attempt in self.attempts
            if attempt.outputs is not None and answer_of(attempt.outputs) != ANSWER
        ]
        done = sum(job.status == "Done" for job in self.jobs)
        if self.final == "success" and done != 1:
            broken.append(f"success, and {done} jobs are Done")
        if self.final != "success" and done:
            broken.append(f"{done} jobs are Done, and nobody has their outputs")
        return broken


def state_of(attempt: Attempt) -> str:
    """Return ``success``, or an error's code, kind and whether it may be tried again."""
    error = attempt.error
    if error is None:
        return "success"
    return f"{error.code} {error.kind}{' recoverable' if error.recoverable else ''}"


def answer_of(outputs: LiteralMap) -> object:
    """Return the job's one output."""
    literal = outputs.literals.get("answer")
    return literal and literal.scalar and literal.scalar.primitive.integer


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
        self.pods[-1].process.send_signal(number)


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
        known = WatchedCluster(base.bucket, variables, base.secrets, base.project, base.domain)
        return replace(known, **settings)  # type: ignore[arg-type]  # checked by dataclasses

    def run(
        self,
        cluster: WatchedCluster,
        execution: str,
        task: str = PLAIN,
    ) -> Outcome:
        """Run a node with Flyte's retries and see what is left."""
        endings: list[Ending] = []

        def note(attempt: Attempt) -> None:
            live = sum(job.live for job in self.jobs(execution))
            endings.append(Ending(attempt, now(), live))

        cluster.ended = note
        try:
            cluster.run(self.templates[task], LiteralMap({}), execution=execution)
            return self.outcome(execution, endings)
        finally:
            self.clean(execution)

    def outcome(self, execution: str, endings: list[Ending]) -> Outcome:
        """Return the outcome, once the jobs that were asked to end have had time to."""
        left = self.settle(execution)
        return Outcome(endings, self.jobs(execution), left)

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
        }
        templates = {
            name: harness.cluster.serialize(
                PerianContainerTask(
                    name=f"test.faults.{name}",
                    task_config=config,
                    image="debian:12",
                    command=["/bin/bash", "-ec", script],
                    outputs={"answer": int},
                    timeout=3600,
                )
            )
            for name, config in configs.items()
        }
        yield Lab(harness, gate, templates)
