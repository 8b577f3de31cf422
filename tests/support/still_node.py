"""A node of an execution on the model of Perian, act by act: no threads, and no real time.

``StillNode.attempt`` puts together what a pod has, on ``support.perian_model``; a test moves its
parts by hand, or lets it run and has things happen at certain times. Sleeping is what lets time
pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from support.perian_model import (
    ModelClient,
    ModelStore,
    OutOfPatience,
    Plan,
    StillPod,
    World,
    result_uri,
)

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import PerianError
from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import OutputMissing, TaskError
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.launch_record import LaunchRecord, LaunchRecords, Owner, Stage
from perian_shim.lifecycle.policies import LookPolicy, PollPolicy, RetryPolicy
from perian_shim.lifecycle.retrying import PatientStore, Retrier
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.terms import Terms
from perian_shim.settings import JOB_ACCESS, JOB_KEY, JOB_OUTPUT
from perian_shim.storage import ObjectStore, join_uri
from perian_shim.work.job_failure import job_failure

KEY = "the-key"
NODE = "s3://b/metadata/p-d-x/n0/data"
OUTAGE = 240.0
"""How long pods ride out an outage."""

LONG = Plan(queued=0.0, running=1e6)
"""A job that runs for longer than anybody looks at it."""


def raw(attempt: int) -> str:
    """An attempt's own prefix."""
    return f"s3://b/raw/x-n0-{attempt}"


def report(attempt: int) -> str:
    """Where an attempt tells Flyte of its failure."""
    return f"{NODE}/{attempt}/error.pb"


def request(output: str, key: str = KEY) -> CreateJobRequest:
    """A job of ours that leaves what it produces there."""
    variables = {JOB_KEY: key, JOB_OUTPUT: output}
    return CreateJobRequest(DockerRun("debian", env_variables=variables), Requirements(cores=1))


@dataclass
class ModelWork:
    """A job without inputs that leaves one object, which says whose it is.

    Attributes:
        store: holds the object.
        access: for how many seconds what a job holds at first is good, None if for ever.
        kept: below which prefixes jobs were seen to have access, in turn.
        revoked: the same for those from which it was taken.
        refuse: why access cannot be renewed, None if it can.
    """

    store: ObjectStore
    access: float | None = None
    kept: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    refuse: TaskError | None = None

    def request(self, output: str) -> CreateJobRequest:
        wanted = request(output)
        if self.access is None:
            return wanted
        variables = {**wanted.docker.env_variables, JOB_ACCESS: str(self.access)}
        return replace(wanted, docker=replace(wanted.docker, env_variables=variables))

    def keep(self, output: str) -> None:
        self.kept.append(output)
        if self.refuse is not None:
            raise self.refuse

    def revoke(self, output: str) -> None:
        self.revoked.append(output)

    def harvest(self, job: Job, output: str) -> str:
        if job.phase is Phase.FAILED:
            raise job_failure(job.id, job.errors)
        content = self.store.read(result_uri(output), 10)
        if content is None:
            message = f"Job {job.id} left nothing."
            raise OutputMissing(message, job_id=job.id)
        assert content.decode() == job.id, f"{job.id} was given what {content!r} has left"
        return job.id


class NodePod(StillPod):
    """A pod of a node, while which sleeps things happen to it and around it."""

    def __init__(self, world: World, owner: Owner) -> None:
        super().__init__(world)
        self.owner = owner
        self.events: list[tuple[float, Callable[[], object]]] = []

    def sleep(self, seconds: float) -> None:
        until = self.world.now + seconds
        while due := sorted(
            (event for event in self.events if event[0] <= until), key=lambda event: event[0]
        ):
            at, act = due[0]
            self.events.remove(due[0])
            self.world.advance(at)
            act()
        self.world.advance(until)

    def at(self, moment: float, what: Callable[[], object] | BaseException) -> None:
        """Let something happen to it while it sleeps or waits for an answer."""

        def act() -> None:
            if isinstance(what, BaseException):
                raise what
            what()

        self.events.append((moment, act))


@dataclass
class NotingClient(ModelClient):
    """A client that notes when it was asked what."""

    asked: list[tuple[float, str]] = field(default_factory=list)

    def fault(self, call: str) -> str:
        self.asked.append((self.world.now, call))
        return super().fault(call)


@dataclass
class HangingStore(ModelStore):
    """An object store that from some time on gives no answer; who waits for one fails."""

    hangs_from: Callable[[], float] = lambda: float("inf")

    def access(self, uri: str) -> None:
        if self.world.now >= self.hangs_from():
            assert self.pod.patience < float("inf"), "waits for a store that hangs"
            self.world.advance(self.pod.patience)
            self.pod.store_trouble = self.world.now
            raise OutOfPatience
        super().access(uri)


@dataclass
class Words(Console):
    """Keeps what is printed."""

    said: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.said.append(line)


@dataclass
class StillNode:
    """A world, and one node's attempts in it.

    Attributes:
        world: it.
        said: what all pods have printed.
        asked: when the API was asked what.
        client: makes the API's clients.
        store_hangs: from when on the object store gives no answer.
        pods: how many there were.
    """

    world: World = field(default_factory=lambda: World(plans=[LONG]))
    said: list[str] = field(default_factory=list)
    asked: list[tuple[float, str]] = field(default_factory=list)
    client: type[NotingClient] = NotingClient
    store_hangs: float = float("inf")
    pods: int = 0

    def attempt(
        self,
        number: int = 0,
        *,
        terms: Terms | None = None,
        outage: float = OUTAGE,
        looks: LookPolicy | None = None,
    ) -> Attempt[str]:
        """What a pod of an attempt has; it has done nothing yet."""
        pod = NodePod(self.world, Owner(number, 0, f"{self.pods:x}"))
        self.pods += 1
        store = HangingStore(self.world, pod, lambda: self.store_hangs)
        policy, clock = RetryPolicy(outage=outage), pod.clock()
        patient = PatientStore(store, Retrier(policy, clock))

        def connect(timeout: float) -> Callable[[], PerianClient]:
            client = self.client(self.world, pod, timeout, asked=self.asked)
            return lambda: cast("PerianClient", client)

        looks = looks or LookPolicy()
        start = LaunchRecord(KEY, output=raw(number))
        folder = join_uri(NODE, "_perian/attempts")
        return Attempt(
            work=ModelWork(patient),
            records=LaunchRecords(patient, folder, pod.owner, start, report, at_once=store),
            jobs=Jobs(connect(30.0), Retrier(policy, clock), looks),
            hurried=Jobs(connect(4.0), Retrier(RetryPolicy(), clock), looks),
            policy=PollPolicy(shortest=2, longest=20, unknown=outage),
            terms=terms or Terms(),
            prefix=raw(number),
            console=Words(said=self.said),
            beside=pod.beside,
        )

    def job(self, job_id: str) -> Job:
        """Return a job as the API shows it now."""
        return self.world.view(self.world.job(job_id))

    def with_job(self, number: int = 0, **options: object) -> Attempt[str]:
        """An attempt that has got its job."""
        attempt = self.attempt(number, **options)  # type: ignore[arg-type]  # see ``attempt``
        get_job(attempt)
        return attempt

    def calls(self, call: str, since: float = 0.0) -> list[float]:
        """When a call was made."""
        return [at for at, each in self.asked if each == call and at >= since]

    @property
    def words(self) -> str:
        """All that was printed."""
        return "\n".join(self.said)

    def living(self, after: float = 0.0) -> list[str]:
        """Ids of the jobs that live, after a while."""
        self.world.advance(self.world.now + after)
        return [job.id for job in self.world.living()]


def pod_of(attempt: Attempt[str]) -> NodePod:
    """The pod that an attempt runs in."""
    store = attempt.records.at_once
    assert isinstance(store, ModelStore)
    assert isinstance(store.pod, NodePod)
    return store.pod


def find_job(attempt: Attempt[str]) -> Job | None:
    """Take the work over and find the job that is there, as a run does."""
    attempt.records.take_over()
    if attempt.records.record.stage is not Stage.LOOKING:
        return None
    return attempt.submission.adopt()


def submit_job(attempt: Attempt[str]) -> Job:
    """Submit a job, as a run does that has found none."""
    return attempt.submission.submit(attempt.work.request)


def get_job(attempt: Attempt[str]) -> Job:
    """Do what a run does until it has a job."""
    return find_job(attempt) or submit_job(attempt)


def error_of(attempt: Attempt[str]) -> PerianError:
    """What a run fails with."""
    with pytest.raises(PerianError) as raised:
        attempt.run()
    return raised.value


def told_to_end(node: StillNode, attempt: Attempt[str], at: float = 10.0) -> PerianError:
    """What a run fails with that gets a signal so long after it has begun."""
    pod_of(attempt).at(node.world.now + at, Terminated("SIGTERM"))
    return error_of(attempt)
