"""Literals as their bytes: put together and taken apart without a message for each of them.

A protobuf message of a list of a million numbers takes 75 times the memory of its bytes, and a pod
has little. So outputs are kept *serialized*, and lists, maps and unions are written around the
bytes of what they hold. All of it equals protobuf's own deterministic serialization, with maps
sorted by key: the order that protobuf's implementations share, but for one (upb sorts a key behind
the keys that begin with it).

A message is a sequence of fields; each one is a key, then a value. All fields here are
length-delimited: the key is ``field number << 3 | 2``, the value a length and so many bytes. Keys
and lengths are varints, seven bits to a byte and the low ones first. The wire format is described
at https://protobuf.dev/programming-guides/encoding/; the field numbers are those of
``flyteidl/core/literals.proto``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NewType

from flyteidl.core.literals_pb2 import Literal
from flyteidl.core.types_pb2 import LiteralType
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

SerializedLiteral = NewType("SerializedLiteral", bytes)
"""One ``flyteidl.core.Literal``, serialized."""

LITERAL_SCALAR = 1
LITERAL_COLLECTION = 2
LITERAL_MAP = 3
SCALAR_UNION = 9
UNION_VALUE = 1
UNION_TYPE = 2
COLLECTION_LITERALS = 1
MAP_LITERALS = 1
ENTRY_KEY = 1
ENTRY_VALUE = 2

LENGTH_DELIMITED = 2
LOW_BITS = 0x7F
MORE = 0x80

NO_MAP = "it is not a serialized flyteidl.core.LiteralMap"

_Field = descriptor_pb2.FieldDescriptorProto


def serialize(literal: Literal) -> SerializedLiteral:
    """Serialize a literal; equal literals give equal bytes."""
    return SerializedLiteral(literal.SerializeToString(deterministic=True))


def serialized_list(items: Iterable[SerializedLiteral]) -> SerializedLiteral:
    """Make a collection literal; each item is let go of as soon as it is written."""
    collection = bytearray()
    for item in items:
        add_field(collection, COLLECTION_LITERALS, item)
    return SerializedLiteral(field(LITERAL_COLLECTION, collection))


def serialized_map(entries: Mapping[str, SerializedLiteral]) -> SerializedLiteral:
    """Make a map literal, sorted by key."""
    return serialized_entries((key, entries[key]) for key in sorted(entries))


def serialized_entries(entries: Iterable[tuple[str, SerializedLiteral]]) -> SerializedLiteral:
    """Make a map literal of entries that come sorted by key, each key once."""
    return SerializedLiteral(field(LITERAL_MAP, entries_of(entries)))


def serialized_union(value: SerializedLiteral, variant: LiteralType) -> SerializedLiteral:
    """Make a union literal.

    Args:
        value: the literal of the variant.
        variant: the variant as the union type lists it; flytekit finds the Python type by the tag
            in its structure.
    """
    return union_of_type(value, variant.SerializeToString(deterministic=True))


def union_of_type(value: SerializedLiteral, variant: bytes) -> SerializedLiteral:
    """Make a union literal of a variant that is serialized as well."""
    union = bytearray()
    add_field(union, UNION_VALUE, value)
    add_field(union, UNION_TYPE, variant)
    return SerializedLiteral(field(LITERAL_SCALAR, field(SCALAR_UNION, union)))


def literal_map(literals: Mapping[str, SerializedLiteral], order: Sequence[str] = ()) -> bytes:
    """Make the document ``outputs.pb``, a ``flyteidl.core.LiteralMap``.

    Args:
        literals: what it holds.
        order: names that come first, in this order; the others follow sorted by name.
    """
    names = [*(name for name in order if name in literals), *sorted(set(literals) - set(order))]
    return bytes(entries_of((name, literals[name]) for name in names))


def split_literal_map(document: bytes) -> dict[str, SerializedLiteral]:
    """Take a ``flyteidl.core.LiteralMap`` apart; the literals themselves are not looked into.

    Args:
        document: any valid serialization. As protobuf reads it, unknown fields are skipped, and of
            several entries of a name the last one counts.

    Raises:
        ValueError: when it is no LiteralMap.
    """
    try:
        entries = wire_compatible_map().FromString(document).literals
    except DecodeError:
        raise ValueError(NO_MAP) from None
    # A message that is there in several pieces is all of them together.
    return {entry.key: SerializedLiteral(b"".join(entry.value)) for entry in entries}


def beside_map(document: bytes) -> bytes:
    """Return the fields of a document of literals that are not its literals.

    Flyte 2's ``Inputs`` and ``Outputs`` are LiteralMaps on the wire, and may hold more.

    Raises:
        ValueError: when it is no LiteralMap.
    """
    try:
        whole = wire_compatible_map().FromString(document)
    except DecodeError:
        raise ValueError(NO_MAP) from None
    whole.ClearField("literals")
    rest: bytes = whole.SerializeToString(deterministic=True)
    return rest


def entries_of(entries: Iterable[tuple[str, SerializedLiteral]]) -> bytearray:
    """Write the entries of a LiteralMap."""
    written = bytearray()
    for key, value in entries:
        entry = bytearray()
        add_field(entry, ENTRY_KEY, key.encode())
        add_field(entry, ENTRY_VALUE, value)
        add_field(written, MAP_LITERALS, entry)
    return written


def field(number: int, content: bytes | bytearray) -> bytes:
    """Write one length-delimited field."""
    return b"".join((varint(number << 3 | LENGTH_DELIMITED), varint(len(content)), content))


def add_field(message: bytearray, number: int, content: bytes | bytearray) -> None:
    """Append one length-delimited field."""
    message += varint(number << 3 | LENGTH_DELIMITED)
    message += varint(len(content))
    message += content


def varint(value: int) -> bytes:
    """Write a number that is not negative."""
    if value <= LOW_BITS:
        return value.to_bytes(1, "big")
    written = bytearray()
    while value > LOW_BITS:
        written.append(value & LOW_BITS | MORE)
        value >>= 7
    written.append(value)
    return bytes(written)


@functools.cache
def wire_compatible_map() -> Any:
    """Make the message class that reads a LiteralMap with the literals left as bytes."""
    file = descriptor_pb2.FileDescriptorProto(
        name="perian_shim/literal_map.proto", package="perian_shim", syntax="proto3"
    )
    entry = file.message_type.add(name="Entry")
    entry.field.add(
        name="key", number=ENTRY_KEY, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL
    )
    entry.field.add(
        name="value", number=ENTRY_VALUE, type=_Field.TYPE_BYTES, label=_Field.LABEL_REPEATED
    )
    whole = file.message_type.add(name="LiteralMap")
    whole.field.add(
        name="literals",
        number=MAP_LITERALS,
        type=_Field.TYPE_MESSAGE,
        type_name=".perian_shim.Entry",
        label=_Field.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("perian_shim.LiteralMap"))
