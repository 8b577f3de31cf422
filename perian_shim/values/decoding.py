"""Python values out of one literal: what every way of reading literals is built from.

Points in time are aware datetimes in UTC and durations timedeltas, both in microseconds; the exact
nanoseconds come from ``exact_time``. msgpack and protobuf Structs are decoded, nothing else is.
``UnreadableLiteral`` is raised for an empty literal, an unknown encoding and broken msgpack.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TypeAlias

import msgpack  # type: ignore[import-untyped]  # ships no types
from flyteidl.core.literals_pb2 import Literal, Primitive
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from perian_shim.values.build import MSGPACK_TAG

PythonKey: TypeAlias = "bool | int | float | str | bytes | None"
PythonValue: TypeAlias = (
    "PythonKey | datetime | timedelta | list[PythonValue] | dict[PythonKey, PythonValue]"
)
SimpleValue: TypeAlias = "bool | int | float | str | datetime | timedelta"

MSGPACK_AWARE_DATETIMES = 3


class UnreadableLiteral(ValueError):
    """A literal of a kind or encoding that has no value here."""


def unwrapped(literal: Literal) -> Literal:
    """The value of a union literal, any other literal as it is."""
    while literal.scalar.HasField("union"):
        literal = literal.scalar.union.value
    return literal


def is_none(literal: Literal) -> bool:
    """Whether the literal is None, directly or as the value of an Optional."""
    return unwrapped(literal).scalar.HasField("none_type")


def map_entries(literal: Literal) -> list[tuple[str, Literal]]:
    """The entries of a map literal by key; protobuf keeps no order of its own."""
    return sorted(literal.map.literals.items())


def uri_of(literal: Literal) -> str | None:
    """Where the bytes of a file, directory, schema or dataset literal are; None for all others."""
    match literal.scalar.WhichOneof("value"):
        case "blob":
            return literal.scalar.blob.uri
        case "schema":
            return literal.scalar.schema.uri
        case "structured_dataset":
            return literal.scalar.structured_dataset.uri
    return None


def simple_value(primitive: Primitive) -> SimpleValue:
    """The value of a primitive.

    Raises:
        UnreadableLiteral: when it has none, or a time that does not exist.
    """
    match exact_time(primitive):
        case Timestamp() as timestamp:
            return timestamp.ToDatetime(tzinfo=timezone.utc)
        case Duration() as duration:
            return duration.ToTimedelta()
    field = primitive.WhichOneof("value")
    if field is None:
        raise UnreadableLiteral("it is a primitive without a value")
    value: SimpleValue = getattr(primitive, field)
    return value


def exact_time(primitive: Primitive) -> Timestamp | Duration | None:
    """The point in time or duration to the nanosecond; None for another kind of primitive.

    Raises:
        UnreadableLiteral: when protobuf allows no such time, as one of the year 10000.
    """
    exact: Timestamp | Duration
    match primitive.WhichOneof("value"):
        case "datetime":
            exact = primitive.datetime
        case "duration":
            exact = primitive.duration
        case _:
            return None
    try:
        exact.ToJsonString()
    except (ValueError, OverflowError) as error:
        raise UnreadableLiteral(f"it is no time: {error}") from None
    return exact


def decoded(literal: Literal) -> PythonValue:
    """The value of a msgpack or Struct literal.

    Raises:
        UnreadableLiteral: for every other literal, and for broken msgpack.
    """
    scalar = literal.scalar
    if scalar.HasField("generic"):
        return struct_value(scalar.generic)
    if not scalar.HasField("binary"):
        raise UnreadableLiteral("it is empty or of an unknown kind")
    if scalar.binary.tag != MSGPACK_TAG:
        raise UnreadableLiteral(f"it is binary data of unknown tag {scalar.binary.tag!r}")
    try:
        value: PythonValue = msgpack.unpackb(
            scalar.binary.value, strict_map_key=False, timestamp=MSGPACK_AWARE_DATETIMES
        )
    except ValueError as error:
        raise UnreadableLiteral(f"its msgpack data is broken: {error}") from None
    return value


def struct_value(struct: Struct) -> dict[PythonKey, PythonValue]:
    """A protobuf Struct as a dict in order of its keys; all its numbers are floats."""
    return {key: value_value(value) for key, value in sorted(struct.fields.items())}


def value_value(value: Value) -> PythonValue:
    """The value of one field of a protobuf Struct."""
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "struct_value":
            return struct_value(value.struct_value)
        case "list_value":
            return [value_value(item) for item in value.list_value.values]
        case _:
            return None
