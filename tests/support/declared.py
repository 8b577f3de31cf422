"""Python types that tests declare as inputs and outputs."""

import datetime
import enum
from dataclasses import dataclass, field


class Colour(enum.Enum):
    """An enum."""

    RED = "red"
    DEEP_BLUE = "deep blue"


@dataclass
class Point:
    """A small dataclass."""

    x: int
    y: float = 0.5


@dataclass
class Record:
    """A dataclass with a bit of everything."""

    name: str
    origin: Point
    path: list[Point]
    weights: dict[str, float]
    when: datetime.datetime
    note: str | None = None
    tags: list[str] = field(default_factory=list)
    limit: int | None = None
