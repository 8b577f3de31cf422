"""The end of a job: what explains a failure may come after the status, and is waited for."""

import itertools
from collections.abc import Callable

import pytest

from perian_shim.api.errors import ServerFault
from perian_shim.api.jobs import Job
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import Limits, PollPolicy, RetryPolicy
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.lifecycle.watcher import Watcher


class Ending:
    """A job that has ended, and what each look shows of it, by the seconds since then."""

    def __init__(self, status: str, show: Callable[[float], Job]) -> None:
        self.now = 0.0
        self.looks = 0
        self.lines: list[str] = []
        self.show = show
        clock = Clock(monotonic=lambda: self.now, sleep=self.sleep, chance=lambda: 0.5)
        jobs = Jobs(lambda: self, Retrier(RetryPolicy(), clock))  # type: ignore[arg-type,return-value]  # all that is asked for
        watcher = Watcher(jobs, PollPolicy(), self.lines.append, Limits())
        self.job = watcher.follow("j")
        self.tail = watcher.tail
        assert self.job.status == status

    def get_job(self, job_id: str) -> Job:
        assert job_id == "j"
        self.looks += 1
        return self.show(self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def late(status: str, seconds: float, logs: str = "one\nbecause\n") -> Callable[[float], Job]:
    """A job whose log comes so many seconds after its status."""
    return lambda now: Job("j", status, logs=logs if now >= seconds else None)


FAILURES = ["UserError", "ServerError", "Timeout"]


@pytest.mark.parametrize("status", FAILURES)
@pytest.mark.parametrize("seconds", [0.0, 1.0, 3.0])
def test_the_reason_is_known_of_a_failure_whose_log_comes_later(
    status: str, seconds: float
) -> None:
    ending = Ending(status, late(status, seconds))
    assert ending.tail.last[-1] == "because"
    assert ending.job.logs == "one\nbecause\n"
    assert ending.now <= seconds + 6


@pytest.mark.parametrize("status", FAILURES)
def test_a_failure_without_a_log_is_not_waited_for_long(status: str) -> None:
    assert Ending(status, late(status, 1e9)).now <= 5


def test_a_log_that_comes_in_parts_is_waited_for_until_it_stands_still() -> None:
    def show(now: float) -> Job:
        return Job("j", "UserError", logs="".join(f"{n}\n" for n in range(int(min(now, 9) / 3))))

    ending = Ending("UserError", show)
    assert list(ending.tail.last) == ["0", "1", "2"]
    assert ending.now <= 9 + 5


def test_a_log_that_grows_for_ever_is_waited_for_in_bounds() -> None:
    numbers = itertools.count(1)

    def show(_: float) -> Job:
        return Job("j", "UserError", logs="x\n" * next(numbers))

    assert Ending("UserError", show).now <= PollPolicy().settled + 1


def test_what_the_platform_says_later_is_known_too() -> None:
    def show(now: float) -> Job:
        return Job("j", "ServerError", errors="no disk" if now >= 2 else None)

    assert Ending("ServerError", show).job.errors == "no disk"


def test_a_stale_answer_takes_nothing_back() -> None:
    def show(now: float) -> Job:
        if now < 1:
            return Job("j", "UserError", logs="because\n", errors="exit 3")
        return Job("j", "Running", logs=None)

    job = Ending("UserError", show).job
    assert (job.logs, job.errors) == ("because\n", "exit 3")


def test_an_outage_after_a_failure_does_not_hide_what_comes_after_it() -> None:
    def show(now: float) -> Job:
        if 0 < now < 2:
            message = "down"
            raise ServerFault(message)
        return Job("j", "UserError", logs="because\n" if now else None)

    assert Ending("UserError", show).job.logs == "because\n"


@pytest.mark.parametrize("status", ["Done", "Cancelled"])
def test_nothing_is_waited_for_when_nobody_asks_for_a_reason(status: str) -> None:
    ending = Ending(status, late(status, 3.0))
    assert (ending.now, ending.looks) == (0.0, 2)


def test_a_success_is_looked_at_again_only_while_its_log_grows() -> None:
    numbers = itertools.count(1)
    ending = Ending("Done", lambda _: Job("j", "Done", logs="x\n" * min(next(numbers), 3)))
    assert ending.lines[1:] == ["x", "x", "x"]
    assert (ending.now, ending.looks) == (0.0, 4)


def test_the_waiting_scales_with_the_pace_of_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIAN_POLL_MIN_SECONDS", "0.08")
    policy = PollPolicy.from_environment()
    assert policy.settling == pytest.approx(0.4)
    monkeypatch.setenv("PERIAN_POLL_MIN_SECONDS", "30")
    assert PollPolicy.from_environment().settling == PollPolicy().settling
