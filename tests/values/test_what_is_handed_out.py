"""What flytekit makes of a dataclass is taken back, whatever its fields are declared as.

flytekit checks a field's value nowhere: a dataclass whose field has another type than it declares
goes into a container as it is. What a field's default is we take back.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import itertools
import math
from types import GenericAlias
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from support.flyte_values import PythonType, declared, decoded, encoded

from perian_shim.values.literals import literal_to_text
from perian_shim.values.parsing import OutputMismatch, parse_output
from perian_shim.values.serialized import serialize

UTC = dt.timezone.utc


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Name(str, enum.Enum):
    FIRST = "first"
    SECOND = "second one"


@dataclasses.dataclass
class User:
    name: str = None  # type: ignore[assignment]  # as many write it
    handle: str = ""


Field = tuple[Any, st.SearchStrategy[Any]]
"""A type and its values."""

int64 = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
finite = st.floats(allow_nan=False, allow_infinity=False)
"""Of any other pydantic itself writes null, which neither it nor we take for a number."""
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)

PLAIN: list[Field] = [
    (int, int64),
    (float, floats),
    (str, text),
    (bool, st.booleans()),
    (dt.datetime, st.datetimes(timezones=st.just(UTC))),
    (dt.date, st.dates()),
    (dt.timedelta, st.integers(-(10**6), 10**6).map(lambda n: dt.timedelta(seconds=n))),
    (Size, st.sampled_from(Size)),
    (Name, st.sampled_from(Name)),
    (int | str, int64 | text),
    (dict, st.dictionaries(text, int64 | text | st.none(), max_size=2)),
]


def wider(fields: st.SearchStrategy[Field]) -> st.SearchStrategy[Field]:
    """Lists, maps, Optionals and dataclasses of fields."""
    return st.one_of(
        fields.map(lambda one: (GenericAlias(list, one[0]), st.lists(one[1], max_size=2))),
        fields.map(lambda one: maps(str, text, one)),
        fields.map(lambda one: maps(int, int64, one)),
        fields.map(lambda one: (one[0] | None, st.none() | one[1])),
        records(fields),
    )


def maps(key: type, keys: st.SearchStrategy[Any], inner: Field) -> Field:
    """Maps of a field."""
    return GenericAlias(dict, (key, inner[0])), st.dictionaries(keys, inner[1], max_size=2)


@st.composite
def records(draw: st.DrawFn, fields: st.SearchStrategy[Field]) -> Field:
    """A dataclass whose fields may have defaults, None for what is not Optional among them."""
    made: list[tuple[Any, ...]] = []
    values = {}
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    for name in names:
        python_type, inner = draw(fields)
        # flytekit itself cannot write None for a dataclass that is not Optional.
        if dataclasses.is_dataclass(python_type) or not draw(st.booleans()):
            made.append((name, python_type))
            values[name] = inner
        else:
            made.append((name, python_type, dataclasses.field(default=None)))
            values[name] = st.none() | inner
    made.sort(key=len)
    # mashumaro takes two classes of one name for the same one.
    record = dataclasses.make_dataclass(f"Record{next(NUMBERS)}", made)
    return record, st.builds(record, **values)


NUMBERS = itertools.count()
NAMES = ["name", "items", "keys", "rows", "type", "default", "properties", "title"]

RECORDS = records(st.recursive(st.sampled_from(PLAIN), wider, max_leaves=3))


def returned(value: object, python_type: PythonType) -> object:
    """What an input that was copied to an output is to a Python task."""
    copied = literal_to_text(encoded(value, python_type)) or ""
    return decoded(parse_output(copied, declared(python_type), "out"), python_type)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_dataclass_is_taken_back(data: st.DataObject) -> None:
    record, values = data.draw(RECORDS)
    value = data.draw(values)
    literal = encoded(value, record)
    parsed = parse_output(literal_to_text(literal) or "", declared(record), "out")
    assert parsed == serialize(literal)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"name": null, "handle": "h"}', User(None, "h")),  # type: ignore[arg-type]  # see User
        ('{"handle": "h"}', User(None, "h")),  # type: ignore[arg-type]  # see User
        ('{"name": "n"}', User("n", "")),
    ],
)
def test_none_is_taken_where_it_is_the_default(content: str, expected: User) -> None:
    for python_type, text_of, wanted in (
        (User, content, expected),
        (list[User], f"[{content}]", [expected]),
        (dict[str, User], f'{{"a": {content}}}', {"a": expected}),
    ):
        assert decoded(parse_output(text_of, declared(python_type), "out"), python_type) == wanted


def test_none_is_refused_where_it_is_not_the_default() -> None:
    with pytest.raises(OutputMismatch, match=r"\$\.handle: None is not of type 'string'"):
        parse_output('{"handle": null}', declared(User), "out")


@dataclasses.dataclass
class Odd:
    workers: int = "auto"  # type: ignore[assignment]  # nothing but a type checker forbids it


def test_any_default_is_taken_back() -> None:
    literal = encoded(Odd(), Odd)
    assert parse_output('{"workers": "auto"}', declared(Odd), "out") == serialize(literal)
    with pytest.raises(OutputMismatch, match="'some' is not of type 'integer'"):
        parse_output('{"workers": "some"}', declared(Odd), "out")


class Model(BaseModel):
    size: Size
    names: dict[int, Name]
    when: dt.datetime
    took: dt.timedelta
    big: int
    inner: Inner | None = None
    either: int | str = 0


class Inner(BaseModel):
    items: list[float] = []
    note: str | None = None


Model.model_rebuild()


@settings(max_examples=50, deadline=None)
@given(
    model=st.builds(
        Model,
        size=st.sampled_from(Size),
        names=st.dictionaries(int64, st.sampled_from(Name), max_size=2),
        when=st.datetimes(timezones=st.just(UTC)),
        took=st.integers(-(10**6), 10**6).map(lambda n: dt.timedelta(seconds=n)),
        big=int64,
        inner=st.none() | st.builds(Inner, items=st.lists(finite, max_size=2)),
        either=int64 | text,
    )
)
def test_any_pydantic_model_is_taken_back(model: Model) -> None:
    assert returned(model, Model) == model


@dataclasses.dataclass
class Floats:
    one: float
    many: list[float]
    named: dict[str, float]
    maybe: float | None = None


SPECIAL = [math.nan, math.inf, -math.inf, -0.0]


@pytest.mark.parametrize("value", SPECIAL)
@pytest.mark.parametrize(
    ("python_type", "made"),
    [
        (float, lambda x: x),
        (float | None, lambda x: x),
        (list[float], lambda x: [x, 1.0]),
        (list[list[float]], lambda x: [[x]]),
        (dict[str, float], lambda x: {"a": x}),
        (dict, lambda x: {"a": [x]}),
        (Floats, lambda x: Floats(x, [x], {"a": x}, x)),
    ],
    ids=["float", "Optional", "list", "lists", "dict", "untyped dict", "dataclass"],
)
def test_every_float_is_taken_back(python_type: PythonType, made: Any, value: float) -> None:
    literal = encoded(made(value), python_type)
    parsed = parse_output(literal_to_text(literal) or "", declared(python_type), "out")
    assert parsed == serialize(literal)


@dataclasses.dataclass
class Counts:
    big: int
    by_number: dict[int, int]
    anything: dict


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 0])
def test_integers_stay_exact_and_integers(number: int) -> None:
    for value, python_type in (
        (Counts(number, {number: number}, {"n": number, "l": [number]}), Counts),
        ({"n": number, "l": [number]}, dict),
        ({number: [number]}, dict[int, list[int]]),
    ):
        literal = encoded(value, python_type)
        parsed = parse_output(literal_to_text(literal) or "", declared(python_type), "out")
        assert decoded(parsed, python_type) == value


@pytest.mark.parametrize("value", ["", "\n", "a\n", "a\r\n", "\n a \n\n", "\ufeffa", " "])
@pytest.mark.parametrize("python_type", [str, str | None])
def test_a_string_keeps_its_ends(value: str, python_type: PythonType) -> None:
    assert returned(value, python_type) == value
