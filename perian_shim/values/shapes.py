"""How a declared output lies on disk, and the literals that refer to stored files.

Files are not read here; the caller stores their bytes and asks for the literal that refers to
them. Types without a layout on disk raise ``UnsupportedTypeError``, which is best provoked when a
task is defined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from flyteidl.core.literals_pb2 import Literal
from flyteidl.core.types_pb2 import LiteralType, SimpleType

from perian_shim.values.build import blob_scalar, dataset_scalar, none_literal, schema_scalar
from perian_shim.values.decoding import map_entries
from perian_shim.values.serialized import (
    SerializedLiteral,
    serialize,
    serialized_list,
    serialized_map,
    serialized_union,
)
from perian_shim.values.types import describe_type, is_directory, parts_of, without_none


class UnsupportedTypeError(ValueError):
    """An output type that cannot be read from files."""


class OutputKind(str, Enum):
    """What lies at an output's path."""

    VALUE = "value"
    """A text file."""
    FILE = "file"
    """One file."""
    DIRECTORY = "directory"
    """A directory, kept as it is."""
    DATASET = "dataset"
    """A parquet file, or a directory of them."""
    LIST = "list"
    """A directory whose entries, in the order of ``order_entries``, are the elements."""
    MAP = "map"
    """A directory whose entries' names are the keys."""


@dataclass(frozen=True)
class OutputShape:
    """The layout of one output.

    Attributes:
        kind: what lies at the output's path.
        literal_type: the declared type, an Optional included.
        optional: whether nothing may lie there: the value is None then.
        element: the layout of each entry of a LIST or MAP, None for the other kinds.
    """

    kind: OutputKind
    literal_type: LiteralType
    optional: bool
    element: OutputShape | None = None

    @property
    def levels(self) -> int:
        """How many levels of directories lie around the elements; 0 for what is one element."""
        return 0 if self.element is None else 1 + self.element.levels


def output_shape(literal_type: LiteralType) -> OutputShape:
    """Find how an output of a type lies on disk.

    Lists and maps of files are directories; lists and maps of values are one JSON file.

    Raises:
        UnsupportedTypeError: for binary and error values, for a union that could be either a
            value or a file, and for lists and maps of Optional files: no entry stands for None.
    """
    inner, none = without_none(literal_type)
    parts = parts_of(inner)
    content = parts.element or parts.map_value
    if content is not None:
        element = output_shape(content)
        if element.kind is not OutputKind.VALUE:
            if element.optional:
                raise UnsupportedTypeError(
                    f"an output of type {describe_type(inner)} could not show which elements are"
                    " None; declare elements that are not Optional"
                )
            kind = OutputKind.MAP if parts.element is None else OutputKind.LIST
            return OutputShape(kind, literal_type, none is not None, element)
    for variant in parts.variants or ():
        if output_shape(variant).kind is not OutputKind.VALUE:
            raise UnsupportedTypeError(
                f"an output of type {describe_type(inner)} might be a file or something else; "
                "declare one type, or one type and None"
            )
    if parts.simple in {SimpleType.BINARY, SimpleType.ERROR}:
        raise UnsupportedTypeError(f"no file holds a value of type {describe_type(inner)}")
    if parts.blob is not None:
        kind = OutputKind.DIRECTORY if is_directory(parts.blob) else OutputKind.FILE
    elif parts.dataset is not None or parts.schema is not None:
        kind = OutputKind.DATASET
    else:
        kind = OutputKind.VALUE
    return OutputShape(kind, literal_type, none is not None)


def file_folders(
    literal: Literal, literal_type: LiteralType, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Find the lists and maps of files in an input: on disk they are directories, empty ones too.

    Args:
        literal: the input.
        literal_type: its declared type; an empty list does not say what it is a list of.
        path: put before the path of each one found, which is as that of a ``BlobLeaf``.
    """
    if literal.scalar.HasField("union"):
        union = literal.scalar.union
        yield from file_folders(union.value, union.type, path)
        return
    parts = parts_of(without_none(literal_type)[0])
    entries: Iterable[tuple[str, Literal]] = ()
    content = None
    if literal.HasField("collection"):
        content = parts.element
        entries = ((str(index), item) for index, item in enumerate(literal.collection.literals))
    elif literal.HasField("map"):
        content = parts.map_value
        entries = map_entries(literal)
    if content is not None and holds_files(content):
        yield path
        for name, item in entries:
            yield from file_folders(item, content, (*path, name))


def holds_files(literal_type: LiteralType) -> bool:
    """Whether a type is, or contains, one of files, directories or datasets."""
    parts = parts_of(literal_type)
    if parts.blob is not None or parts.dataset is not None or parts.schema is not None:
        return True
    inner = (parts.element, parts.map_value, *(parts.variants or ()))
    return any(holds_files(part) for part in inner if part is not None)


def absent_output(literal_type: LiteralType) -> SerializedLiteral | None:
    """The literal of an output that was not written.

    Returns:
        The literal of None if the type allows None, else None: the output is missing.
    """
    if parts_of(literal_type).simple == SimpleType.NONE:
        return serialize(none_literal())
    _, none = without_none(literal_type)
    return None if none is None else serialized_union(serialize(none_literal()), none)


def blob_literal(uri: str, literal_type: LiteralType) -> SerializedLiteral:
    """Refer to stored bytes as a file or directory.

    Args:
        uri: where they are.
        literal_type: a file or directory type, or an Optional of one; format and dimensionality
            are its own.
    """
    blob = parts_of(without_none(literal_type)[0]).blob
    if blob is None:
        raise UnsupportedTypeError(f"{describe_type(literal_type)} is neither file nor directory")
    return as_declared(serialize(blob_scalar(uri, blob)), literal_type)


def dataset_literal(uri: str, literal_type: LiteralType) -> SerializedLiteral:
    """Refer to stored bytes as a structured dataset.

    Args:
        uri: where they are: one file, or the prefix of several.
        literal_type: a structured dataset or schema type, or an Optional of one. A dataset type
            without a format is stated to be parquet.
    """
    parts = parts_of(without_none(literal_type)[0])
    if parts.dataset is not None:
        return as_declared(serialize(dataset_scalar(uri, parts.dataset)), literal_type)
    if parts.schema is None:
        raise UnsupportedTypeError(f"{describe_type(literal_type)} is not a structured dataset")
    return as_declared(serialize(schema_scalar(uri, parts.schema)), literal_type)


def dataset_format(literal_type: LiteralType) -> str:
    """The declared format of a structured dataset, empty where none is; a schema's is parquet."""
    dataset = parts_of(without_none(literal_type)[0]).dataset
    return "" if dataset is None else dataset.format


def files_literal(
    entries: Sequence[SerializedLiteral] | Mapping[str, SerializedLiteral],
    literal_type: LiteralType,
) -> SerializedLiteral:
    """Put the literals of a LIST or MAP output's entries together.

    Args:
        entries: the elements in order, or by key; each made for the element shape's type.
        literal_type: the list or map type, or an Optional of one.
    """
    if isinstance(entries, Mapping):
        return as_declared(serialized_map(entries), literal_type)
    return as_declared(serialized_list(entries), literal_type)


def as_declared(literal: SerializedLiteral, literal_type: LiteralType) -> SerializedLiteral:
    """Wrap the value of an Optional as flytekit does; the literal of any other type is kept."""
    inner, _ = without_none(literal_type)
    return literal if inner is literal_type else serialized_union(literal, inner)


def order_entries(names: Iterable[str]) -> list[str]:
    """Sort the names of a LIST output's entries: by text, runs of digits by value (2 before 10)."""
    return sorted(names, key=natural_order)


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key of ``order_entries``."""
    # Odd positions hold the runs of digits: without leading zeros the longer one is the larger.
    parts = re.split(r"([0-9]+)", name)
    digits = [part.lstrip("0") if index % 2 else part for index, part in enumerate(parts)]
    return [(len(part) if index % 2 else 0, part) for index, part in enumerate(digits)], name
