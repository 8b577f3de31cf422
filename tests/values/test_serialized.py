"""Bytes put together by us are those that protobuf's own deterministic serialization gives.

But for one thing: protobuf's C implementation sorts a key behind those that begin with it (``ab``
before ``a``), which is no order that protobuf promises and not that of its other implementations.
"""

from __future__ import annotations

import pytest
from flyteidl.core.literals_pb2 import Literal, LiteralCollection, LiteralMap, Scalar, Union
from flyteidl.core.types_pb2 import LiteralType
from hypothesis import given
from hypothesis import strategies as st
from support.flyte_values import declared, message

from perian_shim.values.build import msgpack_literal, none_literal, primitive_literal
from perian_shim.values.serialized import (
    SerializedLiteral,
    literal_map,
    serialize,
    serialized_list,
    serialized_map,
    serialized_union,
    split_literal_map,
)

text = st.text(st.characters(exclude_categories=["Cs"]))
names = text | st.sampled_from(["", "a", "z" * 127, "z" * 128, "é", "\U0001f600", "\uffff"])
scalars = (
    st.integers(-(2**63), 2**63 - 1).map(primitive_literal)
    | st.floats().map(primitive_literal)
    | text.map(primitive_literal)
    | st.binary(max_size=300).map(msgpack_literal)
    | st.just(none_literal())
    | st.just(Literal())
)
TYPES = [declared(python_type) for python_type in (int, str | None, list[dict[str, float]])]


def reserialized(literal: SerializedLiteral) -> SerializedLiteral:
    """Let protobuf sort the maps in it."""
    return serialize(message(literal))


def of_list(items: list[Literal]) -> Literal:
    return Literal(collection=LiteralCollection(literals=items))


def of_map(entries: dict[str, Literal]) -> Literal:
    return Literal(map=LiteralMap(literals=entries))


def of_union(value: Literal, variant: LiteralType) -> Literal:
    return Literal(scalar=Scalar(union=Union(value=value, type=variant)))


literals = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4).map(of_list)
        | st.dictionaries(names, inner, max_size=4).map(of_map)
        | st.builds(of_union, inner, st.sampled_from(TYPES))
    ),
    max_leaves=20,
)


@given(st.lists(literals, max_size=5))
def test_a_list_is_what_protobuf_writes(items: list[Literal]) -> None:
    assert serialized_list(map(serialize, items)) == serialize(of_list(items))


@given(st.dictionaries(names, literals, max_size=5))
def test_a_map_is_what_protobuf_writes(entries: dict[str, Literal]) -> None:
    written = serialized_map({key: serialize(value) for key, value in entries.items()})
    assert reserialized(written) == serialize(of_map(entries))
    assert len(written) == len(serialize(of_map(entries)))


@given(literals, st.sampled_from(TYPES))
def test_a_union_is_what_protobuf_writes(value: Literal, variant: LiteralType) -> None:
    assert serialized_union(serialize(value), variant) == serialize(of_union(value, variant))


@given(st.dictionaries(names, literals, max_size=5))
def test_a_document_is_what_protobuf_writes_and_comes_apart_again(
    outputs: dict[str, Literal],
) -> None:
    parts = {name: serialize(value) for name, value in outputs.items()}
    document = literal_map(parts)
    expected = LiteralMap(literals=outputs).SerializeToString(deterministic=True)
    assert LiteralMap.FromString(document).SerializeToString(deterministic=True) == expected
    assert len(document) == len(expected)
    assert list(split_literal_map(document)) == sorted(outputs)
    assert split_literal_map(document) == parts


def test_a_large_literal_is_what_protobuf_writes() -> None:
    items = [primitive_literal("x" * size) for size in (127, 128, 16383, 16384, 2**21)]
    assert serialized_list(map(serialize, items)) == serialize(of_list(items))


ONE = serialize(primitive_literal(1))
TWO = serialize(primitive_literal(2))


def entry(*fields: bytes) -> bytes:
    """An entry of a LiteralMap as another writer may leave it."""
    content = b"".join(fields)
    return b"\x0a" + bytes([len(content)]) + content


def key(name: str) -> bytes:
    return b"\x0a" + bytes([len(name)]) + name.encode()


def value(literal: SerializedLiteral) -> bytes:
    return b"\x12" + bytes([len(literal)]) + literal


UNKNOWN = b"\x7a\x02xy" + b"\x78\x05" + b"\x7d1234" + b"\x79" + b"12345678" + b"\x7b\x78\x01\x7c"
"""Field 15 in every form there is: bytes, a varint, 32 bits, 64 bits, a group."""

DOCUMENTS = {
    "empty": b"",
    "value before key": entry(value(ONE), key("a")),
    "no key": entry(value(ONE)),
    "no value": entry(key("a")),
    "unknown fields": UNKNOWN + entry(key("a"), value(ONE)) + UNKNOWN,
    "a name twice": entry(key("a"), value(ONE)) + entry(key("a"), value(TWO)),
    "a key twice": entry(key("a"), key("b"), value(ONE)),
    "a value in two pieces": entry(key("a"), value(ONE), value(TWO)),
    "unsorted": entry(key("b"), value(ONE)) + entry(key("a"), value(TWO)),
    "a long varint": b"\x8a\x80\x00" + entry(key("a"), value(ONE))[1:],
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_any_document_is_read_as_protobuf_reads_it(document: bytes) -> None:
    read = {name: Literal.FromString(one) for name, one in split_literal_map(document).items()}
    assert read == dict(LiteralMap.FromString(document).literals)


def test_unknown_fields_inside_an_entry_are_skipped() -> None:
    # Not as protobuf's C implementation reads it: that leaves out the whole entry.
    document = entry(UNKNOWN, key("a"), UNKNOWN, value(ONE))
    assert split_literal_map(document) == {"a": ONE}


@pytest.mark.parametrize(
    "document",
    [b"\x0a", b"\x0a\x05ab", b"\x0f", entry(b"\x0a\x01\xff"), b"<html>not found</html>"],
    ids=["no length", "cut off", "unknown wire type", "a name that is no UTF-8", "something else"],
)
def test_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="LiteralMap"):
        split_literal_map(document)
