"""What was rented, held against what was asked for."""

from decimal import Decimal

import pytest

from perian_shim.api.catalogue import InstanceType, Price
from perian_shim.api.job_request import Requirements
from perian_shim.api.jobs import Job
from perian_shim.lifecycle.rental import Rental, differences, same_model

ANY = Rental()


def asked(**requirements: object) -> Rental:
    return Rental(Requirements(**requirements))  # type: ignore[arg-type]  # checked by dataclasses


def priced(price: str | None, granularity: str | None = "PER_HOUR", currency: str = "EUR") -> Job:
    unit_price = None if price is None else Decimal(price)
    return Job("a", "Running", price=Price(unit_price, currency, granularity))


def rented(**machine: object) -> InstanceType:
    return InstanceType("m", **machine)  # type: ignore[arg-type]  # checked by dataclasses


def broken_by(rental: Rental, machine: InstanceType | None) -> list[str]:
    return differences(rental, Job("a", "Running"), machine)


@pytest.mark.parametrize(
    ("price", "granularity"),
    [
        ("5.01", "PER_HOUR"),
        ("0.84", "PER_10_MINUTES"),
        ("0.0835", "PER_MINUTE"),
        ("0.0014", "PER_SECOND"),
        ("5.01", "per_hour"),
    ],
)
def test_a_price_above_the_limit_is_a_difference(price: str, granularity: str) -> None:
    assert len(differences(asked(max_price_per_hour=5), priced(price, granularity), None)) == 1


@pytest.mark.parametrize(
    ("price", "granularity"),
    [
        ("5", "PER_HOUR"),
        ("0.83", "PER_10_MINUTES"),
        ("0.083", "PER_MINUTE"),
        ("0.0013", "PER_SECOND"),
    ],
)
def test_a_price_within_the_limit_is_none(price: str, granularity: str) -> None:
    assert differences(asked(max_price_per_hour=5), priced(price, granularity), None) == []


@pytest.mark.parametrize(
    ("price", "granularity"),
    [(None, "PER_HOUR"), ("0", "PER_HOUR"), ("99", None), ("99", "UNDEFINED"), ("99", "")],
)
def test_a_price_that_cannot_be_told_says_nothing(
    price: str | None, granularity: str | None
) -> None:
    assert differences(asked(max_price_per_hour=5), priced(price, granularity), None) == []


def test_any_price_will_do_without_a_limit() -> None:
    assert differences(ANY, priced("99"), None) == []


def test_a_price_is_told_as_people_write_it() -> None:
    (said,) = differences(asked(max_price_per_hour=Decimal("5.5")), priced("60.00"), None)
    assert said == "it costs 60 EUR per hour, at most 5.5 was asked"


@pytest.mark.parametrize(
    ("wanted", "got", "said"),
    [
        ("x", "y", ["its instance type is y, x was asked"]),
        ("x", "x", []),
        ("x", None, []),
        (None, "y", []),
    ],
)
def test_the_instance_type_is_compared_if_both_are_known(
    wanted: str | None, got: str | None, said: list[str]
) -> None:
    rental = Rental(instance_type_id=wanted)
    assert differences(rental, Job("a", "Running", instance_type_id=got), None) == said


@pytest.mark.parametrize("field", ["country_code", "provider"])
@pytest.mark.parametrize(
    ("wanted", "got", "differs"),
    [
        ("DE", "FR", True),
        ("DE", "DE", False),
        ("DE", "de", False),
        ("DE", None, False),
        ("DE", "", False),
        (None, "FR", False),
    ],
)
def test_where_the_machine_is_and_whose_is_compared_if_both_are_known(
    field: str, wanted: str | None, got: str | None, differs: bool
) -> None:
    assert bool(broken_by(asked(**{field: wanted}), rented(**{field: got}))) is differs


@pytest.mark.parametrize(
    ("wanted", "got", "differs"),
    [(2, 1, True), (2, 2, False), (2, 4, False), (None, 0, False), (0, 0, False)],
)
def test_there_must_be_as_many_accelerators_as_were_asked(
    wanted: int | None, got: int, differs: bool
) -> None:
    assert bool(broken_by(asked(accelerators=wanted), rented(accelerators=got))) is differs


@pytest.mark.parametrize(
    ("wanted", "got", "differs"),
    [("A100", "H100", True), ("A100", "NVIDIA A100", False), ("A100", None, False)],
)
def test_the_kind_of_accelerator_is_compared_if_both_are_known(
    wanted: str, got: str | None, differs: bool
) -> None:
    machine = rented(accelerators=1, accelerator_type=got)
    assert bool(broken_by(asked(accelerator_type=wanted), machine)) is differs


def test_a_machine_that_nobody_knows_says_nothing() -> None:
    rental = asked(country_code="DE", provider="x", accelerators=2, accelerator_type="A100")
    assert broken_by(rental, None) == []


def test_every_difference_is_named() -> None:
    rental = asked(country_code="DE", provider="x", accelerators=2, accelerator_type="A100")
    machine = rented(country_code="FR", provider="y", accelerators=1, accelerator_type="T4")
    assert broken_by(rental, machine) == [
        "its country is FR, DE was asked",
        "its provider is y, x was asked",
        "it has 1 accelerators, 2 were asked",
        "its accelerators are T4, A100 was asked",
    ]


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("A100", "A100"),
        ("A100", "NVIDIA_A100_80"),
        ("a100", "NVIDIA A100-SXM4-80GB"),
        ("NVIDIA A100", "A100"),
        ("A100 80GB", "NVIDIA_A100_80"),
        ("RTX4090", "NVIDIA GeForce RTX4090"),
        ("MI300X", "AMD_MI300X"),
        ("L4", "NVIDIA L4"),
        ("TPU", "Google TPU"),
    ],
)
def test_names_of_the_same_model_are_the_same(wanted: str, got: str) -> None:
    assert same_model(wanted, got)


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("A100", "A1000"),
        ("A100", "H100"),
        ("A10", "A100"),
        ("L4", "L40"),
        ("T4", "V100"),
        ("NVIDIA A100", "NVIDIA H100"),
    ],
)
def test_names_of_other_models_are_not(wanted: str, got: str) -> None:
    assert not same_model(wanted, got)


@pytest.mark.parametrize(
    ("rental", "needed"),
    [
        (ANY, False),
        (Rental(instance_type_id="x"), False),
        (asked(max_price_per_hour=5), False),
        (asked(cores=4), False),
        (asked(country_code="DE"), True),
        (asked(provider="x"), True),
        (asked(accelerators=1), True),
        (asked(accelerator_type="A100"), True),
    ],
)
def test_the_catalogue_is_asked_only_for_what_it_alone_knows(rental: Rental, needed: bool) -> None:
    assert rental.needs_catalogue is needed
