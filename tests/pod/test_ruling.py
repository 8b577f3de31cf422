"""What the rules make of a task: nothing that is submitted breaks one, whatever the task asks."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from perian_shim.api.catalogue import InstanceType, Price
from perian_shim.api.costs import price_for
from perian_shim.api.job_request import Requirements
from perian_shim.errors import AgainstPolicy
from perian_shim.lifecycle.rules import Rules
from perian_shim.pod.policy import PlatformPolicy
from perian_shim.pod.ruling import Wish, chosen, constrained, misplaced, refuse
from perian_shim.settings import JOB_RULES

PROVIDERS = ("OTC", "OVH", "GCP")
COUNTRIES = ("DE", "FR", "US")
TYPES = ("small", "large", "huge")
CURRENCIES = ("EUR", "USD")


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | values


def some(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple)


amounts = st.decimals(Decimal("0.01"), Decimal(20), places=2)
seconds = st.integers(1, 200_000)


@st.composite
def policies(draw: st.DrawFn) -> PlatformPolicy:
    hour, run = draw(maybe(amounts)), draw(maybe(amounts))
    most = draw(maybe(seconds))
    usual = draw(maybe(st.integers(1, most if isinstance(most, int) else 1000)))
    priced = hour is not None or run is not None
    return PlatformPolicy(
        max_price_per_hour=hour,  # type: ignore[arg-type]  # a price or none
        max_price_per_run=run,  # type: ignore[arg-type]  # the same
        currency=draw(st.sampled_from(CURRENCIES)) if priced else None,
        providers=draw(some(PROVIDERS)),
        countries=draw(some(COUNTRIES)),
        instance_types=draw(some(TYPES)),
        max_timeout_seconds=most,  # type: ignore[arg-type]  # a number or none
        default_timeout_seconds=usual,  # type: ignore[arg-type]  # the same
    )


@st.composite
def wishes(draw: st.DrawFn, policy: PlatformPolicy) -> Wish:
    own = draw(maybe(seconds))
    asked = Requirements(
        cores=1,
        provider=draw(maybe(st.sampled_from([each.lower() for each in PROVIDERS]))),  # type: ignore[arg-type]  # a name or none
        country_code=draw(maybe(st.sampled_from(COUNTRIES))),  # type: ignore[arg-type]  # the same
        max_price_per_hour=draw(maybe(amounts)),  # type: ignore[arg-type]  # a price or none
    )
    return Wish(asked, None, own, own or policy.usual_timeout)  # type: ignore[arg-type]  # numbers


@st.composite
def machines(draw: st.DrawFn) -> InstanceType:
    currency = draw(st.sampled_from((*CURRENCIES, None)))
    granularity = draw(st.sampled_from(("PER_HOUR", "PER_MINUTE")))
    price = Price(draw(amounts), currency, granularity, draw(st.sampled_from((None, "PER_HOUR"))))
    return InstanceType(
        draw(st.uuids()).hex,
        draw(st.sampled_from(TYPES)),
        draw(st.sampled_from(PROVIDERS)),
        country_code=draw(st.sampled_from(COUNTRIES)),
        price=draw(st.sampled_from((price, None))),
    )


def offered(requirements: Requirements, catalogue: list[InstanceType]) -> list[InstanceType]:
    """Return what Perian finds."""
    asked, most = requirements, requirements.max_price_per_hour

    def fits(machine: InstanceType) -> bool:
        price = machine.price.per_hour if machine.price else None
        return (
            (not asked.provider or machine.provider == asked.provider.upper())
            and (not asked.country_code or machine.country_code == asked.country_code)
            and (most is None or price is None or price <= Decimal(str(most)))
        )

    return [machine for machine in catalogue if fits(machine)]


@given(data=st.data())
@settings(max_examples=examples(200))
def test_no_machine_that_can_be_had_breaks_a_rule(data: st.DataObject) -> None:
    policy = data.draw(policies())
    wish = data.draw(wishes(policy))
    catalogue = data.draw(st.lists(machines(), max_size=6))
    try:
        refuse(policy, wish)
        fitting = offered(constrained(policy, wish), catalogue)
        machine = chosen(policy, wish, fitting, lambda: offered(wish.requirements, catalogue))
    except AgainstPolicy as error:
        said = error.message
    else:
        said, possible_ones = "", fitting if machine is None else [machine]
    if said:
        assert any(f"{each}" in said for each in policy.__dataclass_fields__)
        return
    for possible in possible_ones:
        obeys(policy, wish, possible)


def obeys(policy: PlatformPolicy, wish: Wish, machine: InstanceType) -> None:
    """Say the rules once more, each by itself."""
    assert not policy.providers or machine.provider in policy.providers
    assert not policy.countries or machine.country_code in policy.countries
    assert not policy.instance_types or machine.name in policy.instance_types
    price = machine.price
    if price is None or price.per_hour is None:
        return
    if policy.currency is not None:
        assert price.currency in {None, policy.currency}
    assert policy.max_price_per_hour is None or price.per_hour <= policy.max_price_per_hour
    if policy.max_price_per_run is not None:
        assert wish.timeout is not None
        worst = price_for(price, wish.timeout)
        assert worst is not None
        assert worst <= policy.max_price_per_run


@given(data=st.data())
def test_what_the_task_asks_for_itself_stays(data: st.DataObject) -> None:
    policy = data.draw(policies())
    wish = data.draw(wishes(policy))
    asked, sent = wish.requirements, constrained(policy, wish)
    for name in ("provider", "country_code", "max_price_per_hour", "cores"):
        if getattr(asked, name) is not None:
            assert getattr(sent, name) == getattr(asked, name)


@given(data=st.data())
def test_without_rules_nothing_is_changed_or_refused(data: st.DataObject) -> None:
    none = PlatformPolicy()
    wish = data.draw(wishes(none))
    refuse(none, wish)
    assert constrained(none, wish) == wish.requirements
    assert chosen(none, wish, data.draw(st.lists(machines())), list) is None


@given(data=st.data())
def test_a_job_carries_the_rules_that_it_was_submitted_under(data: st.DataObject) -> None:
    policy = data.draw(policies())
    rules = policy.rules(data.draw(maybe(seconds)))  # type: ignore[arg-type]  # a number or none
    assert Rules.of_job({JOB_RULES: rules.to_text()}) == rules


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "3", '{"providers": 3}', '{"timeout_seconds": "x"}']
)
def test_rules_of_a_job_that_cannot_be_read_are_none(text: str) -> None:
    assert Rules.of_job({JOB_RULES: text}) in {None, Rules()}


def test_the_steps_that_are_billed_count_for_the_price_of_a_run() -> None:
    rules = Rules(max_price_per_run=Decimal(1), currency="EUR", timeout_seconds=60)
    by_hour = Price(Decimal("1.2"), "EUR", "PER_HOUR")
    by_minute = Price(Decimal("0.02"), "EUR", "PER_MINUTE")
    (said,) = rules.broken_by(by_hour, None)
    assert "1.20 EUR if it runs for the whole 60 s" in said
    assert rules.broken_by(by_minute, None) == []


def test_a_price_in_no_currency_is_compared_as_it_is() -> None:
    rules = Rules(max_price_per_hour=Decimal(1), currency="EUR")
    assert rules.broken_by(Price(Decimal(2), "undefined", "PER_HOUR"), None)
    assert rules.broken_by(Price(Decimal(1), "undefined", "PER_HOUR"), None) == []


def test_a_machine_that_the_catalogue_does_not_show_is_held_against_ids() -> None:
    one, other = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))
    assert Rules(instance_types=(one,)).broken_by(None, None, other)
    assert Rules(instance_types=(one,)).broken_by(None, None, one) == []
    assert Rules(instance_types=("small",)).broken_by(None, None, other) == []


@pytest.mark.parametrize(
    ("folder", "own", "fits"),
    [
        (None, "s3://data/x", True),
        ("s3://turns/", "s3://data/x", True),
        ("gs://turns/", "s3://data/x", False),
        ("s3://turns/", "gs://data/x", False),
        ("gcs://turns/", "gs://data/x", True),
    ],
)
def test_pods_wait_only_in_the_kind_of_store_that_they_have_access_to(
    folder: str | None, own: str, fits: bool
) -> None:
    fault = misplaced(PlatformPolicy(max_jobs=1, queue_folder=folder), own)
    assert (fault is None) == fits
    assert fits or "queue_folder: expected a folder in the kind of store" in str(fault)
