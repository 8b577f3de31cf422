"""Getting exactly one job, situation by situation, on the model of Perian."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from flyteidl.core import errors_pb2, execution_pb2
from support.perian_model import (
    DONE,
    EPOCH,
    GRACE,
    LATEST,
    USER_ERROR,
    ModelClient,
    ModelStore,
    Plan,
    StillPod,
    World,
)

from perian_shim.api import CreateJobRequest, DockerRun, PerianClient, Requirements
from perian_shim.errors import ApiUnavailable, StorageFailed, SubmissionUnclear
from perian_shim.lifecycle.jobs import Lifecycle
from perian_shim.lifecycle.launch_record import Journal, LaunchRecord, Stage, record_uri
from perian_shim.lifecycle.retrying import RetryingClient, RetryPolicy
from perian_shim.lifecycle.submission import RECHECKS, RequestFor, Submission
from perian_shim.settings import JOB_KEY, JOB_OUTPUT

KEY = "the-key"
REPORT = "s3://b/metadata/x/n0/data/0/error.pb"


def raw(attempt: int) -> str:
    return f"s3://b/raw/x-n0-{attempt}"


def request(attempt: int, output: str | None = None) -> CreateJobRequest:
    variables = {JOB_KEY: KEY, JOB_OUTPUT: output or raw(attempt)}
    return CreateJobRequest(DockerRun("debian", env_variables=variables), Requirements(cores=1))


def request_of(attempt: int) -> RequestFor:
    return lambda output: request(attempt, output)


@dataclass
class Scene:
    """A world, and attempts in it."""

    world: World = field(default_factory=lambda: World(plans=[Plan(running=100.0)]))
    warnings: list[str] = field(default_factory=list)

    def attempt(self, number: int, outage: float = 0.0) -> Submission:
        pod = StillPod(self.world)
        connect = cast("Callable[[], PerianClient]", lambda: ModelClient(self.world, pod))
        client = RetryingClient(
            connect, RetryPolicy(attempts=2, outage=outage), pod.sleep, lambda: 0.5
        )
        journal = Journal(
            ModelStore(self.world, pod),
            raw(number),
            raw(number - 1) if number else None,
            self.warnings.append,
            (REPORT,) if number else (),
        )
        return Submission(
            Lifecycle(client),
            journal,
            KEY,
            raw(number),
            self.warnings.append,
            pod.sleep,
            lambda: EPOCH + self.world.now,
        )

    def record(self, attempt: int) -> LaunchRecord:
        return LaunchRecord.from_json(self.world.objects[record_uri(raw(attempt))])

    def left(self, stage: Stage, job_id: str | None = "job-0") -> None:
        """Let attempt 0 have left a record."""
        record = LaunchRecord(KEY, stage, raw(0), EPOCH, job_id)
        self.world.objects[record_uri(raw(0))] = record.to_json()

    @property
    def living(self) -> list[str]:
        return [job.id for job in self.world.living()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_submission_is_recorded_before_and_after(scene: Scene) -> None:
    meta = scene.attempt(0).submit(request_of(0))  # the model refuses one without an intent
    record = scene.record(0)
    assert (record.stage, record.job_id) == (Stage.SUBMITTED, meta.job_id)


def test_without_a_record_nothing_is_submitted(scene: Scene) -> None:
    scene.world.store_faults = 1
    with pytest.raises(StorageFailed):
        scene.attempt(0).submit(request_of(0))
    assert scene.world.submissions == []


def test_a_record_that_cannot_be_kept_afterwards_is_a_warning(scene: Scene) -> None:
    submission = scene.attempt(0)
    submission.submit(request_of(0))
    scene.world.store_faults = 1
    submission.mark(Stage.REPORTED)
    assert "the launch record was not kept" in scene.warnings[-1]


@pytest.mark.parametrize("fault", ["acted", "500 acted", "late"])
def test_a_job_whose_answer_was_lost_is_found_and_not_asked_for_again(
    scene: Scene, fault: str
) -> None:
    scene.world.faults["create"] = [fault]
    meta = scene.attempt(0).submit(request_of(0))
    assert (meta.job_id, meta.output) == ("job-0", raw(0))
    assert len(scene.world.submissions) == 1


@pytest.mark.parametrize("fault", ["lost", "500"])
def test_a_submission_that_made_no_job_is_repeated_after_a_while(scene: Scene, fault: str) -> None:
    scene.world.faults["create"] = [fault]
    scene.attempt(0).submit(request_of(0))
    assert scene.living == ["job-0"]
    assert scene.world.now > LATEST


def test_a_submission_that_cannot_have_been_heard_is_repeated_at_once(scene: Scene) -> None:
    scene.world.faults["create"] = ["refused"]
    scene.attempt(0).submit(request_of(0))
    assert scene.world.now < 1.0


def test_submissions_without_answer_end_in_an_error_that_names_the_key(scene: Scene) -> None:
    scene.world.faults["create"] = ["lost"] * 9
    with pytest.raises(SubmissionUnclear, match=KEY):
        scene.attempt(0).submit(request_of(0))
    assert len(scene.world.submissions) == 3


def test_nothing_is_submitted_again_without_having_looked(scene: Scene) -> None:
    scene.world.faults = {"create": ["lost"], "list": ["refused"] * 2}
    with pytest.raises(SubmissionUnclear, match=KEY):
        scene.attempt(0).submit(request_of(0))
    assert len(scene.world.submissions) == 1


def test_of_two_pods_at_the_same_point_the_older_job_stays(scene: Scene) -> None:
    first = scene.attempt(0).submit(request_of(0))
    scene.world.advance(1.0)
    meta = scene.attempt(1).submit(request_of(1))
    assert (meta.job_id, meta.output) == (first.job_id, raw(0))
    assert scene.record(1).job_id == first.job_id
    scene.world.advance(scene.world.now + GRACE)
    assert scene.living == [first.job_id]


def test_the_loser_is_recorded(scene: Scene) -> None:
    scene.attempt(0).submit(request_of(0))
    scene.world.advance(1.0)
    scene.attempt(1).submit(request_of(1))
    assert scene.record(1).losers == ("job-1",)


def test_another_pods_job_that_is_found_leaves_its_outputs_elsewhere(scene: Scene) -> None:
    scene.attempt(1).submit(request_of(1))
    scene.world.faults["create"] = ["lost"]
    meta = scene.attempt(0).submit(request_of(0))
    assert (meta.job_id, meta.output) == ("job-0", raw(1))
    assert scene.record(0).output == raw(1)


def test_a_job_that_could_not_be_cancelled_is_cancelled_in_the_end(scene: Scene) -> None:
    scene.attempt(0).submit(request_of(0))
    scene.world.advance(1.0)
    scene.world.faults["cancel"] = ["refused"] * 2
    submission = scene.attempt(1)
    submission.submit(request_of(1))
    assert scene.living == ["job-0", "job-1"]
    submission.sweep()
    scene.world.advance(scene.world.now + GRACE)
    assert scene.living == ["job-0"]


def test_a_job_that_appears_after_another_was_found_is_swept_away(scene: Scene) -> None:
    scene.attempt(1).submit(request_of(1))
    scene.world.faults["create"] = ["late"]
    submission = scene.attempt(0)
    submission.submit(request_of(0))
    submission.sweep()
    scene.world.advance(scene.world.now + GRACE)
    assert scene.living == ["job-0"]
    assert len(scene.world.jobs) == 2


def test_a_look_that_fails_after_the_submission_does_not_lose_the_job(scene: Scene) -> None:
    scene.world.faults["list"] = ["refused"] * 2
    assert scene.attempt(0).submit(request_of(0)).job_id == "job-0"


# --- a later attempt ---


@pytest.mark.parametrize("stage", [Stage.SUBMITTED, Stage.DETACHED, Stage.INTENT])
def test_a_live_job_is_rejoined(scene: Scene, stage: Stage) -> None:
    scene.attempt(0).submit(request_of(0))
    scene.left(stage, None if stage is Stage.INTENT else "job-0")
    job = scene.attempt(1).adopt()
    assert job is not None
    assert job.id == "job-0"
    assert (scene.record(1).job_id, scene.record(1).output) == ("job-0", raw(0))


@pytest.mark.parametrize("end", [DONE, USER_ERROR])
def test_an_ended_job_that_nobody_harvested_is_harvested(scene: Scene, end: str) -> None:
    scene.world.plans = [Plan(running=1.0, end=end)]
    scene.attempt(0).submit(request_of(0))
    scene.world.advance(50.0)
    job = scene.attempt(1).adopt()
    assert job is not None
    assert job.status == end


def test_a_failure_that_flyte_knows_gets_a_new_job(scene: Scene) -> None:
    scene.world.plans = [Plan(running=1.0, end=USER_ERROR), Plan()]
    scene.attempt(0).submit(request_of(0))
    scene.world.advance(50.0)
    scene.left(Stage.REPORTED)
    second = scene.attempt(1)
    assert second.adopt() is None
    assert second.submit(request_of(1)).job_id == "job-1"
    assert scene.record(1).spent == ("job-0",)


def test_a_failure_that_flyte_knows_stays_known_when_an_attempt_between_left_nothing(
    scene: Scene,
) -> None:
    scene.world.plans = [Plan(running=1.0, end=USER_ERROR), Plan()]
    scene.attempt(0).submit(request_of(0))
    scene.world.advance(50.0)
    document = errors_pb2.ErrorDocument()
    document.error.origin = execution_pb2.ExecutionError.USER
    scene.world.objects[REPORT] = document.SerializeToString()
    third = scene.attempt(2)
    assert third.adopt() is None
    third.submit(request_of(2))
    assert scene.record(2).spent == ("job-0",)


def test_how_far_the_log_was_printed_is_handed_on(scene: Scene) -> None:
    scene.attempt(0).submit(request_of(0))
    record = replace(scene.record(0), log_length=9, log_digest="d")
    scene.world.objects[record_uri(raw(0))] = record.to_json()
    scene.attempt(1).adopt()
    assert (scene.record(1).log_length, scene.record(1).log_digest) == (9, "d")


def test_a_job_that_the_attempt_before_may_have_asked_for_is_waited_for(scene: Scene) -> None:
    scene.left(Stage.INTENT, None)
    scene.world.late = [(10.0, request(0))]
    job = scene.attempt(1).adopt()
    assert job is not None
    assert job.id == "job-0"


def test_an_attempt_that_cannot_look_submits_nothing(scene: Scene) -> None:
    scene.world.faults["list"] = ["refused"] * 2
    with pytest.raises(ApiUnavailable):
        scene.attempt(1).adopt()
    assert scene.world.submissions == []


def test_an_outage_is_ridden_out_before_the_job_of_the_attempt_before_is_given_up(
    scene: Scene,
) -> None:
    scene.attempt(0).submit(request_of(0))
    scene.world.faults["list"] = ["refused"] * 30
    job = scene.attempt(1, outage=1800.0).adopt()
    assert job is not None
    assert job.id == "job-0"


def test_an_outage_is_ridden_out_before_a_submission_is_given_up(scene: Scene) -> None:
    scene.world.faults["create"] = ["refused"] * 30
    assert scene.attempt(0, outage=1800.0).submit(request_of(0)).job_id == "job-0"
    assert len(scene.world.submissions) == 1


def test_an_outage_that_lasts_too_long_is_not_ridden_out(scene: Scene) -> None:
    scene.world.faults["create"] = ["refused"] * 10_000
    with pytest.raises(ApiUnavailable):
        scene.attempt(0, outage=1800.0).submit(request_of(0))
    assert 1800 <= scene.world.now < 1900


def test_a_job_of_long_ago_is_found_although_no_attempt_left_a_record(scene: Scene) -> None:
    scene.world.plans = [Plan(running=1e6)]
    scene.world.create(request(0))
    scene.world.advance(3 * 3600.0)
    third = scene.attempt(2)
    third.recall()
    assert [job.id for job in third.find(third.record)] == ["job-0"]


def test_a_failure_that_flyte_was_told_of_is_not_told_again_when_the_record_of_that_was_lost(
    scene: Scene,
) -> None:
    scene.world.plans = [Plan(running=1.0, end=USER_ERROR), Plan()]
    scene.attempt(0).submit(request_of(0))
    scene.world.advance(50.0)
    document = errors_pb2.ErrorDocument()
    document.error.origin = execution_pb2.ExecutionError.USER
    document.error.message = "[PERIAN:JobFailed] The container of job job-0 failed."
    scene.world.objects[REPORT] = document.SerializeToString()
    assert scene.record(0).stage is Stage.SUBMITTED
    assert scene.attempt(1).adopt() is None


# --- a submission that comes late ---


def test_each_job_that_an_attempt_asks_for_has_a_place_of_its_own(scene: Scene) -> None:
    scene.world.faults["create"] = ["reset"]
    meta = scene.attempt(0).submit(request_of(0))
    places = [sent.docker.env_variables[JOB_OUTPUT] for sent in scene.world.submissions]
    assert places == [raw(0), f"{raw(0)}/submission-2"]
    assert meta.output == scene.record(0).output == places[1]


@pytest.mark.parametrize("late", [40.0, 170.0, 590.0])
def test_a_submission_that_comes_late_is_ended_while_the_job_runs(
    scene: Scene, late: float
) -> None:
    scene.world.faults["create"] = ["reset"]
    scene.world.plans = [Plan(running=1e6)]
    submission = scene.attempt(0)
    submission.submit(request_of(0))
    scene.world.late = [(late, request(0))]
    for second in range(int(late), int(RECHECKS[-1]) + 30):
        scene.world.advance(float(second))
        submission.recheck()
    assert scene.living == ["job-0"]


def test_another_pods_job_that_could_not_be_looked_for_is_ended_while_ours_runs(
    scene: Scene,
) -> None:
    scene.world.plans = [Plan(running=1e6)]
    scene.world.faults["list"] = ["refused"] * 2
    submission = scene.attempt(0)
    submission.submit(request_of(0))
    scene.world.create(request(1))
    scene.world.advance(RECHECKS[0] + 1)
    submission.recheck()
    scene.world.advance(RECHECKS[0] + 1 + GRACE)
    assert scene.living == ["job-0"]


def test_looking_again_costs_no_more_than_a_few_calls(scene: Scene) -> None:
    scene.world.faults["create"] = ["reset"]
    scene.world.plans = [Plan(running=1e6)]
    submission = scene.attempt(0)
    submission.submit(request_of(0))
    scene.world.faults["list"] = ["429"] * 100
    for second in range(15, 2000):
        scene.world.advance(float(second))
        submission.recheck()
    assert 100 - len(scene.world.faults["list"]) <= len(RECHECKS) * 2


def test_without_doubt_nothing_is_looked_for_again(scene: Scene) -> None:
    submission = scene.attempt(0)
    submission.submit(request_of(0))
    scene.world.faults["list"] = ["429"]
    scene.world.advance(1000.0)
    submission.recheck()
    assert scene.world.faults["list"] == ["429"]


def test_what_a_lost_submission_left_is_swept_also_when_the_second_was_refused(
    scene: Scene,
) -> None:
    scene.world.faults["create"] = ["reset", "refused", "refused"]
    scene.world.plans = [Plan(running=1e6)]
    scene.world.late = [(40.0, request(0))]
    submission = scene.attempt(0)
    with pytest.raises(ApiUnavailable):
        submission.submit(request_of(0))
    scene.world.advance(41.0)
    submission.sweep()
    scene.world.advance(scene.world.now + GRACE)
    assert scene.living == []


def test_jobs_of_other_work_are_left_alone(scene: Scene) -> None:
    other = CreateJobRequest(
        DockerRun("debian", env_variables={JOB_KEY: "other", JOB_OUTPUT: "s3://b/other"}),
        Requirements(cores=1),
    )
    scene.world.create(other)
    scene.world.create(CreateJobRequest(DockerRun("debian"), Requirements(cores=1)))
    submission = scene.attempt(1)
    assert submission.adopt() is None
    submission.submit(request_of(1))
    assert scene.living == ["job-0", "job-1", "job-2"]


def test_a_job_that_vanished_is_not_waited_for(scene: Scene) -> None:
    scene.left(Stage.SUBMITTED, "job-of-long-ago")
    assert scene.attempt(1).adopt() is None


# --- a job that was cancelled ---


def test_a_job_cancelled_by_the_attempt_before_has_a_successor(scene: Scene) -> None:
    scene.attempt(0).submit(request_of(0))
    submission = scene.attempt(1)
    submission.adopt()
    scene.world.cancel("job-0", after=0.0)
    scene.left(Stage.CANCELLING)
    assert submission.succeed("job-0") == (True, None)
    assert submission.submit(request_of(1)).job_id == "job-1"


def test_a_job_cancelled_in_favour_of_another_is_followed_by_that(scene: Scene) -> None:
    scene.attempt(0).submit(request_of(0))
    scene.world.create(request(0))
    submission = scene.attempt(1)
    submission.recall()
    scene.world.cancel("job-0", after=0.0)
    ours, job = submission.succeed("job-0")
    assert ours
    assert job is not None
    assert job.id == "job-1"


def test_a_job_cancelled_by_somebody_else_has_no_successor(scene: Scene) -> None:
    scene.attempt(0).submit(request_of(0))
    submission = scene.attempt(1)
    submission.adopt()
    scene.world.cancel("job-0", by_hand=True, after=0.0)
    assert submission.succeed("job-0") == (False, None)
