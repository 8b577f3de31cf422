"""Which job it is: decided from what is known, without a network or a clock."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api.jobs import Job
from perian_shim.api.phases import JobStatus
from perian_shim.lifecycle.adoption import decide, hidden
from perian_shim.lifecycle.launch_record import LaunchRecord, Stage

BEGIN = datetime(2026, 11, 21, tzinfo=timezone.utc)
RECORD = LaunchRecord("k")
ENDED = ["Done", "UserError", "ServerError", "Timeout", "Cancelled"]


def job(name: str, status: str, minute: int = 0) -> Job:
    return Job(name, status, created_at=BEGIN + timedelta(minutes=minute))


def chosen(*jobs: Job, record: LaunchRecord = RECORD, blind: bool = False) -> str | None:
    adopt = decide(jobs, record, blind=blind).adopt
    return None if adopt is None else adopt.id


def ended(*jobs: Job, record: LaunchRecord = RECORD) -> set[str]:
    return {each.id for each in decide(jobs, record).end}


def test_without_a_job_a_new_one_is_submitted() -> None:
    assert chosen() is None


@pytest.mark.parametrize("status", ["Queued", "Initializing", "Running", "Hibernating"])
def test_a_live_job_is_followed(status: str) -> None:
    assert chosen(job("a", status)) == "a"


def test_of_two_live_jobs_the_one_that_has_come_further_stays() -> None:
    queued, running = job("older", "Queued", 0), job("younger", "Running", 1)
    assert chosen(queued, running) == "younger"
    assert ended(queued, running) == {"older"}


def test_of_two_live_jobs_as_far_as_each_other_the_older_one_stays() -> None:
    older, younger = job("older", "Running", 0), job("younger", "Running", 1)
    assert chosen(younger, older) == "older"
    assert ended(younger, older) == {"younger"}


def test_outputs_that_are_there_need_no_live_job_beside_them() -> None:
    done, live = job("done", "Done"), job("live", "Running", 1)
    assert chosen(done, live) == "done"
    assert ended(done, live) == {"live"}


def test_outputs_that_were_reported_as_wanting_are_not_used_again() -> None:
    record = LaunchRecord("k", reported=("done",))
    assert chosen(job("done", "Done"), record=record) is None


def test_without_records_outputs_may_be_those_found_wanting_while_a_job_is_live() -> None:
    assert chosen(job("done", "Done"), job("live", "Running", 1), blind=True) == "live"
    assert chosen(job("done", "Done"), blind=True) == "done"


@pytest.mark.parametrize("status", ["UserError", "ServerError", "Timeout"])
def test_a_failure_that_nobody_told_is_told(status: str) -> None:
    assert chosen(job("a", status)) == "a"


@pytest.mark.parametrize("status", ["UserError", "ServerError", "Timeout"])
def test_a_failure_that_was_told_is_not_told_again(status: str) -> None:
    assert chosen(job("a", status), record=LaunchRecord("k", reported=("a",))) is None


def test_only_the_newest_failure_counts() -> None:
    older, newer = job("older", "UserError", 0), job("newer", "UserError", 1)
    assert chosen(older, newer) == "newer"
    assert chosen(older, newer, record=LaunchRecord("k", reported=("newer",))) is None


def test_without_records_no_failure_is_told_that_may_have_been() -> None:
    assert chosen(job("a", "UserError"), blind=True) is None


def test_a_cancelled_job_is_somebody_elses_wish_only_if_it_was_followed() -> None:
    assert chosen(job("a", "Cancelled")) is None
    assert chosen(job("a", "Cancelled"), record=LaunchRecord("k", job_id="a")) == "a"


def test_a_job_that_we_cancelled_is_replaced() -> None:
    record = LaunchRecord("k", job_id="a", cancelled=("a",))
    assert chosen(job("a", "Cancelled"), record=record) is None


def test_a_job_that_goes_on_although_it_was_to_be_cancelled_is_rejoined() -> None:
    record = LaunchRecord("k", job_id="a", cancelled=("a",))
    assert chosen(job("a", "Running"), record=record) == "a"


@pytest.mark.parametrize("list_of", ["losers", "cancelled"])
def test_a_job_that_was_done_before_it_could_be_ended_is_used(list_of: str) -> None:
    record = LaunchRecord("k", **{list_of: ("a",)})  # type: ignore[arg-type]  # of those two
    assert chosen(job("a", "Done"), record=record) == "a"


def test_a_job_that_lost_is_not_followed_again() -> None:
    record = LaunchRecord("k", losers=("a",))
    assert chosen(job("a", "Running"), record=record) is None
    assert ended(job("a", "Running"), record=record) == {"a"}


names = st.sampled_from("abcdef")
jobs = st.lists(
    st.builds(job, names, st.sampled_from([s.value for s in JobStatus]), st.integers(0, 3)),
    unique_by=lambda job: job.id,
    max_size=6,
)
ids = st.lists(names, unique=True, max_size=3).map(tuple)
records = st.builds(
    LaunchRecord,
    key=st.just("k"),
    stage=st.sampled_from(Stage),
    asked=st.integers(0, 6),
    job_id=st.none() | names,
    reported=ids,
    losers=ids,
    cancelled=ids,
)


@given(jobs, records, st.booleans(), st.randoms())
def test_at_most_one_job_goes_on_whatever_is_known(
    jobs: list[Job], record: LaunchRecord, blind: bool, dice: object
) -> None:
    decision = decide(jobs, record, blind=blind)
    live = {each.id for each in jobs if not each.phase.terminal}
    going_on = live - {each.id for each in decision.end}
    assert going_on <= ({decision.adopt.id} if decision.adopt else set())
    shuffled = sorted(jobs, key=lambda _: dice.random())  # type: ignore[attr-defined]  # a Random
    assert decide(shuffled, record, blind=blind) == decision


@given(jobs, records, st.booleans())
def test_what_flyte_was_told_of_is_never_used_again(
    jobs: list[Job], record: LaunchRecord, blind: bool
) -> None:
    adopt = decide(jobs, record, blind=blind).adopt
    assert adopt is None or adopt.id not in record.reported


def test_a_submission_without_a_job_may_have_left_one_that_nobody_has_seen() -> None:
    assert hidden(LaunchRecord("k", asked=1), ()) == 1
    assert hidden(LaunchRecord("k", asked=1), ["a"]) == 0
    assert hidden(LaunchRecord("k", asked=1, job_id="a"), ["a"]) == 0
    assert hidden(LaunchRecord("k", asked=3, reported=("a",), losers=("b",)), ["a"]) == 1


@given(records, st.lists(names))
def test_seeing_more_jobs_never_makes_a_doubt(record: LaunchRecord, known: list[str]) -> None:
    assert hidden(record, [*known, "new"]) <= hidden(record, known)
