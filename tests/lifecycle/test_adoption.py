"""Which job is this piece of work's: a table of situations, and what holds in all of them."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api import Job, JobStatus
from perian_shim.api.phases import Phase, phase_of
from perian_shim.lifecycle.adoption import Decision, decide
from perian_shim.lifecycle.launch_record import LaunchRecord, Stage

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
RECORD = LaunchRecord("key", Stage.SUBMITTED, "s3://b/x", 0.0)


def job(name: str, status: str) -> Job:
    """A job; those whose names come earlier in the alphabet were created earlier."""
    return Job(name, status, created_at=START + timedelta(seconds=ord(name[0])))


def chosen(jobs: list[Job], record: LaunchRecord | None, *told: str) -> str | None:
    adopted = decide(jobs, record, told).adopt
    return adopted.id if adopted else None


def of(stage: Stage, job_id: str | None = "a", *spent: str) -> LaunchRecord:
    return replace(RECORD, stage=stage, job_id=job_id, spent=spent)


@pytest.mark.parametrize(
    ("jobs", "record", "expected"),
    [
        ([], None, None),
        ([job("a", "Running")], None, "a"),
        ([job("a", "Done")], None, "a"),
        ([job("a", "UserError")], None, "a"),
        ([job("a", "Hibernating")], None, "a"),
        ([job("a", "UserError")], of(Stage.SUBMITTED), "a"),
        ([job("a", "UserError")], of(Stage.DETACHED), "a"),
        ([job("a", "UserError")], of(Stage.REPORTED), None),
        ([job("a", "Done")], of(Stage.REPORTED), None),
        ([job("a", "UserError")], of(Stage.SUBMITTED, "b", "a"), None),
        ([job("a", "Cancelled")], of(Stage.CANCELLING), None),
        ([job("a", "Running")], of(Stage.CANCELLING), "a"),
        ([job("a", "Done")], of(Stage.CANCELLING), "a"),
        ([job("a", "Cancelled")], of(Stage.SUBMITTED), "a"),
    ],
)
def test_one_job_is_followed_or_harvested_unless_it_is_spent(
    jobs: list[Job], record: LaunchRecord | None, expected: str | None
) -> None:
    assert chosen(jobs, record) == expected


def test_of_several_live_jobs_the_oldest_stays_whatever_the_order() -> None:
    jobs = [job("b", "Running"), job("a", "Queued"), job("c", "Running")]
    for order in (jobs, jobs[::-1]):
        decision = decide(order, RECORD)
        assert decision.adopt == job("a", "Queued")
        assert {each.id for each in decision.cancel} == {"b", "c"}


def test_finished_outputs_make_a_live_job_needless() -> None:
    decision = decide([job("a", "Running"), job("b", "Done")], RECORD)
    assert decision.adopt == job("b", "Done")
    assert decision.cancel == (job("a", "Running"),)


def test_without_a_record_a_live_job_may_be_the_successor_of_a_finished_one() -> None:
    assert chosen([job("a", "Done"), job("b", "Running")], None) == "b"


def test_outputs_count_more_than_a_newer_failure() -> None:
    assert chosen([job("a", "Done"), job("b", "UserError")], RECORD) == "a"


def test_a_failure_that_was_reported_is_not_followed_by_an_older_one() -> None:
    jobs = [job("a", "UserError"), job("b", "UserError")]
    assert chosen(jobs, of(Stage.REPORTED, "b")) is None


def test_a_cancelled_job_that_nobody_followed_is_nobodys_fault() -> None:
    jobs = [job("a", "UserError"), job("b", "Cancelled")]
    assert chosen(jobs, None) == "a"
    assert chosen([job("b", "Cancelled")], None) is None


def test_a_reported_job_that_seems_to_live_is_cancelled_and_not_followed() -> None:
    decision = decide([job("a", "Running")], of(Stage.REPORTED))
    assert decision.adopt is None
    assert decision.cancel == (job("a", "Running"),)


def test_a_loser_counts_only_if_it_was_faster() -> None:
    record = replace(of(Stage.REPORTED, "a"), losers=("b",))
    assert chosen([job("a", "UserError"), job("b", "UserError")], record) is None
    assert chosen([job("a", "UserError"), job("b", "Done")], record) == "b"


def test_without_a_record_a_failure_that_flyte_knows_is_not_told_again() -> None:
    assert chosen([job("a", "UserError")], None, "[PERIAN:X] z") is None


def test_without_a_record_outputs_are_harvested_unless_flyte_knows_what_is_wrong_with_them() -> (
    None
):
    done = [job("a", "Done")]
    assert chosen(done, None, "[PERIAN:X] z") == "a"
    assert chosen(done, None, "[PERIAN:OutputMissing] Job a left nothing.") is None
    assert chosen(done, None, "Traceback of a function") is None


def test_without_a_record_a_live_job_is_followed_whatever_flyte_knows() -> None:
    assert chosen([job("a", "Running")], None, "Traceback of a function") == "a"


def test_jobs_without_a_time_come_last() -> None:
    timeless = Job("0", "Running")
    assert chosen([timeless, job("z", "Running")], None) == "z"


statuses = st.sampled_from([*[status.value for status in JobStatus], "Hibernating"])
jobs_of_any_kind = st.lists(
    st.builds(job, st.sampled_from("abcdef"), statuses), unique_by=lambda each: each.id
)
names = st.sampled_from("abcdef")
records = st.none() | st.builds(
    LaunchRecord,
    key=st.just("key"),
    stage=st.sampled_from(Stage),
    output=st.just("s3://b/x"),
    first_intent=st.just(0.0),
    job_id=st.none() | names,
    spent=st.lists(names, max_size=3).map(tuple),
    losers=st.lists(names, max_size=3).map(tuple),
)


texts = st.lists(st.sampled_from(["[PERIAN:JobFailed] Job a failed.", "Traceback"]), max_size=2)


@given(jobs=jobs_of_any_kind, record=records, told=texts)
def test_at_most_one_job_goes_on(
    jobs: list[Job], record: LaunchRecord | None, told: list[str]
) -> None:
    decision = decide(jobs, record, told)
    live = {each.id for each in jobs if not phase_of(each.status).terminal}
    left = live - {each.id for each in decision.cancel}
    assert left <= {decision.adopt.id if decision.adopt else ""}
    assert decision.adopt not in decision.cancel


@given(jobs=jobs_of_any_kind, record=records, order=st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(
    jobs: list[Job], record: LaunchRecord | None, order: object
) -> None:
    def facts(decision: Decision) -> tuple[object, set[str], frozenset[str]]:
        return decision.adopt, {each.id for each in decision.cancel}, decision.spent

    shuffled = sorted(jobs, key=lambda _: order.random())  # type: ignore[attr-defined]  # a Random
    assert facts(decide(jobs, record)) == facts(decide(shuffled, record))


@given(jobs=jobs_of_any_kind, record=records)
def test_what_was_decided_to_be_spent_stays_spent(
    jobs: list[Job], record: LaunchRecord | None
) -> None:
    first = decide(jobs, record)
    later = replace(record or RECORD, spent=tuple(first.spent), losers=())
    again = decide(jobs, later)
    assert again.adopt is None or again.adopt.id not in first.spent


@given(jobs=jobs_of_any_kind, record=records)
def test_outputs_that_nobody_had_are_never_passed_over_for_a_new_job(
    jobs: list[Job], record: LaunchRecord | None
) -> None:
    done = [each for each in jobs if phase_of(each.status) is Phase.SUCCEEDED]
    if decide(jobs, record).adopt is None:
        assert record is not None or not done
        served = {*record.spent, record.job_id} if record else set()
        assert {each.id for each in done} <= served
