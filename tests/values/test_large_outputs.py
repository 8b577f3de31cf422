"""A large output takes memory and steps in proportion to its bytes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from support.flyte_values import PythonType, declared, message
from support.waiting import LONG_SECONDS

from perian_shim.values.json_text import unique_keys
from perian_shim.values.literals import literal_to_json
from perian_shim.values.parsing import OutputMismatch, parse_output
from perian_shim.values.serialized import literal_map, split_literal_map

pytestmark = pytest.mark.thorough

TWO_MB = 2_000_000


@dataclass
class Row:
    name: str
    count: int
    mean: float
    more: int | None = None


def integers(size: int) -> str:
    chosen = random.Random(1)
    numbers = [chosen.randrange(10**6, 10**8) for _ in range(size // 10)]
    return json.dumps(numbers)


def rows(size: int) -> str:
    chosen = random.Random(1)
    return json.dumps(
        [
            {"name": f"row {n}", "count": chosen.randrange(10**6), "mean": n / 7, "more": n}
            for n in range(size // 72)
        ]
    )


def peak(work: Callable[[], object]) -> int:
    """The most memory that some work takes at any time, in bytes, beside what there was."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before


@pytest.mark.parametrize(
    ("python_type", "text", "size", "factor"),
    [
        (list[int], integers, TWO_MB, 10),
        (list[float], integers, TWO_MB // 8, 10),
        (list[int | None], integers, TWO_MB // 8, 20),  # each element says its variant
        (list[Row], rows, TWO_MB, 12),
    ],
    ids=["integers", "floats", "optional integers", "dataclasses"],
)
def test_an_output_takes_memory_in_proportion_to_its_text(
    python_type: PythonType, text: Callable[[int], str], size: int, factor: int
) -> None:
    content, literal_type = text(size), declared(python_type)
    parse_output(text(1000), literal_type, "out")  # what is made only once
    assert 0.9 * size < len(content) < 1.2 * size
    most = peak(lambda: parse_output(content, literal_type, "out"))
    assert most < factor * len(content)


def test_a_document_comes_apart_with_memory_in_proportion() -> None:
    document = literal_map({"out": parse_output(integers(200_000), declared(list[int]), "out")})
    split_literal_map(b"")
    assert peak(lambda: split_literal_map(document)) < 4 * len(document)


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


@pytest.mark.parametrize(
    ("python_type", "text"),
    [(list[int], integers), (list[int | None], integers), (list[Row], rows)],
    ids=["integers", "optional integers", "dataclasses"],
)
def test_twice_the_output_takes_twice_the_steps(
    python_type: PythonType, text: Callable[[int], str]
) -> None:
    literal_type = declared(python_type)
    parse_output(text(1000), literal_type, "out")
    once, twice = (
        calls(lambda size=size: parse_output(text(size), literal_type, "out"))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        for size in (20_000, 40_000)
    )
    assert twice < 2.2 * once


@pytest.mark.parametrize(
    ("python_type", "text"),
    [(list[int], integers), (list[int | None], integers), (list[Row], rows)],
    ids=["integers", "optional integers", "dataclasses"],
)
def test_twice_the_input_takes_twice_the_steps(
    python_type: PythonType, text: Callable[[int], str]
) -> None:
    literals = [
        message(parse_output(text(size), declared(python_type), "in")) for size in (20_000, 40_000)
    ]
    once, twice = (calls(lambda each=each: literal_to_json(each)) for each in literals)  # type: ignore[misc]  # mypy cannot infer a lambda's default
    assert twice < 2.2 * once


@pytest.mark.parametrize(
    ("python_type", "text"), [(list[int], integers), (list[Row], rows)], ids=["integers", "rows"]
)
def test_an_input_is_written_with_memory_in_proportion_to_its_text(
    python_type: PythonType, text: Callable[[int], str]
) -> None:
    literal = message(parse_output(text(TWO_MB // 4), declared(python_type), "in"))
    literal_to_json(literal)
    size = len(literal_to_json(literal))
    assert peak(lambda: literal_to_json(literal)) < 5 * size


class CountedKey(str):
    """A key that counts how often it is compared."""

    compared = 0
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedKey.compared += 1
        return str.__eq__(self, other)


def test_a_key_that_is_there_twice_is_found_by_few_comparisons() -> None:
    names = [f"key {n}" for n in range(2000)]
    pairs = [(CountedKey(name), 1) for name in (*names, names[-1])]
    CountedKey.compared = 0
    with pytest.raises(ValueError, match="'key 1999' appears twice"):
        unique_keys(list(pairs))
    assert CountedKey.compared < 3 * len(pairs)


def test_a_place_is_written_only_for_what_is_wrong() -> None:
    # A name of 100 kB around 20,000 numbers: 2 GB, were it written for each of them.
    content = json.dumps({"n" * 100_000: [*range(20_000), "x"]})
    literal_type = declared(dict[str, list[int]])

    def refused() -> None:
        with pytest.raises(OutputMismatch, match=r"\[20000\]: expected int") as refusal:
            parse_output(content, literal_type, "out")
        assert len(str(refusal.value)) < 1000

    assert peak(refused) < 20 * len(content)


def test_reading_outputs_imports_no_jsonschema() -> None:
    code = (
        "import sys, perian_shim.values.parsing, perian_shim.values.shapes;"
        "print({'jsonschema', 'referencing', 'flytekit'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG_SECONDS,
    )
    assert done.stdout.strip() == "set()"
