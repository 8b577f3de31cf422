"""Flyte literals from parts: one constructor for each kind of literal."""

from __future__ import annotations

from flyteidl.core.literals_pb2 import (
    Binary,
    Blob,
    BlobMetadata,
    Literal,
    Primitive,
    Scalar,
    Schema,
    StructuredDataset,
    StructuredDatasetMetadata,
    Void,
)
from flyteidl.core.types_pb2 import BlobType, SchemaType, StructuredDatasetType
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

MSGPACK_TAG = "msgpack"
DEFAULT_DATASET_FORMAT = "parquet"


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
    return Literal(scalar=Scalar(primitive=Primitive(datetime=value)))


def duration_literal(value: Duration) -> Literal:
    """Make a duration literal, exact to the nanosecond."""
    return Literal(scalar=Scalar(primitive=Primitive(duration=value)))


def none_literal() -> Literal:
    """Make the literal of None."""
    return Literal(scalar=Scalar(none_type=Void()))


def msgpack_literal(packed: bytes) -> Literal:
    """Make the literal in which flytekit carries dataclasses and untyped dicts."""
    return Literal(scalar=Scalar(binary=Binary(value=packed, tag=MSGPACK_TAG)))


def struct_literal(struct: Struct) -> Literal:
    """Make a literal that carries a protobuf Struct."""
    return Literal(scalar=Scalar(generic=struct))


def blob_scalar(uri: str, blob_type: BlobType) -> Literal:
    """Make a literal that refers to a file or directory."""
    return Literal(scalar=Scalar(blob=Blob(metadata=BlobMetadata(type=blob_type), uri=uri)))


def schema_scalar(uri: str, schema_type: SchemaType) -> Literal:
    """Make a literal that refers to a table of flytekit's older FlyteSchema type."""
    return Literal(scalar=Scalar(schema=Schema(uri=uri, type=schema_type)))


def dataset_scalar(uri: str, dataset_type: StructuredDatasetType) -> Literal:
    """Make a literal that refers to a structured dataset.

    Args:
        uri: where the data is.
        dataset_type: the declared type; where it names no format, parquet is stated.
    """
    stored = StructuredDatasetType()
    stored.CopyFrom(dataset_type)
    stored.format = stored.format or DEFAULT_DATASET_FORMAT
    metadata = StructuredDatasetMetadata(structured_dataset_type=stored)
    return Literal(scalar=Scalar(structured_dataset=StructuredDataset(uri=uri, metadata=metadata)))
