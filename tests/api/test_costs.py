"""What a job costs: every begun step of its granularity, from when it began to run."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api.catalogue import SECONDS, Price
from perian_shim.api.costs import Cost, cost_of, currency_of, money, price_for
from perian_shim.api.jobs import Job

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
HOURLY = Price(Decimal("3.60"), "EUR", "PER_HOUR")

ROUNDING = Fraction(1, 10**20)
"""Decimals have 28 digits: a third of anything is as good as exact."""


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def ended(seconds: float, price: Price | None = HOURLY, status: str = "Done") -> Job:
    return Job("j", status, started_at=NOON, done_at=after(seconds), price=price)


@pytest.mark.parametrize("granularity", [*SECONDS, "per_minute"])
@pytest.mark.parametrize(
    ("part", "steps"), [(0.0, 0), (0.001, 1), (1.0, 1), (1.001, 2), (2.0, 2), (10.5, 11)]
)
def test_each_begun_step_counts(granularity: str, part: float, steps: int) -> None:
    seconds = part * SECONDS[granularity.upper()]
    assert price_for(Price(Decimal("0.25"), "EUR", granularity), seconds) == steps * Decimal("0.25")


@pytest.mark.parametrize(
    ("billed_by", "cost"),
    [
        ("PER_SECOND", "0.061"),
        ("PER_MINUTE", "0.12"),
        ("PER_10_MINUTES", "0.60"),
        ("PER_HOUR", "3.60"),
        ("UNDEFINED", "3.60"),
        (None, "3.60"),
    ],
)
def test_a_machine_is_paid_for_in_the_steps_of_its_provider(
    billed_by: str | None, cost: str
) -> None:
    price = Price(Decimal("3.60"), "EUR", "PER_HOUR", billed_by)
    assert price_for(price, 61) == Decimal(cost)


def test_steps_may_be_longer_than_what_the_price_is_for() -> None:
    assert price_for(Price(Decimal("0.001"), "EUR", "PER_SECOND", "PER_MINUTE"), 61) == Decimal(
        "0.120"
    )


@pytest.mark.parametrize(
    "price",
    [
        None,
        Price(None, "EUR", "PER_HOUR"),
        Price(Decimal(0), "EUR", "PER_HOUR"),
        Price(Decimal(-1), "EUR", "PER_HOUR"),
        Price(Decimal(1), "EUR", None),
        Price(Decimal(1), "EUR", "UNDEFINED"),
        Price(Decimal(1), "EUR", "UNDEFINED", "PER_HOUR"),
        Price(Decimal(1), "EUR", "PER_FORTNIGHT"),
    ],
)
def test_what_has_no_known_price_has_no_cost(price: Price | None) -> None:
    assert price_for(price, 10) is None
    assert cost_of(ended(10, price)) is None


def test_a_job_costs_what_it_ran() -> None:
    assert cost_of(ended(3601)) == Cost(Decimal("7.20"), "EUR", Decimal(3601), final=True)


@pytest.mark.parametrize("status", ["Done", "UserError", "ServerError", "Timeout", "Cancelled"])
def test_however_it_ended(status: str) -> None:
    cost = cost_of(ended(1, status=status), now=after(99999))
    assert cost is not None
    assert (cost.amount, cost.final) == (Decimal("3.60"), True)


def test_a_job_that_runs_costs_what_it_has_run_so_far() -> None:
    running = Job("j", "Running", started_at=NOON, price=HOURLY)
    assert cost_of(running, after(60)) == Cost(Decimal("3.60"), "EUR", Decimal(60), final=False)
    assert cost_of(running) is None


def test_a_job_whose_end_is_not_told_ended_when_it_last_changed() -> None:
    job = Job("j", "Cancelled", started_at=NOON, updated_at=after(7), price=HOURLY)
    cost = cost_of(job)
    assert cost is not None
    assert cost.seconds == 7
    assert cost_of(Job("j", "Cancelled", started_at=NOON, price=HOURLY)) is None


@pytest.mark.parametrize("status", ["Cancelled", "ServerError", "UserError", "Timeout"])
def test_a_job_that_never_ran_costs_nothing(status: str) -> None:
    nothing = Cost(Decimal(0), "EUR", Decimal(0), final=True)
    assert cost_of(Job("j", status, done_at=NOON, price=HOURLY)) == nothing


@pytest.mark.parametrize("status", ["Queued", "Initializing"])
def test_a_job_that_waits_costs_nothing_yet(status: str) -> None:
    assert cost_of(Job("j", status, price=HOURLY), NOON) == Cost(
        Decimal(0), "EUR", Decimal(0), final=False
    )
    assert cost_of(Job("j", status, price=HOURLY)) is None


@pytest.mark.parametrize("status", ["Done", "Running", "Undefined"])
def test_a_job_that_ran_at_an_unknown_time_has_an_unknown_cost(status: str) -> None:
    assert cost_of(Job("j", status, done_at=NOON, price=HOURLY), NOON) is None


def test_clocks_that_disagree_make_nothing_cheaper_than_free() -> None:
    cost = cost_of(ended(-5))
    assert cost is not None
    assert (cost.amount, cost.seconds) == (Decimal(0), Decimal(0))


@pytest.mark.parametrize(("named", "known"), [("EUR", "EUR"), ("Undefined", None), (None, None)])
def test_an_undefined_currency_is_none(named: str | None, known: str | None) -> None:
    assert currency_of(Price(Decimal(1), named, "PER_HOUR")) == known
    assert currency_of(None) is None


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("12.3456", "EUR", "12.35 EUR"),
        ("0", "EUR", "0.00 EUR"),
        ("3", None, "3.00"),
        ("0.01", "USD", "0.01 USD"),
        ("0.004567", "USD", "0.0046 USD"),
        ("0.00001", "USD", "<0.0001 USD"),
        ("1E+30", "USD", f"1{'0' * 30}.00 USD"),
    ],
)
def test_an_amount_is_shown_in_cents_and_finer_where_they_say_nothing(
    amount: str, currency: str | None, shown: str
) -> None:
    assert money(Decimal(amount), currency) == shown


def test_a_cost_is_shown_as_its_amount() -> None:
    assert str(cost_of(ended(1))) == "3.60 EUR"


prices = st.builds(
    Price,
    st.decimals("0.001", "100", places=3),
    st.just("EUR"),
    st.sampled_from(list(SECONDS)),
    st.none() | st.sampled_from(list(SECONDS)),
)
durations = st.decimals(0, 10_000_000, places=6)


def fraction(price: Price, seconds: Decimal) -> Fraction:
    found = price_for(price, seconds)
    assert found is not None
    return Fraction(found)


@given(prices, durations, durations)
def test_who_runs_longer_never_pays_less(price: Price, one: Decimal, other: Decimal) -> None:
    shorter, longer = sorted((one, other))
    assert fraction(price, shorter) <= fraction(price, longer)


@given(prices, durations)
def test_nobody_pays_less_than_the_time_used_or_a_whole_step_more(
    price: Price, seconds: Decimal
) -> None:
    assert price.unit_price is not None
    assert price.seconds is not None
    assert price.billed_seconds is not None
    per_second = Fraction(price.unit_price) / price.seconds
    exact = per_second * Fraction(seconds)
    cost = fraction(price, seconds)
    assert exact - ROUNDING <= cost
    assert cost < exact + per_second * price.billed_seconds + ROUNDING


@given(prices, st.integers(0, 10**10))
def test_a_job_costs_what_its_time_costs_to_the_microsecond(price: Price, micros: int) -> None:
    job = Job("j", "Done", started_at=NOON, done_at=NOON + timedelta(microseconds=micros))
    cost = cost_of(Job(**{**vars(job), "price": price}))
    assert cost is not None
    assert cost.seconds == Decimal(micros).scaleb(-6)
    assert cost.amount == price_for(price, Decimal(micros).scaleb(-6))
