"""The API's front misbehaves as it is told to, and in no other way: seen with our own client."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from support.api_calls import Call
from support.api_faults import (
    NO_JOB,
    UNAUTHORIZED,
    UNAVAILABLE,
    Spell,
    acted,
    showing,
    statuses,
    timeline,
)
from support.api_front import FaultyApi
from support.flyte import Harness
from support.front import Behaviour
from support.listings import Arrivals, Crowd, ListingLag
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import JobAlreadyDone, JobNotFound, ServerFault, Unauthorized
from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements
from perian_shim.api.jobs import Job
from perian_shim.sandbox.records import Status

SLEEPER = CreateJobRequest(DockerRun("debian", command="sleep 600"), Requirements(cores=1))

pytestmark = pytest.mark.below_the_doors


class Visitor:
    """A client of a front, and the front."""

    def __init__(self, api: FaultyApi, client: PerianClient) -> None:
        self.api = api
        self.client = client

    def submit(self) -> str:
        job = self.client.create_job(SLEEPER)
        self.api.stack.callback(self.api.application.store.cancel, job)
        return job

    def running(self, job: str) -> str:
        """Wait until a job really runs."""

        def runs() -> bool:
            found = self.api.application.store.get(job)
            return found is not None and found.state.status is Status.RUNNING

        wait_until(runs, LONG_SECONDS, "the job does not run")
        return job

    def listed(self) -> list[str]:
        return [job.id for job in self.client.iter_jobs()]

    def raw(self, target: str) -> dict[str, Any]:
        """Ask without a client, which may leave something out."""
        behind = self.api.application.credentials
        headers = {
            "X-PERIAN-AUTH-ORG": behind.organization,
            "Authorization": f"Bearer {behind.token}",
        }
        answer = requests.get(self.api.url + target, headers=headers, timeout=LONG_SECONDS)
        document: dict[str, Any] = answer.json()
        return document

    def statuses(self, job: str, looks: int) -> list[str]:
        return [self.client.get_job(job).status for _ in range(looks)]


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(harness: Harness) -> Iterator[Visit]:
    with ExitStack() as stack:

        def enter(*behaviours: Behaviour, speed: float = 1.0) -> Visitor:
            sandbox = harness.sandbox
            api = stack.enter_context(FaultyApi(sandbox, *behaviours, speed=speed))
            client = PerianClient(api.url, sandbox.organization, sandbox.token)
            return Visitor(api, stack.enter_context(client))

        yield enter


def test_without_misbehaviours_it_is_the_sandbox(visit: Visit) -> None:
    visitor = visit()
    job = visitor.submit()
    assert visitor.client.get_job(job).id == job
    assert job in visitor.listed()
    visitor.client.cancel_job(job)
    # Others of this session's tests may have filled more than a page of the list.
    seen = [call for call, _ in itertools.groupby(visitor.api.seen)]
    assert seen == [Call.SUBMIT, Call.READ, Call.LIST, Call.CANCEL]


def test_while_the_listing_lags_a_job_is_known_by_its_id_alone(visit: Visit) -> None:
    visitor = visit(ListingLag(3600))
    job = visitor.submit()
    assert visitor.client.get_job(job).id == job
    assert job not in visitor.listed()


def test_a_listing_that_lags_shows_the_job_in_the_end(visit: Visit) -> None:
    visitor = visit(ListingLag(120), speed=240)
    job = visitor.submit()
    wait_until(lambda: job in visitor.listed(), LONG_SECONDS, "the job is not listed")
    created = visitor.client.get_job(job).created_at
    assert created is not None
    assert visitor.api.now() >= 120


def test_a_lag_may_begin_with_a_later_submission(visit: Visit) -> None:
    visitor = visit(ListingLag(0, submissions=2))
    first = visitor.submit()
    assert first not in visitor.listed()
    second = visitor.submit()
    assert {first, second} <= {*visitor.listed()}


def test_each_front_lags_on_its_own(visit: Visit) -> None:
    slow, quick = visit(ListingLag(3600)), visit()
    job = slow.submit()
    assert job in quick.listed()
    assert job not in slow.listed()


def test_a_crowd_of_other_peoples_jobs_is_listed_in_its_pages(visit: Visit) -> None:
    visitor = visit(Crowd(12_000))
    job = visitor.submit()
    listed = visitor.listed()
    assert len(set(listed)) == len(listed) > 12_000
    assert listed.index(job) == 12_000


def test_older_jobs_of_other_people_come_last(visit: Visit) -> None:
    visitor = visit(Crowd(50, older=True))
    job = visitor.submit()
    assert visitor.listed()[0] == job
    assert len(visitor.listed()) >= 51


def test_the_bulk_of_other_peoples_jobs_is_as_large_as_wanted(visit: Visit) -> None:
    visitor = visit(Crowd(2, log_bytes=50_000, command_bytes=70_000))
    job = visitor.raw("/job?limit=1")["jobs"][0]
    assert len(job["logs"]) == 50_000
    assert len(job["docker_metadata"]["docker_run_parameters"]["command"]) > 70_000


def test_pages_move_while_they_are_turned(visit: Visit) -> None:
    visitor = visit(Arrivals(per_page=100, most=200), Crowd(100))
    pages = [[job.id for job in visitor.client.list_jobs(n, 100).items] for n in (1, 2, 3, 3)]
    assert pages[0] == pages[1] == pages[2] == pages[3]


def test_a_spell_ends_after_so_many_calls(visit: Visit) -> None:
    visitor = visit(Spell(UNAUTHORIZED, Call.READ, times=2))
    job = visitor.submit()
    for _ in range(2):
        with pytest.raises(Unauthorized):
            visitor.client.get_job(job)
    assert visitor.client.get_job(job).id == job


def test_a_spell_ends_after_so_long(visit: Visit) -> None:
    spell = Spell(UNAUTHORIZED, seconds=70)
    visitor = visit(spell, speed=140)
    with pytest.raises(Unauthorized):
        visitor.listed()
    wait_until(lambda: visitor.api.now() > (spell.began or 0) + 70, LONG_SECONDS, "no time passes")
    visitor.listed()


def test_a_spell_may_begin_later(visit: Visit) -> None:
    visitor = visit(Spell(NO_JOB, Call.READ, after=2))
    job = visitor.submit()
    assert [visitor.client.get_job(job).id for _ in range(2)] == [job, job]
    with pytest.raises(JobNotFound):
        visitor.client.get_job(job)


def test_a_young_job_cannot_be_cancelled_yet(visit: Visit) -> None:
    visitor = visit(Spell(NO_JOB, Call.CANCEL, seconds=3600, young=True))
    job = visitor.running(visitor.submit())
    with pytest.raises(JobNotFound):
        visitor.client.cancel_job(job)
    assert visitor.client.get_job(job).status == "Running"


def test_a_job_that_has_grown_up_can_be_cancelled(visit: Visit) -> None:
    visitor = visit(Spell(NO_JOB, Call.CANCEL, seconds=5, young=True), speed=50)
    job = visitor.submit()
    wait_until(lambda: visitor.api.age_of(job) > 5, LONG_SECONDS, "no time passes")
    visitor.client.cancel_job(job)


def test_what_is_answered_otherwise_may_have_been_acted_upon(visit: Visit) -> None:
    visitor = visit(Spell(acted(UNAVAILABLE), Call.CANCEL, times=1))
    job = visitor.submit()
    with pytest.raises(ServerFault):
        visitor.client.cancel_job(job)
    wait_until(
        lambda: visitor.client.get_job(job).status == "Cancelled", LONG_SECONDS, "not cancelled"
    )
    with pytest.raises(JobAlreadyDone):
        visitor.client.cancel_job(job)


def test_fields_of_a_job_are_shown_otherwise(visit: Visit) -> None:
    price = {"unit_price": "99.0", "currency": "EUR", "granularity": "PER_HOUR"}
    visitor = visit(showing({"price": price, "errors": "odd"}, once="Running"))
    job = visitor.running(visitor.submit())
    shown = visitor.client.get_job(job)
    assert shown.errors == "odd"
    assert "99" in str(shown.price)


def test_a_job_shows_one_status_after_the_other_by_the_number_of_looks(visit: Visit) -> None:
    visitor = visit(statuses("Running", "Queued", each=2))
    job = visitor.running(visitor.submit())
    shown = ["Running", "Running", "Queued", "Queued", "Running"]
    assert visitor.statuses(job, 5) == shown


def test_a_job_shows_one_status_after_the_other_by_time(visit: Visit) -> None:
    visitor = visit(timeline(("Running", 3600), ("Queued", 3600 * 1000)), speed=3600)
    job = visitor.submit()
    assert visitor.statuses(job, 1) == ["Running"]

    def status() -> str:
        return visitor.statuses(job, 1)[0]

    wait_until(lambda: status() == "Queued", LONG_SECONDS, "it is not shown as Queued")


def test_misbehaviours_can_be_combined(visit: Visit) -> None:
    visitor = visit(
        Spell(UNAUTHORIZED, Call.LIST, times=1), ListingLag(3600), Crowd(3), Arrivals(2)
    )
    job = visitor.submit()
    with pytest.raises(Unauthorized):
        visitor.listed()
    listed = visitor.listed()
    assert len(listed) >= 3
    assert job not in listed


def test_a_faster_front_shows_times_of_its_own_clock(visit: Visit) -> None:
    visitor = visit(speed=1000)
    before = visitor.api.now()
    job: Job = visitor.client.get_job(visitor.submit())
    assert job.created_at is not None
    shown = job.created_at.timestamp() - visitor.api.opened_at
    assert before <= shown <= visitor.api.now()
    assert job.created_at.timestamp() > time.time()
