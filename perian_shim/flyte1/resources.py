"""flytekit's resources and accelerators, as requirements of a Perian job.

What ``PerianConfig`` names wins; what it leaves open is taken from ``requests``, else ``limits``.
Kubernetes' units hold: a plain number of memory is bytes, ``500m`` of CPU half a core. Everything
is rounded up to what can be rented: whole cores, whole gigabytes.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from flytekit.core.resources import ResourceSpec
from flytekit.extras.accelerators import BaseAccelerator

from perian_shim.config import PerianConfig
from perian_shim.definition.gpus import perian_name
from perian_shim.definition.quantities import GIGABYTE, in_units, parse_quantity

DEVICES = {
    "nvidia-a10g": "A10G",
    "nvidia-l4": "L4",
    "nvidia-l40s": "L40S",
    "nvidia-tesla-k80": "K80",
    "nvidia-tesla-p4": "P4",
    "nvidia-tesla-p100": "P100",
    "nvidia-tesla-t4": "T4",
    "nvidia-tesla-v100": "V100",
    "nvidia-tesla-a100": "A100",
    "nvidia-a100-80gb": "A100_80G",
    "nvidia-h100": "H100",
    "nvidia-h200": "H200",
}
"""flytekit's device names and those that Flyte 2 has for the same."""


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
    return parse_quantity(name, value)


def accelerator_name(accelerator: BaseAccelerator[Any]) -> str:
    """Return Perian's name for flytekit's accelerator.

    Raises:
        ValueError: Perian has none such.
    """
    message = accelerator.to_flyte_idl()
    if message.partition_size:
        raise ValueError(f"accelerator: Perian rents whole GPUs, not {message.partition_size!r}")
    name = DEVICES.get(message.device)
    if name is None:
        raise ValueError(
            f"accelerator: expected one of {sorted(DEVICES)}, got {message.device!r};"
            " any that Perian has can be named with PerianConfig(accelerator_type=…)"
        )
    return perian_name(name, "accelerator")
