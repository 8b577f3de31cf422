"""Quantities as Kubernetes and Flyte write them, in what can be rented.

A plain number of memory is bytes, ``500m`` of CPU half a core. Everything is rounded up: whole
cores, whole gigabytes.
"""

import math
import re
from decimal import Decimal

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


def parse_quantity(name: str, value: object) -> Decimal:
    """Return a quantity in Kubernetes' base unit: cores, bytes.

    Args:
        name: of what, for the message.
        value: a number or text; ``16GiB`` is ``16Gi``.

    Raises:
        ValueError: it is none.
    """
    match = _QUANTITY.fullmatch(re.sub(r"(?<=[KMGTP]i)B$|(?<=[kMGTP])B$", "", str(value).strip()))
    if match is None or isinstance(value, bool):
        message = f"{name}: expected a quantity like 2, 500m or 16Gi, got {value!r}"
        raise ValueError(message)
    unit = match["unit"] or ""
    if unit[:1] in {"e", "E"}:
        return Decimal(match["number"] + unit)
    return Decimal(match["number"]) * _UNITS[unit]


def in_units(value: Decimal | None, unit: int) -> int | None:
    """Return a quantity in whole units, rounded up."""
    return None if value is None else math.ceil(value / unit)
