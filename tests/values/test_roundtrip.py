"""A value written as an input file and read as an output is the same literal and Python value."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import Literal as OneOf

import pytest
from flytekit.types.directory.types import FlyteDirectory
from flytekit.types.file.file import FlyteFile
from hypothesis import given, settings
from hypothesis import strategies as st
from mashumaro.mixins.json import DataClassJSONMixin
from pydantic import BaseModel
from support.flyte_values import declared, decoded, encoded, message
from support.flytekit_versions import needs_literal_types, only

from perian_shim.values.literals import literal_to_text
from perian_shim.values.parsing import parse_output
from perian_shim.values.serialized import serialize

UTC = dt.timezone.utc


class Color(enum.Enum):
    RED = "red"
    GREEN = "light green"


@dataclass
class Inner:
    count: int
    mean: float = 0.5


@dataclass
class Stats:
    rows: int
    ratio: float
    title: str
    valid: bool
    inner: Inner
    maybe: int | None
    counts: list[int]
    inners: list[Inner]
    weights: dict[str, float]
    labels: dict[int, str]
    color: Color
    when: dt.datetime
    took: dt.timedelta
    day: dt.date
    raw: bytes
    pair: tuple[int, str]
    either: int | float | str
    last: Inner | None = None
    levels: list[list[float]] = field(default_factory=list)
    kind: OneOf["a", "b"] = "a"


@dataclass
class Mixed(DataClassJSONMixin):
    rows: int
    when: dt.datetime
    inner: Inner | None = None


class Model(BaseModel):
    rows: int
    ratio: float
    names: list[str]
    when: dt.datetime
    more: dict[str, int] | None = None


@dataclass
class Files:
    file: FlyteFile
    folder: FlyteDirectory
    maybe: FlyteFile | None = None


int64 = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
text = st.text(st.characters(exclude_categories=["Cs"]))
moments = st.datetimes(timezones=st.just(UTC))
durations = st.timedeltas(dt.timedelta(days=-100_000), dt.timedelta(days=100_000))
colors = st.sampled_from(Color)
inners = st.builds(Inner, count=int64, mean=floats)
stats = st.builds(
    Stats,
    rows=int64,
    ratio=floats,
    title=text,
    valid=st.booleans(),
    inner=inners,
    maybe=st.none() | int64,
    counts=st.lists(int64, max_size=3),
    inners=st.lists(inners, max_size=3),
    weights=st.dictionaries(text, floats, max_size=3),
    labels=st.dictionaries(int64, text, max_size=3),
    color=colors,
    when=moments,
    took=st.integers(-(10**6), 10**6).map(lambda seconds: dt.timedelta(seconds=seconds)),
    day=st.dates(),
    raw=st.binary(max_size=20),
    pair=st.tuples(int64, text),
    either=int64 | st.floats(allow_nan=False, allow_infinity=False) | text,
    last=st.none() | inners,
    levels=st.lists(st.lists(floats, max_size=2), max_size=2),
    kind=st.sampled_from(["a", "b"]),
)

EXAMPLES: list[tuple[object, st.SearchStrategy[object]]] = [
    (int, int64),
    (float, floats),
    (bool, st.booleans()),
    (str, text),
    (dt.datetime, moments),
    (dt.timedelta, durations),
    (dt.date, st.dates()),
    (Color, colors),
    (type(None), st.none()),
    (int | None, int64),
    (bool | None, st.booleans()),
    (str | None, text),
    (Color | None, colors),
    (dt.datetime | None, moments),
    (Inner | None, inners),
    (list[int] | None, st.lists(int64)),
    (int | str, int64 | st.sampled_from(["", "null", "a1", "1.5"])),
    (int | float, int64 | floats),
    (bool | int, st.booleans() | int64),
    (bool | dt.timedelta, st.booleans() | durations),
    (float | dt.datetime | None, floats | moments),
    (Inner | list[int], inners | st.lists(int64)),
    (list[int], st.lists(int64)),
    (list[float], st.lists(floats)),
    (list[str], st.lists(text)),
    (list[bool], st.lists(st.booleans())),
    (list[list[dt.timedelta]], st.lists(st.lists(durations, max_size=3), max_size=3)),
    (list[dt.datetime], st.lists(moments)),
    (list[Color], st.lists(colors)),
    (list[int | None], st.lists(st.none() | int64)),
    (list[str | None], st.lists(st.none() | text)),
    (list[int | str], st.lists(int64 | text)),
    (list[int | float], st.lists(int64 | floats.filter(lambda x: abs(x) < 1e300))),
    (list[bool | int | str | None], st.lists(st.booleans() | int64 | text | st.none())),
    (list[Inner], st.lists(inners, max_size=3)),
    (dict[str, int], st.dictionaries(text, int64)),
    (dict[str, list[float]], st.dictionaries(text, st.lists(floats), max_size=3)),
    (dict[str, Inner], st.dictionaries(text, inners, max_size=3)),
    (dict[str, bool | None], st.dictionaries(text, st.none() | st.booleans())),
    (dict, st.dictionaries(text, int64 | text | st.none() | st.lists(st.booleans()), max_size=3)),
    (Inner, inners),
    (Stats, stats),
    (Mixed, st.builds(Mixed, rows=int64, when=moments, inner=st.none() | inners)),
]


LITERALS: list[tuple[object, st.SearchStrategy[object]]] = [
    (OneOf["x", "y z"], st.sampled_from(["x", "y z"])),
    (OneOf[1, 2], st.sampled_from([1, 2])),
]

ALL = [*EXAMPLES, *only(needs_literal_types, LITERALS)]


@pytest.mark.parametrize(("python_type", "values"), ALL, ids=lambda item: str(item)[:60])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_text_of_a_value_reads_as_the_same_literal(
    python_type: object, values: st.SearchStrategy[object], data: st.DataObject
) -> None:
    value = data.draw(values)
    literal = encoded(value, python_type)
    text = literal_to_text(literal)
    if text is None:
        text = ""
    parsed = parse_output(text, declared(python_type), "out")
    assert serialize(message(parsed)) == serialize(literal)  # maps sorted by the same code


@pytest.mark.parametrize(("python_type", "values"), ALL, ids=lambda item: str(item)[:60])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_flytekit_decodes_the_parsed_literal_to_the_value(
    python_type: object, values: st.SearchStrategy[object], data: st.DataObject
) -> None:
    value = data.draw(values)
    text = literal_to_text(encoded(value, python_type)) or ""
    assert decoded(parse_output(text, declared(python_type), "out"), python_type) == value


def test_a_pydantic_model_survives() -> None:
    model = Model(rows=3, ratio=2, names=["a"], when=dt.datetime(2026, 1, 2, tzinfo=UTC))
    text = literal_to_text(encoded(model, Model)) or ""
    assert decoded(parse_output(text, declared(Model), "out"), Model) == model


def test_files_in_a_dataclass_survive_as_references() -> None:
    files = Files(FlyteFile("s3://bucket/a"), FlyteDirectory("s3://bucket/b"))
    literal = encoded(files, Files)
    parsed = parse_output(literal_to_text(literal) or "", declared(Files), "out")
    assert parsed == serialize(literal)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0])
@pytest.mark.parametrize("python_type", [float, float | None, list[float]])
def test_special_floats_survive(value: float, python_type: object) -> None:
    literal = encoded([value] if python_type == list[float] else value, python_type)
    parsed = parse_output(literal_to_text(literal) or "", declared(python_type), "out")
    assert parsed == serialize(literal)
