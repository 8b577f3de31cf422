"""A user's module of Flyte 2: every kind of value goes in and comes out."""

import datetime
import enum
from dataclasses import dataclass
from typing import Any

import flyte
import pandas as pd
from flyte.io import DataFrame, Dir, File
from pydantic import BaseModel

from perian_shim.flyte2 import PerianConfig, PerianContainerTask

env = flyte.TaskEnvironment(name="values", image="python:3.12", plugin_config=PerianConfig(cores=1))


class Color(enum.Enum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    """A dataclass."""

    x: int
    name: str


class Model(BaseModel):
    """A model of pydantic's."""

    rate: float
    tags: list[str]


class Thing:
    """What Flyte can only pickle."""

    def __init__(self, size: int) -> None:
        self.size = size


@env.task
async def everything(
    whole: int,
    real: float,
    text: str,
    flag: bool,
    moment: datetime.datetime,
    span: datetime.timedelta,
    color: Color,
    point: Point,
    model: Model,
    items: list[int],
    table: dict[str, float],
    points: list[Point],
    maybe: int | None,
    nothing: int | None,
) -> tuple[
    int,
    float,
    str,
    bool,
    datetime.datetime,
    datetime.timedelta,
    Color,
    Point,
    Model,
    list[int],
    dict[str, float],
    list[Point],
    int | None,
    int | None,
]:
    """Return what came in, a little changed."""
    return (
        whole + 1,
        real + 0.5,
        text + "!",
        not flag,
        moment + span,
        2 * span,
        Color.BLUE if color is Color.RED else Color.RED,
        Point(point.x + 1, point.name + "!"),
        Model(rate=model.rate + 1, tags=[*model.tags, "new"]),
        [*items, 9],
        {**table, "new": 1.5},
        [*points, Point(9, "new")],
        maybe,
        nothing,
    )


@env.task
async def stored(
    file: File, folder: Dir, frame: DataFrame, files: list[File]
) -> tuple[File, Dir, pd.DataFrame, list[File]]:
    """Return what is kept in the object store."""
    async with file.open("rb") as source:
        content = bytes(await source.read())
    with open("/tmp/out.txt", "wb") as out:  # noqa: ASYNC230, PTH123 - as users write it
        out.write(content.upper())
    path = await folder.download()
    table = await frame.open(pd.DataFrame).all()
    table["doubled"] = 2 * table["n"]
    return (
        await File.from_local("/tmp/out.txt"),
        await Dir.from_local(path),
        table,
        [*files, await File.from_local("/tmp/out.txt")],
    )


@env.task
def pickled(thing: Thing) -> Thing:
    """Return what can only be pickled."""
    return Thing(thing.size + 1)


SCALARS: dict[str, Any] = {
    "whole": int,
    "real": float,
    "text": str,
    "flag": bool,
    "moment": datetime.datetime,
    "span": datetime.timedelta,
    "color": Color,
    "point": Point,
    "model": Model,
    "items": list[int],
    "table": dict[str, float],
    "points": list[Point],
    "maybe": int | None,
    "nothing": int | None,
}
STORED: dict[str, Any] = {"file": File, "folder": Dir, "frame": DataFrame, "files": list[File]}


def copying(name: str, types: dict[str, Any]) -> PerianContainerTask:
    """Return a container task that copies all its inputs to its outputs."""
    return PerianContainerTask(
        name=name,
        plugin_config=PerianConfig(cores=1),
        image="debian:12",
        command=["sh", "-ec", "cp -r /var/inputs/. /var/outputs/"],
        inputs=types,
        outputs=types,
    )


scalars = copying("values.scalars", SCALARS)
files = copying("values.files", STORED)
