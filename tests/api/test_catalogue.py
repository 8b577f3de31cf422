"""Machines and prices as the API shows them, built with the official models, read by ours."""

from decimal import Decimal

import pytest
from perian.models.accelerator_name import AcceleratorName
from perian.models.accelerator_type_view import AcceleratorTypeView
from perian.models.accelerator_vendor import AcceleratorVendor
from perian.models.billing_granularity import BillingGranularity
from perian.models.memory import Memory
from perian.models.memory_unit import MemoryUnit
from support.official import official_instance_type, wire

from perian_shim.api.catalogue import AcceleratorType, InstanceType, Price


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


@pytest.mark.parametrize(
    ("granularity", "per_hour"),
    [
        (BillingGranularity.PER_SECOND, "900"),
        (BillingGranularity.PER_MINUTE, "15"),
        (BillingGranularity.PER_10_MINUTES, "1.5"),
        (BillingGranularity.PER_HOUR, "0.25"),
        (BillingGranularity.UNDEFINED, None),
        ("per_hour", "0.25"),
        ("PER_FORTNIGHT", None),
        (None, None),
    ],
)
def test_a_price_is_known_by_the_hour_if_its_granularity_is(
    granularity: str | None, per_hour: str | None
) -> None:
    price = Price.from_json({"unit_price": "0.25", "granularity": granularity})
    assert price.per_hour == (None if per_hour is None else Decimal(per_hour))


def test_every_official_granularity_but_the_undefined_one_has_a_price_by_the_hour() -> None:
    known = {kind for kind in BillingGranularity if Price(Decimal(1), None, kind.value).per_hour}
    assert known == set(BillingGranularity) - {BillingGranularity.UNDEFINED}


@pytest.mark.parametrize("unit_price", ["0", "0.00", None, "", "-1"])
def test_a_price_of_nothing_is_none(unit_price: str | None) -> None:
    assert Price.from_json({"unit_price": unit_price, "granularity": "PER_HOUR"}).per_hour is None
