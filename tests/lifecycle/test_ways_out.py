"""How a run leaves a job that it does not wait for: detached, past a limit, after an error."""

from dataclasses import dataclass, replace

import pytest
from support.perian_model import GRACE, SERVER_ERROR, Plan
from support.still_node import (
    KEY,
    LONG,
    OUTAGE,
    NotingClient,
    StillNode,
    error_of,
    find_job,
    get_job,
    pod_of,
    told_to_end,
)

from perian_shim.api.errors import PerianError
from perian_shim.api.job_request import Requirements
from perian_shim.api.jobs import Job
from perian_shim.errors import (
    ApiUnavailable,
    InternalError,
    JobCancelled,
    JobTimedOut,
    JobVanished,
    PlatformFailed,
    QueuedTooLong,
    StatusUnknown,
    WrongMachine,
)
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.launch_record import Stage
from perian_shim.lifecycle.policies import GIVE_UPS, Limits
from perian_shim.lifecycle.rental import Rental
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.terms import Terms

EVER = 1e9
GRACE_SECONDS = 25.0
DETACH = Terms(detach=True)


@pytest.fixture
def node() -> StillNode:
    return StillNode()


# --- detached ---


def test_a_detached_job_goes_on(node: StillNode) -> None:
    error = told_to_end(node, node.attempt(terms=DETACH))
    assert "Job job-0 goes on; the next attempt rejoins it." in error.message
    assert "perian-shim cancel job-0" in error.remedy
    assert node.living(60.0) == ["job-0"]


def test_a_detached_job_is_rejoined(node: StillNode) -> None:
    told_to_end(node, node.attempt(0, terms=DETACH))
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


def test_how_long_a_detached_job_has_run_is_handed_on(node: StillNode) -> None:
    first = node.attempt(0, terms=DETACH)
    told_to_end(node, first, at=20.0)
    second = node.attempt(1)
    find_job(second)
    assert 15.0 <= second.records.record.running_seconds <= 20.0


def test_a_detached_submission_that_was_not_answered_yet_is_left_too(node: StillNode) -> None:
    told_to_end(node, node.attempt(terms=DETACH), at=0.05)
    assert node.living() == ["job-0"]
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


def with_a_stray(node: StillNode) -> Attempt[str]:
    """A run that submits twice, since the first answer is lost; later the list shows both jobs.

    The first is the older one, so that it is chosen, and the second is to end.
    """
    node.world.plans = [replace(LONG, lag=30.0), LONG]
    node.world.faults["create"] = ["late"]
    return node.attempt(terms=DETACH)


def test_beside_a_detached_job_none_goes_on_that_is_not_needed(node: StillNode) -> None:
    attempt = with_a_stray(node)
    node.world.faults["cancel"] = ["hangs"]  # it is still being ended when the signal comes
    error = told_to_end(node, attempt, at=70.0)
    assert "Job job-0 goes on; the next attempt rejoins it." in error.message
    assert error.message.endswith("Not needed any more: job job-1 is cancelled.")
    assert node.living(60.0) == ["job-0"]


def test_one_that_is_not_needed_and_cannot_be_ended_is_named(node: StillNode) -> None:
    attempt = with_a_stray(node)
    node.world.spells["no cancellations"] = EVER
    error = told_to_end(node, attempt, at=70.0)
    assert "follows: perian-shim cancel job-0." in error.remedy
    assert error.remedy.endswith("End it with: perian-shim cancel job-1")


def test_the_job_that_was_chosen_is_the_one_that_is_rejoined(node: StillNode) -> None:
    attempt = with_a_stray(node)
    node.world.faults["cancel"] = ["hangs"]
    told_to_end(node, attempt, at=70.0)
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


def told_before_it_has_looked(attempt: Attempt[str]) -> PerianError:
    """What a run fails with that was told to end while it started."""

    def ready() -> None:
        raise Terminated("SIGTERM")

    attempt.ready = ready
    return error_of(attempt)


def test_a_pod_that_is_ended_while_it_starts_leaves_the_detached_job_of_the_one_before(
    node: StillNode,
) -> None:
    told_to_end(node, node.attempt(0, terms=DETACH), at=20.0)
    error = told_before_it_has_looked(node.attempt(1, terms=DETACH))
    assert "Job job-0 goes on; the next attempt rejoins it." in error.message
    assert node.living(60.0) == ["job-0"]


def test_how_long_a_job_has_run_is_handed_on_by_a_pod_that_is_ended_while_it_starts(
    node: StillNode,
) -> None:
    told_to_end(node, node.attempt(0, terms=DETACH), at=20.0)
    second = node.attempt(1, terms=DETACH)
    told_before_it_has_looked(second)
    assert 15.0 <= second.records.record.running_seconds <= 20.0


@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 1.0])
def test_a_pod_that_is_ended_while_it_looks_leaves_what_an_attempt_before_has_asked_for(
    node: StillNode, at: float
) -> None:
    node.world.plans = [replace(LONG, lag=30.0)]
    told_to_end(node, node.attempt(0, terms=DETACH), at=0.05)
    error = told_to_end(node, node.attempt(1, terms=DETACH), at=at)
    assert "a job may exist that could not be found. The next attempt looks for it." in str(error)
    assert f"perian-shim cancel --key {KEY}" in str(error)
    assert node.living(60.0) == ["job-0"]


def test_a_pod_that_is_ended_while_it_starts_and_cannot_read_the_records_ends_nothing(
    node: StillNode,
) -> None:
    told_to_end(node, node.attempt(0, terms=DETACH), at=20.0)
    node.store_hangs = node.world.now
    error = told_before_it_has_looked(node.attempt(1, terms=DETACH))
    assert "a job may exist that could not be found" in error.message
    assert node.living(60.0) == ["job-0"]


def ended_after_its_first_write(attempt: Attempt[str]) -> None:
    """Let a pod get its signal when it has written its record for the first time."""
    store = attempt.records.at_once
    assert store is not None
    write, told = store.write, list[str]()

    def write_once(uri: str, content: bytes, content_type: str = "") -> None:
        write(uri, content, content_type)
        if not told:
            told.append(uri)
            raise Terminated("SIGTERM")

    store.write = write_once  # type: ignore[method-assign]  # a moment that no event can name


@pytest.mark.parametrize(("terms", "living"), [(DETACH, ["job-0"]), (Terms(), [])])
def test_a_pod_that_is_ended_while_it_takes_over_knows_what_the_one_before_has_asked_for(
    node: StillNode, terms: Terms, living: list[str]
) -> None:
    """Both are of the first attempt: the second one writes that it will submit, and then looks."""
    node.world.plans = [replace(LONG, lag=5.0)]
    told_to_end(node, node.attempt(0, terms=DETACH), at=0.05)
    again = node.attempt(0, terms=terms)
    ended_after_its_first_write(again)
    assert "no job was submitted" not in error_of(again).message
    assert node.living() == living


def test_a_detached_run_that_has_asked_for_nothing_says_so(node: StillNode) -> None:
    error = told_before_it_has_looked(node.attempt(terms=DETACH))
    assert error.message == "The run was ended by SIGTERM: no job was submitted."


def test_a_job_that_has_served_is_not_said_to_go_on(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER), LONG]
    first = node.attempt(0, terms=Terms(Limits(queued=60.0)))
    error_of(first)
    first.reported()
    error = told_before_it_has_looked(node.attempt(1, terms=DETACH))
    assert error.message == "The run was ended by SIGTERM: no job was submitted."


def test_a_run_takes_no_longer_to_detach_than_a_signal_leaves(node: StillNode) -> None:
    attempt = with_a_stray(node)
    node.world.spells["no cancellations"] = EVER
    node.store_hangs = 70.0
    told_to_end(node, attempt, at=70.0)
    assert node.world.now - 70.0 <= GRACE_SECONDS + 1.0


def test_a_job_that_was_being_ended_is_not_left_to_anybody(node: StillNode) -> None:
    """Nobody would wait for it: its limit has passed."""
    node.world.plans = [Plan(queued=EVER)]
    node.world.spells["no cancellations"] = 70.0
    terms = replace(DETACH, limits=Limits(queued=60.0))
    error = told_to_end(node, node.attempt(terms=terms), at=65.0)
    assert error.message == "The run was ended by SIGTERM: job job-0 is cancelled."
    assert node.living() == []


# --- limits ---


def test_a_job_that_waits_too_long_for_a_machine_is_ended(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER)]
    error = error_of(node.attempt(terms=Terms(Limits(queued=60.0))))
    assert isinstance(error, QueuedTooLong)
    assert error.message.endswith(" It was cancelled.")
    assert node.living() == []


def test_a_job_that_runs_past_its_limit_is_ended(node: StillNode) -> None:
    error = error_of(node.attempt(terms=Terms(Limits(running=60.0))))
    assert isinstance(error, JobTimedOut)
    assert node.living() == []


@dataclass
class DearClient(NotingClient):
    """Rents another machine than was asked for."""

    def get_job(self, job_id: str) -> Job:
        return replace(super().get_job(job_id), instance_type_id="dear")


def test_a_job_on_another_machine_is_ended(node: StillNode) -> None:
    node.client = DearClient
    terms = Terms(rental=Rental(Requirements(), "cheap"))
    error = error_of(node.attempt(terms=terms))
    assert isinstance(error, WrongMachine)
    assert "its instance type is dear, cheap was asked" in error.message
    assert node.living() == []


def test_the_job_that_follows_one_past_its_limit_is_a_new_one(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER), LONG]
    first = node.attempt(0, terms=Terms(Limits(queued=60.0)))
    error_of(first)
    first.reported()
    assert get_job(node.attempt(1)).id == "job-1"


def test_a_job_that_cannot_be_ended_past_its_limit_is_named(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER)]
    node.world.spells["no cancellations"] = EVER
    error = error_of(node.attempt(terms=Terms(Limits(queued=60.0))))
    assert isinstance(error, ApiUnavailable)
    assert "max_queued_time is 60 s" in error.message
    assert "perian-shim cancel job-0" in error.remedy


def test_a_job_that_was_faster_than_its_limit_is_harvested(node: StillNode) -> None:
    node.world.plans = [Plan(queued=0.0, running=64.0)]
    node.world.spells["no cancellations"] = EVER
    terms = Terms(Limits(running=60.0, slack=0.0))
    assert node.attempt(terms=terms).run() == "job-0"


# --- errors ---


def test_an_error_that_is_final_ends_the_job(
    node: StillNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = node.attempt()

    def fail(job: Job) -> None:
        message = f"a bug, seen with {job.id}"
        raise ValueError(message)

    monkeypatch.setattr(attempt.bill, "open", fail)
    error = error_of(attempt)
    assert isinstance(error, InternalError)
    assert "Nobody will wait for the job: job job-0 is cancelled." in error.message
    assert node.living() == []


@pytest.mark.parametrize(
    ("spell", "expected"), [("down", ApiUnavailable), ("unknown job", JobVanished)]
)
def test_a_job_that_cannot_be_seen_is_named_and_goes_on(
    node: StillNode, spell: str, expected: type[PerianError]
) -> None:
    attempt = node.attempt()
    pod_of(attempt).at(30.0, lambda: node.world.spells.update({spell: EVER}))
    error = error_of(attempt)
    assert isinstance(error, expected)
    assert "The job goes on; to end it: perian-shim cancel job-0" in error.remedy
    assert node.living() == ["job-0"]


@dataclass
class PuzzlingClient(NotingClient):
    """Names a status that nobody knows."""

    def get_job(self, job_id: str) -> Job:
        return replace(super().get_job(job_id), status="Hibernating")


@pytest.mark.parametrize(
    ("spell", "client", "expected"),
    [
        ("down", NotingClient, ApiUnavailable),
        ("unknown job", NotingClient, JobVanished),
        ("", PuzzlingClient, StatusUnknown),
    ],
    ids=["down", "unknown job", "unknown status"],
)
def test_a_job_that_attempt_after_attempt_cannot_see_is_ended_by_the_last(
    node: StillNode, spell: str, client: type[NotingClient], expected: type[PerianError]
) -> None:
    node.client = client
    node.with_job(0)
    node.world.spells[spell] = EVER
    for number in range(1, GIVE_UPS + 1):
        error = error_of(node.attempt(number))
        assert isinstance(error, expected)
        assert node.living() == ["job-0"]
    last = node.attempt(GIVE_UPS + 1)
    if spell == "down":
        pod_of(last).at(node.world.now + OUTAGE + 30.0, node.world.spells.clear)
    error = error_of(last)
    assert isinstance(error, expected)
    assert "Nobody will wait for the job: job job-0" in error.message
    assert node.living(GRACE) == []


def test_attempts_that_could_see_the_job_in_between_do_not_count(node: StillNode) -> None:
    node.with_job(0).records.keep(unseen=GIVE_UPS)
    second = node.attempt(1)
    find_job(second)
    assert second.records.record.unseen == 0


def test_a_job_cancelled_by_hand_is_reported_and_nothing_is_ended(node: StillNode) -> None:
    attempt = node.attempt()
    pod_of(attempt).at(30.0, lambda: node.world.cancel("job-0"))
    assert isinstance(error_of(attempt), JobCancelled)
    assert node.calls("cancel") == []


def test_a_job_that_failed_is_reported_before_flyte_is_told(node: StillNode) -> None:
    node.world.plans = [Plan(running=1.0, end=SERVER_ERROR)]
    attempt = node.attempt()
    assert isinstance(error_of(attempt), PlatformFailed)
    stages = [attempt.records.record.stage]
    attempt.reported()
    stages.append(attempt.records.record.stage)
    assert stages == [Stage.REPORTING, Stage.REPORTED]
