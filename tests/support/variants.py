"""Of cases that differ in a variant only, one is run, always the same; all with --every-variant.

A variant is a value of a fixture that is not what a test is about: the door that a pod goes through
where what is tested lies below it, the tool that moves a file, the Python that a program meets.
Each test meets one, all variants are met by many tests, and where they matter none is left out.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable

import pytest
from support.doors import Door

DOORS = (Door.FLYTEKIT, Door.ENTRYPOINT, Door.ENTRYPOINT, Door.ENTRYPOINT)
"""How often each door is gone through: our own is the one of our image, and costs less."""

MARKERS = {"below_the_doors": ("harness",), "one_door": ("harness",), "sampled": ()}
"""What stands for which fixtures, beside those that the marker names."""


def fixtures_of(item: pytest.Item) -> set[str]:
    """Return the fixtures of which one value is enough for a test."""
    return {
        name
        for marker, usual in MARKERS.items()
        for mark in item.iter_markers(marker)
        for name in (*usual, *mark.args)
    }


def spared(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Return the cases that are not run."""
    groups: dict[object, list[pytest.Item]] = defaultdict(list)
    for item in items:
        callspec = getattr(item, "callspec", None)
        names = fixtures_of(item) & set(callspec.params) if callspec else set()
        if callspec and names and not item.get_closest_marker("every_variant"):
            others = {(k, id(v)) for k, v in callspec.params.items() if k not in names}
            groups[item.nodeid.partition("[")[0], frozenset(others)].append(item)
    left_out = set()
    for group in groups.values():
        group.sort(key=lambda item: item.nodeid)
        left_out |= {*group} - {chosen(group)}
    return left_out


def chosen(group: list[pytest.Item]) -> pytest.Item:
    """Return the one that is run of cases that differ in a variant only."""
    # A module whose cases share what is costly to make goes through one door as a whole.
    together = group[0].get_closest_marker("one_door")
    name = group[0].nodeid.partition("::")[0] if together else group[0].nodeid
    # The lowest bits alone would choose alike for names that differ in one place.
    number = zlib.crc32(name.encode()) >> 8
    door = DOORS[number % len(DOORS)]
    through = [item for item in group if door_of(item) in {None, door}] or group
    return through[number % len(through)]


def door_of(item: pytest.Item) -> Door | None:
    """Return the door that a case goes through."""
    callspec = getattr(item, "callspec", None)
    door = callspec.params.get("harness") if callspec else None
    return door if isinstance(door, Door) else None
