"""Of cases that differ in a variant only, one is run, always the same; all with --every-variant.

A variant is a value of a fixture that is not what a test is about: the door that a pod goes through
where what is tested lies below it, the tool that moves a file, the Python that a program meets.
Each test meets one, all variants are met by many tests, and where they matter none is left out.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable

import pytest

MARKERS = {"below_the_doors": ("harness",), "sampled": ()}
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
        # The lowest bits alone would choose alike for names that differ in one place.
        left_out |= {*group} - {group[(zlib.crc32(group[0].nodeid.encode()) >> 8) % len(group)]}
    return left_out
