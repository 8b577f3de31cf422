"""How much is read of a long log, whose whole comes with each of the API's answers.

Weeks pass in seconds: the clock is the test's. A job prints for a week and then ends; what the pod
has read in all is held against what the job has printed.
"""

import email.message
import http.client
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import MalformedResponse
from perian_shim.api.jobs import MB, Glance, Job
from perian_shim.api.phases import Phase
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import Limits, PollPolicy, RetryPolicy, TrafficPolicy
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.lifecycle.watcher import Watcher

pytestmark = pytest.mark.thorough

DAY = 24 * 3600.0
WEEK = 7 * DAY

LATE = 2 * 60 * 1.2
"""When the end of a job is noticed at the latest: after two looks, with their jitter."""


@dataclass
class Printing:
    """A job that prints evenly until it ends, and how much of it has been read.

    Attributes:
        size: how much it prints in all.
        seconds: for how long.
        status_first: whether the API's answers begin with the status.
        says_length: whether they say how long they are.
        ended: status in the end.
        late: how long after that the last of the log comes.
    """

    size: int
    seconds: float = WEEK
    status_first: bool = True
    says_length: bool = True
    ended: str = "Done"
    late: float = 0.0
    now: float = field(default=0.0, init=False)
    read: int = field(default=0, init=False)
    whole_reads: int = field(default=0, init=False)

    @property
    def status(self) -> str:
        return "Running" if self.now < self.seconds else self.ended

    @property
    def printed(self) -> int:
        """How much of the log there is by now."""
        share = min(self.now / self.seconds, 1.0)
        return int(self.size * share) - (1000 if self.now < self.seconds + self.late else 0)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def followed(self, client: object, policy: TrafficPolicy) -> tuple[Job, list[str]]:
        """Follow it to its end; return it, and what was printed."""
        clock = Clock(monotonic=lambda: self.now, sleep=self.sleep, chance=lambda: 0.9)
        jobs = Jobs(lambda: cast("PerianClient", client), Retrier(RetryPolicy(), clock))
        lines: list[str] = []
        watcher = Watcher(jobs, PollPolicy(), lines.append, Limits(), traffic=policy)
        return watcher.follow("j"), lines

    @property
    def noticed_after(self) -> float:
        """How long after its end it was noticed."""
        return self.now - self.seconds

    @property
    def ratio(self) -> float:
        """How much was read, in lengths of the log."""
        return self.read / self.size


@dataclass
class Counting:
    """A client that only counts what it would have read."""

    printing: Printing
    head: int = 8 << 10

    def get_job(self, job_id: str) -> Job:
        size = 1000 + max(self.printing.printed, 0) + len(self.printing.status)
        self.printing.read += size
        self.printing.whole_reads += 1
        return Job(job_id, self.printing.status, logs="line\n", answer_bytes=size)

    def glance(self, job_id: str) -> Glance:
        size = 1000 + self.printing.printed + len(self.printing.status)
        self.printing.read += self.head
        job = Job(job_id, self.printing.status) if self.printing.status_first else None
        return Glance(job, size if self.printing.says_length else None)


POLICY = TrafficPolicy()
ORDERS = pytest.mark.parametrize(
    "status_first", [True, False], ids=["status, then log", "log, then status"]
)


@ORDERS
@pytest.mark.parametrize("size", [500 * MB, 660 * MB, 900 * MB, 1500 * MB, 5000 * MB])
def test_of_a_weeks_log_at_most_three_times_its_length_is_read(
    size: int, *, status_first: bool
) -> None:
    printing = Printing(size, status_first=status_first)
    job, _ = printing.followed(Counting(printing), POLICY)
    assert job.status == "Done"
    assert job.logs is not None
    assert printing.ratio <= 3
    assert printing.noticed_after <= LATE


@pytest.mark.parametrize("burst", [60.0, 3600.0])
@ORDERS
def test_a_log_that_has_stopped_growing_is_not_read_again(
    burst: float, *, status_first: bool
) -> None:
    printing = Printing(500 * MB, status_first=status_first)
    client = Counting(printing)
    grown = type(printing).printed

    class Burst(Printing):
        @property
        def printed(self) -> int:
            return self.size if self.now > burst else int(grown.fget(self))  # type: ignore[attr-defined]  # a property

    printing = client.printing = Burst(500 * MB, status_first=status_first)
    printing.followed(client, POLICY)
    assert printing.ratio <= 3
    assert printing.noticed_after <= LATE


def test_without_a_length_it_is_taken_to_grow_evenly() -> None:
    printing = Printing(500 * MB, says_length=False)
    printing.followed(Counting(printing), POLICY)
    assert printing.ratio <= 3
    assert printing.noticed_after <= LATE


def test_what_tells_nothing_before_its_end_is_read_rarely_and_the_end_noticed_in_bounds() -> None:
    printing = Printing(500 * MB, status_first=False, says_length=False)
    printing.followed(Counting(printing), POLICY)
    assert printing.whole_reads < WEEK / POLICY.blind / 0.8 + 500  # until it was very long
    assert printing.noticed_after <= POLICY.blind * 1.2


def test_a_short_log_is_read_at_each_look() -> None:
    printing = Printing(100_000, seconds=3600.0)
    client = Counting(printing)
    client.glance = None  # type: ignore[assignment,method-assign]  # must not be called
    printing.followed(client, POLICY)
    assert printing.whole_reads > 180


def test_a_log_of_medium_length_is_read_at_a_bounded_rate_and_not_seldom() -> None:
    printing = Printing(4 * MB, seconds=12 * 3600.0)
    printing.followed(Counting(printing), POLICY)
    assert printing.read < 12 * 3600 * POLICY.rate * 1.5
    assert printing.whole_reads > 12 * 3600 / (4 * MB / POLICY.rate)


@ORDERS
def test_a_failed_jobs_long_log_is_waited_for_by_its_head_and_read_once(
    *, status_first: bool
) -> None:
    printing = Printing(500 * MB, status_first=status_first, ended="UserError", late=3.0)
    printing.followed(Counting(printing), POLICY)
    before = printing.whole_reads
    assert printing.ratio <= 3
    assert printing.noticed_after <= LATE + PollPolicy().settled
    again = Printing(500 * MB, status_first=status_first)
    again.followed(Counting(again), POLICY)
    assert before <= again.whole_reads + 1


@dataclass
class Withholding(Counting):
    """A client whose answers break off within the log once the job has ended."""

    def get_job(self, job_id: str) -> Job:
        if self.printing.now >= self.printing.seconds:
            raise MalformedResponse("half", method="GET", path="/job/j", incomplete=True)
        return super().get_job(job_id)


def test_the_outputs_of_a_job_that_has_ended_do_not_wait_long_for_its_log() -> None:
    printing = Printing(500 * MB)
    job, lines = printing.followed(Withholding(printing), POLICY)
    assert job.phase is Phase.SUCCEEDED
    assert printing.noticed_after <= LATE + 2 * POLICY.patience
    assert lines[-1] == "[perian-shim] job j: the end of its log could not be read"


# --- with all of the client, from the bytes of the answers to the printed lines ------------------

STATE = rb"\r" + b"step 12345/9999999 loss 0.1234 [====>     ] 12.3 it/s"
BLOCK = STATE * 2000
LAST = rb"\nthe last line\n"


@dataclass
class Body:
    """An answer with a long log, as ``http.client`` hands it out; it is made as it is read."""

    printing: Printing
    status: int = 200
    place: int = 0

    def __post_init__(self) -> None:
        told = b'"id":"j","status":"%b"' % self.printing.status.encode()
        first = self.printing.status_first
        self.head = b'{"jobs":[{' + (told + b"," if first else b"") + b'"logs":"'
        self.tail = b'"' + (b"" if first else b"," + told) + b',"errors":null}]}'
        if self.printing.status != "Running":
            self.tail = LAST + self.tail
        self.log = max(self.printing.printed, 0) // len(STATE) * len(STATE)
        self.whole = len(self.head) + self.log + len(self.tail)
        self.length = self.whole if self.printing.says_length else None
        self.headers = email.message.Message()

    def read1(self, size: int) -> bytes:
        place, head = self.place, len(self.head)
        if place < head:
            piece = self.head[place : place + size]
        elif place < head + self.log:
            within = (place - head) % len(BLOCK)
            piece = BLOCK[within : within + min(size, head + self.log - place)]
        else:
            place -= head + self.log
            piece = self.tail[place : place + size]
        self.place += len(piece)
        self.printing.read += len(piece)
        return piece

    def close(self) -> None: ...

    def isclosed(self) -> bool:
        return self.place == self.whole

    def getheaders(self) -> list[tuple[str, str]]:
        return []

    def __enter__(self) -> "Body":  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None: ...


@dataclass
class Line:
    """A connection to an API that has one job."""

    printing: Printing
    may_be_kept: bool = False

    def request(self, *_: Any, **__: Any) -> http.client.HTTPResponse:
        return cast("http.client.HTTPResponse", Body(self.printing))

    def close(self) -> None: ...


def client_of(printing: Printing) -> PerianClient:
    client = PerianClient("http://api", "org", "token-value")
    connect: Callable[[object], object] = lambda _: Line(printing)  # noqa: E731 - in its place
    client._transport._connect = connect  # type: ignore[method-assign,assignment]  # as real
    return client


@ORDERS
@pytest.mark.parametrize("says_length", [True, False])
def test_the_real_client_reads_no_more_and_shows_how_it_ended(
    *, status_first: bool, says_length: bool
) -> None:
    scale = 10
    policy = TrafficPolicy(
        short=POLICY.short // scale, rate=POLICY.rate / scale, long=POLICY.long // scale
    )
    if not status_first and not says_length:
        policy = replace(policy, blind=DAY / 10)
    printing = Printing(
        50 * MB if says_length else 20 * MB, DAY, status_first=status_first, says_length=says_length
    )
    job, lines = printing.followed(client_of(printing), policy)
    assert job.status == "Done"
    assert lines[-1] == "the last line"
    assert lines[-2].startswith("step 12345")
    assert len(lines) < 20
    if status_first or says_length:
        assert printing.ratio <= 3
        assert printing.noticed_after <= LATE
