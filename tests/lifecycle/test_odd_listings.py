"""Looking for our jobs in a list with entries that cannot be read: none of ours is overlooked."""

from collections.abc import Callable

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.front import Behaviour

from perian_shim.api import Job, MalformedResponse, PerianClient
from perian_shim.lifecycle.jobs import Lifecycle
from perian_shim.lifecycle.retrying import RetryingClient, RetryPolicy

Entry = dict[str, object]

NEW, OLD = "2026-11-21T10:00:00Z", "2020-01-01T00:00:00Z"
SINCE = 1_700_000_000.0


def job(job_id: object, key: str = "k", **members: object) -> Entry:
    parameters = {"command": "true", "env_variables": {"KEY": key}}
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
def find() -> Callable[[Behaviour], list[Job]]:
    def look(behaviour: Behaviour) -> list[Job]:
        with FaultyServer(behaviour) as server:
            client = RetryingClient(
                lambda: PerianClient(server.url, "acme", "token-123"), RetryPolicy(attempts=1)
            )
            try:
                return Lifecycle(client).find("KEY", "k", SINCE)
            finally:
                client.close()

    return look


Find = Callable[[Behaviour], list[Job]]


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
def test_an_odd_job_of_somebody_else_is_not_in_the_way(find: Find, odd: object) -> None:
    assert [found.id for found in find(answers([odd, OURS, odd]))] == ["ours"]


@pytest.mark.parametrize(
    "odd", [{"errors": ["a"]}, {"status": 7}, {"created_at": "now"}, {"price": 1}, {"logs": 3}]
)
def test_a_job_of_ours_is_found_however_odd_the_rest_of_it_is(find: Find, odd: Entry) -> None:
    assert [found.id for found in find(answers([{**OURS, **odd}]))] == ["ours"]


def test_a_job_whose_key_the_listing_garbles_is_asked_for(find: Find) -> None:
    garbled = {**OURS, "docker_metadata": "(redacted)"}
    assert [found.id for found in find(answers([garbled], OURS))] == ["ours"]


def test_a_job_whose_key_nobody_can_tell_is_not_taken_for_somebody_elses(find: Find) -> None:
    garbled = {**OURS, "docker_metadata": "(redacted)"}
    with pytest.raises(MalformedResponse, match="docker_metadata"):
        find(answers([garbled], garbled))


def test_a_job_whose_key_nobody_can_tell_does_not_matter_if_it_is_too_old(find: Find) -> None:
    garbled = {**OURS, "created_at": OLD, "docker_metadata": "(redacted)"}
    assert find(answers([garbled], garbled)) == []


def test_a_job_of_ours_without_an_id_is_seen(find: Find) -> None:
    found = find(answers([job(None), job(None)]))
    assert [each.id for each in found] == [
        "(page 1, jobs[0], without an id)",
        "(page 1, jobs[1], without an id)",
    ]
