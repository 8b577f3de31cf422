from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Literal as OneOf

import pandas as pd
import pytest
from flyteidl.core.types_pb2 import LiteralType, SimpleType
from flytekit.types.directory.types import FlyteDirectory
from flytekit.types.file.file import FlyteFile
from flytekit.types.schema.types import FlyteSchema
from flytekit.types.structured.structured_dataset import StructuredDataset
from google.protobuf.struct_pb2 import Struct
from support.flyte_values import PythonType, declared, decoded, encoded, message
from support.flytekit_versions import needs_literal_types, needs_optional_datasets, only

from perian_shim.values.serialized import serialize
from perian_shim.values.shapes import (
    OutputKind,
    UnsupportedTypeError,
    absent_output,
    blob_literal,
    dataset_literal,
    files_literal,
    order_entries,
    output_shape,
)
from perian_shim.values.types import describe_type

File: PythonType = FlyteFile
Csv: PythonType = File["csv"]
Folder: PythonType = FlyteDirectory
Table: PythonType = StructuredDataset


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Stats:
    rows: int


@pytest.mark.parametrize(
    ("python_type", "name"),
    [
        (int, "int"),
        (float, "float"),
        (bool, "bool"),
        (str, "str"),
        (dt.datetime, "datetime"),
        (dt.timedelta, "timedelta"),
        (type(None), "None"),
        (list[int], "list[int]"),
        (dict[str, list[float]], "dict[str, list[float]]"),
        (str | None, "Optional[str]"),
        (int | str, "Union[int, str]"),
        (int | str | None, "Union[int, str, None]"),
        (Color, "enum(red, green)"),
        *only(needs_literal_types, [(OneOf["a", "b"], "Literal['a', 'b']")]),
        (Stats, "struct Stats"),
        (dict, "struct"),
        (Struct, "protobuf google.protobuf.struct_pb2.Struct"),
        (File, "file"),
        (Csv, "file (csv)"),
        (Folder, "directory"),
        (Table, "structured dataset"),
        (FlyteSchema, "structured dataset"),
    ],
)
def test_a_type_has_a_name_for_people(python_type: PythonType, name: str) -> None:
    assert describe_type(declared(python_type)) == name


@pytest.mark.parametrize(
    ("python_type", "kind", "optional"),
    [
        (int, OutputKind.VALUE, False),
        (str | None, OutputKind.VALUE, True),
        (int | str, OutputKind.VALUE, False),
        (type(None), OutputKind.VALUE, False),
        (Color, OutputKind.VALUE, False),
        (Stats | None, OutputKind.VALUE, True),
        (list[int], OutputKind.VALUE, False),
        (dict[str, Stats], OutputKind.VALUE, False),
        (File, OutputKind.FILE, False),
        (Csv | None, OutputKind.FILE, True),
        (set, OutputKind.FILE, False),
        (Folder, OutputKind.DIRECTORY, False),
        (Folder | None, OutputKind.DIRECTORY, True),
        (Table, OutputKind.DATASET, False),
        (pd.DataFrame, OutputKind.DATASET, False),
        (FlyteSchema, OutputKind.DATASET, False),
        (list[File], OutputKind.LIST, False),
        (list[File] | None, OutputKind.LIST, True),
        (dict[str, Folder], OutputKind.MAP, False),
    ],
)
def test_a_type_has_a_layout_on_disk(
    python_type: PythonType, kind: OutputKind, optional: bool
) -> None:
    literal_type = declared(python_type)
    shape = output_shape(literal_type)
    assert (shape.kind, shape.optional) == (kind, optional)
    assert shape.literal_type is literal_type
    assert (shape.element is not None) == (kind in {OutputKind.LIST, OutputKind.MAP})


def test_nested_collections_of_files_are_nested_directories() -> None:
    shape = output_shape(declared(dict[str, list[Table]]))
    assert shape.element is not None
    assert shape.element.kind is OutputKind.LIST
    assert shape.element.element is not None
    assert shape.element.element.kind is OutputKind.DATASET


@pytest.mark.parametrize("python_type", [int | File, File | Folder, list[int | File]])
def test_a_union_of_a_file_and_something_else_is_refused(python_type: PythonType) -> None:
    with pytest.raises(UnsupportedTypeError, match="declare one type"):
        output_shape(declared(python_type))


@pytest.mark.parametrize(
    "python_type", [list[File | None], dict[str, Folder | None], list[list[File] | None]]
)
def test_elements_that_could_be_none_are_refused(python_type: PythonType) -> None:
    with pytest.raises(UnsupportedTypeError, match="which elements are None"):
        output_shape(declared(python_type))


def test_the_levels_of_a_layout_are_counted() -> None:
    types: list[PythonType] = [int, File, list[int], list[File], dict[str, list[Folder]] | None]
    assert [output_shape(declared(one)).levels for one in types] == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("simple", [SimpleType.BINARY, SimpleType.ERROR])
def test_binary_values_are_refused(simple: Any) -> None:
    with pytest.raises(UnsupportedTypeError, match="no file holds"):
        output_shape(LiteralType(simple=simple))


@pytest.mark.parametrize("python_type", [int | None, str | None, File | None, Stats | None])
def test_an_absent_optional_output_is_none(python_type: PythonType) -> None:
    literal = absent_output(declared(python_type))
    assert literal is not None
    assert literal == serialize(encoded(None, python_type))
    assert decoded(literal, python_type) is None


def test_an_absent_output_of_type_none_is_none() -> None:
    literal = absent_output(declared(type(None)))
    assert literal is not None
    assert literal == serialize(encoded(None, type(None)))


@pytest.mark.parametrize("python_type", [int, str, File, list[int], int | str])
def test_any_other_absent_output_is_missing(python_type: PythonType) -> None:
    assert absent_output(declared(python_type)) is None


@pytest.mark.parametrize("python_type", [File, Csv, Folder, File | None, Folder | None])
def test_a_stored_file_is_referred_to_as_flytekit_does(python_type: PythonType) -> None:
    inner = Folder if "Directory" in str(python_type) else File
    literal = blob_literal("s3://bucket/x", declared(python_type))
    own = encoded(inner("s3://bucket/x"), python_type)
    assert literal == serialize(own)


@pytest.mark.parametrize(
    "python_type", [Table, *only(needs_optional_datasets, [(Table | None,)]), pd.DataFrame]
)
@pytest.mark.parametrize("as_directory", [True, False])
def test_a_stored_dataset_can_be_read_by_flytekit(
    tmp_path: Path, python_type: PythonType, as_directory: bool
) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    target = tmp_path / "table"
    if as_directory:
        target.mkdir()
    frame.to_parquet(target / "00000" if as_directory else target)
    read = decoded(dataset_literal(str(target), declared(python_type)), python_type)
    if isinstance(read, StructuredDataset):
        read = read.open(pd.DataFrame).all()
    assert isinstance(read, pd.DataFrame)
    assert read.to_dict() == frame.to_dict()


def test_a_dataset_without_a_format_is_stated_to_be_parquet() -> None:
    dataset = message(dataset_literal("s3://b/x", declared(Table))).scalar.structured_dataset
    assert dataset.metadata.structured_dataset_type.format == "parquet"


def test_a_schema_is_referred_to_as_one() -> None:
    literal = message(dataset_literal("s3://b/x", declared(FlyteSchema)))
    assert literal.scalar.schema.uri == "s3://b/x"


def test_files_are_put_together_as_flytekit_does() -> None:
    for python_type in (list[Csv], list[Csv] | None):
        items = [blob_literal(f"s3://b/{i}", declared(Csv)) for i in range(2)]
        own = encoded([Csv("s3://b/0"), Csv("s3://b/1")], python_type)
        assert files_literal(items, declared(python_type)) == serialize(own)


def test_files_by_key_are_put_together_as_flytekit_does() -> None:
    entry = blob_literal("s3://b/0", declared(Folder))
    own = encoded({"k": Folder("s3://b/0")}, dict[str, Folder])
    assert files_literal({"k": entry}, declared(dict[str, Folder])) == serialize(own)


def test_a_file_is_no_dataset_and_the_reverse() -> None:
    with pytest.raises(UnsupportedTypeError, match="int is neither"):
        blob_literal("s3://b/0", declared(int))
    with pytest.raises(UnsupportedTypeError, match="file is not"):
        dataset_literal("s3://b/0", declared(File))


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1", "2", "10", "11"],
        ["part-1.csv", "part-2.csv", "part-10.csv"],
        ["000", "001", "010", "100"],
        ["a", "a1", "a1b2", "a1b10", "b"],
    ],
)
def test_entries_are_ordered_as_people_count(names: list[str]) -> None:
    assert order_entries(reversed(names)) == names


def test_the_order_of_entries_is_total() -> None:
    assert order_entries(["01", "1"]) == order_entries(["1", "01"])
