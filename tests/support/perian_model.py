"""A model of Perian, of an object store and of pods on them: one world, its own clock, no network.

What the model takes Perian to guarantee, and so what perian-shim relies on:

* A submission takes effect at most once, and if it does then within ``LATEST`` seconds of the
  moment its answer was lost.
* The list and a single look show every job whose submission has taken effect. What they show of its
  status may be up to ``STALE`` seconds old.
* A cancellation that was answered ends the job within ``GRACE`` seconds, unless the job ends by
  itself in that time. One whose answer was lost may or may not have been heard.
* A job that has ended does not change any more.

Pods run in threads, one at a time: each stops before and after everything it does to the world, and
goes on when it is told to. There it can be killed, or get its signal. Times are seconds.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NoReturn, TypeVar

from perian_shim.api import (
    ApiError,
    CreateJobRequest,
    Job,
    JobAlreadyDone,
    JobNotFound,
    Page,
    RateLimited,
    ServerFault,
    TransportError,
)
from perian_shim.errors import StorageFailed
from perian_shim.lifecycle.signals import Terminated
from perian_shim.settings import JOB_KEY, JOB_OUTPUT
from perian_shim.storage import ObjectInfo, UploadPolicy, join_uri

T = TypeVar("T")

EPOCH = 1_800_000_000.0
LATEST = 14.0
STALE = 6.0
GRACE = 3.0

TURN_SECONDS = 900.0
"""Bound of a pod's wait for its turn, in real seconds."""

DONE, EMPTY, USER_ERROR, SERVER_ERROR, TIMEOUT = (
    "Done",
    "Empty",
    "UserError",
    "ServerError",
    "Timeout",
)
"""How a job ends by itself; an empty one is Done and leaves nothing."""

FAULTS = ("refused", "lost", "acted", "late", "500", "500 acted", "429", "stale")
"""What may happen to one call. Those that make no sense for a call are an outage of it."""


class Killed(BaseException):
    """SIGKILL: the pod is gone; nothing of it may run on."""


@dataclass(frozen=True)
class Plan:
    """How a job will go: seconds in the queue, seconds of running, how it ends."""

    queued: float = 4.0
    running: float = 20.0
    end: str = DONE


@dataclass
class ModelJob:
    """A job; ``cancelled`` is when that takes effect, ``by_hand`` whether it was somebody else."""

    id: str
    request: CreateJobRequest
    created: float
    plan: Plan
    cancelled: float | None = None
    by_hand: bool = False

    @property
    def ends(self) -> float:
        return self.created + self.plan.queued + self.plan.running

    def status(self, at: float) -> str:
        """The status at a time not before its creation."""
        if self.cancelled is not None and at >= self.cancelled < self.ends:
            return "Cancelled"
        if at >= self.ends:
            return "Done" if self.plan.end == EMPTY else self.plan.end
        return "Running" if at >= self.created + self.plan.queued else "Queued"

    def lives(self, at: float) -> bool:
        return self.status(at) in {"Queued", "Running"}

    def has_outputs(self, at: float) -> bool:
        return self.status(at) == "Done" and self.plan.end == DONE

    @property
    def variables(self) -> Mapping[str, str]:
        return self.request.docker.env_variables


@dataclass
class World:
    """Everything outside of the pods.

    Attributes:
        now: seconds since the world began.
        jobs: in the order of their creation.
        late: submissions that take effect at a time to come.
        plans: of the jobs to come; the last one is that of all further ones.
        faults: of the calls to come, by the call's name: first come, first served.
        store_faults: how many of the next accesses to the object store fail.
        objects: the object store.
    """

    now: float = 0.0
    jobs: list[ModelJob] = field(default_factory=list)
    late: list[tuple[float, CreateJobRequest]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=lambda: [Plan()])
    faults: dict[str, list[str]] = field(default_factory=dict)
    store_faults: int = 0
    lost_records: bool = False
    objects: dict[str, bytes] = field(default_factory=dict)
    diary: list[str] = field(default_factory=list)
    submissions: list[CreateJobRequest] = field(default_factory=list)

    def advance(self, to: float) -> None:
        """Let time pass."""
        self.now = max(self.now, to)
        due = [entry for entry in self.late if entry[0] <= self.now]
        self.late = [entry for entry in self.late if entry[0] > self.now]
        for at, request in due:
            self.create(request, at)
        for job in self.jobs:
            if job.has_outputs(self.now):
                self.objects.setdefault(result_uri(job.variables[JOB_OUTPUT]), b"42")

    def create(self, request: CreateJobRequest, at: float | None = None) -> str:
        plan = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
        job = ModelJob(f"job-{len(self.jobs)}", request, self.now if at is None else at, plan)
        self.jobs.append(job)
        return job.id

    def cancel(self, job_id: str, *, by_hand: bool = False, after: float = GRACE) -> None:
        job = self.job(job_id)
        if not job.lives(self.now):
            raise JobAlreadyDone("done", method="PATCH", path=f"/job/{job_id}/cancel")
        if job.cancelled is None:
            job.cancelled = self.now + after
            job.by_hand = by_hand

    def job(self, job_id: str) -> ModelJob:
        for job in self.jobs:
            if job.id == job_id:
                return job
        raise JobNotFound("none", method="GET", path=f"/job/{job_id}")

    def view(self, job: ModelJob, age: float = 0.0) -> Job:
        at = max(job.created, self.now - age)
        return Job(
            id=job.id,
            status=job.status(at),
            created_at=moment(job.created),
            started_at=moment(job.created + job.plan.queued)
            if job.status(at) == "Running"
            else None,
            command="true",
            logs="one line\n",
            env_variables=dict(job.variables),
        )

    def living(self) -> list[ModelJob]:
        return [job for job in self.jobs if job.lives(self.now)]

    def fault(self, call: str) -> str:
        waiting = self.faults.get(call, [])
        return waiting.pop(0) if waiting else ""

    def calm(self) -> None:
        """No more faults."""
        self.faults.clear()
        self.store_faults = 0


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(EPOCH + seconds, timezone.utc)


def result_uri(prefix: str) -> str:
    return join_uri(prefix, "result")


@dataclass
class Pod:
    """One pod: a thread that runs only when it is told to.

    Attributes:
        world: where it is.
        body: what it does; gets the pod.
    """

    world: World
    body: Callable[["Pod"], None]
    wakes: float = 0.0
    ended: bool = False
    killed: bool = False
    signalled: float | None = None
    heard: bool = False
    deaf: bool = False
    fault: BaseException | None = None

    def __post_init__(self) -> None:
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        awaited(self._turn)
        try:
            if not self.killed:
                self.body(self)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - told to whoever lets the pod run
            self.fault = error
        self.ended = True
        self._back.release()

    def point(self) -> None:
        """Stop, and go on when told to; here signals arrive. Called by what the pod does."""
        if self.killed:
            raise Killed
        self._back.release()
        awaited(self._turn)
        if self.killed:
            raise Killed
        if self.signalled is not None and not self.heard and not self.deaf:
            self.heard = True
            raise Terminated("SIGTERM")

    def step(self) -> None:
        """Let the pod run to its next point; the world waits for one that sleeps."""
        if self.ended:
            return
        self.world.advance(self.wakes)
        self._turn.release()
        awaited(self._back)
        if self.fault is not None:
            raise self.fault

    def kill(self) -> None:
        """SIGKILL."""
        self.killed = True
        while not self.ended:
            self._turn.release()
            awaited(self._back)

    def signal(self) -> None:
        """SIGTERM; it arrives at the next point, also of a sleeping pod."""
        if self.signalled is None:
            self.signalled = self.world.now
            self.wakes = self.world.now

    def sleep(self, seconds: float) -> None:
        self.wakes = self.world.now + seconds
        self.point()


def awaited(semaphore: threading.Semaphore) -> None:
    """Wait for one's turn."""
    assert semaphore.acquire(timeout=TURN_SECONDS), "a pod and its world have lost each other"


class StillPod(Pod):
    """No pod at all: the test itself acts, and never stops; sleeping lets the world's time pass."""

    def __init__(self, world: World) -> None:
        self.world = world

    def point(self) -> None:
        """Go on."""

    def sleep(self, seconds: float) -> None:
        self.world.advance(self.world.now + seconds)


def raised(fault: str, method: str, path: str) -> ApiError:
    """The client's error for a fault."""
    match fault:
        case "refused":
            return TransportError("refused", sent=False, method=method, path=path)
        case "500" | "500 acted":
            return ServerFault("server error", method=method, path=path, status_code=500)
        case "429":
            return RateLimited("slow down", method=method, path=path, retry_after=1.0)
        case _:
            return TransportError("connection broke", method=method, path=path)


@dataclass
class ModelClient:
    """What ``RetryingClient`` uses of a ``PerianClient``, for one pod."""

    world: World
    pod: Pod

    def create_job(self, request: CreateJobRequest) -> str:
        fault = self.world.fault("create")
        self.pod.point()
        if fault in {"refused", "429"}:
            raise raised(fault, "POST", "/job")
        self.world.submissions.append(request)
        self.check_intent(request)
        if fault == "late":
            self.world.late.append((self.world.now + LATEST, request))
        job_id = self.world.create(request) if fault in {"", "stale", "acted", "500 acted"} else ""
        self.pod.point()
        if fault not in {"", "stale"}:
            raise raised(fault, "POST", "/job")
        return job_id

    def check_intent(self, request: CreateJobRequest) -> None:
        """Fail when a submission has no record of its intent before it."""
        variables = request.docker.env_variables
        attempt = variables[JOB_OUTPUT].partition("/submission-")[0]
        record = self.world.objects.get(join_uri(attempt, "_perian", "launch.json"))
        assert record is not None, "a submission without a record"
        assert b'"stage": "intent"' in record, record
        assert variables[JOB_KEY].encode() in record, record

    def ask(self, call: str, method: str, path: str, act: Callable[[float], T]) -> T:
        fault = self.world.fault(call)
        self.pod.point()
        if fault in {"", "stale"}:
            answer = act(STALE if fault else 0.0)
            self.pod.point()
            return answer
        if fault in {"acted", "500 acted"}:
            act(0.0)
            self.pod.point()
        raise raised(fault, method, path)

    def get_job(self, job_id: str) -> Job:
        return self.ask(
            "get",
            "GET",
            f"/job/{job_id}",
            lambda age: self.world.view(self.world.job(job_id), age),
        )

    def list_jobs(self, page: int, limit: int) -> Page[Job]:
        def act(age: float) -> Page[Job]:
            newest = [self.world.view(job, age) for job in reversed(self.world.jobs)]
            part = newest[(page - 1) * limit : page * limit]
            return Page(tuple(part), page, has_next=page * limit < len(newest))

        return self.ask("list", "GET", "/job", act)

    def cancel_job(self, job_id: str) -> None:
        path = f"/job/{job_id}/cancel"
        self.ask("cancel", "PATCH", path, lambda _: self.world.cancel(job_id))

    def close(self) -> None:
        """There is nothing to close."""


@dataclass
class ModelStore:
    """An object store in the world, as one pod sees it."""

    world: World
    pod: Pod

    def access(self, uri: str) -> None:
        fails = self.world.store_faults > 0
        if fails:
            self.world.store_faults -= 1
            # From here on "was it recorded?" may rightly be answered with no.
            self.world.lost_records = True
        self.pod.point()
        if fails:
            message = f"{uri}: the object store failed"
            raise StorageFailed(message)

    def read(self, uri: str, limit: int) -> bytes | None:
        self.access(uri)
        content = self.world.objects.get(uri)
        return None if content is None else content[:limit]

    def write(self, uri: str, content: bytes) -> None:
        self.access(uri)
        self.world.objects[uri] = content
        self.pod.point()

    def size(self, uri: str) -> int | None:
        content = self.read(uri, 1 << 30)
        return None if content is None else len(content)

    def access_expires_in(self) -> float | None:
        return None

    def presign_get(self, uri: str, expires_in: int) -> str:
        self.unused(uri, expires_in)

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        self.unused(prefix, expires_in)

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        self.unused(prefix)

    def unused(self, *arguments: object) -> NoReturn:
        raise NotImplementedError(arguments)
