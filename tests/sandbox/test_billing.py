"""The sandbox's account: its bills are reckoned anew, and agree with our own formula."""

import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perian.exceptions import ApiException
from perian.models.billing_granularity import BillingGranularity
from perian.models.currency import Currency
from perian.models.get_instance_type_request import GetInstanceTypeRequest
from perian.models.instance_typer_query_view import InstanceTyperQueryView
from support.official import wire
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api

from perian_shim.api.billing import AuditEntry, Bill, Credits
from perian_shim.api.catalogue import Price
from perian_shim.api.client import PerianClient
from perian_shim.api.costs import cost_of, price_for
from perian_shim.api.errors import Unauthorized
from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.server.application import Request
from perian_shim.sandbox.server.billing import EUROS, STEPS, Usage, amount, bill_view, rate
from perian_shim.sandbox.server.catalogue import INSTANCE_TYPES, InstanceType

START = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=timezone.utc)
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
LATER = datetime(2100, 1, 1, tzinfo=timezone.utc)
DAYS = 86400

HEADERS = {"x-perian-auth-org": ORGANIZATION, "authorization": f"Bearer {TOKEN}"}


def usage(
    seconds: float | None = 3600,
    *,
    price: str = "0.90",
    currency: str = "EUR",
    billed_by: str = "PER_HOUR",
    granularity: str = "PER_HOUR",
) -> Usage:
    ended = None if seconds is None else START + timedelta(seconds=seconds)
    return Usage("j", START, ended, Fraction(price), currency, granularity, billed_by)


def total(usages: list[Usage], start: datetime, end: datetime, currency: str = "EUR") -> Decimal:
    return Decimal(str(bill_view(usages, start, end, currency, LATER)["total_price"]))


usages = st.builds(
    lambda price, granularity, billed_by, currency, micros: usage(
        micros / 10**6,
        price=str(price),
        granularity=granularity,
        billed_by=billed_by,
        currency=currency,
    ),
    st.decimals("0.001", "50", places=3),
    st.sampled_from(sorted(STEPS)),
    st.sampled_from(sorted(STEPS)),
    st.sampled_from(sorted(EUROS)),
    st.integers(0, 10**12),
)


@given(usages)
def test_a_job_costs_here_what_our_own_formula_says(used: Usage) -> None:
    price = Price(
        Decimal(used.unit_price.numerator) / used.unit_price.denominator,
        used.currency,
        used.granularity,
        used.billed_by,
    )
    assert used.ended is not None
    seconds = Decimal((used.ended - START) // timedelta(microseconds=1)).scaleb(-6)
    ours = price_for(price, seconds)
    assert ours is not None
    assert abs(Fraction(ours) - used.paid(LATER)) < Fraction(1, 10**15)


@given(st.lists(usages, max_size=4), st.lists(st.integers(-DAYS, 20 * DAYS), max_size=5))
def test_bills_of_adjacent_intervals_are_together_that_of_all(
    used: list[Usage], cuts: list[int]
) -> None:
    edges = [LONG_AGO, *sorted(START + timedelta(seconds=cut) for cut in cuts), LATER]
    parts = sum(total(used, one, other) for one, other in itertools.pairwise(edges))
    assert abs(parts - total(used, LONG_AGO, LATER)) < Decimal("1e-7")


@pytest.mark.parametrize(
    ("seconds", "billed_by", "cost"),
    [
        (1, "PER_SECOND", "0.00025"),
        (61, "PER_MINUTE", "0.03"),
        (600, "PER_10_MINUTES", "0.15"),
        (601, "PER_10_MINUTES", "0.3"),
        (3600, "PER_HOUR", "0.9"),
        (3600.000001, "PER_HOUR", "1.8"),
        (0, "PER_HOUR", "0"),
    ],
)
def test_every_begun_step_is_on_the_bill(seconds: float, billed_by: str, cost: str) -> None:
    assert total([usage(seconds, billed_by=billed_by)], LONG_AGO, LATER) == Decimal(cost)


def test_a_step_is_on_the_bill_of_the_interval_in_which_it_begins() -> None:
    used = usage(5400)
    middle = START + timedelta(minutes=30)
    assert [total([used], LONG_AGO, middle), total([used], middle, LATER)] == [
        Decimal("0.9"),
        Decimal("0.9"),
    ]


def test_a_job_that_ran_before_or_after_is_not_on_the_bill() -> None:
    end = START + timedelta(hours=1)
    for interval in [(LONG_AGO, START), (end, LATER), (START, START)]:
        assert bill_view([usage()], *interval, "EUR", LATER)["items"] == []


def test_a_job_that_runs_is_paid_for_until_now() -> None:
    now = START + timedelta(minutes=61)
    bill = bill_view([usage(None)], LONG_AGO, LATER, "EUR", now)
    assert bill["total_price"] == "1.8"


def test_nothing_is_paid_for_in_advance() -> None:
    now = START + timedelta(minutes=1)
    assert bill_view([usage(None)], now + timedelta(hours=5), LATER, "EUR", now)["items"] == []


@pytest.mark.parametrize("currency", sorted(EUROS))
def test_an_item_is_converted_by_the_rate_that_it_shows(currency: str) -> None:
    (item,) = Bill.from_json(
        bill_view([usage(currency="USD")], LONG_AGO, LATER, currency, LATER)
    ).items
    assert (item.original_price, item.original_currency) == (Decimal("0.9"), "USD")
    assert item.exchange_rate is not None
    assert item.price == Decimal("0.9") * item.exchange_rate


def test_there_and_back_is_the_same_amount() -> None:
    for one in EUROS:
        for other in EUROS:
            assert rate(one, other) * rate(other, one) == 1


@given(st.fractions(0, 10**6))
def test_an_amount_is_shown_far_below_a_cent_and_without_an_exponent(value: Fraction) -> None:
    assert "E" not in amount(value)
    assert abs(Fraction(amount(value)) - value) <= Fraction(1, 10**10)


def test_the_catalogue_has_every_granularity_and_several_currencies() -> None:
    assert {offer.provider.billed_by for offer in INSTANCE_TYPES} == set(STEPS)
    assert {offer.currency for offer in INSTANCE_TYPES} == {"EUR", "USD"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An account with a job of each provider, all of which have ended, and one that still waits."""
    with running_api(tmp_path_factory.mktemp("state")) as running:
        offers = {offer.provider.name: offer for offer in INSTANCE_TYPES}
        ended = [running.submit("true", instance_type=offer.id) for offer in offers.values()]
        for job_id in ended:
            running.finished(job_id)
        assert running.run("true", image="no.such/image").started_at is None
        yield running


@pytest.fixture
def client(api: Api) -> Iterator[PerianClient]:
    with PerianClient(api.server.url, ORGANIZATION, TOKEN) as connected:
        yield connected


def offer_of(provider: str) -> InstanceType:
    return next(offer for offer in INSTANCE_TYPES if offer.provider.short == provider)


def test_a_bill_is_to_the_cent_what_our_formula_makes_of_the_jobs(client: PerianClient) -> None:
    bill = client.get_bill(LONG_AGO, LATER)
    euros = Decimal(0)
    for job in client.iter_jobs():
        cost = cost_of(job)
        assert cost is not None
        items = [item for item in bill.items if item.job_id == job.id]
        assert len(items) == (job.started_at is not None)
        for item in items:
            assert item.original_price == pytest.approx(cost.amount, abs=Decimal("1e-9"))
            assert item.original_currency == cost.currency
            assert job.price is not None
            assert item.granularity == job.price.billed_by
            assert item.exchange_rate is not None
            euros += cost.amount * item.exchange_rate
    assert len(bill.items) == 5
    assert bill.total == sum(item.price for item in bill.items)
    assert bill.total == pytest.approx(euros, abs=Decimal("1e-8"))
    assert (bill.currency, bill.margin_multiplier) == ("EUR", Decimal(1))


def test_credits_are_what_was_there_less_what_was_used(client: PerianClient) -> None:
    left = client.get_credits()
    assert left.original_amount == 1000
    assert left.amount == pytest.approx(
        1000 - client.get_bill(LONG_AGO, LATER).total, abs=Decimal("1e-8")
    )
    assert left.last_calculated is not None


def test_the_official_client_and_ours_read_the_same_bill(api: Api, client: PerianClient) -> None:
    official = api.billing.generate_bill(ORGANIZATION, "USD", START - timedelta(DAYS), LATER)
    assert official.currency == Currency.USD
    assert {item.granularity for item in official.items} == set(BillingGranularity) - {
        BillingGranularity.UNDEFINED
    }
    read = Bill.from_json(wire(official.to_dict()))
    assert read == client.get_bill(START - timedelta(DAYS), LATER, "USD")


def test_the_official_client_and_ours_read_the_same_credits(api: Api, client: PerianClient) -> None:
    official = Credits.from_json(wire(api.billing.get_remaining_credits().to_dict()))
    ours = client.get_credits()
    assert (ours.amount, ours.currency) == (official.amount, official.currency)
    assert ours.original_amount == official.original_amount


def test_the_official_client_and_ours_read_the_same_audit_log(
    api: Api, client: PerianClient
) -> None:
    with pytest.raises(ApiException):
        api.jobs.get_job_by_id("00000000-0000-4000-8000-000000000000")
    logs = api.organization.get_organization_audit_logs_organization_logs_get(page_size=1)
    assert logs.audit_logs is not None
    (official,) = [AuditEntry.from_json(wire(entry.to_dict())) for entry in logs.audit_logs]
    page = client.list_audit_log(page_size=3)
    assert page.items[1] == official
    assert (official.method, official.status_code, official.outcome) == ("GET", 400, "Error")
    assert official.url == f"{api.server.url}/job/00000000-0000-4000-8000-000000000000"
    assert official.ip == "127.0.0.1"
    assert (official.user_agent or "").startswith("OpenAPI-Generator/")
    assert page.has_next
    # Reading the log is in the log too.
    assert page.items[0].url == f"{api.server.url}/organization/logs?page_size=1"


def test_who_has_the_wrong_token_is_in_the_audit_log_and_strangers_are_not(
    api: Api, client: PerianClient
) -> None:
    for organization, token in ((ORGANIZATION, "wrong"), ("strangers", TOKEN)):
        with (
            PerianClient(api.server.url, organization, token) as other,
            pytest.raises(Unauthorized),
        ):
            other.get_bill(LONG_AGO, LATER)
    entry = client.list_audit_log(page_size=1).items[0]
    assert (entry.status_code, entry.outcome) == (401, "Error")
    assert "organization=acme" in (entry.url or "")


def test_all_instance_and_accelerator_types_are_iterated(client: PerianClient) -> None:
    offers = list(client.iter_instance_types(limit=4))
    assert {offer.id for offer in offers} == {o.id for o in INSTANCE_TYPES if o.available}
    assert {offer.price.billed_by for offer in offers if offer.price} == set(STEPS)
    assert len(list(client.iter_accelerator_types())) == 9


def test_instance_types_are_found_by_how_they_are_billed(api: Api) -> None:
    query = InstanceTyperQueryView(billing_granularity="PER_MINUTE")
    found = api.instance_types.get_instance_type_by_requirements(
        GetInstanceTypeRequest(instance_type_query=query)
    ).instance_types
    assert {offer.provider.name_short for offer in found or [] if offer.provider} == {"OVH"}


def ask(api: Api, query: str) -> tuple[int, dict[str, object]]:
    request = Request("GET", "/billing/generate", parse_qs(query), HEADERS)
    response = api.server.application(request)
    return response.status, json.loads(response.body)


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("", 422, "organization"),
        (f"organization={ORGANIZATION}&start_time=soon", 422, "start_time"),
        ("organization=other", 400, "The given organization could not be found."),
        (
            f"organization={ORGANIZATION}&start_time=2026-02-01&end_time=2026-01-01",
            400,
            "Start date must be before end date",
        ),
        (f"organization={ORGANIZATION}&currency=GBP", 400, "Unknown currency: GBP"),
    ],
)
def test_a_bill_that_there_is_not_is_refused(api: Api, query: str, status: int, word: str) -> None:
    answered, body = ask(api, query)
    assert answered == status
    assert word in json.dumps(body)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.000000%2B0000",
        "2026-01-02T03:04:05.000000+0000",
        "2026-01-02T05:04:05%2B02:00",
        "2026-01-02T01:34:05-0130",
    ],
)
def test_times_are_read_as_clients_write_them(api: Api, moment: str) -> None:
    _, bill = ask(api, f"organization={ORGANIZATION}&start_time={moment}")
    assert datetime.fromisoformat(str(bill["start_time"])) == START.replace(microsecond=0)


def test_a_bill_is_of_the_last_month_unless_it_says_otherwise(tmp_path: Path) -> None:
    def noon() -> datetime:
        return datetime(2026, 3, 15, 12, tzinfo=timezone.utc)

    with running_api(tmp_path, clock=noon) as running:
        bill = Bill.from_json(wire(running.billing.generate_bill(ORGANIZATION).to_dict()))
    assert (bill.start.isoformat(), bill.end.isoformat()) == (
        "2026-02-01T00:00:00+00:00",
        "2026-03-01T00:00:00+00:00",
    )


def test_what_there_is_to_spend_is_a_setting(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, start_credits="12.50")
    assert sandbox.start_credits == Decimal("12.5")
    for value in ("much", "-1", "NaN"):
        with pytest.raises(ValueError, match="start_credits: expected an amount"):
            Sandbox(tmp_path, start_credits=value)


def test_an_account_can_be_overdrawn(tmp_path: Path) -> None:
    offer = offer_of("OTC")
    with running_api(tmp_path, start_credits=Decimal("0.01")) as running:
        running.finished(running.submit("true", instance_type=offer.id))
        left = running.billing.get_remaining_credits()
    assert Decimal(left.current_amount) == Decimal("0.01") - offer.price
