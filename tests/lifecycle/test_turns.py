"""Waiting for one's turn, on the model of Perian: what is said, how long, and what ends it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from support.perian_model import Plan
from support.still_node import LONG, StillNode, get_job, pod_of, request, submit_job

from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.errors import ApiUnavailable, JobRejected, Superseded, TooManyJobs
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.launch_record import Stage
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.retrying import PatientStore
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.terms import Terms
from perian_shim.lifecycle.tickets import JobLimits, Kind, Ticket, project_mark
from perian_shim.lifecycle.turns import TicketTurns

FOLDER = "s3://b/_perian/turns/organization"

ONE = JobLimits(1)


def limited(
    node: StillNode, number: int = 0, limits: JobLimits = ONE, longest: float | None = None
) -> Attempt[str]:
    """A pod that has to wait for its turn."""
    attempt = node.attempt(number)
    at_once = attempt.records.at_once
    assert at_once is not None
    turns = TicketTurns(
        limits, "a", FOLDER, attempt.records.store, at_once, attempt.policy, longest
    )
    return replace(attempt, terms=Terms(turns=turns))


def job_of(attempt: Attempt[str]) -> Job:
    """Do what a run does until it has a job."""
    attempt.records.take_over(to_submit=attempt.terms.turns is None)
    return attempt.submission.adopt() or submit_job(attempt)


def occupied(running: float) -> StillNode:
    """A world in which one job of somebody else's runs for so long."""
    node = StillNode()
    node.world.plans = [Plan(queued=0.0, running=running), LONG]
    node.world.create(request("s3://b/elsewhere", key="other"))
    return node


def tickets(node: StillNode) -> list[str]:
    return [uri for uri in node.world.objects if uri.startswith(FOLDER)]


def told(node: StillNode) -> list[str]:
    return [line for line in node.said if "no job is asked for yet" in line]


def test_where_there_is_room_nobody_waits() -> None:
    node = StillNode()
    job_of(limited(node))
    assert told(node) == []
    assert node.world.now < 5


def test_a_pod_waits_until_there_is_room_and_no_longer_than_a_pause() -> None:
    node = occupied(1000)
    job_of(limited(node))
    assert 1000 <= node.world.now <= 1030
    assert [job.id for job in node.world.living()] == ["job-1"]


def test_people_are_told_at_once_and_then_more_and_more_seldom() -> None:
    node = occupied(3600)
    job_of(limited(node))
    assert "for 0 s so far: max_jobs allows 1 (waiting for job job-0 to end)" in told(node)[0]
    assert len(told(node)) == 6
    assert any("it is this task's turn after 60 min" in line for line in node.said)


def test_a_long_wait_asks_no_more_often_than_a_job_would_be_looked_at() -> None:
    node = occupied(10_000)
    job_of(limited(node))
    assert len(node.calls("list", since=1000)) <= 9000 / 16 + 5


def test_while_a_pod_waits_its_record_says_that_it_has_asked_for_nothing() -> None:
    node = occupied(100)
    attempt = limited(node)
    seen = []
    pod_of(attempt).at(50, lambda: seen.append(attempt.records.record))
    job_of(attempt)
    assert [(record.stage, record.asked) for record in seen] == [(Stage.LOOKING, 0)]


def test_a_job_that_has_come_leaves_a_ticket_that_names_it_and_no_other() -> None:
    node = StillNode()
    job = job_of(limited(node))
    (ticket,) = tickets(node)
    assert ticket.endswith(f"-job-{job.id}")


def test_a_ticket_of_a_killed_pod_counts_until_it_was_not_written_for_five_minutes() -> None:
    node = occupied(10)
    killed = Ticket(0, "abc", project_mark("a"))
    node.world.objects[f"{FOLDER}/{killed.name(Kind.GOING)}"] = b""
    node.world.written[f"{FOLDER}/{killed.name(Kind.GOING)}"] = 0.0
    job_of(limited(node))
    assert 300 <= node.world.now <= 360
    assert len(tickets(node)) == 1


def test_a_wait_that_is_bounded_ends_in_an_error_that_names_the_jobs() -> None:
    node = occupied(10_000)
    with pytest.raises(TooManyJobs, match=r"max_wait_seconds of PERIAN_POLICY is 600.*job-0"):
        limited(node, longest=600).run()
    assert 600 <= node.world.now <= 610
    assert tickets(node) == []
    assert node.world.submissions == []


def test_also_a_pod_far_behind_names_the_jobs_in_the_end() -> None:
    node = occupied(10_000)
    for number in range(8):
        ahead = Ticket(0, f"{number:x}f", project_mark("a")).name(Kind.WAITING)
        node.world.objects[f"{FOLDER}/{ahead}"] = b""
        node.world.written[f"{FOLDER}/{ahead}"] = 100.0
    node.world.advance(50)
    with pytest.raises(TooManyJobs, match="job-0"):
        limited(node, longest=50).run()
    assert len(node.calls("list")) == 1


def test_a_signal_ends_the_wait_at_once() -> None:
    node = occupied(10_000)
    attempt = limited(node)
    pod_of(attempt).at(500, Terminated("SIGTERM"))
    with pytest.raises(Exception, match="no job was submitted"):
        attempt.run()
    assert node.world.now < 510
    assert tickets(node) == []
    assert node.world.submissions == []


def test_a_pod_that_is_superseded_waits_no_longer() -> None:
    node = occupied(10_000)
    attempt = limited(node)
    later = node.attempt(1)
    pod_of(attempt).at(500, lambda: later.records.take_over(to_submit=False))
    with pytest.raises(Superseded):
        attempt.run()
    assert node.world.now < 500 + 150
    assert node.world.submissions == []


def test_a_job_of_the_same_work_that_shows_meanwhile_is_taken() -> None:
    node = occupied(10_000)
    node.world.plans = [Plan(queued=0.0, running=1e6, lag=300)]
    node.world.faults["create"] = ["acted"]
    first = node.attempt(0)
    pod_of(first).at(2, Terminated("SIGKILL"))  # it is gone before it could look
    with pytest.raises(Terminated):
        get_job(first)
    job = job_of(limited(node, 1, JobLimits(1)))
    assert job.id == "job-1"
    assert 300 <= node.world.now <= 400
    assert len(node.world.submissions) == 1
    assert tickets(node) == []


def test_an_outage_of_the_store_is_ridden_out() -> None:
    node = occupied(100)
    attempt = limited(node)
    pod_of(attempt).at(50, lambda: node.world.spells.update({"store falters": 200.0}))
    job_of(attempt)
    assert 200 <= node.world.now <= 260


def test_an_outage_of_the_list_is_ridden_out_and_nothing_is_submitted_meanwhile() -> None:
    node = occupied(100)
    attempt = limited(node)
    pod_of(attempt).at(50, lambda: node.world.spells.update({"no list": 250.0}))
    job_of(attempt)
    assert 250 <= node.world.now <= 300


def test_an_outage_that_lasts_too_long_ends_the_run_without_a_job() -> None:
    node = occupied(100)
    node.world.spells["no list"] = 1e9
    with pytest.raises(ApiUnavailable):
        limited(node).run()
    assert node.world.submissions == []
    assert tickets(node) == []


def test_credentials_that_perian_refuses_are_final_while_nothing_can_exist() -> None:
    node = StillNode()
    node.world.spells["unauthorized"] = 1e9
    with pytest.raises(JobRejected) as caught:
        limited(node).run()
    assert "perian_token" in caught.value.remedy
    assert node.world.now < 10


def test_other_peoples_old_jobs_are_not_looked_for_for_ever() -> None:
    node = StillNode()
    node.world.arrive(5000, at=-40 * 24 * 3600.0)
    node.world.create(request("s3://b/elsewhere", key="other"))
    job_of(limited(node, limits=JobLimits(10_000)))
    assert len(node.calls("list")) == 1


# --- a turn is a lease ---


@dataclass(frozen=True)
class Hooked(PatientStore):
    """A store in which something happens before a pod's word that it goes is written."""

    hook: Callable[[], object] = lambda: None

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:
        if uri.endswith("-going"):
            self.hook()
        super().write(uri, content, content_type)


def meanwhile(node: StillNode, attempt: Attempt[str], seconds: float) -> Callable[[], object]:
    """Return what lets, the first time, somebody else submit a job and so much time pass."""
    happened: list[bool] = []

    def happen() -> None:
        if not happened:
            happened.append(True)
            node.world.plans = [Plan(queued=0.0, running=2000), LONG]
            node.world.create(request("s3://b/elsewhere", key="other"))
            pod_of(attempt).sleep(seconds)

    return happen


def test_what_a_pod_has_seen_long_before_it_goes_proves_nothing() -> None:
    node = StillNode()
    attempt = limited(node)
    store, turns = attempt.records.store, attempt.terms.turns
    assert isinstance(store, PatientStore)
    assert isinstance(turns, TicketTurns)
    hooked = Hooked(store.store, store.retrier, meanwhile(node, attempt, 400))
    attempt = replace(attempt, terms=Terms(turns=replace(turns, store=hooked)))
    job_of(attempt)
    assert 2000 <= node.world.now <= 2060
    assert len(node.world.living()) == 1


def test_a_turn_passes_while_a_pod_gets_its_request_ready_for_too_long() -> None:
    node = StillNode()
    attempt = limited(node)
    happen = meanwhile(node, attempt, 400)
    attempt.records.take_over(to_submit=False)

    def request_for(output: str) -> CreateJobRequest:
        happen()
        return attempt.work.request(output)

    attempt.submission.submit(request_for)
    assert 2000 <= node.world.now <= 2060
    assert len(node.world.living()) == 1
    assert attempt.records.record.asked == 1


def test_a_turn_stays_while_nobody_else_wants_it_however_long_a_request_takes() -> None:
    node = StillNode()
    attempt = limited(node)
    attempt.records.take_over(to_submit=False)
    made: list[str] = []

    def request_for(output: str) -> CreateJobRequest:
        made.append(output)
        pod_of(attempt).sleep(400)
        return attempt.work.request(output)

    attempt.submission.submit(request_for)
    assert len(made) == 1
    assert node.world.now < 410


def test_a_pod_that_was_superseded_while_it_got_ready_submits_nothing() -> None:
    node = StillNode()
    attempt, later = limited(node), node.attempt(1)
    attempt.records.take_over(to_submit=False)

    def listed() -> None:
        later.records.take_over(to_submit=False)

    def request_for(output: str) -> CreateJobRequest:
        pod_of(attempt).sleep(400)
        node.world.spells["no list"] = node.world.now + 50
        pod_of(attempt).at(node.world.now + 20, listed)
        return attempt.work.request(output)

    with pytest.raises(Superseded):
        attempt.submission.submit(request_for)
    assert node.world.submissions == []


def test_a_pod_that_looks_often_does_not_take_others_for_dead() -> None:
    node = occupied(10)
    other = Ticket(0, "abc", project_mark("a"))
    uri = f"{FOLDER}/{other.name(Kind.GOING)}"
    node.world.objects[uri], node.world.written[uri] = b"", 0.0
    attempt = limited(node)
    turns = attempt.terms.turns
    assert isinstance(turns, TicketTurns)
    often = replace(turns, policy=PollPolicy(shortest=0.1, longest=0.3))
    job_of(replace(attempt, terms=Terms(turns=often)))
    assert node.world.now >= 300
