"""A user's module: functions that return their inputs, and values of their own, of many types."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from flytekit import task
from flytekit.core.hash import HashMethod
from google.protobuf.struct_pb2 import Struct
from pydantic import BaseModel
from support.declared import Colour, Point

from perian_shim import PerianConfig

UTC = datetime.timezone.utc


@dataclass
class Track:
    name: str
    start: Point
    points: list[Point]
    by_name: dict[str, Point]
    when: datetime.datetime
    colour: Colour = Colour.RED
    note: str | None = None
    tags: list[str] = field(default_factory=list)


class Inner(BaseModel):
    size: int
    ratio: float = 1.0


class Model(BaseModel):
    name: str
    inner: Inner
    inners: list[Inner]
    note: str | None = None


class Opaque:
    """Nothing that Flyte has a type for: it is pickled."""

    def __init__(self, secret: int) -> None:
        self.secret = secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.secret == other.secret

    def __hash__(self) -> int:
        return hash(self.secret)


def short(text: str) -> str:
    return text[:4]


class Values(NamedTuple):
    """Names are out of alphabetical order on purpose."""

    whole: int
    big: int
    fraction: float
    yes: bool
    text: str
    empty: str
    moment: datetime.datetime
    day: datetime.date
    duration: datetime.timedelta
    colour: Colour
    ints: list[int]
    nothing_listed: list[int]
    nested: list[dict[str, list[float]]]
    by_name: dict[str, int]
    untyped: dict
    some: int | None
    none: int | None
    union_int: int | str
    union_text: int | str
    union_record: Point | Track
    gaps: list[int | None]
    point: Point
    track: Track
    points: list[Point]
    model: Model
    models: dict[str, Model]
    opaque: Opaque
    opaques: list[Opaque]
    anything: Any
    fixed: Literal["left", "right"]
    hashed: Annotated[str, HashMethod(short)]
    message: Struct


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def returned(
    opaques: list[Opaque],
    whole: int,
    big: int,
    fraction: float,
    yes: bool,
    text: str,
    empty: str,
    moment: datetime.datetime,
    day: datetime.date,
    duration: datetime.timedelta,
    colour: Colour,
    ints: list[int],
    nothing_listed: list[int],
    nested: list[dict[str, list[float]]],
    by_name: dict[str, int],
    untyped: dict,
    some: int | None,
    none: int | None,
    union_int: int | str,
    union_text: int | str,
    union_record: Point | Track,
    gaps: list[int | None],
    point: Point,
    track: Track,
    points: list[Point],
    model: Model,
    models: dict[str, Model],
    opaque: Opaque,
    anything: Any,
    fixed: Literal["left", "right"],
    hashed: Annotated[str, HashMethod(short)],
    message: Struct,
) -> Values:
    """Return what came in."""
    return Values(
        whole=whole,
        big=big,
        fraction=fraction,
        yes=yes,
        text=text,
        empty=empty,
        moment=moment,
        day=day,
        duration=duration,
        colour=colour,
        ints=ints,
        nothing_listed=nothing_listed,
        nested=nested,
        by_name=by_name,
        untyped=untyped,
        some=some,
        none=none,
        union_int=union_int,
        union_text=union_text,
        union_record=union_record,
        gaps=gaps,
        point=point,
        track=track,
        points=points,
        model=model,
        models=models,
        opaque=opaque,
        opaques=opaques,
        anything=anything,
        fixed=fixed,
        hashed=hashed,
        message=message,
    )


def made_values(seed: int) -> Values:
    """Make one of each."""
    when = datetime.datetime(2026, 11, 21, 9, 30, 15, 123456, tzinfo=UTC)
    track = Track(
        name="ünï 'quoted'",
        start=Point(seed),
        points=[Point(1), Point(2, 1e-9)],
        by_name={"a b": Point(3)},
        when=when,
        colour=Colour.DEEP_BLUE,
    )
    message = Struct()
    message.update({"a": [1.0, None, "x"]})
    return Values(
        whole=-seed,
        big=2**62 + 1,
        fraction=0.1,
        yes=True,
        text="two lines\nand $(id) `id` {{.inputs.x}} {% y %} ünï\t\\",
        empty="",
        moment=when,
        day=datetime.date(2024, 2, 29),
        duration=datetime.timedelta(days=2, microseconds=5),
        colour=Colour.DEEP_BLUE,
        ints=[3, 1, 2],
        nothing_listed=[],
        nested=[{"a": [1.0, 2.5]}, {}],
        by_name={"z": 1, "a": 2},
        untyped={"a": [1, {"b": None}], "c": "d"},
        some=5,
        none=None,
        union_int=12,
        union_text="12",
        union_record=track,
        gaps=[1, None, 2],
        point=Point(1),
        track=track,
        points=[Point(1), Point(2, 2.0)],
        model=Model(name="m", inner=Inner(size=2), inners=[Inner(size=1, ratio=0.5)]),
        models={"k": Model(name="n", inner=Inner(size=1), inners=[], note="x")},
        opaque=Opaque(seed),
        opaques=[Opaque(1), Opaque(2)],
        anything=Opaque(seed + 1),
        fixed="right",
        hashed="hashed text",
        message=message,
    )


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def made(seed: int) -> Values:
    """Make one of each in the job."""
    return made_values(seed)


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def unnamed(count: int) -> tuple[int, str, float]:
    """Return several values without names for them."""
    return count, "b" * count, count / 2


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def silent(text: str) -> None:
    """Return nothing."""
    print(f"heard {text}")


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def counted() -> Iterator[int]:
    """Take nothing, yield instead of returning."""
    yield from range(3)
