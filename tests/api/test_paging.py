"""Pages of listings, and going through them while they change."""

import pytest
from perian.models.get_instance_types_success import GetInstanceTypesSuccess
from perian.models.get_jobs_success import GetJobsSuccess
from perian.models.pagination_metadata import PaginationMetadata
from support.official import official_instance_type, official_job, wire

from perian_shim.api import InstanceType, Job, MalformedResponse, Page


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
