from __future__ import annotations

import datetime as dt
import enum
import json
from dataclasses import dataclass, field
from typing import Any
from typing import Literal as OneOf

import pytest
from flyteidl.core.types_pb2 import LiteralType, SimpleType
from flytekit.types.file.file import FlyteFile
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from support.flyte_values import PythonType, declared, decoded, encoded, message
from support.flytekit_versions import needs_literal_types, only

from perian_shim.values.literals import literal_to_python, literal_to_text
from perian_shim.values.parsing import OutputMismatch, parse_output
from perian_shim.values.serialized import serialize

UTC = dt.timezone.utc


class Color(enum.Enum):
    RED = "red"
    GREEN = "light green"


@dataclass
class Inner:
    count: int


@dataclass
class Stats:
    rows: int
    mean: float
    inner: Inner
    when: dt.datetime | None = None
    raw: bytes = b""
    labels: dict[int, str] = field(default_factory=dict)
    many: list[Inner] = field(default_factory=list)
    color: Color = Color.RED


@dataclass
class Other:
    name: str


def parsed(text: str, python_type: PythonType) -> object:
    return decoded(parse_output(text, declared(python_type), "out"), python_type)


def short(parameter: object) -> str:
    return ascii(parameter)[:40]


def seconds(number: float) -> dt.timedelta:
    return dt.timedelta(seconds=number)


ACCEPTED: list[tuple[PythonType, str, object]] = [
    (int, "42", 42),
    (int, " +42\n", 42),
    (int, "-007", -7),
    (int, str(2**63 - 1), 2**63 - 1),
    (int, str(-(2**63)), -(2**63)),
    (int, "0" * 5000 + "1", 1),
    (float, "1", 1.0),
    (float, " 1.5e3\n", 1500.0),
    (float, ".5", 0.5),
    (float, "5.", 5.0),
    (float, "inf", float("inf")),
    (float, "-Infinity", float("-inf")),
    (bool, "true", True),
    (bool, "True\n", True),
    (bool, "0", False),
    (bool, "FALSE", False),
    (str, "", ""),
    (str, " a\n", " a\n"),
    (str, '"quoted"', '"quoted"'),
    (str | None, "null", "null"),
    (str | None, "", ""),
    (dt.datetime, "2020-01-02T03:04:05Z", dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
    (
        dt.datetime,
        "2020-01-02 03:04:05.5+02:00\n",
        dt.datetime(2020, 1, 2, 1, 4, 5, 500_000, tzinfo=UTC),
    ),
    (dt.datetime, "2020-01-02", dt.datetime(2020, 1, 2, tzinfo=UTC)),
    (dt.timedelta, "5400s", seconds(5400)),
    (dt.timedelta, "1h30m\n", seconds(5400)),
    (dt.timedelta, "-1 day, 23:59:59", seconds(-1)),
    (dt.timedelta, "90", seconds(90)),
    (Color, "light green\n", Color.GREEN),
    (type(None), "", None),
    (type(None), "null\n", None),
    (int | None, "7", 7),
    (int | None, "null\n", None),
    (int | None, "", None),
    (bool | None, "1", True),
    (bool | int, "1", 1),
    (bool | int, "true", True),
    (int | str, "7", 7),
    (int | str, "7 apples", "7 apples"),
    (int | float, "7.0", 7.0),
    (float | str, "7", 7.0),
    (bool | str, "1", "1"),
    (list[int], "[1, 2.0]", [1, 2]),
    (list[float], '[1, 2.5, "Infinity", -Infinity]', [1.0, 2.5, float("inf"), float("-inf")]),
    (list[Color], '["red"]', [Color.RED]),
    (list[dt.timedelta], '["5400s", "1h"]', [seconds(5400), seconds(3600)]),
    (list[int | None], "[1, null]", [1, None]),
    (list[int | str], '[1, "1"]', [1, "1"]),
    (list[int | float], "[1, 1.0]", [1, 1.0]),
    (list[float | str], '[1, "x"]', [1.0, "x"]),
    (dict[str, list[int]], '{"é": [1, 2]}', {"é": [1, 2]}),
    (dict[str, int] | None, "null", None),
    (dict, '{"a": [1, null, {"b": 1.5}]}', {"a": [1, None, {"b": 1.5}]}),
    (dict[int, str], '{"1": "a"}', {1: "a"}),
    (Inner | None, "null", None),
    (Inner | Other, '{"name": "x"}', Other("x")),
    (Inner, '{"count": 3.0}', Inner(3)),
]


ACCEPTED_LITERALS: list[tuple[PythonType, str, object]] = [
    (OneOf["a", "b"], "a\n", "a"),
    (OneOf[1, 2], "2", 2),
    (list[OneOf["a", "b"]], '["a"]', ["a"]),
]


@pytest.mark.parametrize(
    ("python_type", "text", "value"),
    [*ACCEPTED, *only(needs_literal_types, ACCEPTED_LITERALS)],
    ids=short,
)
def test_content_of_the_declared_type_is_read(
    python_type: PythonType, text: str, value: object
) -> None:
    read = parsed(text, python_type)
    assert read == value
    assert repr(read) == repr(value)


REFUSED: list[tuple[PythonType, str, str]] = [
    (int, "3.0", "not a decimal integer"),
    (int, "1_000", "not a decimal integer"),
    (int, "", "not a decimal integer"),
    (int, "0x10", "not a decimal integer"),
    (int, "٣", "not a decimal integer"),
    (int, str(2**63), "64 bits"),
    (int, "9" * 5000, "64 bits"),
    (float, "1,5", "not a number"),
    (float, "1_0.0", "not a number"),
    (float, "1e999", "64-bit float"),
    (bool, "yes", "neither true nor false"),
    (str, "\ud800", "surrogates"),
    (dt.datetime, "yesterday", "RFC 3339"),
    (dt.datetime, "2020-02-30", "day"),
    (dt.datetime, "1577836800", "RFC 3339"),
    (dt.timedelta, "soon", "not a duration"),
    (dt.timedelta, "9" * 30, "longer than"),
    (Color, "blue", "not one of red, light green"),
    (type(None), "0", "neither empty nor null"),
    (int | None, "x", "not a decimal integer"),
    (int | float, "x", "as int: not a decimal integer; as float: not a number"),
    (list[int], "[1, 2.5]", "at $[1]: expected int, got the number 2.5"),
    (list[int], "[true]", "at $[0]: expected int, got true"),
    (list[int], '["1"]', "at $[0]: expected int, got the string '1'"),
    (list[int], "[9223372036854775808]", "at $[0]"),
    (list[int], '{"a": 1}', "at $: expected list[int], got an object"),
    (list[int], "[1, 2", "not valid JSON"),
    (list[int], "", "not valid JSON"),
    (list[int], "[" * 100_000, "nested too deeply"),
    (list[float], "[true]", "expected float, got true"),
    (list[float], '["big"]', "expected float"),
    (list[str], "[1]", "expected str, got the number 1"),
    (list[str], r'["\ud800"]', "surrogates"),
    (list[bool], "[1]", "expected bool, got the number 1"),
    (list[dt.datetime], "[1577836800]", "expected datetime, got the number"),
    (list[Color], '["blue"]', "at $[0]: expected enum(red, light green), not one of"),
    (list[int | None], '["x"]', "at $[0]: expected int"),
    (dict[str, list[int]], '{"a": [null]}', "at $.a[0]: expected int, got null"),
    (dict[str, int], "[1]", "expected dict[str, int], got an array"),
    (dict[str, int], '{"a": 1, "a": 2}', "'a' appears twice"),
    (dict, "[1]", "expected an object, got an array"),
    (dict, '{"a": 18446744073709551616}', "64 bits"),
    (dict, '{"a": 1e999}', "the number 1e999 does not fit in a 64-bit float"),
    (list[float], "[-1e999]", "the number -1e999 does not fit"),
    (Stats, '{"rows": 1, "mean": 1e999, "inner": {"count": 1}}', "does not fit"),
    (dict, r'{"a": "\ud800"}', "surrogates"),
    (Inner, "{}", "at $: 'count' is a required property"),
    (Inner, '{"count": "3"}', "at $.count: '3' is not of type 'integer'"),
    (Inner, '{"count": true}', "at $.count: True is not of type 'integer'"),
    (Inner, '{"count": 1.5}', "at $.count: 1.5 is not of type 'integer'"),
    (Inner, '{"count": 1, "cuont": 2}', "'cuont' was unexpected"),
    (Inner, "3", "at $: 3 is not of type 'object'"),
    (
        list[Inner],
        '[{"count": 1}, {"count": null}]',
        "at $[1].count: None is not of type 'integer'",
    ),
    (Stats, '{"rows": 1, "mean": 2, "inner": {}}', "at $.inner: 'count' is a required property"),
    (
        Stats,
        '{"rows": 1, "mean": 2, "inner": {"count": 1}, "many": [{"count": "x"}]}',
        "at $.many[0].count",
    ),
    (Stats, '{"rows": 1, "mean": 2, "inner": {"count": 1}, "when": "soon"}', "at $.when"),
    (Stats, '{"rows": 1, "mean": 2, "inner": {"count": 1}, "raw": "*"}', "at $.raw"),
    (Stats, '{"rows": 1, "mean": 2, "inner": {"count": 1}, "labels": {"x": "y"}}', "at $.labels"),
    (Stats, '{"rows": 1, "mean": 2, "inner": {"count": 1}, "color": "blue"}', "at $.color"),
    (Inner | Other, "{}", "as struct Inner"),
    (FlyteFile, "s3://x", "cannot be read from text"),
]


REFUSED_LITERALS: list[tuple[PythonType, str, str]] = [
    (OneOf["a", "b"], "c", "not one of a, b"),
    (OneOf[1, 2], "3", "not one of"),
]


@pytest.mark.parametrize(
    ("python_type", "text", "reason"),
    [*REFUSED, *only(needs_literal_types, REFUSED_LITERALS)],
    ids=short,
)
def test_content_of_another_type_is_refused_with_the_reason(
    python_type: PythonType, text: str, reason: str
) -> None:
    with pytest.raises(OutputMismatch) as refusal:
        parse_output(text, declared(python_type), "out")
    assert reason in refusal.value.reason


def test_the_error_names_output_type_and_content() -> None:
    with pytest.raises(OutputMismatch) as refusal:
        parse_output("three\x00\n" + "x" * 1000, declared(int | None), "rows")
    error = refusal.value
    assert (error.name, error.expected) == ("rows", "Optional[int]")
    assert error.head.startswith(r"three\x00\nxxx")
    assert len(error.head) == 200
    for part in ("'rows'", "Optional[int]", "not a decimal integer", r"three\x00\n"):
        assert part in str(error)


def test_nothing_at_all_is_called_so() -> None:
    with pytest.raises(OutputMismatch, match=r"\(nothing\)"):
        parse_output("", declared(int), "rows")


TYPES: list[PythonType] = [int, dt.datetime, dt.timedelta, Color, list[int], Inner, bool | float]
LITERAL_TYPES = [declared(python_type) for python_type in TYPES]


def refusal_of(text: str, literal_type: LiteralType) -> OutputMismatch | None:
    try:
        parse_output(text, literal_type, "out")
    except OutputMismatch as error:
        return error
    return None


@given(st.text(max_size=300), st.sampled_from(LITERAL_TYPES))
def test_any_content_is_either_read_or_refused_with_a_short_printable_head(
    text: str, literal_type: LiteralType
) -> None:
    refusal = refusal_of(text, literal_type)
    assert refusal is None or (len(refusal.head) <= 200 and refusal.head.isprintable())


def test_a_dataclass_gets_the_types_of_its_fields() -> None:
    text = json.dumps(
        {
            "rows": 3.0,
            "mean": 2,
            "inner": {"count": 1},
            "when": "2026-01-31T12:00:00.123456789Z",
            "raw": "AP8=",
            "labels": {"1": "a"},
        }
    )
    literal = parse_output(text, declared(Stats), "out")
    assert repr(literal_to_python(message(literal))) == repr(
        {
            "rows": 3,
            "mean": 2.0,
            "inner": {"count": 1},
            "when": "2026-01-31T12:00:00.123456+00:00",
            "raw": b"\x00\xff",
            "labels": {1: "a"},
        }
    )
    assert decoded(literal, Stats) == Stats(
        3,
        2.0,
        Inner(1),
        dt.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC),
        b"\x00\xff",
        {1: "a"},
    )


def test_large_integers_in_a_dataclass_stay_exact() -> None:
    assert parsed('{"count": 9007199254740993}', Inner) == Inner(9007199254740993)


def test_words_for_infinity_are_floats_only_where_a_float_is_declared() -> None:
    assert parsed('{"mean": "Infinity", "rows": 1, "inner": {"count": 1}}', Stats) == Stats(
        1, float("inf"), Inner(1)
    )
    assert parsed('{"name": "Infinity"}', Other) == Other("Infinity")


def test_a_protobuf_message_is_a_struct() -> None:
    struct = Struct()
    struct.update({"a": 1, "b": ["x", None]})
    literal = encoded(struct, Struct)
    text = literal_to_text(literal) or ""
    assert parse_output(text, declared(Struct), "out") == serialize(literal)


def test_nanoseconds_are_kept() -> None:
    moment = parse_output("2026-01-01T00:00:00.123456789Z", declared(dt.datetime), "out")
    duration = parse_output("0.000000001s", declared(dt.timedelta | None), "out")
    assert literal_to_text(message(moment)) == "2026-01-01T00:00:00.123456789Z"
    assert literal_to_text(message(duration)) == "0.000000001s"


def struct_type(metadata: dict[str, Any]) -> LiteralType:
    literal_type = LiteralType(simple=SimpleType.STRUCT)
    literal_type.metadata.update(metadata)
    return literal_type


def test_a_schema_that_refers_elsewhere_is_not_fetched() -> None:
    literal_type = struct_type({"$ref": "http://127.0.0.1:9/schema.json"})
    assert literal_to_python(message(parse_output('{"x": 1}', literal_type, "out"))) == {"x": 1}


def test_a_schema_with_local_references_is_followed() -> None:
    part = {"type": "object", "properties": {"x": {"type": "number"}}}
    parts = {"type": "array", "items": {"$ref": "#/$defs/Part"}}
    literal_type = struct_type(
        {"$defs": {"Part": part}, "type": "object", "properties": {"parts": parts}}
    )
    literal = parse_output('{"parts": [{"x": 1}]}', literal_type, "out")
    assert repr(literal_to_python(message(literal))) == "{'parts': [{'x': 1.0}]}"
    with pytest.raises(OutputMismatch, match=r"at \$\.parts\[0\]\.x: 'y' is not of type 'number'"):
        parse_output('{"parts": [{"x": "y"}]}', literal_type, "out")


@pytest.mark.parametrize("metadata", [{"type": "nonsense"}, {"python_class_name": "x.Y"}])
def test_metadata_that_is_no_schema_checks_nothing(metadata: dict[str, object]) -> None:
    literal = parse_output('{"x": 1}', struct_type(metadata), "out")
    assert literal_to_python(message(literal)) == {"x": 1}
