"""flytekit's resources and accelerators as requirements of a job."""

import math
from decimal import Decimal
from typing import Any

import pytest
from flytekit import Resources
from flytekit.core.resources import ResourceSpec
from flytekit.extras import accelerators
from flytekit.extras.accelerators import GPUAccelerator
from hypothesis import given
from hypothesis import strategies as st
from support.flytekit_versions import needs_newer_gpus, only

from perian_shim import PerianConfig
from perian_shim.definition.gpus import ABSENT, NAMES
from perian_shim.definition.quantities import GIGABYTE
from perian_shim.flyte1.resources import DEVICES, completed

OPEN = PerianConfig(country_code="DE")
"""A config that leaves resources open."""


def filled(
    requests: Resources | None = None,
    limits: Resources | None = None,
    config: PerianConfig = OPEN,
    accelerator: Any = None,
) -> PerianConfig:
    spec = ResourceSpec(requests or Resources(), limits or Resources())
    return completed(config, spec, accelerator)


@pytest.mark.parametrize(
    ("asked", "cores"),
    [
        (1, 1),
        (2.5, 3),
        ("4", 4),
        ("500m", 1),
        ("1000m", 1),
        ("1001m", 2),
        ("1k", 1000),
        (".5", 1),
        ("2.", 2),
        ("1e1", 10),
        (" 2 ", 2),
        ("0", None),
        (None, None),
    ],
)
def test_cpu_becomes_whole_cores(asked: Any, cores: int | None) -> None:
    assert filled(Resources(cpu=asked)).cores == cores


@pytest.mark.parametrize(
    ("asked", "gigabytes"),
    [
        ("16Gi", 16),
        ("16G", 15),
        ("1.5Gi", 2),
        ("512Mi", 1),
        ("1Ti", 1024),
        (64 * GIGABYTE, 64),
        ("1025Mi", 2),
        ("1048576Ki", 1),
        ("128e9", 120),
        ("1", 1),
    ],
)
def test_memory_becomes_whole_gigabytes(asked: Any, gigabytes: int) -> None:
    assert filled(Resources(mem=asked)).memory == gigabytes


@pytest.mark.parametrize(("asked", "number"), [(2, 2), ("1", 1), (None, None)])
def test_gpus_become_accelerators(asked: Any, number: int | None) -> None:
    assert filled(Resources(gpu=asked)).accelerators == number


def test_ephemeral_storage_becomes_the_disk() -> None:
    assert filled(Resources(ephemeral_storage="100Gi")).os_storage_size == 100


def test_what_the_config_names_wins() -> None:
    config = PerianConfig(
        cores=2, memory="8", accelerators=1, accelerator_type="A100", os_storage_size=60
    )
    asked = Resources(cpu="64", mem="512Gi", gpu="8", ephemeral_storage="1Ti")
    assert filled(asked, config=config, accelerator=accelerators.T4) == config


def test_requests_win_over_limits_one_by_one() -> None:
    made = filled(Resources(cpu="2"), Resources(cpu="8", mem="4Gi"))
    assert (made.cores, made.memory) == (2, 4)


def test_what_is_not_asked_for_stays_open() -> None:
    assert filled() == OPEN


@pytest.mark.parametrize("asked", ["two", "", "1 Gi", "-1", "5Q", "0x10", "1e", "NaN", "1,5"])
def test_a_quantity_that_kubernetes_would_not_read_is_refused(asked: str) -> None:
    with pytest.raises(ValueError, match="mem: expected a quantity like") as caught:
        filled(Resources(mem=asked))
    assert repr(asked) in str(caught.value)


UNITS = {
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}

numbers = st.decimals(min_value=0, max_value=10**6, places=3).map(abs)


@given(number=numbers, unit=st.sampled_from(sorted(UNITS)))
def test_a_job_never_gets_less_memory_than_asked_for_nor_a_gigabyte_too_much(
    number: Decimal, unit: str
) -> None:
    asked = number * UNITS[unit]
    given_memory = filled(Resources(mem=f"{number}{unit}")).memory_gb or Decimal(0)
    assert asked <= given_memory * GIGABYTE < asked + GIGABYTE


@given(number=numbers)
def test_a_number_of_cores_may_be_written_in_thousandths(number: Decimal) -> None:
    thousandths = filled(Resources(cpu=f"{int(number * 1000)}m"))
    assert thousandths == filled(Resources(cpu=str(number)))
    assert (thousandths.cores or 0) == math.ceil(number)


@pytest.mark.parametrize("device", sorted(DEVICES))
def test_a_device_of_flytekits_is_perians_of_the_same_model_or_refused(device: str) -> None:
    model = DEVICES[device]
    if model in ABSENT:
        with pytest.raises(ValueError, match=f"accelerator: Perian rents no .* got '{model}'"):
            filled(accelerator=GPUAccelerator(device))
    else:
        assert filled(accelerator=GPUAccelerator(device)).accelerator_type == NAMES[model]


@pytest.mark.parametrize(
    "name", ["A100", "A100_80GB", *only(needs_newer_gpus, [("H100",)]), "L4", "T4", "V100"]
)
def test_flytekits_common_gpus_can_be_had(name: str) -> None:
    made = filled(accelerator=getattr(accelerators, name))
    assert made.accelerator_type is not None
    assert name.removesuffix("_80GB") in made.accelerator_type


def test_a_part_of_a_gpu_is_refused() -> None:
    with pytest.raises(ValueError, match=r"whole GPUs, not '1g\.5gb'"):
        filled(accelerator=accelerators.A100.partition_1g_5gb)


def test_an_unpartitioned_gpu_is_a_whole_one() -> None:
    made = filled(accelerator=accelerators.A100.unpartitioned)
    assert made.accelerator_type == "NVIDIA_A100_40"


def test_an_unknown_accelerator_is_refused_naming_the_known_and_the_way_out() -> None:
    with pytest.raises(ValueError, match="got 'abacus'") as caught:
        filled(accelerator=GPUAccelerator("abacus"))
    assert "nvidia-tesla-t4" in str(caught.value)
    assert "PerianConfig(accelerator_type=" in str(caught.value)
