"""The check by a JSON schema, with jsonschema as the oracle for the schemas that flytekit makes."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from typing import Literal as OneOf

import pytest
from dataclasses_json import DataClassJsonMixin
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, validators
from pydantic import BaseModel
from support.flyte_values import declared

from perian_shim.values.schema import Schema, SchemaMismatchError
from perian_shim.values.simple import FLOAT_WORDS
from perian_shim.values.times import parse_timestamp

Json: TypeAlias = Any


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Inner:
    count: int
    mean: float = 0.5


@dataclass
class Wide:
    rows: int
    ratio: float
    inner: Inner
    maybe: int | None
    inners: list[Inner]
    weights: dict[str, float]
    labels: dict[int, str]
    color: Color
    when: dt.datetime
    day: dt.date
    raw: bytes
    pair: tuple[int, str]
    either: int | float | str
    last: Inner | None = None
    unique: set[int] = field(default_factory=set)
    kind: OneOf["a", "b"] = "a"


@dataclass
class Mixed(DataClassJsonMixin):
    rows: int
    mean: float | None
    inners: list[Inner]
    by_name: dict[str, Inner]


class Model(BaseModel):
    rows: int
    names: list[str]
    inner: Inner
    when: dt.datetime
    more: dict[str, int] | None = None


def schema_of(python_type: object) -> dict[str, Any]:
    return MessageToDict(declared(python_type).metadata)


WIDE: Json = {
    "rows": 3,
    "ratio": 1,
    "inner": {"count": 1, "mean": 2.5},
    "maybe": None,
    "inners": [{"count": 1}, {"count": 2.0, "mean": "NaN"}],
    "weights": {"a": 1, "b": "Infinity"},
    "labels": {"1": "a", "-2": "b"},
    "color": "red",
    "when": "2026-01-31T12:00:00Z",
    "day": "2026-01-31",
    "raw": "AP8=",
    "pair": [1, "x"],
    "either": 1.0,
    "last": {"count": 4},
    "unique": [1, 2],
    "kind": "b",
}
MIXED: Json = {"rows": 1, "mean": None, "inners": [{"count": 1}], "by_name": {"a": {"count": 2}}}
MODEL: Json = {
    "rows": 1,
    "names": ["a"],
    "inner": {"count": 1},
    "when": "2026-01-31T12:00:00+00:00",
    "more": {"a": 1},
}
KINDS: list[tuple[dict[str, Any], Json]] = [
    (schema_of(Wide), WIDE),
    (schema_of(Mixed), MIXED),
    (schema_of(Model), MODEL),
]


def is_integer_text(text: object) -> bool:
    try:
        return isinstance(text, str) and str(int(text)) == text
    except ValueError:
        return False


def property_names(validator: Any, names: Any, value: Json, _: Any) -> Any:
    """A key that is to be an integer is text in JSON."""
    if isinstance(value, dict) and names == {"type": "integer"}:
        names = {"pattern": "^-?[0-9]+$"}
    if isinstance(value, dict):
        for key in value:
            yield from validator.descend(instance=key, schema=names)


def oracle(schema: dict[str, Any]) -> Any:
    """jsonschema's validator, with what our JSON has beside JSON's own types."""
    formats = FormatChecker(formats=())
    checks: dict[str, Callable[[str], object]] = {
        "date-time": parse_timestamp,
        "date": dt.date.fromisoformat,
        "base64": lambda text: base64.b64decode("".join(text.split()), validate=True),
    }
    for name, check in checks.items():
        formats.checks(name, raises=ValueError)(
            lambda value, check=check: not isinstance(value, str) or check(value) is not None
        )
    plain = Draft202012Validator.TYPE_CHECKER
    types = plain.redefine(
        "number",
        lambda _, value: (
            plain.is_type(value, "number") or (isinstance(value, str) and value in FLOAT_WORDS)
        ),
    )
    made: Any = validators.extend(  # type: ignore[no-untyped-call]  # untyped
        Draft202012Validator, {"propertyNames": property_names}, type_checker=types
    )
    return made(schema, format_checker=formats)


ORACLES = [oracle(schema) for schema, _ in KINDS]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([0.0, 1.0, 1.5, 2**53 + 1, float("inf")])
    | st.sampled_from(["", "x", "red", "1", "NaN", "AP8=", "*", "2026-01-31", "b"])
    | st.sampled_from(["2026-01-31T12:00:00.123456789Z", "2026-13-01T00:00:00Z"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["count", "mean", "a", "1"]), inner, max_size=3)
    ),
    max_leaves=5,
)
keys = st.sampled_from(["count", "mean", "rows", "a", "1", "-7", "x"])


def places(value: Json) -> list[tuple[Json, Any]]:
    """Every container and position below a value."""
    found: list[tuple[Json, Any]] = []
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in entries if isinstance(value, dict | list) else ():
        found += [(value, key), *(places(item) if isinstance(item, dict | list) else ())]
    return found


@st.composite
def changed(draw: st.DrawFn, value: Json) -> Json:
    """A value with up to two changes anywhere in it."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(0, 2))):
        container, key = draw(st.sampled_from(places(value) or [([None], 0)]))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[key] = draw(anything)
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[draw(keys)] = draw(anything)
            case "add":
                container.append(draw(anything))
    return value


def refusal(schema: dict[str, Any], value: Json) -> SchemaMismatchError | None:
    try:
        Schema(schema).conform(value)
    except SchemaMismatchError as error:
        return error
    return None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_flytekits_schemas_accept_is_what_jsonschema_accepts(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(KINDS) - 1))
    schema, example = KINDS[number]
    value = data.draw(changed(example) | anything)
    refused = refusal(schema, value)
    assert (refused is None) == ORACLES[number].is_valid(value), (value, refused)


@pytest.mark.parametrize(("schema", "value"), KINDS, ids=["dataclass", "mixin", "pydantic"])
def test_the_examples_fit(schema: dict[str, Any], value: Json) -> None:
    assert refusal(schema, value) is None


def test_a_value_is_converted_and_its_original_left_as_it_is() -> None:
    before = copy.deepcopy(WIDE)
    converted: Json = Schema(schema_of(Wide)).conform(WIDE)
    assert before == WIDE
    assert converted["labels"] == {1: "a", -2: "b"}
    assert converted["raw"] == b"\x00\xff"
    assert [repr(converted[name]) for name in ("ratio", "either")] == ["1.0", "1.0"]
    assert repr(converted["inners"]) == "[{'count': 1}, {'count': 2, 'mean': nan}]"


NUMBER_OR_TEXT = {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}
TREE = {
    "$defs": {
        "Tree": {
            "type": "object",
            "properties": {"weight": {"type": "number"}, "children": {"$ref": "#/$defs/Trees"}},
        },
        "Trees": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
    },
    "$ref": "#/$defs/Tree",
}


@pytest.mark.parametrize(
    ("schema", "value", "converted"),
    [
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, 1.0, 1.0),
        ({"anyOf": [{"type": "number"}, {"type": "integer"}]}, 1, 1),
        (NUMBER_OR_TEXT, "Infinity", "Infinity"),
        (NUMBER_OR_TEXT, 1, 1.0),
        ({"type": ["number", "null"]}, 1, 1.0),
        ({"type": ["integer", "number"]}, 1.0, 1.0),
        (TREE, {"weight": 1, "children": [{"weight": 2}]}, None),
        ({"allOf": [{"type": "number"}, {"minimum": 1}]}, 1, 1.0),
        ({"items": [{"type": "number"}], "additionalItems": False}, [1], [1.0]),
        ({"patternProperties": {"^x": {"type": "number"}}}, {"xy": 1, "y": 1}, None),
        ({"$ref": "#"}, 1, 1),
        ({"allOf": [{"$ref": "#"}]}, 1, 1),
        ({"$ref": "#anchor", "type": "number"}, 1, 1.0),
        ({"$ref": "http://127.0.0.1:9/x", "type": "number"}, 1, 1.0),
    ],
    ids=str,
)
def test_a_conversion(schema: dict[str, Any], value: Json, converted: Json) -> None:
    result = Schema(schema).conform(value)
    if converted is not None:
        assert repr(result) == repr(converted)
    else:
        assert repr(result).count(".0") == repr(value).count("weight") + repr(value).count("x")


@pytest.mark.parametrize(
    ("schema", "value", "reason"),
    [
        ({"enum": [1.0, True]}, 2, "at $: 2 is not one of 1.0, True"),
        ({"enum": [1.0]}, True, "True is not one of 1.0"),
        ({"const": "a"}, "b", "'a' was expected"),
        ({"minimum": 2.0}, 1, "1 is less than the minimum of 2.0"),
        ({"exclusiveMaximum": 2.0}, 2, "2 is not less than 2.0"),
        ({"multipleOf": 2.0}, 3, "3 is not a multiple of 2.0"),
        ({"minItems": 2.0}, [1], "1 items, fewer than 2.0"),
        ({"maxLength": 2.0}, "abc", "3 characters, more than 2.0"),
        ({"minProperties": 1.0}, {}, "0 properties, fewer"),
        ({"uniqueItems": True}, [{"a": 1}, 2, {"a": 1.0}], "item 2 is there twice"),
        ({"pattern": "^a"}, "b", "'b' does not match '^a'"),
        ({"items": {"properties": {"x": {"type": "null"}}}}, [{}, {"x": 1}], "at $[1].x: 1 is"),
        ({"prefixItems": [{}], "items": False}, [1, 2], "at $[1]: nothing is allowed"),
        ({"additionalProperties": False}, {"x": 1}, "at $.x: additional properties"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1, "more than one variant"),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "x", "fits no variant"),
        ({"anyOf": [{"items": {"type": "null"}}, {"type": "null"}]}, [1], "at $[0]: 1 is not"),
        (TREE, {"children": [{}, {"children": [{"weight": "x"}]}]}, "at $.children[1].children[0]"),
        ({"propertyNames": {"type": "integer"}}, {"1": 0, "01": 0}, "the key 1 is there twice"),
        ({"propertyNames": {"type": "integer"}}, {"1_0": 0}, "'1_0' is not of type 'integer'"),
    ],
    ids=str,
)
def test_a_refusal_says_what_and_where(schema: dict[str, Any], value: Json, reason: str) -> None:
    assert reason in str(refusal(schema, value))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": ["integer", "nonsense"]},
        {"required": "x", "properties": [], "items": 3.0, "enum": "x", "anyOf": {}, "oneOf": []},
        {"pattern": "(", "minimum": "x", "maxLength": None, "multipleOf": 0.0, "$ref": 3.0},
        {"patternProperties": {"(": {"type": "null"}}, "format": "nonsense", "unknown": False},
        {"$ref": "#/$defs/missing"},
    ],
    ids=str,
)
@pytest.mark.parametrize("value", [{"x": 1}, [1], "x", 1.5, None], ids=str)
def test_a_rule_that_is_unknown_or_damaged_checks_nothing(
    schema: dict[str, Any], value: Json
) -> None:
    assert refusal(schema, value) is None


def test_a_reason_is_bounded() -> None:
    variants = [{"const": f"{letter}" * 1000} for letter in "abcdefgh"]
    reason = str(refusal({"anyOf": variants, "description": "x"}, "y" * 10_000))
    assert len(reason) < 400
    place = str(refusal({"additionalProperties": {"type": "null"}}, {"k" * 10_000: 1}))
    assert len(place) < 400


def test_a_place_in_a_deep_document_is_bounded() -> None:
    value: Json = 1
    for _ in range(60):
        value = {"next": value}
    schema = {
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "type": "object",
    }
    assert len(str(refusal(schema, value))) < 600


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, Python's and C's."""
    count = 0

    def seen(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


RECURSIVE_UNION = {
    "$defs": {
        "A": {"properties": {"next": {"$ref": "#/$defs/AB"}, "a": {"type": "number"}}},
        "B": {"properties": {"next": {"$ref": "#/$defs/AB"}, "b": {"type": "number"}}},
        "AB": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}, {"type": "null"}]},
    },
    "$ref": "#/$defs/AB",
}


def nested(depth: int) -> Json:
    value: Json = {"a": 1}
    for _ in range(depth):
        value = {"next": value}
    return value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": schema_of(Wide)}, lambda size: [copy.deepcopy(WIDE) for _ in range(size)]),
        ({"items": NUMBER_OR_TEXT}, lambda size: list(range(size))),
        ({"uniqueItems": True}, lambda size: list(range(size))),
        ({"additionalProperties": NUMBER_OR_TEXT}, lambda size: {str(n): n for n in range(size)}),
        (RECURSIVE_UNION, nested),
        (TREE, lambda size: {"children": [{"weight": 1}] * size}),
    ],
    ids=["dataclasses", "unions", "unique", "object", "unions in unions", "tree"],
)
def test_twice_the_value_takes_twice_the_steps(
    schema: dict[str, Any], value: Callable[[int], Json]
) -> None:
    once, twice = (
        calls(lambda size=size: Schema(schema).conform(value(size)))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        for size in (20, 40)
    )
    assert twice < 2.2 * once
