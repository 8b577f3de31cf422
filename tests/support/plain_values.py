"""A value of every type that is neither file nor directory, and a program that copies them."""

import datetime
import math
from dataclasses import dataclass
from typing import Any

from support.declared import Colour, Point, Record

from perian_shim import PerianConfig, PerianContainerTask

UTC = datetime.timezone.utc

COPY_ALL = """
cd /var/inputs
for name in *; do
    [ "$name" = inputs.json ] || cp -R "$name" /var/outputs/
done
"""


@dataclass(frozen=True)
class Case:
    """A value and the type that it is declared as."""

    name: str
    python_type: Any
    value: Any


def plain_cases() -> list[Case]:
    when = datetime.datetime(2026, 11, 21, 9, 30, 15, 123456, tzinfo=UTC)
    record = Record(
        name="ünïcode 'quoted' \"twice\"",
        origin=Point(1, 2.5),
        path=[Point(3), Point(4, 1e-9)],
        weights={"a": 0.1, "b b": 3.0},
        when=when,
        tags=["x", ""],
        limit=2**40,
    )
    return [
        Case("int", int, -7),
        Case("big_int", int, 2**62 + 1),
        Case("float", float, 0.1),
        Case("whole_float", float, 3.0),
        Case("infinity", float, math.inf),
        Case("true", bool, True),
        Case("false", bool, False),
        Case("text", str, "two lines\nand 'quotes' $(id) `id` {{.inputs.int}} {% x %} ünï\t\\ \n"),
        Case("empty_text", str, ""),
        Case("datetime", datetime.datetime, when),
        Case("timedelta", datetime.timedelta, datetime.timedelta(days=2, microseconds=5)),
        Case("negative_timedelta", datetime.timedelta, datetime.timedelta(seconds=-1.5)),
        Case("enum", Colour, Colour.DEEP_BLUE),
        Case("optional_int", int | None, 5),
        Case("optional_int_none", int | None, None),
        Case("optional_text", str | None, ""),
        Case("optional_text_none", str | None, None),
        Case("optional_record_none", Record | None, None),
        Case("optional_record", Point | None, Point(9)),
        Case("union_int", int | str, 12),
        Case("union_text", int | str, "twelve"),
        Case("ints", list[int], [3, 1, 2]),
        Case("no_ints", list[int], []),
        Case("optional_ints", list[int | None], [1, None]),
        Case("nested", list[list[str]], [["a", ""], [], ["\n"]]),
        Case("floats_by_name", dict[str, float], {"a": 1.0, "b": 2.5}),
        Case("nested_dict", dict[str, list[int]], {"x": [1], "y": []}),
        Case("untyped_dict", dict, {"a": [1, {"b": None}], "c": "d"}),
        Case("point", Point, Point(1)),
        Case("record", Record, record),
        Case("records", list[Point], [Point(1), Point(2, 2.0)]),
        Case("datetimes", list[datetime.datetime], [when]),
        Case("times_by_name", dict[str, datetime.timedelta], {"a": datetime.timedelta(hours=1)}),
        Case("enums", list[Colour], [Colour.RED, Colour.DEEP_BLUE]),
    ]


PLAIN = plain_cases()


def copying(name: str, types: dict[str, Any]) -> PerianContainerTask:
    """Return a task that leaves all its inputs as outputs of the same names."""
    return PerianContainerTask(
        name=name,
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["/bin/sh", "-ec", COPY_ALL],
        inputs=types,
        outputs=types,
    )
