from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.values.go_text import format_value


class Vector(TypedDict):
    value: dict[str, object]
    text: str


VECTORS: list[Vector] = json.loads(
    (Path(__file__).parent.parent / "data" / "go_format_vectors.json").read_text()
)["values"]


def decoded(encoded: dict[str, object]) -> object:  # noqa: PLR0911 - one return per kind
    """Undo the typed encoding that tests/data/go_format_vectors.go describes."""
    ((kind, raw),) = encoded.items()
    match kind, raw:
        case "nil", _:
            return None
        case "int", str():
            return int(raw)
        case "float", str():
            return struct.unpack(">d", bytes.fromhex(raw))[0]
        case "bytes", str():
            return bytes.fromhex(raw)
        case "list", list():
            return [decoded(item) for item in raw]
        case "map", list():
            return {decoded(key): decoded(value) for key, value in raw}
        case _:
            return raw


def test_there_are_several_hundred_vectors() -> None:
    assert len(VECTORS) > 300


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["text"])[:40])
def test_a_value_reads_as_go_prints_it(vector: Vector) -> None:
    assert format_value(decoded(vector["value"])) == vector["text"]


@given(st.floats(allow_nan=False))
def test_a_float_keeps_its_exact_value(value: float) -> None:
    assert float(format_value(value)) == value


@given(st.dictionaries(st.text(), st.integers()))
def test_a_map_reads_the_same_in_any_insertion_order(value: dict[str, int]) -> None:
    assert format_value(value) == format_value(dict(reversed(value.items())))


def test_a_map_of_mixed_keys_has_one_fixed_order() -> None:
    assert format_value({1.5: 1, "a": 2, None: 3, True: 4}) == "map[<nil>:3 a:2 1.5:1 true:4]"


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        format_value({1, 2})
