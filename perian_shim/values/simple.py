"""Simple values read from text and from JSON, by their declared type.

Text is the content of an output file; JSON values are found inside lists and maps. Reading is
strict about types: a number is never taken for text, true never for 1. ``exact=True`` refuses what
only tolerance would accept (``1`` as a bool, ``1.0`` as an int), so that a union finds the variant
that was meant. What cannot be read raises ValueError with the reason.
"""

from __future__ import annotations

import re
from typing import TypeVar

from flyteidl.core import types_pb2
from flyteidl.core.literals_pb2 import Literal

from perian_shim.values.build import (
    duration_literal,
    none_literal,
    primitive_literal,
    timestamp_literal,
)
from perian_shim.values.literals import JsonValue
from perian_shim.values.times import parse_duration, parse_timestamp
from perian_shim.values.types import TypeParts

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
INT64_DIGITS = 19

INTEGER = re.compile(r"[+-]?[0-9]+")
FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|nan|inf(?:inity)?)", re.IGNORECASE
)
FLOAT_WORDS = frozenset({"NaN", "Infinity", "-Infinity"})
NULL_TEXTS = frozenset({"", "null"})

Simple = TypeVar("Simple", bool, int, float, str)


def simple_from_text(text: str, parts: TypeParts, *, exact: bool) -> Literal:
    """Read the content of a file as a simple value or an enum.

    Whitespace around the value is ignored, except in a string.
    """
    options = parts.allowed if parts.enum_values is None else parts.enum_values
    match parts.simple:
        case types_pb2.NONE:
            if text.strip() not in NULL_TEXTS:
                raise ValueError("neither empty nor null")
            return none_literal()
        case types_pb2.DATETIME | types_pb2.DURATION:
            return timed(text, parts)
    return primitive_literal(choice_from_text(text, parts, options, exact=exact))


def choice_from_text(
    text: str, parts: TypeParts, options: tuple[object, ...] | None, *, exact: bool
) -> bool | float | str:
    """Read a primitive that may be restricted to some values."""
    match parts.simple:
        case types_pb2.INTEGER:
            return chosen(parse_integer(text), options)
        case types_pb2.FLOAT:
            return chosen(parse_float(text), options)
        case types_pb2.BOOLEAN:
            return chosen(parse_boolean(text, exact=exact), options)
        case types_pb2.STRING if options is None:
            return checked_text(text)
    if options is None:
        raise ValueError("a value of this type cannot be read from text")
    return chosen(text.strip(), options)


def simple_from_json(value: JsonValue, parts: TypeParts, *, exact: bool) -> Literal:
    """Read a JSON value as a simple value or an enum."""
    if parts.simple == types_pb2.NONE:
        if value is not None:
            raise ValueError(f"expected null, got {json_kind(value)}")
        return none_literal()
    if parts.simple == types_pb2.BOOLEAN and isinstance(value, bool):
        return primitive_literal(chosen(value, parts.allowed))
    if parts.simple in {types_pb2.INTEGER, types_pb2.FLOAT} and not isinstance(value, bool):
        read = json_integer if parts.simple == types_pb2.INTEGER else json_float
        return primitive_literal(chosen(read(value, exact=exact), parts.allowed))
    if isinstance(value, str):
        if parts.simple == types_pb2.STRING or parts.enum_values is not None:
            options = parts.allowed if parts.enum_values is None else parts.enum_values
            return primitive_literal(chosen(checked_text(value), options))
        if parts.simple in {types_pb2.DATETIME, types_pb2.DURATION}:
            return timed(value, parts)
    raise ValueError(f"got {json_kind(value)}")


def timed(text: str, parts: TypeParts) -> Literal:
    """Read a datetime or a duration."""
    if parts.simple == types_pb2.DATETIME:
        return timestamp_literal(parse_timestamp(text))
    return duration_literal(parse_duration(text))


def chosen(value: Simple, options: tuple[object, ...] | None) -> Simple:
    """Check that a value is one of the allowed ones."""
    if options is not None and value not in options:
        raise ValueError(f"not one of {', '.join(str(option) for option in options)}")
    return value


def checked_text(text: str) -> str:
    """Check that a string can be stored: half a surrogate pair cannot."""
    text.encode()
    return text


def parse_integer(text: str) -> int:
    """Read a decimal integer of 64 bits."""
    stripped = text.strip()
    if not INTEGER.fullmatch(stripped):
        raise ValueError("not a decimal integer")
    # Python refuses to read integers of thousands of digits.
    digits = stripped.lstrip("+-0")
    if len(digits) > INT64_DIGITS:
        raise ValueError("does not fit in 64 bits")
    magnitude = int(digits or "0")
    return checked_integer(-magnitude if stripped.startswith("-") else magnitude)


def checked_integer(value: int) -> int:
    """Check the range of an integer."""
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError("does not fit in 64 bits")
    return value


def parse_float(text: str) -> float:
    """Read a decimal number, an integer, ``nan`` or ``inf`` in any case."""
    stripped = text.strip()
    if not FLOAT.fullmatch(stripped):
        raise ValueError("not a number")
    value = float(stripped)
    if abs(value) == float("inf") and "inf" not in stripped.lower():
        raise ValueError("does not fit in a 64-bit float")
    return value


def parse_boolean(text: str, *, exact: bool) -> bool:
    """Read ``true`` or ``false`` in any case; ``1`` and ``0`` too unless exact."""
    match text.strip().lower(), exact:
        case ("true", _) | ("1", False):
            return True
        case ("false", _) | ("0", False):
            return False
    raise ValueError("neither true nor false")


def json_integer(value: JsonValue, *, exact: bool) -> int:
    """Read a JSON number as an integer; ``1.0`` too unless exact."""
    if isinstance(value, int):
        return checked_integer(value)
    if isinstance(value, float) and value.is_integer() and not exact:
        return checked_integer(int(value))
    raise ValueError(f"got {json_kind(value)}")


def json_float(value: JsonValue, *, exact: bool) -> float:
    """Read a JSON number as a float; an integer and the words for NaN and infinity unless exact."""
    if isinstance(value, float):
        return value
    if not exact and (isinstance(value, int) or value in FLOAT_WORDS):
        try:
            return float(value)
        except OverflowError:
            raise ValueError("does not fit in a 64-bit float") from None
    raise ValueError(f"got {json_kind(value)}")


def json_kind(value: JsonValue) -> str:
    """Name a JSON value in a message: its kind, and itself where it is short."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {str(value)[:30]}"
        case str():
            return f"the string {value[:30]!r}"
        case list():
            return "an array"
        case dict():
            return "an object"
