"""However late Perian shows a job, however often it denies one: one job goes on, none is left.

What the fault matrix does not show. Real pods on a front to the sandbox's jobs that lags, moves,
refuses and forgets. Times are those of the front and of the pods; they pass faster than real ones.
"""

import re
import signal

import pytest
from support.api_calls import Call
from support.api_faults import (
    NO_JOB,
    UNAVAILABLE,
    Fault,
    Script,
    Spell,
    showing,
    timeline,
)
from support.cells import DETACHING, THRIFTY, WAITING, Lab
from support.listings import Arrivals, Crowd, ListingLag
from support.outcomes import state_of
from support.scenes import Scene, scene
from support.storage_front import Answer, s3_error
from support.traps import Trap, When
from support.waiting import LONG_SECONDS, on_this_machine

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors]

UNWELL = Answer(503, b"<Error><Code>ServiceUnavailable</Code></Error>")
RECORDS = re.compile(r"_perian(/|%2F)attempts")


def lost_answer() -> Script:
    """The first submission is acted on and its answer lost."""
    return Script(Call.SUBMIT, Fault.RESET_AFTER, 1)


def statuses(node: Scene) -> list[str]:
    return sorted(job.status for job in node.jobs)


@pytest.mark.thorough
@pytest.mark.parametrize(("lag", "speed"), [(55, 30), (200, 30)])
def test_of_two_jobs_one_of_which_shows_late_one_goes_on_and_the_other_is_ended(
    lab: Lab, lag: int, speed: float
) -> None:
    with scene(lab, lost_answer(), ListingLag(lag, submissions=2), speed=speed) as node:
        ended = node.running()
        both = node.wait_for_one(of=2)
        node.let_go()
        (attempt,) = ended.result()
    assert state_of(attempt) == "success", attempt.log
    assert statuses(node) == ["Cancelled", "Done"]
    assert both < lag + speed * on_this_machine(10.0)


def killed_after_submission(node: Scene) -> Trap:
    """Kill the first pod when its submission has been acted on and before it is answered."""
    kill = lambda: node.cluster.signal(signal.SIGKILL)  # noqa: E731 - the cluster comes later
    return Trap(Call.SUBMIT, When.AFTER, kill)


def test_a_launch_record_that_cannot_be_read_is_not_taken_for_no_record(lab: Lab) -> None:
    spell = Spell(UNWELL, re.compile(r"^GET .*_perian(/|%2F)attempts"), seconds=90, armed=False)
    with scene(lab, ListingLag(30), speed=30, storage=(spell,)) as node:
        node.api.meet_first(Trap(Call.READ, When.AFTER, lambda: node.cluster.signal(9), 2))

        def arm(number: int) -> None:
            spell.armed = number == 1

        node.cluster.starting = arm
        ended = node.running()
        node.wait_for(lambda: spell.happened > 2, "the store cannot be read")
        node.let_go()
        attempts = ended.result()
    assert state_of(attempts[-1]) == "success", attempts[-1].log
    assert statuses(node) == ["Done"]


@pytest.mark.parametrize("lag", [1, 30])
def test_two_pods_that_submit_at_the_same_time_leave_one_job(lab: Lab, lag: int) -> None:
    with scene(lab, lost_answer(), ListingLag(lag), speed=10) as node:
        first = node.start(0)
        node.wait_for_jobs(1)
        second = node.start(1)
        node.wait_for_decision()
        superseded = state_of(first.result(LONG_SECONDS))  # it has to notice by itself
        node.let_go()
        rejoined = state_of(second.result())
    assert superseded == "PERIAN:Superseded SYSTEM recoverable"
    assert rejoined == "success"
    assert [job.status for job in node.jobs].count("Done") == 1
    assert not node.live


@pytest.mark.thorough
def test_a_losing_job_that_cannot_be_cancelled_yet_is_asked_until_it_has_ended(lab: Lab) -> None:
    denied = Spell(NO_JOB, Call.CANCEL, seconds=300, young=True)
    with scene(lab, denied, lost_answer(), ListingLag(200, submissions=2), speed=30) as node:
        ended = node.running()
        node.wait_for_one(of=2)
        node.let_go()
        (attempt,) = ended.result()
    assert state_of(attempt) == "success", attempt.log
    assert statuses(node) == ["Cancelled", "Done"]


@pytest.mark.parametrize("per_page", [100, 150])
def test_a_list_that_moves_while_it_is_read_hides_no_job(lab: Lab, per_page: int) -> None:
    with scene(lab, lost_answer(), Arrivals(per_page, most=1500), speed=10) as node:
        node.let_go()
        (attempt,) = node.run()
    assert state_of(attempt) == "success", attempt.log
    assert statuses(node) == ["Done"]


@pytest.mark.thorough
def test_a_list_that_moves_for_ever_does_not_hold_up_the_run(lab: Lab) -> None:
    with scene(lab, lost_answer(), Arrivals(100), speed=30) as node:
        node.let_go()
        (attempt,) = node.run()
    assert state_of(attempt) == "success", attempt.log
    assert not node.live


# --- every way out ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_every_signal_that_can_be_caught_ends_the_job(lab: Lab, number: signal.Signals) -> None:
    with scene(lab) as node:
        ended = node.start(0)
        node.wait_for_calls(Call.READ, 2)
        node.pods[0].process.send_signal(number)
        attempt = ended.result()
    assert state_of(attempt) == "PERIAN:Terminated SYSTEM recoverable", attempt.log
    assert number.name in str(attempt.error)
    assert statuses(node) == ["Cancelled"]


NEXT_RECORD = re.compile(r"^PUT .*/_perian/attempts/(0*1-|0*-0*1-)")  # attempt or generation


@pytest.mark.parametrize(
    ("request_line", "when", "number"),
    [
        (re.compile(r"^GET .*/task\.pb"), When.BEFORE, 2),
        (NEXT_RECORD, When.BEFORE, 1),
        (NEXT_RECORD, When.AFTER, 1),
    ],
    ids=["it loads", "it is about to take over", "it has just taken over"],
)
def test_a_detached_job_goes_on_at_whatever_moment_the_next_pod_is_ended(
    lab: Lab, request_line: re.Pattern[str], when: When, number: int
) -> None:
    trap = Trap(request_line, when, lambda: node.cluster.signal(signal.SIGTERM), number, drop=False)
    with scene(lab, task=DETACHING, storage=(trap,)) as node:
        first = node.start(0)
        node.wait_for_calls(Call.READ, 2)
        node.cluster.signal(signal.SIGTERM)
        first.result()
        second = node.start(1).result()
        assert trap.sprung is not None
        assert second.outputs is None
        assert len(node.live) == 1, second.log
        node.let_go()
        third = node.start(2).result()
    assert state_of(third) == "success", third.log
    assert statuses(node) == ["Done"]


def test_a_signal_during_a_submission_that_cannot_be_found_names_the_key_and_what_to_do(
    lab: Lab,
) -> None:
    with scene(lab, ListingLag(1000), speed=10) as node:
        node.api.meet_first(Trap(Call.SUBMIT, When.AFTER, lambda: node.cluster.signal(15)))
        attempt = node.start(0).result()
    assert attempt.error is not None
    assert attempt.error.code == "PERIAN:Terminated"
    assert "a job may exist that could not be found" in attempt.error.message
    assert re.search(r"perian-shim cancel --key [0-9a-f]{40}", attempt.error.message)


@pytest.mark.thorough
def test_an_abort_while_cancelling_fails_uses_the_whole_grace_period(lab: Lab) -> None:
    spell = Spell(UNAVAILABLE, Call.CANCEL, seconds=14)
    # The 16 seconds between the spell's end and the grace period's are eight: enough for any load.
    with scene(lab, spell, speed=2) as node:
        ended = node.start(0)
        node.wait_for_calls(Call.READ, 2)
        node.pods[0].process.send_signal(signal.SIGTERM)
        attempt = ended.result()
    assert state_of(attempt) == "PERIAN:Terminated SYSTEM recoverable", attempt.log
    assert statuses(node) == ["Cancelled"]


def test_an_abort_that_cannot_cancel_says_how_to_end_the_job(lab: Lab) -> None:
    with scene(lab, Spell(UNAVAILABLE, Call.CANCEL), speed=10) as node:
        ended = node.start(0)
        node.wait_for_calls(Call.READ, 2)
        node.pods[0].process.send_signal(signal.SIGTERM)
        attempt = ended.result()
        (job,) = node.jobs
    assert attempt.error is not None
    assert f"perian-shim cancel {job.job_id}" in attempt.error.message
    assert "Nothing, if you aborted it" not in attempt.error.message


# --- answers that stand for "unknown" ---


@pytest.mark.thorough
def test_submissions_that_fail_for_minutes_while_all_else_works_are_ridden_out(lab: Lab) -> None:
    with scene(lab, Spell(UNAVAILABLE, Call.SUBMIT, seconds=240), speed=60) as node:
        node.let_go()
        (attempt,) = node.run()
    assert state_of(attempt) == "success", attempt.log
    assert statuses(node) == ["Done"]


# --- clocks ---


def test_only_the_time_in_the_queue_counts_as_queueing(lab: Lab) -> None:
    failover = timeline(("Queued", 2), ("Running", 30), ("Queued", 2), ("Running", 10))
    with scene(lab, failover, task=WAITING, speed=10) as node:
        ended = node.running()
        node.wait_for_calls(Call.READ, 8)
        node.let_go()
        (attempt,) = ended.result()
    assert state_of(attempt) == "success", attempt.log


# --- what was rented ---


def test_a_machine_that_costs_more_than_allowed_is_given_back_at_once(lab: Lab) -> None:
    price = {"unit_price": "99", "currency": "EUR", "granularity": "PER_HOUR"}
    with scene(lab, showing({"price": price}), task=THRIFTY) as node:
        (attempt,) = node.run()
    assert state_of(attempt) == "PERIAN:WrongMachine SYSTEM", attempt.log
    assert "99 EUR per hour, at most 5 was asked" in str(attempt.error)
    assert statuses(node) == ["Cancelled"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("pull access denied for nobody/nothing", "PERIAN:ImageUnavailable"),
        ("manifest for debian:99 not found", "PERIAN:ImageUnavailable"),
        ("Organization has insufficient credit", "PERIAN:CreditExhausted"),
    ],
)
def test_what_another_attempt_cannot_change_is_not_tried_again(
    lab: Lab, words: str, code: str
) -> None:
    failing = showing({"status": "ServerError", "errors": words})
    with scene(lab, failing) as node:
        (attempt,) = node.run()
    assert state_of(attempt) == f"{code} USER"
    assert words in str(attempt.error)


@pytest.mark.thorough
def test_an_outage_of_the_object_store_at_the_end_costs_no_second_job(lab: Lab) -> None:
    spell = Spell(UNWELL, re.compile(r"^GET .*result\.json"), seconds=120)
    with scene(lab, speed=30, storage=(spell,)) as node:
        node.let_go()
        (attempt,) = node.run()
    assert spell.happened > 2
    assert state_of(attempt) == "success", attempt.log
    assert statuses(node) == ["Done"]


def test_a_job_whose_results_could_not_be_read_is_harvested_by_the_next_attempt(lab: Lab) -> None:
    denied = Answer(403, s3_error("AccessDenied", "Not now"))
    spell = Spell(denied, re.compile(r"^GET .*result\.json"), times=1)
    with scene(lab, storage=(spell,)) as node:
        node.let_go()
        attempts = node.run()
    assert state_of(attempts[0]) == "PERIAN:StorageFailed SYSTEM recoverable", attempts[0].log
    assert state_of(attempts[1]) == "success", attempts[1].log
    assert statuses(node) == ["Done"]


@pytest.mark.thorough
def test_outputs_that_cannot_be_read_for_too_long_are_left_to_the_next_attempt(lab: Lab) -> None:
    spell = Spell(UNWELL, re.compile(r"^GET .*result\.json"))

    def mend(number: int) -> None:
        spell.armed = number == 0

    with scene(lab, speed=30, storage=(spell,), PERIAN_OUTAGE_SECONDS="30") as node:
        node.cluster.starting = mend
        node.let_go()
        attempts = node.run()
    states = [state_of(attempt) for attempt in attempts]
    assert states == ["PERIAN:StorageFailed SYSTEM recoverable", "success"], attempts[-1].log
    assert statuses(node) == ["Done"]


# --- a large organization ---


def starting_calls(node: Scene) -> int:
    """Return how many calls there were before the job was looked at for the first time."""
    return node.api.seen.index(Call.READ)


def test_a_first_attempt_asks_no_more_than_it_must_in_a_large_organization(lab: Lab) -> None:
    with scene(lab, Crowd(12_000)) as node:
        node.let_go()
        (attempt,) = node.run()
        assert starting_calls(node) <= 2
    assert state_of(attempt) == "success", attempt.log


def test_an_attempt_that_knows_its_job_lists_nothing_in_a_large_organization(lab: Lab) -> None:
    with scene(lab, Crowd(12_000)) as node:
        node.api.meet_first(Trap(Call.READ, When.AFTER, lambda: node.cluster.signal(9), 2))
        ended = node.running()
        node.wait_for(lambda: len(node.cluster.pods) > 1, "a second attempt")
        node.let_go()
        attempts = ended.result()
        assert Call.LIST not in node.api.seen
    assert state_of(attempts[-1]) == "success", attempts[-1].log


def test_an_attempt_without_a_record_looks_through_a_large_organization_within_a_bound(
    lab: Lab,
) -> None:
    with scene(lab, Crowd(12_000)) as node:
        node.api.meet_first(killed_after_submission(node))
        node.let_go()
        attempts = node.run()
        assert node.api.seen.count(Call.LIST) <= 125
    assert state_of(attempts[-1]) == "success", attempts[-1].log
    assert statuses(node) == ["Done"]


@pytest.mark.parametrize("when", [When.AFTER, When.BEFORE])
def test_a_signal_ends_the_job_within_seconds_in_a_large_organization(lab: Lab, when: When) -> None:
    with scene(lab, Crowd(12_000)) as node:
        trap = Trap(Call.READ, when, lambda: node.cluster.signal(15), 2, drop=False)
        node.api.meet_first(trap)
        attempt = node.start(0).result()
        (job,) = node.jobs
    assert state_of(attempt) == "PERIAN:Terminated SYSTEM recoverable", attempt.log
    assert trap.sprung is not None
    assert (job.done - trap.sprung).total_seconds() < 10
