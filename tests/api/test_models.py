"""What comes back: made by the official models, read by ours; tolerant, but strict about shapes."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perian.models.accelerator_data_view import AcceleratorDataView
from perian.models.accelerator_name import AcceleratorName
from perian.models.accelerator_type_view import AcceleratorTypeView
from perian.models.accelerator_vendor import AcceleratorVendor
from perian.models.availability import Availability
from perian.models.billing_granularity import BillingGranularity
from perian.models.container_file import ContainerFile
from perian.models.cpu_data import CpuData
from perian.models.currency import Currency
from perian.models.docker_metadata import DockerMetadata
from perian.models.docker_registry_credentials import DockerRegistryCredentials
from perian.models.docker_run_parameters import DockerRunParameters
from perian.models.get_instance_types_success import GetInstanceTypesSuccess
from perian.models.get_jobs_success import GetJobsSuccess
from perian.models.instance_type_view import InstanceTypeView
from perian.models.job_view import JobView
from perian.models.location import Location
from perian.models.memory import Memory
from perian.models.memory_unit import MemoryUnit
from perian.models.pagination_metadata import PaginationMetadata
from perian.models.price_data import PriceData
from perian.models.provider import Provider
from perian.models.region import Region
from perian.models.runtime_metadata import RuntimeMetadata
from perian.models.workload_status import WorkloadStatus

from perian_shim.api import (
    AcceleratorType,
    InstanceType,
    Job,
    JobStatus,
    MalformedResponse,
    Page,
    Price,
)
from perian_shim.api.excerpt import Excerpt
from perian_shim.api.fields import parse_time

MORNING = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=timezone.utc)
PRICE = PriceData(unit_price="1.25", currency=Currency.EUR, granularity=BillingGranularity.PER_HOUR)


def wire(document: object) -> object:
    """What the official model looks like after a trip over the wire."""
    return json.loads(json.dumps(document, default=datetime.isoformat))


def official_job() -> JobView:
    return JobView(
        id="046b6c7f-0b8a-43b9-b35d-6489e6daee91",
        status=WorkloadStatus.RUNNING,
        created_at=MORNING,
        started_at=MORNING + timedelta(seconds=1),
        done_at=MORNING + timedelta(seconds=2),
        updated_at=MORNING + timedelta(seconds=3),
        logs="line\n",
        errors="none",
        price=PRICE,
        docker_metadata=DockerMetadata(
            docker_run_parameters=DockerRunParameters(
                image_name="busybox",
                image_tag="1",
                command="echo hi",
                env_variables={"A": "HIDDEN-env", "N": 1},
                secrets={"B": "HIDDEN-secret"},
                container_files=[ContainerFile(path="/f", base64_content="SElEREVO")],
            ),
            docker_registry_credentials=DockerRegistryCredentials(password="HIDDEN-password"),
        ),
        runtime_metadata=RuntimeMetadata(instance_type_id="it-1", timeout_seconds=60),
    )


def test_every_field_of_an_official_job_is_read() -> None:
    assert Job.from_json(wire(official_job().to_dict())) == Job(
        id="046b6c7f-0b8a-43b9-b35d-6489e6daee91",
        status="Running",
        created_at=MORNING,
        started_at=MORNING + timedelta(seconds=1),
        done_at=MORNING + timedelta(seconds=2),
        updated_at=MORNING + timedelta(seconds=3),
        logs="line\n",
        errors="none",
        price=Price(Decimal("1.25"), "EUR", "PER_HOUR"),
        image="busybox:1",
        command="echo hi",
        env_variables={"A": "HIDDEN-env", "N": "1"},
        instance_type_id="it-1",
        timeout_seconds=60,
    )


def test_secrets_that_the_api_echoes_are_not_kept() -> None:
    job = Job.from_json(wire(official_job().to_dict()))
    assert "HIDDEN-secret" not in str(vars(job))
    assert "HIDDEN-password" not in str(vars(job))


def test_repr_shows_no_environment() -> None:
    assert "HIDDEN" not in repr(Job.from_json(wire(official_job().to_dict())))


def test_exactly_the_official_statuses_are_known() -> None:
    assert {status.value for status in JobStatus} == {status.value for status in WorkloadStatus}


def test_a_known_status_is_text_everywhere() -> None:
    statuses: list[str] = [JobStatus.DONE]
    assert statuses == ["Done"]
    assert f"{JobStatus.DONE} {JobStatus.DONE!s} {JobStatus.DONE:>5}" == "Done Done  Done"


@given(st.text(min_size=1))
def test_any_status_is_kept_as_it_is_spelled(status: str) -> None:
    assert Job.from_json({"id": "1", "status": status}).status == status


def test_a_job_of_which_little_is_known_is_read() -> None:
    assert Job.from_json({"id": "1", "future_field": [1]}) == Job(id="1", status="Undefined")


def test_null_means_missing() -> None:
    fields = ("status", "logs", "price", "docker_metadata", "runtime_metadata", "created_at")
    document: dict[str, object] = dict.fromkeys(fields)
    assert Job.from_json({**document, "id": "1"}) == Job(id="1", status="Undefined")


def test_an_image_without_a_tag_has_no_colon() -> None:
    document = {"id": "1", "docker_metadata": {"docker_run_parameters": {"image_name": "a/b"}}}
    assert Job.from_json(document).image == "a/b"


def docker(**parameters: object) -> dict[str, object]:
    """A job's ``docker_metadata``."""
    return {"docker_run_parameters": parameters}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "job"),
        ({}, "job.id"),
        ({"id": ""}, "job.id"),
        ({"id": 7}, "job.id"),
        ({"id": "1", "status": 3}, "job.status"),
        ({"id": "1", "docker_metadata": "SECRET"}, "job.docker_metadata"),
        ({"id": "1", "docker_metadata": docker(env_variables="SECRET")}, "env_variables"),
    ],
)
def test_a_wrong_shape_is_named_by_its_field_and_not_its_value(
    document: object, field: str
) -> None:
    with pytest.raises(MalformedResponse) as caught:
        Job.from_json(document)
    assert f"{field} " in caught.value.message
    assert "SECRET" not in str(caught.value)


ODD: list[dict[str, object]] = [
    {"logs": ["x"]},
    {"created_at": "yesterday"},
    {"done_at": 12},
    {"price": "cheap"},
    {"price": {"unit_price": "n/a"}},
    {"price": {"unit_price": "NaN"}},
    {"runtime_metadata": "none"},
    {"runtime_metadata": {"timeout_seconds": 0.5}},
    {"runtime_metadata": {"timeout_seconds": True}},
    {"docker_metadata": docker(command=["a"], image_name=7)},
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("read", [Job.from_json, Job.from_listing])
def test_what_nothing_depends_on_may_be_of_any_shape(
    read: Callable[[object], Job | None], odd: dict[str, object]
) -> None:
    assert read({"id": "1", "status": "Done", **odd}) == Job(id="1", status="Done")


def test_an_explanation_that_is_no_text_is_kept_as_json() -> None:
    assert Job.from_json({"id": "1", "errors": ["no", "disk"]}).errors == '["no", "disk"]'


@pytest.mark.parametrize(
    "odd",
    [
        {"status": 3},
        {"docker_metadata": "none", "command": "x"},
        {"docker_metadata": {"docker_run_parameters": []}},
        {"docker_metadata": docker(command="x", env_variables=["A"])},
    ],
)
def test_a_listed_job_whose_key_or_status_cannot_be_told_lives_and_has_to_be_asked_for(
    odd: dict[str, object],
) -> None:
    assert Job.from_listing({"id": "1", **odd}) == Job(id="1", status="Undefined")


@pytest.mark.parametrize("entry", [None, 7, "x", [], {}, {"id": ""}, {"id": 7, "status": "Done"}])
def test_an_entry_of_which_nothing_can_be_told_is_left_out(entry: object) -> None:
    listed = Page.from_json(
        {"jobs": [entry, {"id": "1"}]}, "jobs", Job.from_listing, page=1, limit=2
    )
    assert [job.id for job in listed.items] == ["1"]
    assert listed.has_next, "the page was full all the same"


def test_an_entry_without_an_id_is_shown_with_its_environment() -> None:
    entry = {"status": "Running", "docker_metadata": docker(env_variables={"KEY": "ours"})}
    job = Job.from_listing(entry, "jobs[4]")
    assert job is not None
    assert job.env_variables == {"KEY": "ours"}
    assert job.id == "(jobs[4], without an id)"


def test_a_shortened_log_is_an_excerpt() -> None:
    cut = {"head": "a\nb", "omitted": 10, "tail": "c\nd\n"}
    log = Job.from_json({"id": "1", "logs": cut}).logs
    assert isinstance(log, Excerpt)
    assert log.startswith("a\n[perian-shim] 13 characters")
    assert log.endswith(" left out here\nd\n")
    assert log.whole_length == 17


JOB_KEYS = [
    "id",
    "status",
    "logs",
    "head",
    "omitted",
    "tail",
    "price",
    "unit_price",
    "created_at",
    "env_variables",
    "jobs",
]
NESTED_KEYS = ["docker_metadata", "docker_run_parameters", "pagination", "total_pages", "memory"]
MACHINE_KEYS = ["cpu", "cores", "ram", "size", "name", "accelerator", "accelerator_types"]
KEYS = [*JOB_KEYS, *NESTED_KEYS, *MACHINE_KEYS]

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(documents)
@pytest.mark.parametrize(
    "read",
    [
        Job.from_json,
        Job.from_listing,
        InstanceType.from_json,
        AcceleratorType.from_json,
        Price.from_json,
        lambda document: Page.from_json(document, "jobs", Job.from_json, page=1, limit=1),
    ],
)
def test_any_json_is_read_or_malformed_and_nothing_else(
    read: Callable[[object], object], document: object
) -> None:
    with suppress(MalformedResponse):
        read(document)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05Z", MORNING.replace(microsecond=0)),
        ("2026-01-02T03:04:05", MORNING.replace(microsecond=0)),
        ("2026-01-02 03:04:05.6789", MORNING),
        ("2026-01-02T03:04:05.678900999+00:00", MORNING),
        ("2026-01-02T05:04:05.6789+02:00", MORNING),
        ("2026-01-02T05:04:05.6789+0200", MORNING),
        ("2026-01-02T01:04:05.6789-02", MORNING),
    ],
)
def test_times_are_aware_and_without_an_offset_utc(text: str, time: datetime) -> None:
    assert parse_time(text) == time
    assert parse_time(text).tzinfo is not None


@given(st.datetimes(timezones=st.timezones()))
def test_every_time_that_python_writes_is_read(time: datetime) -> None:
    text = time.astimezone(timezone.utc).isoformat()
    assert parse_time(text) == datetime.fromisoformat(text)


def official_instance_type() -> InstanceTypeView:
    return InstanceTypeView(
        id="it-1",
        name="g2-standard-4",
        provider=Provider(name_short="GCP", location=Location.US),
        region=Region(name="europe-west3", location=Location.DE),
        cpu=CpuData(no=1, cores=4),
        accelerator=AcceleratorDataView(
            no=2, accelerator_types=[AcceleratorTypeView(name=AcceleratorName.NVIDIA_L4_24)]
        ),
        ram=Memory(size="16.0", unit=MemoryUnit.GB),
        price=PRICE,
        availability=Availability(available=True),
    )


def test_every_field_of_an_official_instance_type_is_read() -> None:
    assert InstanceType.from_json(wire(official_instance_type().to_dict())) == InstanceType(
        id="it-1",
        name="g2-standard-4",
        provider="GCP",
        region="europe-west3",
        country_code="DE",
        cores=4,
        ram_gb=Decimal(16),
        accelerators=2,
        accelerator_type="NVIDIA_L4_24",
        price=Price(Decimal("1.25"), "EUR", "PER_HOUR"),
        available=True,
    )


def test_every_field_of_an_official_accelerator_type_is_read() -> None:
    official = AcceleratorTypeView(
        id="at-1",
        name=AcceleratorName.NVIDIA_A100_80,
        display_name="A100",
        vendor=AcceleratorVendor.NVIDIA,
        memory=Memory(size="80", unit=MemoryUnit.GB),
    )
    assert AcceleratorType.from_json(wire(official.to_dict())) == AcceleratorType(
        id="at-1",
        name="NVIDIA_A100_80",
        display_name="A100",
        vendor="NVIDIA",
        memory_gb=Decimal(80),
    )


@pytest.mark.parametrize(("unit", "size"), [("Gb", 2), ("Mb", 2048), ("Kb", 2 * 1024 * 1024)])
def test_memory_is_in_gigabytes_whatever_the_unit(unit: str, size: int) -> None:
    document = {"id": "1", "ram": {"size": str(size), "unit": unit}}
    assert InstanceType.from_json(document).ram_gb == 2


def page_of(document: object, *, limit: int = 2) -> Page[Job]:
    return Page.from_json(document, "jobs", Job.from_json, page=3, limit=limit)


def test_an_official_listing_is_read() -> None:
    official = GetJobsSuccess(
        jobs=[official_job()],
        pagination=PaginationMetadata(
            total_items=5, current_page=3, total_pages=5, items_per_page=1, next_page=4
        ),
    )
    page = page_of(wire(official.to_dict()))
    assert [job.status for job in page.items] == ["Running"]
    assert (page.page, page.total_pages, page.total_items, page.has_next) == (3, 5, 5, True)


def test_an_official_catalogue_is_read() -> None:
    official = GetInstanceTypesSuccess(instance_types=[official_instance_type()])
    page = Page.from_json(
        wire(official.to_dict()), "instance_types", InstanceType.from_json, page=1, limit=25
    )
    assert [item.id for item in page.items] == ["it-1"]


@pytest.mark.parametrize(
    ("pagination", "has_next"),
    [
        ({"current_page": 3, "total_pages": 3, "next_page": None}, False),
        ({"current_page": 3, "total_pages": 4}, True),
        # The schema's defaults, which a server may leave as they are.
        ({"current_page": 1, "total_pages": 1, "next_page": 1}, False),
        ({"current_page": 3, "total_pages": 1, "next_page": 4}, True),
        ({"next_page": 4}, True),
        (None, False),
    ],
)
def test_a_next_page_is_told_from_the_pagination(pagination: object, *, has_next: bool) -> None:
    document = {"jobs": [{"id": "1"}], "pagination": pagination}
    assert page_of(document).has_next is has_next


def test_without_pagination_a_full_page_may_have_a_next_one() -> None:
    assert page_of({"jobs": [{"id": "1"}, {"id": "2"}]}).has_next


@pytest.mark.parametrize("document", [{}, {"jobs": None}, {"jobs": {}}, {"pagination": {}}])
def test_a_listing_without_its_list_is_not_taken_for_empty(document: object) -> None:
    with pytest.raises(MalformedResponse, match=r"answer\.jobs should be a list"):
        page_of(document)


def test_a_wrong_item_is_named_by_its_place() -> None:
    with pytest.raises(MalformedResponse, match=r"jobs\[1\]\.status"):
        page_of({"jobs": [{"id": "1"}, {"id": "2", "status": []}]})
