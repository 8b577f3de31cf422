"""Leaving a job that is not waited for: whatever hangs or lags, it is asked to end until it has."""

import threading
from dataclasses import dataclass, replace

import pytest
from support.perian_model import GRACE, SERVER_ERROR, Plan
from support.still_node import (
    KEY,
    LONG,
    OUTAGE,
    NotingClient,
    StillNode,
    find_job,
    get_job,
    pod_of,
    raw,
    request,
)

from perian_shim.api.errors import PerianError
from perian_shim.api.job_request import CreateJobRequest, Requirements
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import (
    ApiUnavailable,
    InternalError,
    JobCancelled,
    JobTimedOut,
    JobVanished,
    PlatformFailed,
    QueuedTooLong,
    StatusUnknown,
    Superseded,
    Terminating,
    WrongMachine,
)
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.launch_record import Stage
from perian_shim.lifecycle.policies import GIVE_UPS, Limits
from perian_shim.lifecycle.rental import Rental
from perian_shim.lifecycle.shutdown import Left, Shutdown
from perian_shim.lifecycle.shutdown import beside as beside_for_a_moment
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.terms import Terms

EVER = 1e9
GRACE_SECONDS = 25.0
DETACH = Terms(detach=True)


@pytest.fixture
def node() -> StillNode:
    return StillNode()


def cancel(attempt: Attempt[str]) -> Left:
    return Shutdown(attempt.strays, GRACE_SECONDS, attempt.beside).cancel()


def error_of(attempt: Attempt[str]) -> PerianError:
    """What a run fails with."""
    with pytest.raises(PerianError) as raised:
        attempt.run()
    return raised.value


def told_to_end(node: StillNode, attempt: Attempt[str], at: float = 10.0) -> PerianError:
    """What a run fails with that gets a signal so long after it has begun."""
    pod_of(attempt).at(node.world.now + at, Terminated("SIGTERM"))
    return error_of(attempt)


# --- the job that is known ---


def test_a_run_that_is_told_to_end_ends_its_job(node: StillNode) -> None:
    error = told_to_end(node, node.attempt())
    assert isinstance(error, Terminating)
    assert error.message == "The run was ended by SIGTERM: job job-0 is cancelled."
    assert node.living() == []


def test_that_a_job_is_ended_is_recorded_before(node: StillNode) -> None:
    attempt = node.with_job()
    node.world.spells["down"] = EVER
    cancel(attempt)
    record = node.world.records()[0][1]
    assert record is not None
    assert (record.stage, record.cancelled) == (Stage.CANCELLING, ("job-0",))


def test_a_cancellation_that_was_answered_is_not_taken_for_an_end(node: StillNode) -> None:
    attempt = node.with_job()
    before = node.world.now
    assert cancel(attempt).alive == []
    assert node.world.now - before >= GRACE


def test_a_cancellation_that_nobody_understood_is_repeated(node: StillNode) -> None:
    node.world.plans = [replace(LONG, deaf=15.0)]
    assert str(cancel(node.with_job())) == "job job-0 is cancelled"
    assert node.living() == []


def test_a_cancellation_that_fails_for_a_while_is_repeated(node: StillNode) -> None:
    attempt = node.with_job()
    node.world.spells["no cancellations"] = node.world.now + 15.0
    assert str(cancel(attempt)) == "job job-0 is cancelled"
    assert node.living() == []


def test_a_job_that_goes_on_is_named_with_the_command_that_ends_it(node: StillNode) -> None:
    node.world.spells["no cancellations"] = EVER
    error = told_to_end(node, node.attempt())
    assert "job job-0 was asked to end and is still running" in error.message
    assert error.remedy == "End it with: perian-shim cancel job-0"


def test_a_job_that_cannot_be_seen_is_named_with_the_command_that_ends_it(
    node: StillNode,
) -> None:
    attempt = node.attempt()
    pod_of(attempt).at(9.0, lambda: node.world.spells.update(down=EVER))
    error = told_to_end(node, attempt)
    assert "job job-0 was asked to end and cannot be seen" in error.message
    assert error.remedy == "End it with: perian-shim cancel job-0"


@pytest.mark.parametrize("spell", ["no cancellations", "down", "hanging", "store broken"])
def test_a_run_that_is_told_to_end_takes_no_longer_than_it_may(node: StillNode, spell: str) -> None:
    attempt = node.attempt()
    pod_of(attempt).at(9.0, lambda: node.world.spells.update({spell: EVER}))
    told_to_end(node, attempt)
    assert node.world.now <= 10.0 + GRACE_SECONDS + 5.0


def test_a_job_that_had_ended_by_itself_is_left_to_the_next_attempt(node: StillNode) -> None:
    node.world.plans = [Plan(running=20.0)]
    first = node.with_job(0)
    node.world.advance(100.0)
    assert str(cancel(first)) == "job job-0 is succeeded"
    assert first.records.record.stage is Stage.SUBMITTED
    assert node.attempt(1).run() == "job-0"


def test_a_job_that_was_cancelled_gets_a_successor(node: StillNode) -> None:
    node.world.plans = [LONG, Plan(running=5.0)]
    told_to_end(node, node.attempt(0))
    assert node.attempt(1).run() == "job-1"


# --- jobs beside it ---


def test_a_twin_is_ended_as_well(node: StillNode) -> None:
    attempt = node.with_job()
    attempt.records.keep(asked=2)
    node.world.create(request(f"{raw(0)}/twin"))
    assert cancel(attempt).alive == []
    assert node.living() == []


def test_a_twin_that_is_being_ended_already_is_seen_to(node: StillNode) -> None:
    attempt = node.with_job()
    node.world.plans = [replace(LONG, deaf=10.0)]
    node.world.create(request(f"{raw(0)}/twin"))
    attempt.strays.end(["job-1"])
    assert cancel(attempt).alive == []
    assert node.living() == []


@pytest.mark.parametrize("lag", [0.0, 10.0])
def test_a_job_whose_submission_was_not_answered_yet_is_found_and_ended(
    node: StillNode, lag: float
) -> None:
    node.world.plans = [replace(LONG, lag=lag)]
    error = told_to_end(node, node.attempt(), at=0.05)
    assert "job job-0 is cancelled" in error.message
    assert node.living() == []


def test_a_submission_that_nobody_can_see_is_said_with_the_key(node: StillNode) -> None:
    node.world.plans = [replace(LONG, lag=EVER)]
    error = told_to_end(node, node.attempt(), at=0.05)
    assert "a job may exist that could not be found" in error.message
    assert "perian-shim jobs --key the-key" in error.remedy
    assert "perian-shim cancel --key the-key" in error.remedy


def test_why_a_job_could_not_be_looked_for_is_said(node: StillNode) -> None:
    attempt = node.attempt()
    node.world.spells["no list"] = EVER
    error = told_to_end(node, attempt, at=0.05)
    assert "server error" in error.message


@dataclass(frozen=True)
class EndedWhileStaging:
    """Work whose preparation is interrupted by a signal."""

    def request(self, output: str) -> CreateJobRequest:
        del output
        raise Terminated("SIGTERM")

    def harvest(self, job: Job, output: str) -> str:
        raise NotImplementedError(job, output)

    def keep(self, output: str) -> None:
        raise NotImplementedError(output)

    def revoke(self, output: str) -> None:
        raise NotImplementedError(output)


def test_a_run_that_has_submitted_nothing_says_so_and_withdraws_its_intent(
    node: StillNode,
) -> None:
    attempt = node.attempt()
    attempt.work = EndedWhileStaging()
    error = error_of(attempt)
    assert error.message == "The run was ended by SIGTERM: no job was submitted."
    assert attempt.records.record.asked == 0
    assert node.asked == []


def test_jobs_of_other_work_go_on(node: StillNode) -> None:
    node.world.create(request("s3://b/other", key="other"))
    cancel(node.attempt(1))
    assert node.living(GRACE) == ["job-0"]


# --- the job of an attempt before ---


def test_the_job_of_an_attempt_before_is_ended_by_a_pod_that_never_took_over(
    node: StillNode,
) -> None:
    node.with_job(0)
    assert str(cancel(node.attempt(1))) == "job job-0 is cancelled"
    assert node.living() == []


def test_a_job_that_an_attempt_before_may_have_asked_for_is_ended(node: StillNode) -> None:
    node.with_job(0).records.keep(stage=Stage.INTENT, job_id=None)
    assert str(cancel(node.attempt(1))) == "job job-0 is cancelled"
    assert node.living() == []


def test_what_an_attempt_before_has_begun_to_end_is_ended(node: StillNode) -> None:
    node.with_job(0).records.keep(losers=("job-1",), asked=2)
    node.world.create(request(f"{raw(0)}/twin"))
    assert cancel(node.attempt(1)).alive == []
    assert node.living() == []


@pytest.mark.parametrize("hours", [0.1, 5.0])
def test_the_job_of_an_attempt_without_a_record_is_found_however_old_it_is(
    node: StillNode, hours: float
) -> None:
    node.world.create(request(raw(0)))
    node.world.advance(hours * 3600.0)
    assert str(cancel(node.attempt(1))).startswith("job job-0 is cancelled")
    assert node.living() == []


def test_a_job_that_an_attempt_before_has_reported_is_left_alone(node: StillNode) -> None:
    node.with_job(0).records.keep(stage=Stage.REPORTED, reported=("job-0",))
    left = cancel(node.attempt(1))
    assert (left.phases, left.unseen, left.remedy) == ({}, False, None)
    assert node.asked[1:] == []


def test_without_records_an_attempt_before_is_looked_for_only_once(node: StillNode) -> None:
    before = node.world.now
    left = cancel(node.attempt(1))
    assert len(node.calls("list")) == 1
    assert left.unseen
    assert node.world.now - before < 3.0


# --- a store that fails ---


def test_a_store_that_hangs_does_not_keep_the_job_alive(node: StillNode) -> None:
    attempt = node.attempt()
    node.store_hangs = 9.0
    error = told_to_end(node, attempt)
    assert "job job-0 is cancelled" in error.message
    assert node.living() == []


def test_a_store_that_hangs_does_not_keep_the_job_of_an_attempt_before_alive(
    node: StillNode,
) -> None:
    node.with_job(0)
    node.store_hangs = node.world.now
    assert str(cancel(node.attempt(1))).startswith("job job-0 is cancelled")
    assert node.living() == []


def test_a_record_that_could_not_be_kept_is_kept_once_the_store_recovers(node: StillNode) -> None:
    attempt = node.with_job()
    node.world.spells["store broken"] = node.world.now + 2.0
    cancel(attempt)
    assert node.world.records()[0][1] == attempt.records.record


def test_what_hangs_is_waited_for_only_a_moment() -> None:
    forever = threading.Event()
    beside_for_a_moment(forever.wait)
    forever.set()


# --- a later pod ---


def test_a_superseded_pod_that_is_told_to_end_ends_nothing(node: StillNode) -> None:
    first, second = node.attempt(0), node.attempt(1)
    pod_of(first).at(9.0, lambda: find_job(second))
    assert isinstance(told_to_end(node, first), Superseded)
    assert node.living(GRACE) == ["job-0"]


def test_a_superseded_pod_leaves_its_record_as_if_it_had_not_tried(node: StillNode) -> None:
    first = node.with_job(0)
    find_job(node.attempt(1))
    with pytest.raises(Superseded):
        cancel(first)
    assert first.records.record.stage is Stage.SUBMITTED


def test_a_superseded_pod_does_not_end_the_job_of_an_attempt_before_it(node: StillNode) -> None:
    node.with_job(0)
    find_job(node.attempt(2))
    with pytest.raises(Superseded):
        cancel(node.attempt(1))
    assert node.living(GRACE) == ["job-0"]


def test_a_superseded_run_ends_without_a_word_to_its_job(node: StillNode) -> None:
    first, second = node.attempt(0), node.attempt(1)
    pod_of(first).at(30.0, lambda: find_job(second))
    assert isinstance(error_of(first), Superseded)
    assert node.calls("cancel") == []


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


@pytest.mark.parametrize(
    ("phases", "unseen", "words", "remedy"),
    [
        ({}, False, "", None),
        ({"a": Phase.CANCELLED}, False, "job a is cancelled", None),
        (
            {"a": Phase.RUNNING, "b": Phase.CANCELLED, "c": Phase.UNKNOWN},
            True,
            (
                "job a was asked to end and is still running, job b is cancelled, job c was asked"
                " to end and cannot be seen, a job may exist that could not be found"
            ),
            (
                "End it with: perian-shim cancel a c."
                " Find it with: perian-shim jobs --key k; end it with: perian-shim cancel --key k"
            ),
        ),
        (
            {},
            True,
            "a job may exist that could not be found",
            "Find it with: perian-shim jobs --key k; end it with: perian-shim cancel --key k",
        ),
    ],
)
def test_what_became_of_jobs_is_told(
    phases: dict[str, Phase], unseen: bool, words: str, remedy: str | None
) -> None:
    left = Left("k", phases, unseen)
    assert (str(left), left.remedy) == (words, remedy)
