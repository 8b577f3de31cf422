"""What jobs cost: sums that add up, whatever they are grouped by and however time is cut."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.past_jobs import origin

from perian_shim.api.billing import Bill, BillItem
from perian_shim.api.catalogue import SECONDS, Price
from perian_shim.api.jobs import Job
from perian_shim.remote.spending import GROUPS, By, CostReport, report

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
END = START + timedelta(days=30)
HOUR = timedelta(hours=1)
EURO = Price(Decimal(6), "EUR", "PER_HOUR", "PER_10_MINUTES")


def job(job_id: str = "j", **changes: Any) -> Job:
    """A job that ran for an hour and cost 6 EUR."""
    usual = Job(
        job_id,
        "Done",
        started_at=START + HOUR,
        done_at=START + 2 * HOUR,
        price=EURO,
        env_variables=origin("vision", "x1", "train", "ann"),
    )
    return replace(usual, **changes)


def of(*jobs: Job, by: By = "project", bill: Bill | None = None) -> CostReport:
    return report(jobs, bill, START, END, by)


@pytest.mark.parametrize(
    ("by", "group"),
    [
        ("project", "vision/production"),
        ("execution", "vision/production/x1"),
        ("task", "train"),
        ("owner", "ann"),
        ("day", "2026-01-01"),
    ],
)
def test_jobs_are_summed_up_by_what_is_asked(by: By, group: str) -> None:
    (line,) = of(job("a"), job("b"), by=by).lines
    assert (line.group, line.currency, line.jobs) == (group, "EUR", 2)
    assert (line.computed, line.seconds) == (Decimal(12), Decimal(7200))


@pytest.mark.parametrize(
    ("variables", "by", "group"),
    [
        ({}, "project", "(not from Flyte)"),
        (origin(), "project", "(local runs)"),
        (origin(), "execution", "(local runs)"),
        (origin(), "owner", "(not said)"),
        (origin(), "task", "(not said)"),
        ({}, "day", "2026-01-01"),
    ],
)
def test_what_belongs_nowhere_is_named_so(variables: dict[str, str], by: By, group: str) -> None:
    (line,) = of(job(env_variables=variables), by=by).lines
    assert line.group == group


def test_currencies_are_never_added_up() -> None:
    dollars = Price(Decimal(5), "USD", "PER_HOUR")
    found = of(job("a"), job("b", price=dollars))
    assert [(each.group, each.currency, each.computed) for each in found.lines] == [
        ("vision/production", "EUR", Decimal(6)),
        ("vision/production", "USD", Decimal(5)),
    ]
    assert [(each.currency, each.computed) for each in found.totals] == [
        ("EUR", Decimal(6)),
        ("USD", Decimal(5)),
    ]


def test_the_dearest_group_comes_first() -> None:
    cheap, dear = origin("cheap"), origin("dear")
    jobs = (
        job("a", env_variables={**cheap, **origin("cheap", "x")}),
        *(job(each, env_variables={**dear, **origin("dear", "x")}) for each in "bc"),
    )
    assert [each.group for each in of(*jobs).lines] == ["dear/production", "cheap/production"]


def test_days_come_in_their_order() -> None:
    later = job("a", started_at=START + 2 * 24 * HOUR, done_at=START + 5 * 24 * HOUR)
    assert [each.group for each in of(later, job("b"), by="day").lines] == [
        "2026-01-01",
        "2026-01-03",
    ]


@pytest.mark.parametrize(
    ("changes", "jobs", "computed"),
    [
        ({"started_at": None, "status": "UserError"}, 0, 0),
        ({"started_at": None, "status": "Queued", "done_at": None}, 0, 0),
        ({"started_at": START - 9 * HOUR, "done_at": START - 8 * HOUR}, 0, 0),
        ({"started_at": END}, 0, 0),
        ({"started_at": START - HOUR, "done_at": START + HOUR}, 1, 6),
        ({"started_at": END - HOUR, "done_at": END + HOUR}, 1, 6),
        ({"done_at": None, "updated_at": START + 3 * HOUR}, 1, 12),
    ],
)
def test_a_job_counts_with_what_was_paid_within_the_interval(
    changes: dict[str, Any], jobs: int, computed: int
) -> None:
    found = of(job(**changes))
    assert sum(each.jobs for each in found.totals) == jobs
    assert sum(each.computed for each in found.totals) == computed


def test_a_job_that_runs_counts_until_the_end_of_the_interval() -> None:
    (line,) = of(job(status="Running", started_at=END - HOUR, done_at=None)).lines
    assert (line.running, line.computed) == (1, Decimal(6))


def test_a_job_that_ended_later_still_ran_at_the_end_of_the_interval() -> None:
    (line,) = of(job(started_at=END - HOUR, done_at=END + HOUR)).lines
    assert (line.running, line.computed) == (1, Decimal(6))


@pytest.mark.parametrize(
    "changes",
    [
        {"price": None},
        {"price": Price(None, "EUR")},
        {"started_at": None},
        {"done_at": None, "updated_at": None},
    ],
)
def test_a_cost_that_cannot_be_told_is_counted_as_that(changes: dict[str, Any]) -> None:
    (line,) = of(job(**changes)).lines
    assert (line.jobs, line.unpriced, line.computed) == (1, 1, Decimal(0))


def bill(*items: BillItem) -> Bill:
    total = sum((item.price for item in items), Decimal(0))
    return Bill(START, END, total, "EUR", Decimal("1.1"), items)


def test_the_bill_is_compared_in_the_machines_currency() -> None:
    dollars = Price(Decimal(5), "USD", "PER_HOUR")
    item = BillItem("j", Decimal("4.40"), "EUR", Decimal("5.50"), "USD", Decimal("0.8"))
    found = of(job(price=dollars), bill=bill(item))
    (line,) = found.lines
    assert (line.currency, line.computed, line.billed) == ("USD", Decimal(5), Decimal("5.50"))
    assert line.difference == Decimal("0.5")
    assert (str(found.bill), found.margin_multiplier) == ("4.40 EUR", Decimal("1.1"))


def test_a_bill_that_names_no_original_price_is_compared_in_its_own_currency() -> None:
    (line,) = of(job(), bill=bill(BillItem("j", Decimal(7), "EUR"))).lines
    assert line.difference == 1


def test_what_is_billed_in_another_currency_has_a_line_of_its_own() -> None:
    found = of(job(), bill=bill(BillItem("j", Decimal(7), "CHF")))
    assert [(each.currency, each.difference) for each in found.lines] == [
        ("CHF", Decimal(7)),
        ("EUR", Decimal(-6)),
    ]


def test_what_is_billed_for_a_job_that_is_not_listed_is_shown() -> None:
    found = of(bill=bill(BillItem("gone", Decimal(7), "EUR")))
    (line,) = found.lines
    assert (line.group, line.jobs, line.billed) == ("(only on the bill)", 0, Decimal(7))


def test_without_a_bill_there_is_no_difference() -> None:
    (line,) = of(job()).lines
    assert (line.billed, line.difference) == (None, None)


def test_dust_is_no_difference() -> None:
    (line,) = of(job(), bill=bill(BillItem("j", Decimal("5.9999999999"), "EUR"))).lines
    assert str(line.difference) == "0.000000"


# --- sums, for all times and prices ---

moments = st.integers(0, int(timedelta(days=40) / timedelta(microseconds=1))).map(
    lambda micro: START + timedelta(microseconds=micro)
)
granularities = st.sampled_from(sorted(SECONDS))
prices = st.builds(
    Price,
    st.decimals("0.0001", "100", places=4),
    st.sampled_from(["EUR", "USD", None]),
    granularities,
    st.none() | granularities,
)
origins = st.builds(
    origin,
    st.sampled_from(["", "vision", "speech"]),
    st.sampled_from(["", "x1", "x2"]),
    st.sampled_from(["", "train", "score"]),
    st.sampled_from(["", "ann", "bob"]),
)


@st.composite
def some_jobs(draw: st.DrawFn) -> list[Job]:
    found = []
    for number in range(draw(st.integers(0, 8))):
        first, last = sorted((draw(moments), draw(moments)))
        ended = draw(st.booleans())
        found.append(
            Job(
                f"j{number}",
                "Done" if ended else "Running",
                started_at=draw(st.sampled_from([first, None])),
                done_at=last if ended else None,
                price=draw(prices),
                env_variables=draw(origins),
            )
        )
    return found


def totals(found: CostReport) -> dict[str | None, tuple[Decimal, Decimal]]:
    """Costs and seconds by currency, rounded far below a cent; lines of nothing are left out."""
    return {
        line.currency: (round(line.computed, 12), line.seconds)
        for line in found.totals
        if line.computed or line.seconds
    }


@given(some_jobs(), st.sampled_from(GROUPS))
def test_the_groups_add_up_to_the_totals(jobs: list[Job], by: By) -> None:
    found = of(*jobs, by=by)
    assert len({(line.group, line.currency) for line in found.lines}) == len(found.lines)
    for total in found.totals:
        own = [line for line in found.lines if line.currency == total.currency]
        assert abs(sum(line.computed for line in own) - total.computed) < Decimal("1e-20")
        assert sum(line.seconds for line in own) == total.seconds
        assert sum(line.jobs for line in own) == total.jobs


@given(some_jobs())
def test_the_totals_are_the_same_whatever_is_summed_up(jobs: list[Job]) -> None:
    found = [totals(of(*jobs, by=by)) for by in GROUPS]
    assert all(each == found[0] for each in found)


@given(some_jobs(), st.lists(moments, min_size=2, max_size=6, unique=True))
def test_adjacent_intervals_are_together_that_of_all(jobs: list[Job], cuts: list[datetime]) -> None:
    first, *_, last = edges = sorted(cuts)
    whole = totals(report(jobs, None, first, last, "project"))
    parts: dict[str | None, tuple[Decimal, Decimal]] = {}
    for since, until in itertools.pairwise(edges):
        for name, (cost, seconds) in totals(report(jobs, None, since, until, "task")).items():
            before = parts.get(name, (Decimal(0), Decimal(0)))
            parts[name] = (before[0] + cost, before[1] + seconds)
    assert set(parts) == set(whole)
    for name, (cost, seconds) in whole.items():
        assert abs(parts[name][0] - cost) < Decimal("1e-9")
        assert parts[name][1] == seconds


@given(some_jobs())
def test_a_job_costs_its_time_and_less_than_one_step_more(jobs: list[Job]) -> None:
    for each in jobs:
        for line in report([each], None, START, START + timedelta(days=41), "day").lines:
            price = each.price
            assert price is not None
            assert price.unit_price is not None
            assert price.seconds is not None
            assert price.billed_seconds is not None
            a_second = price.unit_price / price.seconds
            at_least = line.seconds * a_second
            dust = Decimal("1e-15")
            assert at_least - dust <= line.computed < at_least + price.billed_seconds * a_second
