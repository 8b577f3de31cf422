"""Flyte's literal types: what they consist of, and their names for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flyteidl.core.types_pb2 import (
    BlobType,
    LiteralType,
    SchemaType,
    SimpleType,
    StructuredDatasetType,
)
from google.protobuf import json_format

SIMPLE_NAMES: Mapping[int, str] = {
    SimpleType.NONE: "None",
    SimpleType.INTEGER: "int",
    SimpleType.FLOAT: "float",
    SimpleType.STRING: "str",
    SimpleType.BOOLEAN: "bool",
    SimpleType.DATETIME: "datetime",
    SimpleType.DURATION: "timedelta",
    SimpleType.BINARY: "binary",
    SimpleType.ERROR: "error",
    SimpleType.STRUCT: "struct",
}
"""By the values of ``SimpleType``. Where values are read one by one, the constants are those of the
module ``types_pb2``: the enum's own wrapper searches for a name each time."""
PROTOBUF_NAME_KEY = "pb_type"
LITERAL_VALUES_KEY = "literal_values"


@dataclass(frozen=True)
class TypeParts:
    """What a LiteralType consists of; of all but the last two fields exactly one is not None.

    Attributes:
        simple: a ``SimpleType`` value.
        element: the type of a list's elements.
        map_value: the type of a map's values.
        blob: format and dimensionality of a file or directory.
        dataset: columns and format of a structured dataset.
        schema: columns of flytekit's older FlyteSchema.
        enum_values: the texts an enum allows.
        variants: the types of a union.
        metadata: flytekit's further description; for a dataclass its JSON schema. All numbers of a
            protobuf Struct are floats, whole ones too.
        allowed: the only values of a ``typing.Literal``, integers perhaps as floats.
    """

    simple: int | None
    element: LiteralType | None
    map_value: LiteralType | None
    blob: BlobType | None
    dataset: StructuredDatasetType | None
    schema: SchemaType | None
    enum_values: tuple[str, ...] | None
    variants: tuple[LiteralType, ...] | None
    metadata: Mapping[str, object]
    allowed: tuple[object, ...] | None


def parts_of(literal_type: LiteralType) -> TypeParts:
    """Read a LiteralType."""
    kind = literal_type.WhichOneof("type")

    def part(name: str) -> Any:
        return getattr(literal_type, name) if kind == name else None

    enum, union = part("enum_type"), part("union_type")
    annotations = json_format.MessageToDict(literal_type.annotation.annotations)
    allowed = annotations.get(LITERAL_VALUES_KEY)
    return TypeParts(
        simple=part("simple"),
        element=part("collection_type"),
        map_value=part("map_value_type"),
        blob=part("blob"),
        dataset=part("structured_dataset_type"),
        schema=part("schema"),
        enum_values=None if enum is None else tuple(enum.values),
        variants=None if union is None else tuple(union.variants),
        metadata=json_format.MessageToDict(literal_type.metadata),
        allowed=None if allowed is None else tuple(allowed),
    )


def without_none(literal_type: LiteralType) -> tuple[LiteralType, LiteralType | None]:
    """Split an Optional.

    Returns:
        The type without None: the other variant of a union of two, else the type itself; and the
        variant that stands for None, if there is one.
    """
    variants = parts_of(literal_type).variants or ()
    others = [variant for variant in variants if parts_of(variant).simple != SimpleType.NONE]
    nones = [variant for variant in variants if parts_of(variant).simple == SimpleType.NONE]
    return others[0] if len(others) == 1 else literal_type, nones[0] if nones else None


def is_directory(blob: BlobType) -> bool:
    """Whether a blob type means a directory rather than one file."""
    return blob.dimensionality == BlobType.MULTIPART


def describe_type(literal_type: LiteralType) -> str:
    """Name a type for people: ``int``, ``Optional[list[str]]``, ``enum(red, green)``, ``file``."""
    parts = parts_of(literal_type)
    if parts.element is not None:
        return f"list[{describe_type(parts.element)}]"
    if parts.map_value is not None:
        return f"dict[str, {describe_type(parts.map_value)}]"
    if parts.variants is not None:
        inner, none = without_none(literal_type)
        if inner is not literal_type:
            return f"Optional[{describe_type(inner)}]" if none else describe_type(inner)
        return f"Union[{', '.join(describe_type(variant) for variant in parts.variants)}]"
    return describe_leaf(parts)


def describe_leaf(parts: TypeParts) -> str:
    """Name a type that contains no others."""
    if parts.enum_values is not None:
        return f"enum({', '.join(parts.enum_values)})"
    if parts.allowed is not None:
        return f"Literal[{', '.join(repr(value) for value in parts.allowed)}]"
    if parts.blob is not None:
        noun = "directory" if is_directory(parts.blob) else "file"
        return f"{noun} ({parts.blob.format})" if parts.blob.format else noun
    if parts.dataset is not None or parts.schema is not None:
        return "structured dataset"
    if parts.simple == SimpleType.STRUCT:
        title = parts.metadata.get("title")
        protobuf = parts.metadata.get(PROTOBUF_NAME_KEY)
        return f"protobuf {protobuf}" if protobuf else f"struct {title}" if title else "struct"
    return (
        "unknown type" if parts.simple is None else SIMPLE_NAMES.get(parts.simple, "unknown type")
    )
