from __future__ import annotations

import datetime as dt
import enum
import json
import math
from dataclasses import dataclass
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # ships no types
import pytest
from flyteidl.core import literals_pb2
from flyteidl.core.literals_pb2 import Literal
from flytekit.types.directory.types import FlyteDirectory
from flytekit.types.file.file import FlyteFile
from flytekit.types.schema.types import FlyteSchema
from flytekit.types.structured.structured_dataset import StructuredDataset
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from support.flyte_values import declared, encoded, message

from perian_shim.values.build import (
    blob_scalar,
    duration_literal,
    msgpack_literal,
    none_literal,
    schema_scalar,
    struct_literal,
    timestamp_literal,
)
from perian_shim.values.decoding import PythonValue, UnreadableLiteral, is_none
from perian_shim.values.literals import (
    BlobLeaf,
    InputNotRenderable,
    blob_leaves,
    literal_to_json,
    literal_to_python,
    literal_to_text,
    render_literal,
    to_json_value,
)
from perian_shim.values.parsing import parse_output
from perian_shim.values.times import parse_duration, parse_timestamp
from perian_shim.values.types import parts_of

UTC = dt.timezone.utc
VECTORS = Path(__file__).parent.parent / "data" / "go_format_vectors.json"


class Color(enum.Enum):
    RED = "red"


@dataclass
class Stats:
    rows: int
    mean: float
    tags: list[str]
    more: str | None = None


STATS = Stats(3, 1e6, ["a", "b c"])
STATS_GO = "map[mean:1e+06 more:<nil> rows:3 tags:[a b c]]"
STATS_JSON = '{"rows": 3, "mean": 1000000.0, "tags": ["a", "b c"], "more": null}'
MOMENT = dt.datetime(2020, 1, 1, 12, 30, 0, 500_000, tzinfo=UTC)


def struct(**fields: float | str | list[bool | None]) -> Literal:
    made = Struct()
    made.update(dict(fields))
    return struct_literal(made)


Files = list[FlyteFile]
FILE = encoded(FlyteFile("s3://b/file"), FlyteFile)
FOLDER = encoded(FlyteDirectory("s3://b/dir"), FlyteDirectory)
DATASET = encoded(StructuredDataset(uri="s3://b/table"), StructuredDataset)


@pytest.mark.parametrize(
    ("literal", "go", "text"),
    [
        (encoded(-3, int), "-3", "-3"),
        (encoded(1e6, float), "1e+06", "1000000.0"),
        (encoded(1.0, float), "1", "1.0"),
        (encoded(float("nan"), float), "NaN", "nan"),
        (encoded(float("-inf"), float), "-Inf", "-inf"),
        (encoded(True, bool), "true", "true"),
        (encoded(False, bool), "false", "false"),
        (encoded(" a\n'b' é", str), " a\n'b' é", " a\n'b' é"),
        (encoded("", str), "", ""),
        (encoded(MOMENT, dt.datetime), "2020-01-01T12:30:00.5Z", "2020-01-01T12:30:00.500Z"),
        (encoded(dt.timedelta(hours=1), dt.timedelta), "seconds:3600", "3600s"),
        (encoded(dt.timedelta(0), dt.timedelta), "", "0s"),
        (
            encoded(dt.timedelta(seconds=-1.5), dt.timedelta),
            "seconds:-1 nanos:-500000000",
            "-1.500s",
        ),
        (encoded(Color.RED, Color), "red", "red"),
        (encoded(5, int | None), "5", "5"),
        (encoded("x", int | str), "x", "x"),
        (encoded([1, 2], list[int]), "[1,2]", "[1, 2]"),
        (encoded([], list[int]), "[]", "[]"),
        (encoded([["a b"], []], list[list[str]]), "[[a b],[]]", '[["a b"], []]'),
        (encoded({"b": 1.0, "a": 2.5}, dict[str, float]), "map[a:2.5 b:1]", None),
        (
            encoded({"b": [1, None], "a": "é"}, dict),
            "map[a:é b:[1 <nil>]]",
            '{"b": [1, null], "a": "é"}',
        ),
        (encoded({1: "a"}, dict[int, str]), "map[1:a]", '{"1": "a"}'),
        (encoded(STATS, Stats), STATS_GO, STATS_JSON),
        (encoded([STATS], list[Stats]), f"[{STATS_GO}]", f"[{STATS_JSON}]"),
        (struct(a=1, b=[True, None]), "map[a:1 b:[true <nil>]]", None),
        (FILE, "s3://b/file", "s3://b/file"),
        (FOLDER, "s3://b/dir", "s3://b/dir"),
        (DATASET, "s3://b/table", "s3://b/table"),
    ],
)
def test_a_literal_reads_as_flyte_renders_it_and_as_an_input_file_holds_it(
    literal: Literal, go: str, text: str | None
) -> None:
    assert render_literal(literal, "x") == go
    assert text is None or literal_to_text(literal) == text


def test_a_map_is_json_in_its_file() -> None:
    literal = encoded({"b": 1.0, "a": 2.5}, dict[str, float])
    assert json.loads(literal_to_text(literal) or "") == {"b": 1.0, "a": 2.5}


def test_times_keep_their_nanoseconds() -> None:
    moment = timestamp_literal(parse_timestamp("2020-01-01T00:00:00.123456789Z"))
    assert render_literal(moment) == "2020-01-01T00:00:00.123456789Z"
    assert literal_to_text(moment) == "2020-01-01T00:00:00.123456789Z"
    assert literal_to_text(duration_literal(parse_duration("0.000000001s"))) == "0.000000001s"


def test_times_read_as_go_writes_them() -> None:
    for vector in json.loads(VECTORS.read_text())["timestamps"]:
        moment = Timestamp(seconds=vector["seconds"], nanos=vector["nanos"])
        assert render_literal(timestamp_literal(moment)) == vector["text"]


@pytest.mark.parametrize("literal", [none_literal(), encoded(None, int | None)])
def test_none_has_no_text_and_the_error_says_what_to_do(literal: Literal) -> None:
    assert is_none(literal)
    assert literal_to_text(literal) is None
    with pytest.raises(InputNotRenderable) as refusal:
        render_literal(literal, "size")
    assert "input 'size' is None" in str(refusal.value)
    assert '{{ inputs.size or "default" }}' in str(refusal.value)


def test_none_inside_a_list_has_no_text_on_a_command_line() -> None:
    with pytest.raises(InputNotRenderable, match=r"input 'x'.*contains None"):
        render_literal(encoded([1, None], list[int | None]), "x")


@pytest.mark.parametrize(
    "literal",
    [
        Literal(),
        msgpack_literal(b"\xc1"),
        Literal(scalar=literals_pb2.Scalar(binary=literals_pb2.Binary(value=b"x", tag="cbor"))),
    ],
    ids=["empty", "broken msgpack", "unknown tag"],
)
def test_a_literal_without_a_value_is_refused(literal: Literal) -> None:
    with pytest.raises(UnreadableLiteral):
        literal_to_python(literal)
    with pytest.raises(InputNotRenderable, match="'x'"):
        render_literal(literal, "x")


@pytest.mark.parametrize(
    "literal",
    [
        timestamp_literal(Timestamp(seconds=253_402_300_800)),
        duration_literal(Duration(seconds=10**12)),
        duration_literal(Duration(seconds=1, nanos=-1)),
    ],
    ids=["year 10000", "too long", "two signs"],
)
def test_a_time_that_protobuf_does_not_allow_is_refused(literal: Literal) -> None:
    with pytest.raises(UnreadableLiteral, match="no time"):
        literal_to_python(literal)
    with pytest.raises(UnreadableLiteral, match="no time"):
        literal_to_text(literal)
    with pytest.raises(InputNotRenderable, match="'x'"):
        render_literal(literal, "x")


def test_an_unknown_msgpack_extension_has_no_json() -> None:
    literal = msgpack_literal(msgpack.packb(msgpack.ExtType(5, b"x")))
    with pytest.raises(UnreadableLiteral, match="ExtType"):
        literal_to_text(literal)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (encoded(MOMENT, dt.datetime), MOMENT),
        (encoded(dt.timedelta(seconds=1), dt.timedelta), dt.timedelta(seconds=1)),
        (encoded(None, int | None), None),
        (encoded([1, None], list[int | None]), [1, None]),
        (encoded(STATS, Stats), {"rows": 3, "mean": 1e6, "tags": ["a", "b c"], "more": None}),
        (encoded({1: "a"}, dict[int, str]), {1: "a"}),
        (struct(a=1, b="x"), {"a": 1.0, "b": "x"}),
        (encoded({"f": FlyteFile("s3://b/file")}, dict[str, FlyteFile]), {"f": "s3://b/file"}),
    ],
)
def test_a_literal_becomes_a_plain_value(literal: Literal, value: object) -> None:
    read = literal_to_python(literal)
    assert read == value
    assert repr(read) == repr(value)


def test_files_may_be_located_elsewhere() -> None:
    literal = encoded([FlyteFile("s3://b/1"), FlyteFile("s3://b/2")], Files)
    places = iter(["/in/0", "/in/1"])
    assert literal_to_python(literal, lambda _: next(places)) == ["/in/0", "/in/1"]
    assert literal_to_text(FILE, lambda leaf: f"at {leaf.scalar.blob.uri}") == "at s3://b/file"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MOMENT, "2020-01-01T12:30:00.500Z"),
        (MOMENT.replace(tzinfo=None), "2020-01-01T12:30:00.500Z"),
        (dt.timedelta(minutes=90), "5400s"),
        (dt.timedelta(seconds=0.5), "0.500s"),
        (b"\x00\xff", "AP8="),
        (
            {2: "a", True: "b", None: "c", 1.5: "d"},
            {"2": "a", "true": "b", "null": "c", "1.5": "d"},
        ),
    ],
)
def test_a_value_becomes_json(value: PythonValue, expected: object) -> None:
    assert to_json_value(value) == expected
    json.dumps(to_json_value(value), allow_nan=False)


@pytest.mark.parametrize(
    ("python_type", "value"),
    [
        (list[float], [math.nan, math.inf, -math.inf, 1.0]),
        (dict[str, float], {"a": math.inf, "b": math.nan}),
        (dict, {"a": [-math.inf, {"b": math.nan}]}),
    ],
)
def test_floats_are_written_as_pythons_json_reads_them(python_type: object, value: object) -> None:
    literal = encoded(value, python_type)
    text = literal_to_text(literal)
    assert text == json.dumps(value)
    assert literal_to_json(literal) == text.encode()


def test_the_leaves_of_nested_files_are_found() -> None:
    inner = encoded([FlyteFile("s3://b/0"), FlyteFile("s3://b/1")], Files)
    optional = encoded(FlyteDirectory("s3://b/d"), FlyteDirectory | None)
    entries = {"files": inner, "dir": optional, "table": DATASET, "n": encoded(1, int)}
    literal = Literal(map=literals_pb2.LiteralMap(literals=entries))
    assert list(blob_leaves(literal)) == [
        BlobLeaf(("dir",), "s3://b/d", multipart=True, is_dataset=False),
        BlobLeaf(("files", "0"), "s3://b/0", multipart=False, is_dataset=False),
        BlobLeaf(("files", "1"), "s3://b/1", multipart=False, is_dataset=False),
        BlobLeaf(("table",), "s3://b/table", multipart=True, is_dataset=True),
    ]


def test_a_file_is_its_own_leaf() -> None:
    assert [leaf.path for leaf in blob_leaves(FILE)] == [()]


def test_a_path_in_a_dataclass_is_no_leaf() -> None:
    literal = message(parse_output('{"path": "s3://b/x"}', declared(dict), "x"))
    assert list(blob_leaves(literal)) == []


def test_a_schema_is_a_dataset() -> None:
    schema = parts_of(declared(FlyteSchema)).schema
    assert schema is not None
    (leaf,) = blob_leaves(schema_scalar("s3://b/s", schema))
    assert leaf.is_dataset


def test_a_pickled_value_is_only_a_file() -> None:
    pickled = parts_of(declared(set)).blob
    assert pickled is not None
    assert literal_to_python(blob_scalar("s3://b/p", pickled)) == "s3://b/p"
