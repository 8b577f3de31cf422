"""Flyte literals from parts: one constructor for each kind of literal.

flytekit's Primitive keeps microseconds; ``timestamp_literal`` and ``duration_literal`` keep the
nanoseconds of the protobuf message, which matter to readers that are not Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timezone

from flyteidl.core import literals_pb2
from flytekit.models.core.types import BlobType
from flytekit.models.literals import (
    Binary,
    Blob,
    BlobMetadata,
    Literal,
    LiteralCollection,
    LiteralMap,
    Primitive,
    Scalar,
    Schema,
    StructuredDataset,
    StructuredDatasetMetadata,
    Union,
    Void,
)
from flytekit.models.types import LiteralType, SchemaType, StructuredDatasetType
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

MSGPACK_TAG = "msgpack"
NANOS_PER_MICROSECOND = 1000
DEFAULT_DATASET_FORMAT = "parquet"


class NanosecondPrimitive(Primitive):
    """A point in time or a duration finer than Python's microseconds.

    Python readers see it truncated to microseconds; written to protobuf it is exact.
    """

    def __init__(self, exact: Timestamp | Duration) -> None:
        if isinstance(exact, Timestamp):
            super().__init__(datetime=exact.ToDatetime(tzinfo=timezone.utc))
        else:
            super().__init__(duration=exact.ToTimedelta())
        self._exact = exact

    def to_flyte_idl(self) -> literals_pb2.Primitive:
        """Write the exact value."""
        if isinstance(self._exact, Timestamp):
            return literals_pb2.Primitive(datetime=self._exact)
        return literals_pb2.Primitive(duration=self._exact)


def primitive_literal(value: bool | float | str) -> Literal:
    """Make a boolean, integer, float or string literal, by the type of the value."""
    match value:
        case bool():
            primitive = Primitive(boolean=value)
        case int():
            primitive = Primitive(integer=value)
        case float():
            primitive = Primitive(float_value=value)
        case str():
            primitive = Primitive(string_value=value)
    return Literal(scalar=Scalar(primitive=primitive))


def timestamp_literal(value: Timestamp) -> Literal:
    """Make a datetime literal, exact to the nanosecond."""
    if value.nanos % NANOS_PER_MICROSECOND:
        return Literal(scalar=Scalar(primitive=NanosecondPrimitive(value)))
    moment = value.ToDatetime(tzinfo=timezone.utc)
    return Literal(scalar=Scalar(primitive=Primitive(datetime=moment)))


def duration_literal(value: Duration) -> Literal:
    """Make a duration literal, exact to the nanosecond."""
    if value.nanos % NANOS_PER_MICROSECOND:
        return Literal(scalar=Scalar(primitive=NanosecondPrimitive(value)))
    return Literal(scalar=Scalar(primitive=Primitive(duration=value.ToTimedelta())))


def none_literal() -> Literal:
    """Make the literal of None."""
    return Literal(scalar=Scalar(none_type=Void()))


def list_literal(items: Sequence[Literal]) -> Literal:
    """Make a collection literal."""
    collection = LiteralCollection(list(items))
    return Literal(collection=collection)


def map_literal(entries: Mapping[str, Literal]) -> Literal:
    """Make a map literal."""
    literal_map = LiteralMap(dict(entries))
    return Literal(map=literal_map)


def union_literal(value: Literal, variant: LiteralType) -> Literal:
    """Make a union literal.

    Args:
        value: the literal of the variant.
        variant: the variant as the union type lists it; flytekit finds the Python type by the tag
            in its structure.
    """
    union = Union(value, variant)
    return Literal(scalar=Scalar(union=union))


def msgpack_literal(packed: bytes) -> Literal:
    """Make the literal in which flytekit carries dataclasses and untyped dicts."""
    binary = Binary(packed, MSGPACK_TAG)
    return Literal(scalar=Scalar(binary=binary))


def struct_literal(struct: Struct) -> Literal:
    """Make a literal that carries a protobuf Struct."""
    return Literal(scalar=Scalar(generic=struct))


def blob_scalar(uri: str, blob_type: BlobType) -> Literal:
    """Make a literal that refers to a file or directory."""
    metadata = BlobMetadata(blob_type)
    blob = Blob(metadata, uri)
    return Literal(scalar=Scalar(blob=blob))


def schema_scalar(uri: str, schema_type: SchemaType) -> Literal:
    """Make a literal that refers to a table of flytekit's older FlyteSchema type."""
    schema = Schema(uri, schema_type)
    return Literal(scalar=Scalar(schema=schema))


def dataset_scalar(uri: str, dataset_type: StructuredDatasetType) -> Literal:
    """Make a literal that refers to a structured dataset.

    Args:
        uri: where the data is.
        dataset_type: the declared type; where it names no format, parquet is stated.
    """
    stored = StructuredDatasetType(
        columns=dataset_type.columns,
        format=dataset_type.format or DEFAULT_DATASET_FORMAT,
        external_schema_type=dataset_type.external_schema_type,
        external_schema_bytes=dataset_type.external_schema_bytes,
    )
    return Literal(
        scalar=Scalar(structured_dataset=StructuredDataset(uri, StructuredDatasetMetadata(stored)))
    )
