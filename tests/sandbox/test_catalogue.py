"""Which instance types a query means, and which images are known."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perian.models.accelerator_name import AcceleratorName
from perian.models.accelerator_type_view import AcceleratorTypeView
from perian.models.instance_type_view import InstanceTypeView

from perian_shim.sandbox.records import Json
from perian_shim.sandbox.server.catalogue import ACCELERATORS, INSTANCE_TYPES, InstanceType
from perian_shim.sandbox.server.images import (
    HOST_ROOT,
    ImageCatalogue,
    ImageReference,
    full_reference,
)
from perian_shim.sandbox.server.matching import read_instance_query
from perian_shim.sandbox.server.validation import InvalidRequest, Reader
from perian_shim.sandbox.server.views import accelerator_view, instance_view


def select(**query: Json) -> list[InstanceType]:
    reader = Reader(dict(query), ("body",), [])
    found = read_instance_query(reader)
    reader.check()
    return found.select()


def names(offers: list[InstanceType]) -> set[str]:
    return {offer.name for offer in offers}


def test_identifiers_are_unique_and_always_the_same() -> None:
    assert len({offer.id for offer in INSTANCE_TYPES}) == len(INSTANCE_TYPES) >= 15
    assert INSTANCE_TYPES[0].id == "0425672a-d5b2-5716-84f5-763ba244737f"


@pytest.mark.parametrize("offer", INSTANCE_TYPES, ids=lambda offer: offer.name)
def test_the_official_models_read_every_entry(offer: InstanceType) -> None:
    view = InstanceTypeView.from_dict(instance_view(offer))
    assert view is not None
    assert view.price is not None
    assert Decimal(view.price.unit_price or "0") == offer.price


def test_accelerator_names_are_official_ones() -> None:
    for kind in ACCELERATORS:
        view = AcceleratorTypeView.from_dict(accelerator_view(kind))
        assert view is not None
        assert view.name == AcceleratorName(kind.name)


def test_an_empty_query_means_everything_available_the_cheapest_first() -> None:
    found = select()
    assert names(found) == {offer.name for offer in INSTANCE_TYPES if offer.available}
    assert [offer.price for offer in found] == sorted(offer.price for offer in found)


def test_what_is_not_available_can_be_asked_for() -> None:
    assert names(select(availability={"available": False})) == {"1L40.20V"}


@given(
    cores=st.integers(0, 200),
    ram=st.integers(0, 2000),
    accelerators=st.integers(0, 9),
    price=st.decimals(0, 50, places=2),
    as_text=st.booleans(),
)
def test_sizes_are_lower_bounds_and_the_price_an_upper_one(
    cores: int, ram: int, accelerators: int, price: Decimal, *, as_text: bool
) -> None:
    found = select(
        cpu={"cores": cores},
        ram={"size": str(ram) if as_text else ram},
        accelerator={"no": accelerators},
        price={"unit_price": str(price) if as_text else float(price)},
    )
    expected = {
        offer.name
        for offer in INSTANCE_TYPES
        if offer.available
        and offer.cores >= cores
        and offer.ram_gb >= ram
        and offer.accelerators >= accelerators
        and offer.price <= price
    }
    assert names(found) == expected


@pytest.mark.parametrize(
    ("operator", "holds"),
    [
        ("EQUALS", lambda cores: cores == 8),
        ("LESS_THAN", lambda cores: cores < 8),
        ("LESS_THAN_OR_EQUAL", lambda cores: cores <= 8),
        ("GREATER_THAN", lambda cores: cores > 8),
        ("GREATER_THAN_OR_EQUAL", lambda cores: cores >= 8),
        ("UNDEFINED", lambda cores: cores >= 8),
        (None, lambda cores: cores >= 8),
    ],
)
def test_an_operator_changes_the_comparison(
    operator: str | None, holds: Callable[[int], bool]
) -> None:
    found = select(cpu={"cores": 8, "operator": operator})
    assert names(found) == {
        offer.name for offer in INSTANCE_TYPES if offer.available and holds(offer.cores)
    }


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("A100", {"NVIDIA_A100_40", "NVIDIA_A100_80"}),
        ("a100_80", {"NVIDIA_A100_80"}),
        ("NVIDIA_A100_40", {"NVIDIA_A100_40"}),
        ("nvidia a100 80gb", {"NVIDIA_A100_80"}),
        ("L4", {"NVIDIA_L4_24"}),
        ("NVIDIA_L40S", {"NVIDIA_L40S_48"}),
        ("A10", set()),
        ("", set()),
        (["T4", "V100"], {"NVIDIA_T4_16", "NVIDIA_V100_16"}),
    ],
)
def test_accelerators_are_found_by_full_and_short_names(
    name: str | list[Json], kinds: set[str]
) -> None:
    found = select(accelerator={"name": name})
    assert {offer.accelerator.name for offer in found if offer.accelerator} == kinds
    assert all(offer.accelerators for offer in found)


@pytest.mark.parametrize(
    "provider",
    [
        {"name_short": "OTC"},
        {"name_short": "otc"},
        {"name": "open telekom cloud"},
        {"name": "OTC"},
        {"name_short": "Open Telekom Cloud"},
    ],
)
def test_providers_are_found_by_either_name_in_any_case(provider: dict[str, Json]) -> None:
    assert names(select(provider=provider)) == {
        offer.name for offer in INSTANCE_TYPES if offer.provider.short == "OTC"
    }


def test_countries_are_found_in_any_case() -> None:
    assert {offer.region.location for offer in select(region={"location": "de"})} == {"DE"}


@pytest.mark.parametrize(
    "query",
    [
        {"cpu": 4},
        {"ram": {"size": "a lot"}},
        {"ram": {"size": True}},
        {"accelerator": {"name": 3}},
        {"region": {"sustainable": "yes"}},
    ],
)
def test_a_query_of_another_shape_is_refused(query: dict[str, Json]) -> None:
    with pytest.raises(InvalidRequest):
        select(**query)


@pytest.mark.parametrize(
    ("reference", "repository", "tag", "digest"),
    [
        ("python", "python", "latest", ""),
        ("docker.io/library/python:3.12", "python", "3.12", ""),
        ("library/debian:12-slim", "debian", "12-slim", ""),
        ("registry:5000/team/app", "registry:5000/team/app", "latest", ""),
        ("registry:5000/team/app:1", "registry:5000/team/app", "1", ""),
        ("team/app@sha256:abc", "team/app", "", "sha256:abc"),
        ("team/app:1@sha256:abc", "team/app", "1", "sha256:abc"),
    ],
)
def test_image_references_are_split_where_they_should(
    reference: str, repository: str, tag: str, digest: str
) -> None:
    image = ImageReference.parse(reference)
    assert (image.repository, image.tag, image.digest) == (repository, tag, digest)


@pytest.mark.parametrize(
    ("name", "tag", "whole"),
    [("a", None, "a"), ("a", "1", "a:1"), ("a:1", None, "a:1"), ("a", "sha256:0", "a@sha256:0")],
)
def test_the_two_fields_of_an_image_are_joined(name: str, tag: str | None, whole: str) -> None:
    assert full_reference(name, tag) == whole


@pytest.mark.parametrize(
    "reference",
    ["python", "python:3.9", "docker.io/library/alpine:3", "nvidia/cuda:12.4.1-base-ubuntu22.04"],
)
def test_well_known_images_mean_this_machine(reference: str) -> None:
    assert ImageCatalogue().root(reference) == HOST_ROOT


def test_further_images_can_mean_this_machine() -> None:
    images = ImageCatalogue(host_images=("team/*", "ghcr.io/x/app:1.*"))
    assert images.root("team/anything:7") == images.root("ghcr.io/x/app:1.4") == HOST_ROOT
    with pytest.raises(LookupError, match="denied"):
        images.root("ghcr.io/x/app:2.0")


def test_a_registered_directory_is_found_by_its_exact_reference(tmp_path: Path) -> None:
    images = ImageCatalogue({"example/app": tmp_path, "python:mine": tmp_path})
    assert images.root("docker.io/example/app:latest") == tmp_path.resolve()
    assert images.root("python:mine") == tmp_path.resolve()
    assert images.root("python:3") == HOST_ROOT
    with pytest.raises(LookupError, match="manifest unknown"):
        images.root("example/app:2")


@pytest.mark.parametrize("reference", ["", "/", "a/", ":1", "/a", "@sha256:0"])
def test_what_is_no_reference_is_unknown(reference: str) -> None:
    with pytest.raises(LookupError, match="invalid reference format"):
        ImageCatalogue().root(reference)


def test_an_image_directory_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a directory"):
        ImageCatalogue({"example/app": tmp_path / "missing"})
