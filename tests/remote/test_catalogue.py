"""What can be rented: offers by price within a currency, accelerators, and why there are none."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.command import Use
from support.front import Behaviour, Received

from perian_shim import PerianConfig
from perian_shim.api.errors import ServerFault
from perian_shim.remote import Amount, Catalogue, OfferList
from perian_shim.sandbox.server.catalogue import ACCELERATORS, INSTANCE_TYPES

UNKNOWN = "00000000-0000-4000-8000-000000000000"

pytestmark = pytest.mark.usefixtures("api")


def test_offers_are_sorted_by_price_within_a_currency() -> None:
    found = Catalogue.offers()
    assert found.currencies == ("EUR", "USD")
    for currency in found.currencies:
        prices = [each.price_per_hour for each in found if each.currency == currency]
        assert prices == sorted(prices, key=lambda price: price or 0)
    assert [each.currency for each in found] == sorted(str(each.currency) for each in found)


def test_all_that_can_be_had_is_offered_if_nothing_is_asked_for() -> None:
    found = Catalogue.offers(limit=None)
    assert {each.id for each in found} == {each.id for each in INSTANCE_TYPES if each.available}
    assert found.total == len(found)


def test_a_limit_is_one_for_each_currency() -> None:
    found = Catalogue.offers(limit=2)
    assert [each.currency for each in found] == ["EUR", "EUR", "USD", "USD"]
    assert found.total > len(found)


def test_offers_meet_the_requirements() -> None:
    found = Catalogue.offers(PerianConfig(accelerators=1, country_code="fi"))
    assert [each.name for each in found] == ["1A100.22V", "8H100.80S.176V"]


def test_an_offer_says_what_it_is() -> None:
    (found,) = Catalogue.offers(PerianConfig(accelerator_type="L40S"))
    machine = next(each for each in INSTANCE_TYPES if each.name == "l40s-90")
    assert found.to_dict() == {
        "id": machine.id,
        "name": "l40s-90",
        "provider": "OVH",
        "country_code": "PL",
        "region": "WAW1",
        "cores": 15,
        "memory_gb": "90.0",
        "accelerators": 1,
        "accelerator_type": "NVIDIA_L40S_48",
        "price_per_hour": "1.400",
        "currency": "EUR",
        "billed_seconds": 60,
        "available": True,
    }
    assert found.cost(61) == Amount(Decimal("1.400") * 2 / 60, "EUR")


def test_one_exact_machine_is_offered() -> None:
    machine = INSTANCE_TYPES[0]
    (found,) = Catalogue.offers(PerianConfig(instance_type_id=machine.id))
    assert found.name == machine.name


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (PerianConfig(accelerator_type="A1000"), "No machine at all has accelerator_type='A1000'"),
        (PerianConfig(instance_type_id=UNKNOWN), "The catalogue has no machine of this id."),
    ],
)
def test_where_there_is_no_offer_it_is_said_why(config: PerianConfig, reason: str) -> None:
    found = Catalogue.offers(config)
    assert not found
    assert found.reasons[0].startswith(reason)


def test_a_machine_that_cannot_be_had_now_is_no_offer() -> None:
    machine = next(each for each in INSTANCE_TYPES if not each.available)
    found = Catalogue.offers(PerianConfig(instance_type_id=machine.id))
    assert not found
    assert found.reasons[0].endswith("which cannot be had now.")


def test_offers_can_be_awaited() -> None:
    found: OfferList = asyncio.run(Catalogue.offers.aio(PerianConfig(cores=16)))
    assert found == Catalogue.offers(PerianConfig(cores=16))


def test_accelerators_come_with_the_cheapest_machines_that_have_them() -> None:
    found = {each.name: each for each in Catalogue.accelerators()}
    assert list(found) == sorted(each.name for each in ACCELERATORS)
    h100, missing = found["NVIDIA_H100_80"], found["NVIDIA_L40_48"]
    assert (h100.vendor, h100.memory_gb, h100.machines, h100.most) == (
        *("NVIDIA", Decimal(80), 2, 8),
    )
    assert [str(each) for each in h100.cheapest] == ["2.80 EUR", "18.32 USD"]
    assert (missing.machines, missing.most, missing.cheapest) == (0, 0, ())


def machine(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, **more}


def priced(amount: str, currency: str = "EUR", granularity: str = "PER_HOUR") -> dict[str, Any]:
    return {"price": {"unit_price": amount, "currency": currency, "granularity": granularity}}


def catalogue_of(*machines: dict[str, Any]) -> Behaviour:
    return reply(body={"instance_types": list(machines)})


def test_offers_without_a_price_come_last_and_say_so(use: Use) -> None:
    machines = (
        machine("silent"),
        machine("free", **priced("0")),
        machine("undefined", **priced("1", granularity="UNDEFINED")),
        machine("dear", **priced("0.1", granularity="PER_MINUTE")),
        machine("cheap", **priced("0.5")),
    )
    with FaultyServer(catalogue_of(*machines)) as server:
        use(server.url)
        found = Catalogue.offers()
    assert [each.name for each in found][:2] == ["cheap", "dear"]
    assert [each.price_per_hour for each in found] == [Decimal("0.5"), Decimal(6), None, None, None]


def test_a_price_without_a_currency_is_not_mixed_with_others(use: Use) -> None:
    machines = (
        machine("nothing", **priced("0.1", "UNDEFINED")),
        machine("euro", **priced("9")),
    )
    with FaultyServer(catalogue_of(*machines)) as server:
        use(server.url)
        found = Catalogue.offers()
    assert [(each.name, each.currency) for each in found] == [("euro", "EUR"), ("nothing", None)]


def test_a_catalogue_that_fails_is_an_error(use: Use) -> None:
    with FaultyServer(reply(503, {"detail": "maintenance"})) as server:
        use(server.url)
        with pytest.raises(ServerFault, match="maintenance"):
            Catalogue.offers()


def test_that_there_is_no_offer_is_told_even_if_nobody_says_why(use: Use) -> None:
    asked: list[str] = []

    def answer(request: Received) -> Behaviour:
        asked.append(request.path)
        return catalogue_of() if len(asked) == 1 else reply(503)

    with FaultyServer(by_request(answer)) as server:
        use(server.url)
        found = Catalogue.offers(PerianConfig(cores=4))
    assert (len(found), found.reasons) == (0, ())
    assert len(asked) == 2
