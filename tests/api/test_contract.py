"""Our client and the official one see the same on one server, the sandbox's."""

from collections.abc import Iterator
from datetime import timezone
from decimal import Decimal

import pytest
from perian.models.get_instance_type_request import GetInstanceTypeRequest
from perian.models.instance_typer_query_view import InstanceTyperQueryView
from support.official import wire
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import InstanceTypeNotFound, JobNotFound
from perian_shim.api.phases import Phase

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture
def client(api: Api) -> Iterator[PerianClient]:
    with PerianClient(api.server.url, ORGANIZATION, TOKEN) as connected:
        yield connected


def test_an_instance_type_is_the_same_by_its_id(api: Api, client: PerianClient) -> None:
    query = GetInstanceTypeRequest(instance_type_query=InstanceTyperQueryView())
    offers = api.instance_types.get_instance_type_by_requirements(query).instance_types
    assert offers
    for offer in offers:
        by_id = api.instance_types.get_instance_type_by_id(str(offer.id)).instance_types
        assert by_id is not None
        ours = client.get_instance_type(str(offer.id))
        assert ours == InstanceType.from_json(wire(by_id[0].to_dict()))
        assert ours.price is not None
        assert by_id[0].price is not None
        assert ours.price.per_hour == Decimal(str(by_id[0].price.unit_price))


def test_what_is_not_there_is_told_apart(client: PerianClient) -> None:
    with pytest.raises(InstanceTypeNotFound):
        client.get_instance_type(UNKNOWN)
    with pytest.raises(JobNotFound):
        client.get_job(UNKNOWN)


def test_a_job_is_the_same_alone_and_in_a_listing(api: Api, client: PerianClient) -> None:
    job_id = api.submit("echo hello", environment={"KEY": "k"}, secrets={"S": "hidden"})
    view = api.finished(job_id)
    job = client.get_job(job_id)
    assert view.created_at is not None
    assert job.created_at == view.created_at.astimezone(timezone.utc)
    assert (job.logs, job.command, job.phase) == ("hello\n", "echo hello", Phase.SUCCEEDED)
    (listed,) = [one for one in client.iter_jobs(limit=1) if one.id == job_id]
    assert (listed.env_variables, listed.env_complete) == ({"KEY": "k"}, True)
    assert (listed.status, listed.created_at, listed.price) == (
        job.status,
        job.created_at,
        job.price,
    )
    assert (listed.logs, listed.command) == (None, None)


def test_every_job_is_listed_newest_first_whatever_the_page(api: Api, client: PerianClient) -> None:
    made = [api.submit("true") for _ in range(5)]
    for limit in (1, 2, 3, 100):
        assert [job.id for job in client.iter_jobs(limit)][:5] == made[::-1]
