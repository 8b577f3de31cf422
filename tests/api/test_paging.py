"""Pages of listings, and going through them while they change."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perian.models.get_instance_types_success import GetInstanceTypesSuccess
from perian.models.get_jobs_success import GetJobsSuccess
from perian.models.pagination_metadata import PaginationMetadata
from support.official import official_instance_type, official_job, wire
from support.profiles import examples

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.errors import MalformedResponse
from perian_shim.api.jobs import Job
from perian_shim.api.pages import Page
from perian_shim.api.paging import Pager


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


def test_entries_that_cannot_be_read_count() -> None:
    document = {"jobs": [None, {"id": "1"}]}
    page = Page.from_json(document, "jobs", Job.from_listing, page=1, limit=2)
    assert (page.length, page.unreadable, page.has_next) == (2, 1, True)


def test_a_listing_that_comes_as_a_whole_has_no_next_page() -> None:
    assert not page_of({"jobs": [{"id": str(number)} for number in range(5)]}).has_next


# --- going through the pages ---

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


@dataclass
class Listing:
    """A server's listing of jobs, the newest first unless it is turned round.

    Attributes:
        jobs: how many there are, numbered by age.
        totals: whether pages tell how many there are.
        longest: the server's own limit.
        oldest_first: whether it is turned round.
    """

    jobs: int
    totals: bool = True
    longest: int = 1000
    oldest_first: bool = False
    gone: set[int] = field(default_factory=set)

    def page(self, number: int, limit: int) -> Page[Job]:
        size = min(limit, self.longest)
        ages = [age for age in range(self.jobs) if age not in self.gone]
        ordered = ages if self.oldest_first else ages[::-1]
        shown = [job_of(age) for age in ordered[(number - 1) * size : number * size]]
        total = len(ages) if self.totals else None
        return Page(tuple(shown), number, None, total, has_next=number * size < len(ages))


def job_of(age: int) -> Job:
    return Job(f"job-{age}", "Running", created_at=NOON + timedelta(seconds=age))


def drive(
    pager: Pager, listing: Listing, before_page: Callable[[], bool] = lambda: True
) -> tuple[list[str], int]:
    """Go through a listing to the end; return what was given and how many pages that took.

    Args:
        pager: decides.
        listing: is asked.
        before_page: happens before each page; returns whether the page can be had.
    """
    given: list[str] = []
    asked = 0
    while (request := pager.next_request()) is not None:
        asked += 1
        assert asked < 20_000, "it ends"
        if before_page():
            given += [job.id for job in pager.take(listing.page(*request))]
        else:
            pager.shrink()
    return given, asked


def names(count: int) -> set[str]:
    return {f"job-{age}" for age in range(count)}


@pytest.mark.parametrize(("jobs", "pages"), [(0, 1), (1, 1), (100, 1), (101, 2), (1234, 13)])
def test_a_listing_that_stands_still_is_read_page_by_page(jobs: int, pages: int) -> None:
    pager = Pager()
    shown, asked = drive(pager, Listing(jobs))
    assert shown == [f"job-{age}" for age in reversed(range(jobs))]
    assert (asked, pager.complete) == (pages, True)


@pytest.mark.parametrize(("least", "most"), [(0, 2), (75, 99), (100, 150), (0, 300), (900, 1000)])
def test_the_end_is_reached_although_more_jobs_arrive_than_a_page_holds(
    least: int, most: int
) -> None:
    chance = random.Random(most)
    listing = Listing(5000)

    def arrive() -> bool:
        listing.jobs += chance.randint(least, most)
        return True

    pager = Pager()
    shown, asked = drive(pager, listing, arrive)
    assert pager.complete
    assert names(5000) <= set(shown)
    assert asked < (60 if most < 3 else 600)


def test_a_page_that_brings_nothing_new_does_not_end_the_listing() -> None:
    listing = Listing(500, totals=False)
    burst = iter([0, 200, 0, 0, 150])

    def arrive() -> bool:
        listing.jobs += next(burst, 0)
        return True

    pager = Pager()
    shown, _ = drive(pager, listing, arrive)
    assert pager.complete
    assert names(500) <= set(shown)


steps = st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60)


@settings(max_examples=examples(100))
@given(
    jobs=st.integers(0, 120),
    limit=st.integers(1, 20),
    longest=st.integers(1, 25),
    totals=st.booleans(),
    oldest_first=st.booleans(),
    steps=steps,
)
def test_whatever_arrives_and_fails_a_complete_listing_misses_no_job_and_repeats_none(
    jobs: int,
    limit: int,
    longest: int,
    totals: bool,
    oldest_first: bool,
    steps: list[tuple[int, bool]],
) -> None:
    listing = Listing(jobs, totals, longest, oldest_first)
    coming = iter(steps)

    def happens() -> bool:
        arrived, had = next(coming, (0, True))
        listing.jobs += arrived
        return had

    pager = Pager(limit)
    shown, _ = drive(pager, listing, happens)
    assert len(shown) == len(set(shown))
    if totals:
        assert pager.complete
    assert not pager.complete or names(jobs) <= set(shown)


@given(st.sets(st.integers(0, 59)), st.integers(1, 5))
def test_jobs_that_go_away_do_not_hide_others(gone: set[int], at: int) -> None:
    listing = Listing(60)
    pages = iter(range(100))

    def happens() -> bool:
        listing.gone |= gone if next(pages) == at else set()
        return True

    shown, _ = drive(Pager(10), listing, happens)
    assert names(60) - {f"job-{age}" for age in gone} <= set(shown)


def test_a_server_that_keeps_showing_the_same_is_given_up() -> None:
    pager = Pager()
    same = Page((job_of(1),), 1, total_pages=9, total_items=900, has_next=True)
    asked = 0
    while pager.next_request() is not None:
        pager.take(same)
        asked += 1
    assert not pager.complete
    assert asked < 10


def test_a_server_that_promises_pages_and_shows_none_has_no_more() -> None:
    pager = Pager()
    pager.take(Page((), 1, total_pages=9, has_next=True))
    assert pager.complete
    assert pager.next_request() is None


def test_a_listing_without_end_is_given_up_after_so_many_pages() -> None:
    pager = Pager(limit=10, max_pages=7)
    shown, asked = drive(pager, Listing(10**6))
    assert (len(shown), asked, pager.complete) == (70, 7, False)


def test_a_page_that_cannot_be_had_is_asked_for_in_ever_smaller_ones() -> None:
    pager = Pager()
    asked = [pager.next_request()]
    while pager.shrink():
        asked.append(pager.next_request())
    assert asked == [(1, 100), (1, 50), (1, 25), (1, 12), (1, 6), (1, 3), (1, 1)]
    assert pager.next_request() == (1, 1)


def test_after_a_failure_the_next_page_begins_where_the_last_one_ended() -> None:
    listing = Listing(1000)
    pager = Pager()
    for number in range(1, 4):
        assert pager.next_request() == (number, 100)
        pager.take(listing.page(number, 100))
    pager.shrink()
    assert pager.next_request() == (7, 50)
    pager.shrink()
    pager.shrink()
    assert pager.next_request() == (26, 12), "and shows no fewer than all that follow 300"


def test_pages_grow_again_once_they_can_be_had() -> None:
    outage = iter([True, *[False] * 10])
    pager = Pager()
    shown, asked = drive(pager, Listing(1000), lambda: next(outage, True))
    assert len(shown) == 1000
    assert asked < 10 + 20


def test_a_size_that_fails_again_and_again_is_tried_ever_more_rarely() -> None:
    failures = 0
    listing = Listing(5000)
    pager = Pager()
    while (request := pager.next_request()) is not None:
        if request[1] > 30:
            failures += 1
            pager.shrink()
        else:
            pager.take(listing.page(*request))
    assert pager.complete
    assert failures < 12
