"""The API's contract: official client in, official models out, the platform's refusals."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from perian.api.job_api import JobApi
from perian.exceptions import ApiException
from perian.models.accelerator_query_input import AcceleratorQueryInput
from perian.models.accelerator_type_query import AcceleratorTypeQuery
from perian.models.cpu_query_input import CpuQueryInput
from perian.models.create_job_request import CreateJobRequest
from perian.models.docker_registry_credentials import DockerRegistryCredentials
from perian.models.docker_run_parameters import DockerRunParameters
from perian.models.get_accelerator_type_request import GetAcceleratorTypeRequest
from perian.models.get_instance_type_request import GetInstanceTypeRequest
from perian.models.instance_type_query_input import InstanceTypeQueryInput
from perian.models.instance_typer_query_view import InstanceTyperQueryView
from perian.models.job_view import JobView
from perian.models.memory_query_input import MemoryQueryInput
from perian.models.name import Name
from perian.models.os_storage_config import OSStorageConfig
from perian.models.provider_query_input import ProviderQueryInput
from perian.models.region_query_input import RegionQueryInput
from perian.models.size import Size
from perian.models.workload_status import WorkloadStatus
from support.sandbox_api import ORGANIZATION, TOKEN, Api, official_client, running_api

from perian_shim.sandbox.records import Status

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


def refusal(error: pytest.ExceptionInfo[ApiException]) -> tuple[int | None, object]:
    assert error.value.body is not None
    body = json.loads(error.value.body)
    assert body["status"] == "Error"
    assert body["status_code"] == error.value.status
    return error.value.status, body["detail"]


def test_the_official_client_creates_watches_and_lists_a_job(api: Api) -> None:
    created = api.jobs.create_job(
        CreateJobRequest(
            auto_failover_instance_type=True,
            timeout_seconds=600,
            os_storage_config=OSStorageConfig(size=80),
            requirements=InstanceTypeQueryInput(
                cpu=CpuQueryInput(cores=4),
                ram=MemoryQueryInput(size=Size("16")),
                accelerator=AcceleratorQueryInput(no=1, name=Name("A100")),
                region=RegionQueryInput(location="FI"),
                provider=ProviderQueryInput(name_short="DC"),
            ),
            docker_run_parameters=DockerRunParameters(
                image_name="python",
                image_tag="3.12",
                command="echo hello",
                env_variables={"A": "b"},
            ),
            docker_registry_credentials=DockerRegistryCredentials(
                url="registry.example", username="me", password="hidden"
            ),
        )
    )
    job = api.finished(created.id)
    assert job.status == WorkloadStatus.DONE
    assert job.logs == "hello\n"
    assert job.price is not None
    assert job.price.unit_price == "1.290"
    assert job.runtime_metadata is not None
    assert job.runtime_metadata.timeout_seconds == 600
    assert job.runtime_metadata.auto_failover_instance_type is True
    assert job.requirement_metadata is not None
    assert job.requirement_metadata.os_storage_config == OSStorageConfig(size=80)
    assert job.requirement_metadata.requirements is not None
    assert job.requirement_metadata.requirements.cpu is not None
    assert job.requirement_metadata.requirements.cpu.cores == 4
    assert job.docker_metadata is not None
    parameters = job.docker_metadata.docker_run_parameters
    assert parameters is not None
    assert (parameters.image_name, parameters.image_tag) == ("python", "3.12")
    assert (parameters.command, parameters.env_variables) == ("echo hello", {"A": "b"})
    credentials = job.docker_metadata.docker_registry_credentials
    assert credentials is not None
    assert (credentials.username, credentials.password) == ("me", "***")
    listed = api.jobs.get_all_jobs(limit=1).jobs
    assert listed is not None
    assert [one.to_dict() for one in listed] == [job.to_dict()]


def test_a_job_can_name_its_instance_type(api: Api) -> None:
    offers = api.instance_types.get_instance_type_by_requirements(
        GetInstanceTypeRequest(instance_type_query=InstanceTyperQueryView(name="l4-90"))
    ).instance_types
    assert offers is not None
    created = api.jobs.create_job(
        CreateJobRequest(
            instance_type_id=offers[0].id,
            docker_run_parameters=DockerRunParameters(image_name="debian", command="true"),
        )
    )
    job = api.finished(created.id)
    assert job.runtime_metadata is not None
    assert job.runtime_metadata.instance_type_id == offers[0].id
    assert job.price is not None
    assert job.price.unit_price == "0.750"


def test_instance_types_are_found_by_requirements_and_by_id(api: Api) -> None:
    found = api.instance_types.get_instance_type_by_requirements(
        GetInstanceTypeRequest(
            instance_type_query=InstanceTyperQueryView(
                accelerator=AcceleratorQueryInput(no=1, name=Name(["T4", "L4"])),
                region=RegionQueryInput(location="DE"),
            )
        )
    ).instance_types
    assert found is not None
    assert [offer.name for offer in found] == ["pi2.2xlarge.4"]
    assert found[0].id is not None
    again = api.instance_types.get_instance_type_by_id(found[0].id).instance_types
    assert again == found
    accelerator = found[0].accelerator
    assert accelerator is not None
    assert accelerator.no == 1
    assert accelerator.accelerator_types is not None
    assert accelerator.accelerator_types[0].name == "NVIDIA_T4_16"
    assert found[0].ram is not None
    assert found[0].ram.size == "32.0"
    assert found[0].provider is not None
    assert found[0].provider.name_short == "OTC"
    assert found[0].region is not None
    assert found[0].region.location == "DE"


def test_instance_types_come_in_pages_the_cheapest_first(api: Api) -> None:
    query = GetInstanceTypeRequest(instance_type_query=InstanceTyperQueryView())
    names: list[str | None] = []
    prices: list[float] = []
    total: int | None = None
    for page in range(1, 100):
        answer = api.instance_types.get_instance_type_by_requirements(query, limit=7, page=page)
        assert answer.instance_types is not None
        assert answer.pagination is not None
        names += [offer.name for offer in answer.instance_types]
        prices += [
            float(offer.price.unit_price or 0) for offer in answer.instance_types if offer.price
        ]
        total = answer.pagination.total_items
        if answer.pagination.next_page is None:
            break
    assert len(names) == len(set(names)) == total
    assert prices == sorted(prices)


def test_accelerator_types_are_found_by_name_and_by_id(api: Api) -> None:
    found = api.accelerator_types.get_accelerator_type_by_requirements(
        GetAcceleratorTypeRequest(accelerator_type_query=AcceleratorTypeQuery(name=Name("a100")))
    ).accelerator_types
    assert found is not None
    assert [kind.name for kind in found] == ["NVIDIA_A100_80", "NVIDIA_A100_40"]
    assert found[0].id is not None
    again = api.accelerator_types.get_accelerator_type_by_id(found[0].id).accelerator_types
    assert again == found[:1]


def test_all_accelerator_types_can_be_listed(api: Api) -> None:
    found = api.accelerator_types.get_all_accelerator_types().accelerator_types
    assert found is not None
    assert "NVIDIA_H100_80" in {str(kind.name.value) for kind in found if kind.name}


def test_every_official_status_is_known_and_none_is_invented() -> None:
    assert {status.value for status in Status} == {status.value for status in WorkloadStatus}


@pytest.mark.parametrize("status", list(Status))
def test_the_official_model_reads_every_status(status: Status) -> None:
    view = JobView.from_dict({"status": status.value})
    assert view is not None
    assert view.status == WorkloadStatus(status.value)


def test_jobs_are_listed_newest_first_in_pages(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_api(tmp_path_factory.mktemp("paged")) as api:
        empty = api.jobs.get_all_jobs()
        created = [api.submit("true") for _ in range(5)]
        pages = [api.jobs.get_all_jobs(limit=2, page=page) for page in (1, 2, 3, 4)]
        everything = api.jobs.get_all_jobs()
        for job_id in created:
            api.finished(job_id)
    assert (empty.jobs, empty.pagination and empty.pagination.total_items) == ([], 0)
    listed = [[job.id for job in page.jobs or []] for page in pages]
    newest = created[::-1]
    assert listed == [newest[:2], newest[2:4], newest[4:], []]
    assert [page.pagination.next_page if page.pagination else 0 for page in pages][:3] == [
        2,
        3,
        None,
    ]
    assert pages[0].pagination is not None
    assert (pages[0].pagination.total_items, pages[0].pagination.total_pages) == (5, 3)
    assert pages[0].pagination.previous_page is None
    assert everything.pagination is not None
    assert everything.pagination.items_per_page == 25
    assert [job.id for job in everything.jobs or []] == newest


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda api: api.jobs.get_job_by_id(UNKNOWN), "No job found with specified ID"),
        (lambda api: api.jobs.cancel_job(UNKNOWN), "No job found with specified ID"),
        (
            lambda api: api.jobs.create_job(CreateJobRequest()),
            "Please either provide a specific instance type ID or requirements for the job",
        ),
        (
            lambda api: api.jobs.create_job(CreateJobRequest(instance_type_id=UNKNOWN)),
            "The selected Instance Type was not found",
        ),
        (
            lambda api: api.jobs.create_job(
                CreateJobRequest(
                    requirements=InstanceTypeQueryInput(region=RegionQueryInput(location="JP"))
                )
            ),
            "The selected Instance Type was not found",
        ),
        (
            lambda api: api.instance_types.get_instance_type_by_id(UNKNOWN),
            "No instance type found with specified ID",
        ),
        (
            lambda api: api.instance_types.get_instance_type_by_requirements(
                GetInstanceTypeRequest()
            ),
            "Please either provide a specific instance_type ID or a query",
        ),
        (
            lambda api: api.accelerator_types.get_accelerator_type_by_id(UNKNOWN),
            "No accelerator type found",
        ),
        (
            lambda api: api.accelerator_types.get_accelerator_type_by_requirements(
                GetAcceleratorTypeRequest(
                    accelerator_type_query=AcceleratorTypeQuery(name=Name("abacus"))
                )
            ),
            "No accelerator type found",
        ),
    ],
)
def test_what_the_platform_refuses_is_refused_in_its_words(
    api: Api, call: Callable[[Api], object], detail: str
) -> None:
    with pytest.raises(ApiException) as error:
        call(api)
    assert refusal(error) == (400, detail)


def test_a_finished_job_cannot_be_cancelled(api: Api) -> None:
    job_id = api.submit("true")
    api.finished(job_id)
    with pytest.raises(ApiException) as error:
        api.jobs.cancel_job(job_id)
    assert refusal(error) == (400, "The job you are trying to cancel is already complete.")


@pytest.mark.parametrize(("organization", "token"), [(ORGANIZATION, "wrong"), ("wrong", TOKEN)])
def test_wrong_credentials_are_unauthorized(api: Api, organization: str, token: str) -> None:
    client = official_client(api.server.url, organization, token)
    with pytest.raises(ApiException) as error:
        JobApi(client).get_all_jobs()
    client.rest_client.pool_manager.clear()
    assert refusal(error) == (401, "The provided organization or token is not valid")


def test_large_container_files_are_echoed_whole(api: Api) -> None:
    content = bytes(1000) * 3000
    job = api.run("wc -c /var/inputs/big", files={"/var/inputs/big": content})
    assert (job.logs or "").split()[0] == str(len(content))
    assert job.docker_metadata is not None
    assert job.docker_metadata.docker_run_parameters is not None
    files = job.docker_metadata.docker_run_parameters.container_files
    assert files is not None
    assert base64.b64decode(files[0].base64_content) == content
