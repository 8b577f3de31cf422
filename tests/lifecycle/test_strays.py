"""Jobs beside the one that is followed: when they are looked for, and how they are ended."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.perian_model import GRACE, Plan
from support.still_node import LONG, OUTAGE, StillNode, find_job, pod_of, raw, request

from perian_shim.api.jobs import Job
from perian_shim.errors import Superseded
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.policies import LookPolicy

LOOKS = LookPolicy()
EVER = 1e9


@pytest.fixture
def node() -> StillNode:
    return StillNode()


def twin(node: StillNode, plan: Plan = LONG) -> None:
    """Let a submission without an answer take effect."""
    node.world.plans = [plan, LONG]
    node.world.create(request(f"{raw(0)}/twin"))


def in_doubt(node: StillNode, number: int = 0, *, pause: float = LOOKS.late) -> Attempt[str]:
    """An attempt with a job, of which a submission some seconds before that got no answer."""
    attempt = node.attempt(number)
    attempt.records.take_over()
    attempt.records.write(asked=2)
    attempt.strays.unanswered()
    node.world.advance(node.world.now + pause)
    sent = request(raw(number))
    job_id = attempt.jobs.submit(sent)
    attempt.strays.answered(job_id)
    attempt.submission.take(Job(job_id, "", env_variables=sent.docker.env_variables))
    return attempt


def followed(attempt: Attempt[str]) -> Job:
    """The job that an attempt follows, as it is now."""
    job_id = attempt.records.record.job_id
    assert job_id is not None
    return attempt.jobs.read(job_id)


def follow(node: StillNode, attempt: Attempt[str], seconds: float) -> Job | None:
    """Let an attempt follow its job for a while; return the one it is to follow instead."""
    until = node.world.now + seconds
    while node.world.now < until:
        other = attempt.strays.tick(followed(attempt))
        if other is not None:
            return other
        pod_of(attempt).sleep(1.0)
    return None


# --- when there is a doubt ---


def test_without_a_lost_answer_there_is_no_doubt(node: StillNode) -> None:
    assert not node.with_job().strays.in_doubt


def test_a_lost_answer_is_a_doubt(node: StillNode) -> None:
    node.world.faults["create"] = ["lost"]
    assert node.with_job().strays.in_doubt


def test_a_lost_answer_whose_job_was_found_is_no_doubt(node: StillNode) -> None:
    node.world.faults["create"] = ["acted"]
    assert not node.with_job().strays.in_doubt


def test_an_attempt_before_that_left_no_record_is_a_doubt(node: StillNode) -> None:
    attempt = node.attempt(1)
    attempt.records.take_over()
    assert attempt.strays.in_doubt


def test_a_doubt_is_handed_on_to_the_next_attempt(node: StillNode) -> None:
    node.world.faults["create"] = ["lost"]
    node.with_job(0)
    assert node.with_job(1).strays.in_doubt


def test_without_a_doubt_nothing_is_listed(node: StillNode) -> None:
    attempt = node.with_job()
    follow(node, attempt, 600.0)
    attempt.strays.finish(followed(attempt))
    assert node.calls("list") == []


# --- when a doubt ends ---


def test_a_doubt_ends_when_all_jobs_that_were_asked_for_are_found(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node, Plan(running=0.0))
    follow(node, attempt, 5.0)
    assert not attempt.strays.in_doubt
    assert attempt.records.record.asked == 2


def test_a_doubt_goes_on_while_the_job_is_followed_although_the_list_knows_that(
    node: StillNode,
) -> None:
    attempt = in_doubt(node)
    follow(node, attempt, LOOKS.doubt - 60.0)
    assert attempt.strays.in_doubt


def test_a_doubt_ends_after_its_time_once_the_list_has_shown_a_newer_job(node: StillNode) -> None:
    attempt = in_doubt(node)
    follow(node, attempt, LOOKS.doubt + 60.0)
    assert not attempt.strays.in_doubt
    assert attempt.records.record.asked == 1


def test_a_doubt_does_not_end_while_the_list_has_not_shown_the_newer_job(node: StillNode) -> None:
    node.world.plans = [replace(LONG, lag=EVER)]
    attempt = in_doubt(node)
    follow(node, attempt, LOOKS.doubt + 60.0)
    assert attempt.strays.in_doubt
    assert attempt.records.record.asked == 2


def test_a_missing_record_is_no_doubt_any_more_when_the_list_has_long_been_up_to_date(
    node: StillNode,
) -> None:
    attempt = node.with_job(1)
    assert attempt.strays.in_doubt
    follow(node, attempt, LOOKS.doubt + 60.0)
    assert not attempt.strays.in_doubt


def test_a_missing_record_stays_a_doubt_while_the_list_does_not_know_the_followed_job(
    node: StillNode,
) -> None:
    node.world.plans = [replace(LONG, lag=60.0)]
    attempt = node.with_job(1)
    follow(node, attempt, 40.0)
    assert attempt.strays.in_doubt


# --- looking ---


def test_looks_become_rarer_and_have_a_longest_pause(node: StillNode) -> None:
    node.world.plans = [replace(LONG, lag=EVER)]
    attempt = in_doubt(node)
    follow(node, attempt, 1500.0)
    looks = node.calls("list")
    pauses = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert pauses[0] < LOOKS.late
    assert max(pauses[-5:]) < LOOKS.longest + 4.0
    assert min(pauses[-5:]) >= LOOKS.longest
    assert all(later > earlier - 2.0 for earlier, later in itertools.pairwise(pauses))


def test_a_look_that_fails_is_said_and_made_again_later(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node)
    node.world.spells["no list"] = node.world.now + OUTAGE + 5.0
    follow(node, attempt, 2 * OUTAGE)
    assert "could not look for other jobs of the same work" in node.words
    assert node.living(GRACE) == ["job-0"]


def test_a_list_that_cannot_be_had_does_not_keep_the_job_from_being_followed(
    node: StillNode,
) -> None:
    attempt = in_doubt(node)
    node.world.spells["no list"] = EVER
    follow(node, attempt, 2 * OUTAGE)
    reads = node.calls("get")
    assert max(b - a for a, b in itertools.pairwise(reads)) <= LOOKS.longest + 30.0


def test_pages_of_jobs_much_older_than_the_followed_one_are_not_read(node: StillNode) -> None:
    node.world.advance(10 * LOOKS.margin)
    node.world.arrive(50, at=node.world.now - LOOKS.margin - 60.0)
    attempt = in_doubt(node)
    attempt.strays.look(followed(attempt))
    assert len(node.calls("list")) == 1


def test_a_job_within_the_margin_is_found_however_many_jobs_are_newer(node: StillNode) -> None:
    node.world.advance(10 * LOOKS.margin)
    twin(node)
    node.world.arrive(50, at=node.world.now + 1.0)
    node.world.advance(node.world.now + LOOKS.margin / 2)
    attempt = in_doubt(node)
    scan = attempt.strays.look(followed(attempt))
    assert {job.id for job in scan.jobs} == {"job-0", "job-1"}


# --- ending ---


def test_a_younger_twin_that_the_list_shows_late_is_ended(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node, replace(LONG, lag=100.0))
    assert follow(node, attempt, 150.0) is None
    assert node.living(GRACE) == ["job-0"]


def test_an_older_twin_that_has_not_come_as_far_is_ended(node: StillNode) -> None:
    twin(node, Plan(queued=EVER, lag=100.0))
    attempt = in_doubt(node)
    assert follow(node, attempt, 150.0) is None
    assert node.living(GRACE) == ["job-1"]


def test_an_older_twin_that_has_come_as_far_is_followed_instead(node: StillNode) -> None:
    twin(node, replace(LONG, lag=100.0))
    attempt = in_doubt(node)
    other = follow(node, attempt, 150.0)
    assert other is not None
    assert other.id == "job-0"
    assert node.living(GRACE) == ["job-0"]


def test_a_twin_that_is_done_is_harvested_instead(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node, Plan(queued=0.0, running=0.0))
    other = follow(node, attempt, 60.0)
    assert other is not None
    assert (other.id, other.status) == ("job-1", "Done")


def test_a_job_that_loses_is_recorded_before_it_is_ended(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node)
    node.world.spells["no cancellations"] = EVER
    follow(node, attempt, 5.0)
    assert attempt.records.record.losers == ("job-1",)
    assert node.world.records()[-1][1] == attempt.records.record


def test_a_job_that_cannot_be_cancelled_yet_is_asked_again_until_it_has_ended(
    node: StillNode,
) -> None:
    attempt = in_doubt(node)
    twin(node, replace(LONG, deaf=30.0))
    follow(node, attempt, 40.0)
    assert node.living(GRACE) == ["job-0"]
    assert attempt.strays.ending == {}


def test_a_cancellation_that_was_answered_is_not_taken_for_an_end(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node)
    follow(node, attempt, 3.0)
    assert list(attempt.strays.ending) == ["job-1"]


def test_that_a_job_does_not_end_is_said_after_a_while_with_the_command_that_ends_it(
    node: StillNode,
) -> None:
    attempt = in_doubt(node)
    twin(node)
    node.world.spells["no cancellations"] = EVER
    follow(node, attempt, LOOKS.insist + 60.0)
    words = "job job-1 was asked to end and goes on; end it with: perian-shim cancel job-1"
    assert node.words.count(words) == 1


def test_a_job_that_does_not_end_is_not_asked_for_ever(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node)
    node.world.spells["no cancellations"] = EVER
    follow(node, attempt, 2 * LOOKS.insist)
    assert node.calls("cancel", since=LOOKS.insist + 60.0) == []


def test_what_the_attempt_before_has_begun_to_end_is_ended(node: StillNode) -> None:
    first = node.with_job(0)
    first.records.keep(losers=("job-1",), asked=2)
    twin(node)
    second = node.attempt(1)
    job = find_job(second)
    assert job is not None
    second.strays.resume(job.id)
    follow(node, second, 10.0)
    assert node.living() == ["job-0"]


def test_a_superseded_pod_ends_nothing(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node)
    node.attempt(1).records.take_over()
    with pytest.raises(Superseded):
        follow(node, attempt, 60.0)
    assert node.living(GRACE) == ["job-0", "job-1"]


def test_a_store_that_cannot_tell_of_a_successor_keeps_no_job_alive(node: StillNode) -> None:
    attempt = in_doubt(node)
    twin(node)
    node.world.spells["store broken"] = EVER
    follow(node, attempt, 60.0)
    assert node.living(GRACE) == ["job-0"]


# --- the end of a run ---


def test_the_end_waits_for_a_submission_that_may_still_take_effect(node: StillNode) -> None:
    attempt = in_doubt(node, pause=0.0)
    attempt.strays.finish(followed(attempt))
    assert LOOKS.late <= node.world.now <= LOOKS.late + 5.0


def test_the_end_waits_until_the_list_has_shown_a_newer_job(node: StillNode) -> None:
    node.world.plans = [replace(LONG, lag=100.0)]
    attempt = in_doubt(node)
    before = node.world.now
    attempt.strays.finish(followed(attempt))
    assert 99.0 <= node.world.now - before <= 100.0 + LOOKS.pause(100.0) + 5.0
    assert not attempt.strays.in_doubt


def with_twin(node: StillNode) -> Attempt[str]:
    """An attempt with a twin that is listed late and cannot be cancelled for a while."""
    twin(node, replace(LONG, deaf=60.0, lag=40.0))
    return in_doubt(node)


def test_the_end_waits_for_a_twin_to_be_shown_and_to_end(node: StillNode) -> None:
    attempt = with_twin(node)
    attempt.strays.finish(followed(attempt))
    assert node.living() == ["job-1"]


def show_nothing(node: StillNode) -> None:
    for job in node.world.jobs:
        job.visible = EVER


def break_list(node: StillNode) -> None:
    node.world.spells["no list"] = EVER


def break_cancellations(node: StillNode) -> None:
    node.world.spells["no cancellations"] = EVER


@pytest.mark.parametrize("trouble", [show_nothing, break_list, break_cancellations])
def test_the_end_does_not_wait_for_ever(
    node: StillNode, trouble: Callable[[StillNode], None]
) -> None:
    attempt = with_twin(node)
    trouble(node)
    before = node.world.now
    attempt.strays.finish(followed(attempt))
    assert node.world.now - before < max(LOOKS.settle, OUTAGE) + 30.0


def test_a_job_that_goes_on_after_the_end_is_named(node: StillNode) -> None:
    attempt = with_twin(node)
    break_cancellations(node)
    attempt.strays.finish(followed(attempt))
    assert "end it with: perian-shim cancel job-0" in node.words


@pytest.mark.parametrize("trouble", [show_nothing, break_list])
def test_that_a_job_may_go_on_which_was_never_listed_is_said_with_the_key(
    node: StillNode, trouble: Callable[[StillNode], None]
) -> None:
    attempt = with_twin(node)
    trouble(node)
    attempt.strays.finish(followed(attempt))
    assert "perian-shim cancel --key the-key" in node.words


def test_a_superseded_pod_ends_nothing_at_its_end(node: StillNode) -> None:
    attempt = with_twin(node)
    node.attempt(1).records.take_over()
    with pytest.raises(Superseded):
        attempt.strays.finish(followed(attempt))
    assert node.living(GRACE) == ["job-0", "job-1"]


def test_a_result_waits_for_the_end_of_a_twin(node: StillNode) -> None:
    node.world.faults["create"] = ["late"]
    node.world.plans = [replace(LONG, lag=60.0), Plan(running=5.0)]
    assert node.attempt().run() == "job-1"
    assert [job.status(node.world.now) for job in node.world.jobs] == ["Cancelled", "Done"]
