"""JSON as a job's program writes it, read strictly."""

from __future__ import annotations

import json
import math

from perian_shim.values.literals import JsonValue

MAX_NUMBER = 40
MAX_KEY = 100


def load_json(text: str) -> JsonValue:
    """Parse JSON; NaN and Infinity as Python's own writer leaves them are accepted.

    Raises:
        ValueError: when it is no JSON, an object names a key twice, or a number is too large.
    """
    try:
        value: JsonValue = json.loads(
            text, object_pairs_hook=unique_keys, parse_float=bounded_float
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"not valid JSON ({error.msg}, {where})") from None
    return value


def bounded_float(text: str) -> float:
    """Read a number with a fraction or an exponent; Python would make infinity of 1e999."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:MAX_NUMBER]} does not fit in a 64-bit float")
    return value


def unique_keys(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Make a JSON object, refusing a key that appears twice."""
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # adds it
        raise ValueError(
            f"not usable JSON (the key {twice[:MAX_KEY]!r} appears twice in one object)"
        )
    return result
