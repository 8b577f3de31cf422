"""Getting exactly one job, situation by situation, on the model of Perian."""

from dataclasses import replace

import pytest
from support.perian_model import DONE, LATEST, USER_ERROR, Killed, Plan
from support.still_node import (
    LONG,
    OUTAGE,
    StillNode,
    find_job,
    get_job,
    pod_of,
    raw,
    report,
    request,
    submit_job,
)

from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements
from perian_shim.errors import (
    ApiUnavailable,
    JobRejected,
    JobVanished,
    StorageFailed,
    SubmissionUnclear,
    Superseded,
)
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.launch_record import Stage
from perian_shim.lifecycle.signals import Terminated
from perian_shim.settings import JOB_OUTPUT

EVER = 1e9


@pytest.fixture
def node() -> StillNode:
    return StillNode()


def places(node: StillNode) -> list[str]:
    return [each.docker.env_variables[JOB_OUTPUT] for each in node.world.submissions]


def about_to_submit(node: StillNode, number: int = 1) -> Attempt[str]:
    """A pod whose attempt before has submitted nothing."""
    node.attempt(number - 1).records.take_over(to_submit=False)
    attempt = node.attempt(number)
    assert find_job(attempt) is None
    return attempt


# --- the record ---


def test_a_submission_is_recorded_before_and_after(node: StillNode) -> None:
    attempt = node.attempt()
    job = get_job(attempt)  # the model refuses a submission without an intent on record
    (_, record) = node.world.records()[0]
    assert record is not None
    assert (record.stage, record.job_id, record.asked) == (Stage.SUBMITTED, job.id, 1)


def test_without_a_record_nothing_is_submitted(node: StillNode) -> None:
    node.world.spells["store broken"] = EVER
    with pytest.raises(StorageFailed):
        get_job(node.attempt())
    assert node.world.submissions == []


def test_without_a_record_of_the_next_submission_nothing_is_submitted(node: StillNode) -> None:
    attempt = about_to_submit(node)
    node.world.spells["store broken"] = EVER
    with pytest.raises(StorageFailed):
        submit_job(attempt)
    assert node.world.submissions == []


def test_a_record_that_cannot_be_kept_afterwards_is_a_warning(node: StillNode) -> None:
    attempt = node.attempt()
    attempt.records.take_over()
    node.world.store_faults = 1
    submit_job(attempt)
    assert "the launch record was not kept" in node.words


def test_a_record_that_could_not_be_kept_is_kept_later(node: StillNode) -> None:
    attempt = node.attempt()
    attempt.records.take_over()
    node.world.store_faults = 1
    job = submit_job(attempt)
    attempt.between(attempt.jobs.read(job.id))
    assert node.world.records()[0][1] == attempt.records.record


# --- answers that are lost ---


@pytest.mark.parametrize("fault", ["acted", "500 acted", "late"])
def test_a_job_whose_answer_was_lost_is_found_and_not_asked_for_again(
    node: StillNode, fault: str
) -> None:
    node.world.faults["create"] = [fault]
    attempt = node.attempt()
    assert get_job(attempt).id == "job-0"
    assert len(node.world.submissions) == 1
    assert attempt.records.record.asked == 1


@pytest.mark.parametrize("fault", ["lost", "500"])
def test_a_submission_that_made_no_job_is_repeated_after_a_while(
    node: StillNode, fault: str
) -> None:
    node.world.faults["create"] = [fault]
    assert get_job(node.attempt()).id == "job-0"
    assert len(node.world.submissions) == 2
    assert node.world.now > LATEST


def test_a_submission_that_cannot_have_been_heard_is_repeated_at_once(node: StillNode) -> None:
    node.world.faults["create"] = ["refused"]
    get_job(node.attempt())
    assert node.world.now < 1.0
    assert node.living() == ["job-0"]


def test_submissions_without_answer_end_in_an_error_that_names_the_key(node: StillNode) -> None:
    node.world.faults["create"] = ["lost"] * 99
    with pytest.raises(SubmissionUnclear, match="key the-key"):
        get_job(node.attempt())
    assert OUTAGE <= node.world.now < OUTAGE + 30.0


def test_nothing_is_submitted_again_without_having_looked(node: StillNode) -> None:
    node.world.faults["create"] = ["lost"]
    node.world.spells["no list"] = EVER
    with pytest.raises(SubmissionUnclear, match="key the-key"):
        get_job(node.attempt())
    assert len(node.world.submissions) == 1


def test_another_pods_job_that_is_found_leaves_its_outputs_elsewhere(node: StillNode) -> None:
    attempt = about_to_submit(node)
    node.world.create(request(raw(0)))
    node.world.faults["create"] = ["lost"]
    assert submit_job(attempt).id == "job-0"
    assert attempt.records.record.output == raw(0)


def test_each_job_that_an_attempt_asks_for_has_a_place_of_its_own(node: StillNode) -> None:
    node.world.faults["create"] = ["lost", "lost"]
    attempt = node.attempt()
    get_job(attempt)
    assert len(places(node)) == len(set(places(node))) == 3
    assert attempt.records.record.output == places(node)[-1]


def test_a_pod_that_is_started_again_within_its_attempt_uses_other_places(node: StillNode) -> None:
    node.world.faults["create"] = ["acted", "acted"]
    for _ in range(2):
        attempt = node.attempt()
        attempt.records.take_over()
        with pytest.raises(SubmissionUnclear):
            attempt.submission.send(attempt.work.request)
    assert len(places(node)) == len(set(places(node))) == 2


# --- how many may exist ---


def test_each_submission_without_an_answer_may_have_made_a_job(node: StillNode) -> None:
    node.world.faults["create"] = ["lost", "lost"]
    attempt = node.attempt()
    get_job(attempt)
    assert attempt.records.record.asked == 3


@pytest.mark.parametrize("faults", [["refused", "refused"], ["429"]], ids=str)
def test_what_was_certainly_not_heard_counts_once(node: StillNode, faults: list[str]) -> None:
    node.world.faults["create"] = faults
    attempt = node.attempt()
    get_job(attempt)
    assert attempt.records.record.asked == 1


def test_a_refusal_is_taken_back(node: StillNode) -> None:
    node.world.spells["unauthorized"] = EVER
    attempt = node.attempt()
    with pytest.raises(JobRejected):
        get_job(attempt)
    assert (attempt.records.record.stage, attempt.records.record.asked) == (Stage.LOOKING, 0)


def test_an_outage_before_anything_was_sent_is_taken_back(node: StillNode) -> None:
    node.world.spells["down"] = EVER
    attempt = node.attempt()
    with pytest.raises(ApiUnavailable):
        get_job(attempt)
    assert (attempt.records.record.stage, attempt.records.record.asked) == (Stage.LOOKING, 0)


def test_a_refusal_after_a_lost_answer_takes_back_only_itself(node: StillNode) -> None:
    node.world.faults["create"] = ["lost", *["refused"] * 999]
    attempt = node.attempt()
    with pytest.raises(ApiUnavailable):
        get_job(attempt)
    assert attempt.records.record.asked == 1
    assert attempt.strays.in_doubt


def test_an_intent_is_withdrawn_when_nothing_was_sent(node: StillNode) -> None:
    attempt = node.attempt()
    attempt.records.take_over()
    attempt.submission.withdraw(attempt.beside)
    assert (attempt.records.record.stage, attempt.records.record.asked) == (Stage.LOOKING, 0)


def test_an_intent_is_not_withdrawn_once_something_was_sent(node: StillNode) -> None:
    node.world.faults["create"] = ["lost"]
    attempt = node.attempt()
    attempt.records.take_over()
    with pytest.raises(SubmissionUnclear):
        attempt.submission.send(attempt.work.request)
    attempt.submission.withdraw(attempt.beside)
    assert (attempt.records.record.stage, attempt.records.record.asked) == (Stage.INTENT, 1)


def test_a_signal_before_a_second_submission_is_recorded_leaves_the_first_in_the_record(
    node: StillNode,
) -> None:
    node.world.faults["create"] = ["lost"]
    attempt = node.attempt()
    attempt.records.take_over()
    with pytest.raises(SubmissionUnclear):
        attempt.submission.send(attempt.work.request)

    def interrupted(**_changes: object) -> None:
        raise Terminated("SIGTERM")

    attempt.records.write = interrupted  # type: ignore[method-assign]  # a moment without an event
    with pytest.raises(Terminated):
        attempt.submission.send(attempt.work.request)
    attempt.submission.withdraw(attempt.beside)
    assert attempt.records.record.asked == 1


# --- outages ---


def test_an_outage_is_ridden_out_before_a_submission_is_given_up(node: StillNode) -> None:
    node.world.spells["down"] = OUTAGE - 30.0
    assert get_job(node.attempt()).id == "job-0"
    assert len(node.world.submissions) == 1


def test_an_outage_that_lasts_too_long_is_not_ridden_out(node: StillNode) -> None:
    node.world.spells["down"] = EVER
    with pytest.raises(ApiUnavailable):
        get_job(node.attempt())
    assert OUTAGE <= node.world.now < OUTAGE + 30.0


def test_an_outage_is_ridden_out_before_the_job_of_the_attempt_before_is_given_up(
    node: StillNode,
) -> None:
    node.with_job(0)
    node.world.spells["down"] = OUTAGE - 30.0
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


def test_credentials_are_waited_for_when_a_job_may_exist(node: StillNode) -> None:
    node.world.faults["create"] = ["lost"]
    attempt = node.attempt()
    pod_of(attempt).at(2.0, lambda: node.world.spells.update(unauthorized=60.0))
    assert get_job(attempt).id == "job-0"
    assert node.world.now > 60.0


# --- a later attempt ---


@pytest.mark.parametrize("running", [1e6, 5.0], ids=["live", "done"])
def test_a_job_that_the_record_names_is_read_before_anything_is_listed(
    node: StillNode, running: float
) -> None:
    node.world.plans = [Plan(running=running)]
    node.with_job(0)
    node.world.advance(60.0)
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"
    assert node.calls("list") == []


def test_a_job_that_is_rejoined_is_recorded_with_its_place(node: StillNode) -> None:
    node.with_job(0)
    attempt = node.attempt(1)
    find_job(attempt)
    assert attempt.records.record.job_id == "job-0"
    assert attempt.records.record.output == raw(0)


def test_a_job_that_the_record_names_and_that_is_not_ours_is_not_followed(node: StillNode) -> None:
    node.world.create(request("s3://b/other", key="other"))
    first = node.with_job(0)
    first.records.keep(job_id="job-0")
    attempt = node.attempt(1)
    job = find_job(attempt)
    assert job is not None
    assert job.id == "job-1"
    assert "job-0, which the launch record names, is not of this work" in node.words
    assert "job-0" in node.living()


@pytest.mark.parametrize("lag", [0.0, 10.0])
def test_a_job_that_the_attempt_before_may_have_asked_for_is_adopted_from_the_list(
    node: StillNode, lag: float
) -> None:
    node.world.plans = [replace(LONG, lag=lag)]
    first = node.attempt(0)
    pod_of(first).at(0.05, Killed())
    with pytest.raises(Killed):
        get_job(first)
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


@pytest.mark.parametrize("hours", [0.0, 5.0])
def test_a_job_is_found_although_the_attempt_before_left_no_record(
    node: StillNode, hours: float
) -> None:
    node.world.create(request(raw(0)))
    node.world.advance(hours * 3600.0)
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


def test_a_job_whose_record_is_damaged_is_found(node: StillNode) -> None:
    first = node.with_job(0)
    uri = f"{first.records.folder}/{first.records.owner.name}"
    node.world.objects[uri] = b"{"
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


def test_without_a_record_of_an_attempt_between_the_job_is_still_read_by_id(
    node: StillNode,
) -> None:
    node.with_job(0)
    node.world.spells["no list"] = EVER
    job = find_job(node.attempt(2))
    assert job is not None
    assert job.id == "job-0"


def test_an_attempt_that_cannot_look_submits_nothing(node: StillNode) -> None:
    node.world.spells["no list"] = EVER
    with pytest.raises(ApiUnavailable):
        get_job(node.attempt(1))
    assert node.world.submissions == []


@pytest.mark.parametrize("end", [DONE, USER_ERROR])
@pytest.mark.parametrize("recorded", [True, False])
def test_an_ended_job_that_nobody_harvested_is_harvested(
    node: StillNode, end: str, recorded: bool
) -> None:
    node.world.plans = [Plan(running=1.0, end=end)]
    first = node.with_job(0)
    if not recorded:  # it died before it knew the answer
        first.records.keep(stage=Stage.INTENT, job_id=None)
    node.world.advance(50.0)
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.status == end
    assert len(node.world.submissions) == 1


def test_how_far_the_log_was_printed_is_handed_on(node: StillNode) -> None:
    node.with_job(0).records.keep(log_length=9, log_digest="d", running_seconds=7.0)
    second = node.attempt(1)
    find_job(second)
    record = second.records.record
    assert (record.log_length, record.log_digest, record.running_seconds) == (9, "d", 7.0)


def failed_and_reported(node: StillNode, number: int = 0) -> None:
    """Let an attempt's job fail, and Flyte know."""
    node.world.plans = [Plan(running=1.0, end=USER_ERROR), LONG]
    node.with_job(number).records.keep(stage=Stage.REPORTED, reported=("job-0",))
    node.world.advance(50.0)


def test_a_failure_that_flyte_knows_gets_a_new_job_with_one_call(node: StillNode) -> None:
    failed_and_reported(node)
    assert get_job(node.attempt(1)).id == "job-1"
    assert [call for at, call in node.asked if at >= 50.0] == ["create"]


def test_a_failure_that_flyte_knows_stays_known_when_an_attempt_between_left_nothing(
    node: StillNode,
) -> None:
    failed_and_reported(node)
    assert get_job(node.attempt(2)).id == "job-1"


@pytest.mark.parametrize("known", [True, False])
def test_whether_flyte_knows_is_read_from_the_report_when_the_pod_died_while_reporting(
    node: StillNode, known: bool
) -> None:
    node.world.plans = [Plan(running=1.0, end=USER_ERROR), LONG]
    node.with_job(0).records.keep(stage=Stage.REPORTING)
    if known:
        node.world.objects[report(0)] = b"what it was told"
    node.world.advance(50.0)
    assert get_job(node.attempt(1)).id == ("job-1" if known else "job-0")


def test_jobs_of_other_work_are_left_alone(node: StillNode) -> None:
    node.world.create(request("s3://b/other", key="other"))
    node.world.create(CreateJobRequest(DockerRun("debian"), Requirements(cores=1)))
    assert get_job(node.attempt(1)).id == "job-2"
    assert node.living() == ["job-0", "job-1", "job-2"]


def test_that_a_job_does_not_exist_is_not_believed_for_as_long_as_an_outage(
    node: StillNode,
) -> None:
    node.with_job(0)
    node.world.spells["unknown job"] = OUTAGE - 30.0
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"


def test_a_job_that_is_unknown_for_too_long_is_left_to_the_next_attempt(node: StillNode) -> None:
    node.with_job(0)
    node.world.jobs.clear()
    with pytest.raises(JobVanished):
        get_job(node.attempt(1))
    assert len(node.world.submissions) == 1


def test_a_job_that_an_attempt_has_looked_for_in_vain_is_believed_to_be_gone(
    node: StillNode,
) -> None:
    node.with_job(0).records.keep(unseen=1)
    node.world.jobs.clear()
    before = node.world.now
    get_job(node.attempt(1))
    assert len(node.world.submissions) == 2
    assert node.world.now - before < OUTAGE / 2


# --- two pods ---


def test_a_pod_that_is_superseded_between_intent_and_submission_submits_nothing(
    node: StillNode,
) -> None:
    attempt, later = about_to_submit(node), node.attempt(2)

    def request_for(output: str) -> CreateJobRequest:
        later.records.take_over()
        return request(output)

    with pytest.raises(Superseded):
        attempt.submission.submit(request_for)
    assert node.world.submissions == []


def test_a_pod_that_is_superseded_submits_nothing_again(node: StillNode) -> None:
    node.world.spells["down"] = 60.0
    attempt, later = node.attempt(0), node.attempt(1)
    attempt.records.take_over()
    pod_of(attempt).at(30.0, later.records.take_over)
    with pytest.raises(Superseded):
        submit_job(attempt)
    assert node.world.submissions == []


def test_of_two_jobs_that_are_as_far_as_each_other_the_older_one_is_adopted(
    node: StillNode,
) -> None:
    node.world.create(request(raw(0)))
    node.world.create(request(raw(0) + "/submission-0-2"))
    job = find_job(node.attempt(1))
    assert job is not None
    assert job.id == "job-0"
    assert node.living(after=60.0) == ["job-0"]


# --- a job that was cancelled ---


def test_a_job_cancelled_by_the_attempt_before_has_a_successor(node: StillNode) -> None:
    first, second = node.with_job(0), node.attempt(1)
    find_job(second)
    node.world.cancel("job-0")
    first.records.keep(stage=Stage.CANCELLING, cancelled=("job-0",))
    assert second.submission.succeed(node.job("job-0")) == (True, None)
    assert submit_job(second).id == "job-1"


def test_a_job_cancelled_in_favour_of_another_is_followed_by_that(node: StillNode) -> None:
    first, second = node.with_job(0), node.attempt(1)
    find_job(second)
    node.world.create(request(raw(0) + "/submission-0-2"))
    second.strays.look()
    node.world.cancel("job-0")
    first.records.keep(losers=("job-0",))
    ours, job = second.submission.succeed(node.job("job-0"))
    assert ours
    assert job is not None
    assert job.id == "job-1"


def test_a_job_cancelled_by_somebody_else_has_no_successor(node: StillNode) -> None:
    node.with_job(0)
    second = node.attempt(1)
    find_job(second)
    node.world.cancel("job-0")
    assert second.submission.succeed(node.job("job-0")) == (False, None)


def test_a_run_whose_job_is_cancelled_by_the_attempt_before_gets_another(node: StillNode) -> None:
    node.world.plans = [LONG, Plan(running=5.0)]
    first, second = node.with_job(0), node.attempt(1)

    def cancel() -> None:
        first.records.keep(stage=Stage.CANCELLING, cancelled=("job-0",))
        node.world.cancel("job-0")

    pod_of(second).at(30.0, cancel)
    assert second.run() == "job-1"
