"""Text of a value as Go's ``fmt`` verb ``%v`` writes it.

Flyte's backend, a Go program, substitutes inputs into commands with ``%v``; a command rendered
here must read the same. Values are what JSON, a protobuf Struct or msgpack decode to. Floats are
written with the fewest digits that give the same 64-bit value, in exponent form when the decimal
exponent is below -4 or above 5. A value of any other type raises TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

EXPONENT_FORM_BELOW = -4
EXPONENT_FORM_FROM = 6


def format_value(value: object) -> str:  # noqa: PLR0911 - one return per kind of value
    """Write a value as Go's ``%v`` does.

    Args:
        value: None, bool, int, float, str, bytes, or a list or mapping of such values.

    Returns:
        For example ``map[a:1 b:[x <nil>]]``; strings are written raw, without quotes.

    Raises:
        TypeError: for a value of another type.
    """
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format_float(value)
        case str():
            return value
        case bytes():
            return f"[{' '.join(str(byte) for byte in value)}]"
        case Mapping():
            keys = sorted(value, key=map_key_order)
            return f"map[{' '.join(f'{format_value(k)}:{format_value(value[k])}' for k in keys)}]"
        case Sequence():
            return f"[{' '.join(format_value(item) for item in value)}]"
        case _:
            raise TypeError(f"cannot write a value of type {type(value).__name__} as Go's %v does")


def format_float(value: float) -> str:
    """Write a 64-bit float as Go's ``%v`` does: ``1e+06``, ``0.0001``, ``NaN``, ``+Inf``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value == 0:
        return f"{sign}0"
    # repr gives the fewest digits that read back as the same float, as Go's shortest form does.
    decimal = Decimal(repr(abs(value))).normalize()
    digits = "".join(str(digit) for digit in decimal.as_tuple().digits)
    exponent = decimal.adjusted()
    if exponent < EXPONENT_FORM_BELOW or exponent >= EXPONENT_FORM_FROM:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return f"{sign}{decimal:f}"


def map_key_order(key: object) -> tuple[int, float, bytes]:
    """Sort key for map keys: Go prints maps sorted.

    Within one type the order is Go's: numbers by value with NaN first, strings by their UTF-8
    bytes, false before true. Between types Go promises none (it compares addresses); nil, strings,
    numbers, booleans is what a Go 1.26 program was seen to print.
    """
    match key:
        case None:
            return (0, 0, b"")
        case str():
            return (1, 0, key.encode("utf-8", "surrogatepass"))
        case bool():
            return (3, int(key), b"")
        case float() if math.isnan(key):
            return (2, -math.inf, b"")
        case int() | float():
            return (2, key, b"number")
        case _:
            return (4, 0, format_value(key).encode("utf-8", "surrogatepass"))
