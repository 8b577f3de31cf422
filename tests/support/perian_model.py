"""A model of Perian, of an object store and of pods on them: one world, its own clock, no network.

What the model takes Perian to guarantee, and so what perian-shim relies on:

* A submission takes effect at most once, and if it does then within ``LATEST`` seconds of the
  moment it was sent.
* A single look knows every job whose submission has taken effect, spells apart in which it says
  that there is no such job.
* The list is newest first. It shows a job only some time after it was created (``Plan.lag``), but
  in the order of creation: a list that shows a job shows every older one. A list or a look may show
  a status that is up to ``STALE`` seconds old.
* A cancellation that was answered well ends the job within ``GRACE`` seconds, unless the job ends
  by itself in that time. One whose answer was lost may or may not have been heard. For a moment
  after its creation (``Plan.deaf``) a job cannot be cancelled: there is "no such job".
* A job that has ended does not change any more.

The object store is consistent, and loses nothing but what a test takes away. Each pod has a clock
of its own: its wall clock is wrong, and its monotonic clock began at some other time.

Pods run in threads, one at a time: each stops before and after everything it does to the world, and
goes on when it is told to. There it can be killed, or get its signal. Times are seconds.
"""

import threading
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from random import Random
from typing import NoReturn, TypeVar

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.errors import (
    ApiError,
    ApiTimeout,
    JobAlreadyDone,
    JobNotFound,
    RateLimited,
    ServerFault,
    TransportError,
    Unauthorized,
)
from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Glance, Job
from perian_shim.api.pages import Page
from perian_shim.errors import StorageFailed
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.launch_record import LaunchRecord, Owner
from perian_shim.lifecycle.signals import Terminated
from perian_shim.settings import JOB_KEY, JOB_OUTPUT
from perian_shim.storage import ObjectInfo, Signing, UploadPolicy, join_uri

T = TypeVar("T")

EPOCH = 1_800_000_000.0
LATEST = 14.0
STALE = 6.0
GRACE = 3.0
PAGE = 10
"""So many jobs are on a page of a listing at most; real ones are ten times as long."""

SECONDS = {"list": 0.4}
"""How long a call takes."""

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

FAULTS = ("refused", "lost", "acted", "late", "500", "500 acted", "429", "hangs", "stale")
"""What may happen to one call. Those that make no sense for a call are an outage of it."""

SPELLS = (
    "down",
    "unauthorized",
    "unknown job",
    "no submissions",
    "no cancellations",
    "no list",
    "hanging",
    "store falters",
    "store broken",
)
"""What may go on for a while: of the API, or of the object store."""


class Killed(BaseException):
    """SIGKILL: the pod is gone; nothing of it may run on."""


class OutOfPatience(BaseException):
    """What was done beside the main thread takes too long: nobody waits for it."""


@dataclass(frozen=True)
class Plan:
    """How a job will go.

    Attributes:
        queued: seconds in the queue.
        running: seconds of running.
        end: how it ends.
        requeued: seconds in the queue again, halfway through: its machine was lost.
        lag: seconds until the list shows it.
        deaf: seconds for which it cannot be cancelled.
    """

    queued: float = 4.0
    running: float = 20.0
    end: str = DONE
    requeued: float = 0.0
    lag: float = 0.0
    deaf: float = 0.0


@dataclass
class ModelJob:
    """A job.

    Attributes:
        id: its id.
        request: what it was submitted with.
        created: when the submission took effect.
        plan: how it goes.
        visible: from when on the list shows it.
        cancelled: when a cancellation takes effect.
        canceller: which of our pods asked for it, None if it was somebody else.
    """

    id: str
    request: CreateJobRequest
    created: float
    plan: Plan
    visible: float = 0.0
    cancelled: float | None = None
    canceller: "Pod | None" = None

    @property
    def ends(self) -> float:
        plan = self.plan
        return self.created + plan.queued + plan.running + plan.requeued

    @property
    def gone(self) -> float:
        """When it has ended or will end, as far as is known."""
        return self.ends if self.cancelled is None else min(self.cancelled, self.ends)

    def status(self, at: float) -> str:
        """The status at a time not before its creation."""
        if self.cancelled is not None and at >= self.cancelled < self.ends:
            return "Cancelled"
        if at >= self.ends:
            return "Done" if self.plan.end == EMPTY else self.plan.end
        ran = at - self.created - self.plan.queued
        half = self.plan.running / 2
        return "Queued" if ran < 0 or half <= ran < half + self.plan.requeued else "Running"

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
        spells: until when each kind of trouble lasts.
        crowd: at how many of the next looks at the list other jobs arrive.
        others: when and as what the jobs of other people were created.
        store_faults: how many of the next accesses to the object store fail, and pass by.
        objects: the object store.
        born: when each launch record was written first, and by whom.
        written: when each object was written last.
        robbed: whether launch records were taken away.
        troubled: when something last went wrong for anybody.
    """

    now: float = 0.0
    jobs: list[ModelJob] = field(default_factory=list)
    late: list[tuple[float, CreateJobRequest]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=lambda: [Plan()])
    faults: dict[str, list[str]] = field(default_factory=dict)
    spells: dict[str, float] = field(default_factory=dict)
    crowd: int = 0
    others: list[tuple[float, str]] = field(default_factory=list)
    store_faults: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    born: dict[str, tuple[float, "Pod"]] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    robbed: bool = False
    troubled: float = 0.0
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
                self.objects[result_uri(job.variables[JOB_OUTPUT])] = job.id.encode()

    def create(self, request: CreateJobRequest, at: float | None = None) -> str:
        plan = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
        created = self.now if at is None else at
        job = ModelJob(f"job-{len(self.jobs)}", request, created, plan)
        job.visible = max([created + plan.lag, *(each.visible for each in self.jobs)])
        self.jobs.append(job)
        self.say(f"{job.id} created at {created:.1f}, listed from {job.visible:.1f}: {plan}")
        return job.id

    def cancel(self, job_id: str, pod: "Pod | None" = None) -> None:
        """Do what a pod, or None for somebody else, asks for."""
        job = self.job(job_id)
        if not job.lives(self.now):
            raise JobAlreadyDone("done", method="PATCH", path=f"/job/{job_id}/cancel")
        if pod and self.now < job.created + job.plan.deaf:
            raise JobNotFound("none yet", method="PATCH", path=f"/job/{job_id}/cancel")
        if job.cancelled is None:
            self.say(f"{job_id} cancelled by {pod.owner if pod else 'hand'}")
            job.cancelled = self.now + (GRACE if pod else 0.0)
            job.canceller = pod

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
            command="true",
            logs="one line\n",
            env_variables=dict(job.variables),
        )

    def listing(self) -> Iterator[ModelJob | Job]:
        """All jobs that the list shows, newest first."""
        ours = [(job.created, job) for job in self.jobs if job.visible <= self.now]
        ours.sort(key=lambda each: each[0])
        for created, name in reversed(self.others):
            while ours and ours[-1][0] >= created:
                yield ours.pop()[1]
            yield Job(name, "Running", created_at=moment(created), command="other")
        yield from (job for _, job in reversed(ours))

    def arrive(self, count: int, at: float | None = None) -> None:
        """Let other people submit jobs."""
        for _ in range(count):
            insort(self.others, (self.now if at is None else at, f"other-{len(self.others)}"))

    def living(self) -> list[ModelJob]:
        return [job for job in self.jobs if job.lives(self.now)]

    def fault(self, call: str) -> str:
        waiting = self.faults.get(call, [])
        return waiting.pop(0) if waiting else ""

    def spell(self, kind: str) -> bool:
        """Whether this kind of trouble goes on."""
        return self.now < self.spells.get(kind, 0.0)

    def records(self) -> list[tuple[Owner, LaunchRecord | None]]:
        """The launch records, the latest pod's last; pods are named in the order of their start."""
        found: list[tuple[Owner, LaunchRecord | None]] = []
        for uri, content in self.objects.items():
            owner = Owner.from_uri(uri)
            if owner is not None:
                try:
                    found.append((owner, LaunchRecord.from_json(content)))
                except ValueError:
                    found.append((owner, None))
        return sorted(found, key=lambda each: (int(each[0].pod, 16), each[0]))

    def calm(self) -> None:
        """No more faults."""
        self.faults.clear()
        self.store_faults = 0

    def say(self, text: str) -> None:
        self.diary.append(f"{self.now:7.1f} {text}")


def is_later(one: Owner, other: Owner) -> bool:
    return int(one.pod, 16) > int(other.pod, 16)


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
        owner: its name in the launch records.
        wakes: when it goes on by itself.
        cut: until when its node has no network.
        deaf: whether signals are only noted.
        patience: until when it waits for what it does beside.
        trouble: when an answer of the API's last was no good.
        store_trouble: when an access to the store failed last.
        checked: when it last saw who has a launch record.
        looked: when the last look at the list began that it has finished.
        stalled: when it last went on much later than it was due.
    """

    world: World
    body: Callable[["Pod"], None]
    owner: Owner = field(default_factory=lambda: Owner(0))
    wakes: float = 0.0
    cut: float = 0.0
    patience: float = float("inf")
    ended: bool = False
    ended_at: float = 0.0
    killed: bool = False
    signalled: float | None = None
    heard: bool = False
    deaf: bool = True
    trouble: float = float("-inf")
    store_trouble: float = float("-inf")
    checked: float = float("-inf")
    looked: float = float("-inf")
    stalled: float = float("-inf")
    fault: BaseException | None = None

    def __post_init__(self) -> None:
        self.wakes = self.world.now
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def clock(self) -> Clock:
        """Its clock, which nobody else's agrees with."""
        random = Random(self.owner.name)
        skew, origin = random.uniform(-3600, 3600), random.uniform(0, 1e6)
        return Clock(
            monotonic=lambda: self.world.now + origin,
            now=lambda: EPOCH + self.world.now + skew,
            sleep=self.sleep,
            chance=random.random,
        )

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
        self.ended_at = self.world.now
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
        if self.world.now > self.wakes + 0.2:
            self.stalled = self.world.troubled = self.world.now
        self.world.advance(self.wakes)
        self.wakes = self.world.now
        self._turn.release()
        awaited(self._back)
        if self.fault is not None:
            raise self.fault

    def kill(self) -> None:
        """SIGKILL."""
        self.killed = True
        self.world.troubled = self.world.now
        while not self.ended:
            self._turn.release()
            awaited(self._back)

    def signal(self) -> None:
        """SIGTERM; it arrives at the next point, also of a sleeping pod."""
        if self.signalled is None and not self.ended:
            self.signalled = self.world.now
            if not self.deaf:
                self.wakes = self.world.now

    def listen(self) -> None:
        """From now on signals are raised, and one that was noted is at once."""
        self.deaf = False
        if self.signalled is not None:
            self.heard = True
            raise Terminated("SIGTERM")

    def sleep(self, seconds: float) -> None:
        until = self.world.now + seconds
        self.wakes = min(until, max(self.patience, self.world.now))
        self.point()
        if until > self.patience:
            raise OutOfPatience

    def beside(self, act: Callable[[], object]) -> None:
        """Do something, but wait for it for two seconds only."""
        self.patience = self.world.now + 2.0
        try:
            act()
        except OutOfPatience:
            pass
        finally:
            self.patience = float("inf")


def awaited(semaphore: threading.Semaphore) -> None:
    """Wait for one's turn."""
    assert semaphore.acquire(timeout=TURN_SECONDS), "a pod and its world have lost each other"


class StillPod(Pod):
    """No pod at all: the test itself acts, and never stops; sleeping lets the world's time pass."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.owner = Owner(0)

    def point(self) -> None:
        """Go on."""

    def sleep(self, seconds: float) -> None:
        self.world.advance(self.world.now + seconds)


def raised(fault: str, method: str, path: str) -> ApiError:
    """The client's error for a fault."""
    faults: dict[str, ApiError] = {
        "refused": TransportError("refused", sent=False, method=method, path=path),
        "429": RateLimited("slow down", method=method, path=path, retry_after=1.0),
        "unauthorized": Unauthorized("who are you?", method=method, path=path),
        "unknown job": JobNotFound("none such", method=method, path=path),
        "hangs": ApiTimeout("no answer", method=method, path=path),
    }
    server_fault = ServerFault("server error", method=method, path=path, status_code=500)
    broken = TransportError("connection broke", method=method, path=path)
    return faults.get(fault) or (server_fault if fault.startswith("500") else broken)


@dataclass
class ModelClient:
    """What ``Jobs`` uses of a ``PerianClient``, for one pod.

    Attributes:
        world: where it is.
        pod: whose it is.
        timeout: how long it waits for an answer.
    """

    world: World
    pod: Pod
    timeout: float = 30.0

    def fault(self, call: str) -> str:
        """What happens to a call."""
        world = self.world
        if world.now < self.pod.cut or world.spell("down"):
            return "refused"
        if world.spell("unauthorized"):
            return "unauthorized"
        if world.spell("hanging"):
            return "hangs"
        spells = {"create": "no submissions", "cancel": "no cancellations", "list": "no list"}
        if call in spells and world.spell(spells[call]):
            return "500"
        if call == "get" and world.spell("unknown job"):
            return "unknown job"
        return world.fault(call)

    def wait(self, call: str, fault: str) -> None:
        """Let the time pass that a call takes."""
        self.pod.sleep(self.timeout if fault == "hangs" else SECONDS.get(call, 0.1))

    def failed(self, fault: str, method: str, path: str) -> ApiError:
        """Note that an answer was no good, and return the client's error for it."""
        self.pod.trouble = self.world.troubled = self.world.now
        return raised(fault, method, path)

    def create_job(self, request: CreateJobRequest) -> str:
        fault = self.fault("create")
        if fault in {"refused", "429", "unauthorized"}:
            self.wait("create", fault)
            raise self.failed(fault, "POST", "/job")
        self.pod.point()
        self.world.submissions.append(request)
        self.check_submission(request)
        if fault == "late":
            self.world.late.append((self.world.now + LATEST, request))
        job_id = self.world.create(request) if fault in {"", "stale", "acted", "500 acted"} else ""
        self.wait("create", fault)
        if fault not in {"", "stale"}:
            raise self.failed(fault, "POST", "/job")
        return job_id

    def check_submission(self, request: CreateJobRequest) -> None:
        """Fail if a submission is not recorded before, or a job is there that the pod has seen."""
        world, owner = self.world, self.pod.owner
        mine = [each for each in world.records() if each[0].pod == owner.pod]
        owner, record = mine[-1] if mine else (owner, None)
        if record is None:
            assert world.robbed, "a submission without a record"
            return
        since = world.now - LATEST
        if max(self.pod.stalled, self.pod.store_trouble) > since:
            since = float("-inf")
        born = {Owner.from_uri(uri): at for uri, (at, _) in world.born.items()}
        known = [
            each for each, _ in world.records() if is_later(each, owner) and born[each] < since
        ]
        assert not known, f"{owner} submits although {known} took over"
        assert record.stage.value == "intent", record
        assert record.asked, record
        assert request.docker.env_variables[JOB_KEY] == record.key, record
        if not world.robbed:
            ended = {*record.served}
            seen = [
                job.id
                for job in world.jobs
                if job.visible <= self.pod.looked
                and (job.lives(world.now) or job.has_outputs(world.now))
                and job.cancelled is None
                and job.id not in ended
                and job.variables.get(JOB_KEY) == record.key
            ]
            assert not seen, f"submitted although the list shows {seen}"

    def ask(self, call: str, method: str, path: str, act: Callable[[float], T]) -> T:
        fault = self.fault(call)
        self.wait(call, fault)
        if fault in {"", "stale"}:
            answer = act(STALE if fault else 0.0)
            self.pod.point()
            return answer
        if fault in {"acted", "500 acted"}:
            act(0.0)
            self.pod.point()
        raise self.failed(fault, method, path)

    def get_job(self, job_id: str) -> Job:
        return self.ask(
            "get",
            "GET",
            f"/job/{job_id}",
            lambda age: self.world.view(self.world.job(job_id), age),
        )

    def glance(self, job_id: str) -> Glance:
        return Glance(self.get_job(job_id), None, whole=True)

    def list_jobs(self, page: int = 1, limit: int = 25) -> Page[Job]:
        world, length = self.world, min(limit, PAGE)
        began = world.now

        def act(age: float) -> Page[Job]:
            first = (page - 1) * length
            if world.crowd:
                world.crowd -= 1
                world.arrive(PAGE + world.crowd % (PAGE // 2))
            found = list(islice(world.listing(), first, first + length + 1))
            views = (each if isinstance(each, Job) else world.view(each, age) for each in found)
            answer = Page(tuple(islice(views, length)), page, has_next=len(found) > length)
            if page == 1:
                self.began = began
            if not answer.has_next:
                self.pod.looked = self.began
            return answer

        return self.ask("list", "GET", "/job", act)

    began: float = float("-inf")

    def cancel_job(self, job_id: str) -> None:
        path = f"/job/{job_id}/cancel"

        def act(_: float) -> None:
            self.check_cancellation(job_id)
            self.world.cancel(job_id, self.pod)

        self.ask("cancel", "PATCH", path, act)

    def check_cancellation(self, job_id: str) -> None:
        """Fail if the job is the one that the newest pod follows, unless that knows of us.

        What a pod is about to end stands in its record before it looks whether it may. So a newer
        pod either is seen, or has read it there.
        """
        records = self.world.records()
        owner, record = records[-1] if records else (None, None)
        if owner is None or record is None or owner.pod == self.pod.owner.pod:
            return
        follows = record.job_id == job_id and record.stage.value == "submitted"
        if follows and self.world.job(job_id).lives(self.world.now):
            known = job_id in {*record.losers, *record.cancelled}
            blind = self.pod.store_trouble > self.world.now - 90.0 or self.world.robbed
            assert known or blind, f"{self.pod.owner} cancels {job_id}, which {owner} follows"

    def get_instance_type(self, instance_type_id: str) -> InstanceType:
        return self.ask("get", "GET", "/instance-type", lambda _: InstanceType(instance_type_id))

    def close(self) -> None:
        """There is nothing to close."""


@dataclass
class ModelStore:
    """An object store in the world, as one pod sees it."""

    world: World
    pod: Pod

    def access(self, uri: str) -> None:
        world = self.world
        broken = world.spell("store broken")
        fails = broken or world.spell("store falters") or world.now < self.pod.cut
        if not fails and world.store_faults > 0:
            world.store_faults -= 1
            fails = True
        self.pod.point()
        if fails:
            self.pod.store_trouble = world.troubled = world.now
            message = f"{uri}: the object store failed"
            error = StorageFailed(message)
            error.passing = not broken
            raise error

    def read(self, uri: str, limit: int) -> bytes | None:
        self.access(uri)
        content = self.world.objects.get(uri)
        return None if content is None else content[:limit]

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:  # noqa: ARG002 - the protocol's
        self.access(uri)
        if Owner.from_uri(uri) is not None and uri not in self.world.born:
            self.world.born[uri] = (self.world.now, self.pod)
        self.world.objects[uri] = content
        self.world.written[uri] = self.world.now
        self.pod.point()

    def size(self, uri: str) -> int | None:
        content = self.read(uri, 1 << 30)
        return None if content is None else len(content)

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        self.access(prefix)
        folder = f"{prefix.rstrip('/')}/"
        if prefix.rstrip("/").endswith("attempts"):
            self.pod.checked = self.world.now
        found = [
            ObjectInfo(uri, len(content), self.world.written.get(uri))
            for uri, content in self.world.objects.items()
            if uri.startswith(folder)
        ]
        yield from found

    def signing(self) -> Signing:
        return Signing()

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:
        self.unused(uris, expires_in)

    def delete(self, uri: str) -> None:
        self.access(uri)
        self.world.objects.pop(uri, None)

    def join(self, parts: Sequence[str], uri: str) -> None:
        self.unused(parts, uri)

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        self.unused(prefix, expires_in)

    def read_end(self, uri: str, length: int) -> NoReturn:
        self.unused(uri, length)

    def unused(self, *arguments: object) -> NoReturn:
        raise NotImplementedError(arguments)
