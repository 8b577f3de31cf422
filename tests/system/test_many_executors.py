"""A hundred executors at once against an API that limits the rate of requests: nothing is lost,
nothing is doubled, and together they come to ask no more often than they may.

All hundred are processes of their own and alive together: every one has a running job, and no job
ends before all run. Starting a hundred Pythons that import flytekit would take two cores some
minutes, so that most of the executors are forked, as in other tests (``support.zygote``); a few are
started as in a pod. From there on all do the same: the whole of ``pyflyte-execute``, from
``task.pb`` to ``outputs.pb``.

The run has three parts: the start, when everybody submits; the watch, when all jobs run and
everybody looks at one; the end, when all jobs end together. Looking as often as an executor does
that is alone, the hundred would ask four times as often as they may. How soon they find their
common pace depends on the machine; that they find it does not.
"""

import itertools
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from flytekit.models.literals import Literal, LiteralMap, Primitive, Scalar
from flytekit.models.task import TaskTemplate
from support.api_calls import Call, call_of
from support.doors import Door
from support.flyte import Harness
from support.job_gate import JobGate
from support.waiting import wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.flyte.cluster import Attempt, RunningPod
from perian_shim.sandbox.server.application import Request, Response
from perian_shim.sandbox.server.http import ApiServer
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.settings import JOB_KEY

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors]

EXECUTORS = 100
STARTED_IN_EARNEST = 3

LIMIT = 30
"""Requests that the API answers within any one second."""

RETRY_AFTER_SECONDS = 1

WATCH_SECONDS = 6.0
"""How long the common pace must hold."""

SETTLE_SECONDS = 25.0
"""Bound of the time until it holds. Even at its end, clients that do not heed refusals ask more
often than they may: pauses that only grow with the age of a run are then 2 s."""

SELDOM = 0.15
"""Share of the requests of a crowd at its pace that may be refused."""

START_SECONDS = 150.0
"""Bound of what takes some 30 s on two cores."""


@dataclass(frozen=True)
class Seen:
    """One request.

    Attributes:
        at: when it came, in seconds of a monotonic clock.
        call: which call.
        caller: whose: the executor's name.
        refused: whether it was one too many.
    """

    at: float
    call: Call | None
    caller: str
    refused: bool


@dataclass(frozen=True)
class Watch:
    """Some seconds, and how often everybody together asked in them.

    Attributes:
        began, ended: in seconds of a monotonic clock.
        asked: number of requests.
        refused: how many of them were too many.
    """

    began: float
    ended: float
    asked: int
    refused: int

    @property
    def is_calm(self) -> bool:
        """Whether they asked no more often than they may, and were seldom refused."""
        within_limit = self.asked <= LIMIT * (self.ended - self.began)
        return self.asked > 0 and within_limit and self.refused <= SELDOM * self.asked


@dataclass
class Limiter:
    """An API that answers so many requests in any second, and asks whoever comes then to wait.

    Each executor has a base URL of its own, ``/NAME``, by which it is known.
    """

    answer: Callable[[Request], Response]
    seen: list[Seen] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    followers: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        at = time.monotonic()
        _, caller, path = request.path.split("/", 2)
        own = replace(request, path=f"/{path}")
        call = call_of(own.method, own.path)
        refused = not self.admits(at)
        self.seen.append(Seen(at, call, caller, refused))
        if not refused:
            if call is Call.READ:
                self.followers.add(caller)
            return self.answer(own)
        wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return replace(Response.of(429, {"detail": "too many requests"}), headers=wait)

    def latest(self) -> "Watch":
        """The last seconds."""
        now = time.monotonic()
        began = now - WATCH_SECONDS
        recent = itertools.takewhile(lambda seen: seen.at >= began, reversed(self.seen))
        refused = [seen.refused for seen in recent]
        return Watch(began, now, len(refused), sum(refused))

    def is_settled_since(self, began: float) -> "Watch | None":
        """The last seconds if they lie after a time and were calm."""
        watch = self.latest()
        return watch if watch.began >= began and watch.is_calm else None

    def admits(self, at: float) -> bool:
        """Whether a request that comes now is answered; counted."""
        with self.lock:
            self.answered = [before for before in self.answered if at - before < 1]
            if len(self.answered) >= LIMIT:
                return False
            self.answered.append(at)
            return True


@dataclass(frozen=True)
class Crowd:
    """What became of all.

    Attributes:
        attempts: by the number that each was given.
        jobs: all that were created.
        seen: the requests, in the order of their time.
        watch: when all watched at their common pace.
        together: how many executors were alive at the end of the watch.
    """

    attempts: dict[int, Attempt]
    jobs: list[JobSnapshot]
    seen: list[Seen]
    watch: Watch
    together: int


def squaring(harness: Harness, gate: JobGate) -> TaskTemplate:
    script = f'echo "job of $1"; {gate.command}; echo $(( $1 * $1 )) >/var/outputs/square'
    return harness.cluster.serialize(
        PerianContainerTask(
            name="test.crowd",
            task_config=PerianConfig(cores=1),
            image="debian:12",
            command=["/bin/bash", "-ec", script, "job", "{{.inputs.n}}"],
            inputs={"n": int},
            outputs={"square": int},
            # A hundred Pythons that all start to upload one line would take long.
            environment={"PERIAN_SHIM_TRANSPORT": "curl" if shutil.which("curl") else "python3"},
        )
    )


def number_literal(number: int) -> LiteralMap:
    value = Literal(scalar=Scalar(primitive=Primitive(integer=number)))
    return LiteralMap({"n": value})


@contextmanager
def serving(limiter: Limiter) -> Iterator[str]:
    server = ApiServer(limiter)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def ended(pod: RunningPod) -> bool:
    return pod.process.poll() is not None


def end(pods: dict[int, RunningPod]) -> None:
    """Let no process stay behind when the test fails."""
    left = [pod for pod in pods.values() if pod.process.stdout and not pod.process.stdout.closed]
    for pod in left:
        pod.process.kill()
    for pod in left:
        pod.wait()


def run_crowd(harness: Harness) -> Crowd:
    assert harness.sandbox.server is not None
    limiter = Limiter(harness.sandbox.server.application)
    execution = harness.execution()
    others = harness.cluster.environment
    # Unlike in other tests an executor looks at its job as often as it does by default.
    common = {name: others[name] for name in others if not name.startswith("PERIAN_POLL_")}
    with ExitStack() as stack:
        gate = stack.enter_context(JobGate())
        url = stack.enter_context(serving(limiter))
        task = squaring(harness, gate)
        pods: dict[int, RunningPod] = {}
        stack.callback(end, pods)
        for number in range(EXECUTORS):
            name = f"n{number}"
            cluster = replace(
                harness.cluster, environment={**common, "PERIAN_API_URL": f"{url}/{name}"}
            )
            if number < STARTED_IN_EARNEST:
                cluster.bin_dir = harness.cold().cluster.bin_dir
            pods[number] = cluster.start(task, number_literal(number), execution, name)
        wait_until(
            lambda: len(limiter.followers) == EXECUTORS or any(map(ended, pods.values())),
            START_SECONDS,
            lambda: f"only {len(limiter.followers)} jobs are followed",
        )
        early = [pod.wait() for pod in pods.values() if ended(pod)]
        assert early == [], "executors have ended before their jobs"
        gate.wait_for(execution, EXECUTORS)
        settled = partial(limiter.is_settled_since, time.monotonic())
        watch = wait_until(settled, SETTLE_SECONDS, lambda: f"no calm: {limiter.latest()}")
        together = sum(not ended(pod) for pod in pods.values())
        gate.open(execution)
        attempts = {number: pod.wait() for number, pod in pods.items()}
        seen = sorted(limiter.seen, key=lambda seen: seen.at)
        return Crowd(attempts, harness.jobs(execution), seen, watch, together)


def all_were_alive_at_once(crowd: Crowd) -> None:
    assert crowd.together == EXECUTORS


def nothing_is_lost_and_every_output_is_right(crowd: Crowd) -> None:
    failed = {n: attempt.error for n, attempt in crowd.attempts.items() if attempt.error}
    assert failed == {}
    squares = {
        number: attempt.outputs.literals["square"].scalar.primitive.integer
        for number, attempt in crowd.attempts.items()
        if attempt.outputs is not None
    }
    assert squares == {number: number**2 for number in range(EXECUTORS)}


def nothing_is_doubled(crowd: Crowd) -> None:
    keys = Counter((job.record.execution.environment or {})[JOB_KEY] for job in crowd.jobs)
    assert len(keys) == EXECUTORS
    assert set(keys.values()) == {1}
    assert {job.state.status.value for job in crowd.jobs} == {"Done"}


def each_job_is_submitted_by_one_answered_request(crowd: Crowd) -> None:
    answered = Counter(
        seen.caller for seen in crowd.seen if seen.call is Call.SUBMIT and not seen.refused
    )
    assert answered == {f"n{number}": 1 for number in range(EXECUTORS)}


def whoever_was_asked_to_wait_waited(crowd: Crowd) -> None:
    requests: dict[str, list[Seen]] = defaultdict(list)
    for seen in crowd.seen:
        requests[seen.caller].append(seen)
    early = [
        (later.at - earlier.at, later)
        for own in requests.values()
        for earlier, later in itertools.pairwise(own)
        if earlier.refused and later.at - earlier.at < RETRY_AFTER_SECONDS
    ]
    assert any(seen.refused for seen in crowd.seen), "the limit was never felt"
    assert early == []


def few_requests_of_all_are_refused(crowd: Crowd) -> None:
    """No herd comes back together to be sent away again and again."""
    refused = sum(seen.refused for seen in crowd.seen)
    assert refused / len(crowd.seen) <= 0.45


@pytest.mark.thorough
@pytest.mark.parametrize("harness", [Door.ENTRYPOINT], indirect=True)
def test_a_hundred_executors_share_an_api_that_limits_the_rate_of_requests(
    harness: Harness,
) -> None:
    # One test, for the sake of test runs in several processes: each would start its own hundred.
    crowd = run_crowd(harness)
    all_were_alive_at_once(crowd)
    nothing_is_lost_and_every_output_is_right(crowd)
    nothing_is_doubled(crowd)
    each_job_is_submitted_by_one_answered_request(crowd)
    whoever_was_asked_to_wait_waited(crowd)
    assert crowd.watch.is_calm
    few_requests_of_all_are_refused(crowd)
