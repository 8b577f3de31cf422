"""flytekit's resources and accelerators, as requirements of a Perian job.

What ``PerianConfig`` names wins; what it leaves open is taken from ``requests``, else ``limits``.
Kubernetes' units hold: a plain number of memory is bytes, ``500m`` of CPU half a core. Everything
is rounded up to what can be rented: whole cores, whole gigabytes.
"""

import math
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flytekit.core.resources import ResourceSpec
from flytekit.extras.accelerators import BaseAccelerator

from perian_shim.config import PerianConfig

GIGABYTE = 1024**3

_QUANTITY = re.compile(
    r"(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<unit>[eE][+-]?\d+|[numkMGTP]|[KMGTP]i)?"
)
_UNITS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTP", 1)},
    **{unit + "i": Decimal(1024) ** power for power, unit in enumerate("KMGTP", 1)},
}

ACCELERATORS = {
    "nvidia-a10g": "NVIDIA_A10_24",
    "nvidia-l4": "NVIDIA_L4_24",
    "nvidia-l40s": "NVIDIA_L40S_48",
    "nvidia-tesla-k80": "NVIDIA_K80_12",
    "nvidia-tesla-p4": "NVIDIA_P4_8",
    "nvidia-tesla-p100": "NVIDIA_P100_16",
    "nvidia-tesla-t4": "NVIDIA_T4_16",
    "nvidia-tesla-v100": "NVIDIA_V100_16",
    "nvidia-tesla-a100": "NVIDIA_A100_40",
    "nvidia-a100-80gb": "NVIDIA_A100_80",
    "nvidia-h100": "NVIDIA_H100_80",
    "nvidia-h200": "NVIDIA_H200_141",
}
"""flytekit's device names and Perian's."""


def completed(
    config: PerianConfig, resources: ResourceSpec, accelerator: BaseAccelerator[Any] | None
) -> PerianConfig:
    """Return the config with its open points taken from flytekit's arguments.

    Raises:
        ValueError: a quantity cannot be read, or Perian has no such accelerator.
    """
    asked = {
        "cores": in_units(quantity(resources, "cpu"), 1),
        "memory": in_units(quantity(resources, "mem"), GIGABYTE),
        "accelerators": in_units(quantity(resources, "gpu"), 1),
        "os_storage_size": in_units(quantity(resources, "ephemeral_storage"), GIGABYTE),
        "accelerator_type": None if accelerator is None else accelerator_name(accelerator),
    }
    fill = {name: value for name, value in asked.items() if value and getattr(config, name) is None}
    return replace(config, **fill)  # type: ignore[arg-type]  # checked by PerianConfig itself


def quantity(resources: ResourceSpec, name: str) -> Decimal | None:
    """Return what is requested of one resource, or its limit, in Kubernetes' base unit."""
    value = getattr(resources.requests, name)
    if value is None:
        value = getattr(resources.limits, name)
    if value is None:
        return None
    match = _QUANTITY.fullmatch(str(value).strip())
    if match is None:
        message = f"{name}: expected a quantity like 2, 500m or 16Gi, got {value!r}"
        raise ValueError(message)
    unit = match["unit"] or ""
    if unit[:1] in {"e", "E"}:
        return Decimal(match["number"] + unit)
    return Decimal(match["number"]) * _UNITS[unit]


def in_units(value: Decimal | None, unit: int) -> int | None:
    """Return a quantity in whole units, rounded up."""
    return None if value is None else math.ceil(value / unit)


def accelerator_name(accelerator: BaseAccelerator[Any]) -> str:
    """Return Perian's name for flytekit's accelerator.

    Raises:
        ValueError: Perian has none such.
    """
    message = accelerator.to_flyte_idl()
    if message.partition_size:
        raise ValueError(f"accelerator: Perian rents whole GPUs, not {message.partition_size!r}")
    name = ACCELERATORS.get(message.device)
    if name is None:
        raise ValueError(
            f"accelerator: expected one of {sorted(ACCELERATORS)}, got {message.device!r}; any that"
            " Perian has can be named with PerianConfig(accelerator_type=…)"
        )
    return name
