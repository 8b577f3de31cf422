"""Looking for our jobs in a list with entries that cannot be read: none of ours is overlooked."""

import datetime
from collections.abc import Callable

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.front import Behaviour

from perian_shim.api.client import PerianClient
from perian_shim.lifecycle.jobs import Jobs, Scan
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.settings import JOB_KEY

Entry = dict[str, object]

NEW, OLD = "2026-11-21T10:00:00Z", "2020-01-01T00:00:00Z"
SINCE = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def job(job_id: object, key: str = "k", **members: object) -> Entry:
    parameters = {"command": "true", "env_variables": {JOB_KEY: key}}
    docker = {"docker_run_parameters": parameters}
    return {
        "id": job_id,
        "status": "Running",
        "created_at": NEW,
        "docker_metadata": docker,
        **members,
    }


OURS = job("ours")


def answers(listed: list[object], single: Entry | None = None) -> Behaviour:
    pages = {"current_page": 1, "total_pages": 1}
    listing = reply(body={"jobs": listed, "pagination": pages})
    one = reply(body={"jobs": [single]}) if single else reply(404, {"detail": "No job found"})
    return by_request(lambda request: listing if request.path == "/job" else one)


@pytest.fixture
def scan() -> Callable[[Behaviour], Scan]:
    def look(behaviour: Behaviour) -> Scan:
        with FaultyServer(behaviour) as server:
            client = PerianClient(server.url, "acme", "token-123")
            jobs = Jobs(lambda: client, Retrier(RetryPolicy(0.0)))
            try:
                return jobs.scan("k", since=SINCE)
            finally:
                jobs.close()

    return look


Look = Callable[[Behaviour], Scan]


def ids(scan: Scan) -> list[str]:
    return [found.id for found in scan.jobs]


@pytest.mark.parametrize(
    "odd",
    [
        job("other", "x", status="UserError", errors=["a", "b"]),
        job("other", "x", price={"unit_price": "n/a"}),
        job("other", "x", done_at="soon"),
        job("other", "x", status={}),
        job("other", "x", created_at=7),
        job("other", "x", runtime_metadata={"timeout_seconds": 0.5}),
        job(None, "x"),
        {"status": "Done"},
        None,
    ],
)
def test_an_odd_job_of_somebody_else_is_not_in_the_way(scan: Look, odd: object) -> None:
    assert ids(scan(answers([odd, OURS, odd]))) == ["ours"]


@pytest.mark.parametrize(
    "odd", [{"errors": ["a"]}, {"status": 7}, {"created_at": "now"}, {"price": 1}, {"logs": 3}]
)
def test_a_job_of_ours_is_found_however_odd_the_rest_of_it_is(scan: Look, odd: Entry) -> None:
    assert ids(scan(answers([{**OURS, **odd}]))) == ["ours"]


def test_a_job_whose_key_the_listing_garbles_is_asked_for(scan: Look) -> None:
    garbled = {**OURS, "docker_metadata": "(redacted)"}
    assert ids(scan(answers([garbled], OURS))) == ["ours"]


def test_an_entry_whose_key_nobody_can_tell_leaves_the_look_incomplete(scan: Look) -> None:
    garbled = {**OURS, "docker_metadata": "(redacted)"}
    seen = scan(answers([garbled], garbled))
    assert (ids(seen), seen.whole) == ([], False)


def test_an_entry_whose_key_nobody_can_tell_does_not_matter_if_it_is_too_old(scan: Look) -> None:
    garbled = {**OURS, "created_at": OLD, "docker_metadata": "(redacted)"}
    seen = scan(answers([garbled], garbled))
    assert (ids(seen), seen.whole) == ([], True)


def test_a_job_of_ours_without_an_id_is_seen(scan: Look) -> None:
    assert ids(scan(answers([job(None), job(None)]))) == [
        "(page 1, jobs[0], without an id)",
        "(page 1, jobs[1], without an id)",
    ]


def test_a_job_of_ours_whose_environment_no_listing_can_hold_is_found(scan: Look) -> None:
    large = {**{f"V{number}": "x" * 4000 for number in range(30)}, JOB_KEY: "k"}
    parameters = {"command": "true", "env_variables": large}
    entry = job("ours", docker_metadata={"docker_run_parameters": parameters})
    found = scan(answers([entry], entry))
    assert ([each.id for each in found.jobs], found.whole) == (["ours"], True)
