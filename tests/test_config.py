import datetime
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from perian_shim import PerianConfig
from perian_shim.errors import ConfigError


@pytest.mark.parametrize(
    ("memory", "gigabytes"),
    [
        (64, "64"),
        (1.5, "1.5"),
        ("64", "64"),
        ("64Gi", "64"),
        ("64 GB", "64"),
        ("64gib", "64"),
        ("512Mi", "0.5"),
        ("2T", "2048"),
    ],
)
def test_memory_is_read_as_gigabytes(memory: Any, gigabytes: str) -> None:
    assert PerianConfig(memory=memory).memory_gb == Decimal(gigabytes)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"cores": 0}, "cores: expected a whole number of at least 1, got 0 (int)"),
        ({"cores": True}, "cores: expected a whole number of at least 1, got True (bool)"),
        ({"cores": "4"}, "cores: expected a whole number of at least 1, got '4' (str)"),
        ({"accelerators": 1.5}, "accelerators: expected a whole number"),
        ({"os_storage_size": -1, "cores": 1}, "os_storage_size: expected a whole number"),
        ({"memory": "lots"}, "memory: expected gigabytes above 0"),
        ({"memory": "64Ki"}, "memory: expected gigabytes above 0"),
        ({"memory": "64B"}, "memory: expected gigabytes above 0"),
        ({"memory": "64i"}, "memory: expected gigabytes above 0"),
        ({"memory": "64iB"}, "memory: expected gigabytes above 0"),
        ({"memory": "\u0663"}, "memory: expected gigabytes above 0"),
        ({"memory": -2}, "memory: expected gigabytes above 0"),
        ({"country_code": "DEU"}, "country_code: expected two letters like \"DE\", got 'DEU'"),
        ({"country_code": "D1"}, "country_code: expected two letters"),
        ({"provider": " "}, "provider: expected text that is not empty"),
        ({"accelerator_type": 100}, "accelerator_type: expected text that is not empty"),
        ({"max_price_per_hour": 0}, "max_price_per_hour: expected a price above 0"),
        ({"max_price_per_hour": "NaN"}, "max_price_per_hour: expected a price above 0"),
        ({"max_price_per_hour": 1_000_001}, "max_price_per_hour: expected a price above 0 and up"),
        ({"max_price_per_hour": "1e400"}, "max_price_per_hour: expected a price above 0 and up"),
        ({"provider": " OTC "}, "provider: expected at most 255 of letters, digits"),
        ({"provider": "OTC\n"}, "no blanks around them, got 'OTC\\n'"),
        ({"accelerator_type": "A100\0"}, "accelerator_type: expected at most 255 of letters"),
        ({"cores": 1, "secret_group": "a b"}, "secret_group: expected at most 255 of letters"),
        ({"cores": 1, "secret_group": "a/../c"}, "secret_group: expected at most 255 of letters"),
        ({"cores": 1, "secret_group": " perian"}, "secret_group: expected at most 255 of letters"),
        ({"cores": 1, "secret_group": None}, "secret_group: expected text that is not empty"),
        ({"instance_type_id": "big"}, "instance_type_id: expected the UUID"),
        ({"cores": 1, "max_queued_time": 0}, "max_queued_time: expected whole seconds"),
        ({"cores": 1, "secret_group": ""}, "secret_group: expected text"),
    ],
)
def test_a_wrong_value_is_refused_with_field_expectation_and_value(
    fields: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        PerianConfig(**fields)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "group", ["perian", "arn:aws:secretsmanager:eu-west-1:1:secret:x", "a/b_c"]
)
def test_secret_groups_of_every_store_are_taken(group: str) -> None:
    assert PerianConfig(cores=1, secret_group=group).secret_group == group


@pytest.mark.parametrize("name", ["A100", "NVIDIA_A100_80", "RTX A6000", "Tesla V100 (SXM2)"])
def test_accelerators_are_named_as_catalogues_name_them(name: str) -> None:
    assert PerianConfig(accelerator_type=name).accelerator_type == name


def test_accelerators_and_their_type_may_each_stand_alone() -> None:
    assert PerianConfig(accelerators=2).accelerator_type is None
    assert PerianConfig(accelerator_type="A100").accelerators is None


def test_a_country_code_is_written_in_capitals() -> None:
    assert PerianConfig(country_code="de").country_code == "DE"


def test_queued_time_is_counted_in_seconds_rounded_up() -> None:
    config = PerianConfig(cores=1, max_queued_time=datetime.timedelta(seconds=90.5))
    assert config.max_queued_seconds == 91


configs = st.builds(
    PerianConfig,
    cores=st.none() | st.integers(1, 2**20),
    memory=st.none() | st.integers(1, 4096) | st.just("512Mi"),
    accelerators=st.integers(1, 64),
    accelerator_type=st.none() | st.just("A100"),
    os_storage_size=st.none() | st.integers(1, 10**6),
    country_code=st.none() | st.just("DE"),
    max_price_per_hour=st.none() | st.decimals("0.01", "1000", places=2),
    instance_type_id=st.none() | st.uuids().map(str),
    max_queued_time=st.none() | st.integers(1, 10**6),
)


@given(configs)
def test_a_config_survives_a_protobuf_struct(config: PerianConfig) -> None:
    struct = Struct()
    values: Any = config.to_json()
    struct.update(values)
    read = PerianConfig.from_json(json_format.MessageToDict(struct))
    assert read.to_json() == config.to_json()


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert PerianConfig.from_json({"cores": 2.0, "colour": "red"}) == PerianConfig(cores=2)
