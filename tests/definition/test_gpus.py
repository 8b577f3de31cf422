"""GPUs as Flyte writes them and as Perian calls them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perian.models.accelerator_name import AcceleratorName

from perian_shim.definition.gpus import ABSENT, MOST, NAMES, Gpus, parse_gpu
from perian_shim.flyte1.resources import DEVICES
from perian_shim.sandbox.server.catalogue import ACCELERATORS


@pytest.mark.parametrize(
    ("value", "count", "kind"),
    [
        (8, 8, None),
        ("A100:8", 8, "NVIDIA_A100_40"),
        ("A100", 1, "NVIDIA_A100_40"),
        ("a100_80g:2", 2, "NVIDIA_A100_80"),
        ("A100 80GB : 2", 2, "NVIDIA_A100_80"),
        ("L40s:1", 1, "NVIDIA_L40S_48"),
        ("NVIDIA_H100_80:4", 4, "NVIDIA_H100_80"),
        ("nvidia-v100s-32", 1, "NVIDIA_V100S_32"),
        ("AMD_MI300X_192:8", 8, "AMD_MI300X_192"),
    ],
)
def test_a_gpu_is_read(value: object, count: int, kind: str | None) -> None:
    assert parse_gpu(value) == Gpus(count, kind)


def test_perians_names_are_those_that_its_api_can_show() -> None:
    assert set(NAMES.values()) | {"AMD_7900XTX_24"} == {name.value for name in AcceleratorName}


def test_every_kind_of_the_catalogue_has_a_name_of_flytes() -> None:
    assert {kind.name for kind in ACCELERATORS} <= set(NAMES.values())


def test_flytekits_devices_are_known() -> None:
    assert set(DEVICES.values()) <= {*NAMES, *ABSENT}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("A1000:1", "Perian has no 'A1000'; did you mean 'A100'?"),
        ("L40X", "did you mean 'L40'"),
        ("banana", "Perian has no 'banana', but one of A10, A10G"),
        ("T4 shared:1", "Perian rents whole GPUs, not shares of one"),
        ("GB10:1", "Perian rents no GPUs of this kind"),
        ("V5E:1", "Perian rents no TPUs"),
        ("Trn1:1", "Perian rents no Neuron devices"),
        ("A100:0", "expected 1 to 64 GPUs, got 'A100:0'"),
        ("A100:65", "expected 1 to 64 GPUs"),
        (0, "expected 1 to 64 GPUs, got 0"),
        (-1, "expected 1 to 64 GPUs"),
        ("", 'expected a number or text like "A100:8"'),
        (":3", 'expected a number or text like "A100:8"'),
        ("A100:x", 'expected a number or text like "A100:8"'),
    ],
)
def test_what_cannot_be_rented_is_refused_with_the_reason(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_gpu(value)


@pytest.mark.parametrize("value", [True, None, 1.5, ["A100"], ("A100", 1)])
def test_another_type_is_no_gpu(value: object) -> None:
    with pytest.raises(TypeError, match="gpu: expected a number or text"):
        parse_gpu(value)


@given(st.sampled_from([*NAMES, *NAMES.values()]), st.integers(1, MOST))
def test_every_name_is_read_in_any_case(name: str, count: int) -> None:
    assert parse_gpu(f"{name.lower()}:{count}") == parse_gpu(f"{name}:{count}")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        gpus = parse_gpu(text)
    except ValueError:
        return
    assert gpus.kind
