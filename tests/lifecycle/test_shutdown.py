"""Leaving a job that is not waited for: whatever hangs or lags, it is asked to end until it has."""

import threading
from dataclasses import dataclass, replace

import pytest
from support.perian_model import GRACE, Plan
from support.still_node import (
    LONG,
    StillNode,
    error_of,
    find_job,
    pod_of,
    raw,
    request,
    told_to_end,
)

from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import (
    Superseded,
    Terminating,
)
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.launch_record import Stage
from perian_shim.lifecycle.shutdown import Left, Shutdown
from perian_shim.lifecycle.shutdown import beside as beside_for_a_moment
from perian_shim.lifecycle.signals import Terminated

EVER = 1e9
GRACE_SECONDS = 25.0


@pytest.fixture
def node() -> StillNode:
    return StillNode()


def cancel(attempt: Attempt[str]) -> Left:
    return Shutdown(attempt.strays, GRACE_SECONDS, attempt.beside).cancel()


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
