"""The rules of a JSON schema for one value without what it contains, and JSON's equality.

A rule that is unknown or damaged checks nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sized
from datetime import date, timezone
from typing import TypeAlias

from perian_shim.values.decoding import PythonKey, PythonValue
from perian_shim.values.simple import FLOAT, FLOAT_WORDS, INTEGER
from perian_shim.values.times import parse_timestamp

JsonSchema: TypeAlias = Mapping[str, object]

MAX_SHOWN = 60
MAX_EXACT_FLOAT = 2**53
# What every Python's datetime.fromisoformat reads; newer ones read more.
ISO_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?([+-][0-9]{2}:[0-9]{2})?"
)


def is_number(value: object) -> bool:
    """Whether a value is a number; to JSON, true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_no_multiple(value: float, divisor: float) -> bool:
    """Whether a number is not a multiple of another; False where that cannot be said."""
    try:
        return value % divisor != 0 and not (value / divisor).is_integer()
    except (ArithmeticError, ValueError):
        return False


IS_OF_TYPE: Mapping[str, Callable[[object], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: is_number(value) and value == value // 1,  # type: ignore[operator]  # a number
    "number": is_number,
    "string": lambda value: isinstance(value, str | bytes),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
"""JSON's types; text that was base64 is bytes, and still a string."""

LIMITS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "minimum": (lambda value, limit: value < limit, "less than the minimum of"),
    "maximum": (lambda value, limit: value > limit, "greater than the maximum of"),
    "exclusiveMinimum": (lambda value, limit: value <= limit, "not greater than"),
    "exclusiveMaximum": (lambda value, limit: value >= limit, "not less than"),
    "multipleOf": (is_no_multiple, "not a multiple of"),
}

LENGTHS: Mapping[type, tuple[str, str, str]] = {
    str: ("minLength", "maxLength", "characters"),
    bytes: ("minLength", "maxLength", "bytes"),
    list: ("minItems", "maxItems", "items"),
    dict: ("minProperties", "maxProperties", "properties"),
}


def problems(value: PythonValue, schema: JsonSchema) -> Iterator[str]:
    """Say what is wrong with a value, leaving out what it contains."""
    yield from type_problems(value, schema.get("type"))
    yield from choice_problems(value, schema)
    if is_number(value):
        for rule, (breaks, words) in LIMITS.items():
            limit = schema.get(rule)
            if is_number(limit) and breaks(value, limit):  # type: ignore[arg-type]  # numbers
                yield f"{shown(value)} is {words} {shown(limit)}"
    if type(value) in LENGTHS:
        yield from length_problems(value, schema)  # type: ignore[arg-type]  # it has a length
    if isinstance(value, str):
        yield from text_problems(value, schema)


def type_problems(value: PythonValue, declared: object) -> Iterator[str]:
    """Check the rule ``type``: a type or several."""
    types = list(declared) if isinstance(declared, list | tuple) else [declared]
    known = [IS_OF_TYPE[one] for one in types if isinstance(one, str) and one in IS_OF_TYPE]
    if types and len(known) == len(types) and not any(fits(value) for fits in known):
        yield f"{shown(value)} is not of type {', '.join(repr(one) for one in types)}"


def choice_problems(value: PythonValue, schema: JsonSchema) -> Iterator[str]:
    """Check the rules ``enum`` and ``const``."""
    options = schema.get("enum")
    if isinstance(options, list | tuple) and not is_among(value, options):
        yield f"{shown(value)} is not one of {', '.join(shown(option) for option in options)}"
    if "const" in schema and not is_among(value, [schema["const"]]):
        yield f"{shown(schema['const'])} was expected, not {shown(value)}"


def length_problems(value: Sized, schema: JsonSchema) -> Iterator[str]:
    """Check how long a text, list or object is."""
    least, most, things = LENGTHS[type(value)]
    low, high = schema.get(least), schema.get(most)
    if is_number(low) and len(value) < low:  # type: ignore[operator]  # a number
        yield f"it has {len(value)} {things}, fewer than {shown(low)}"
    if is_number(high) and len(value) > high:  # type: ignore[operator]  # a number
        yield f"it has {len(value)} {things}, more than {shown(high)}"


def text_problems(value: str, schema: JsonSchema) -> Iterator[str]:
    """Check the rules ``format`` and ``pattern``; a pattern is the task's author's own code."""
    form = schema.get("format")
    if isinstance(form, str) and not has_format(value, form):
        yield f"{shown(value)} is not a {form!r}"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not matches(pattern, value, otherwise=True):
        yield f"{shown(value)} does not match {shown(pattern)}"


def has_format(value: str, form: str) -> bool:
    """Whether a text is of a format; of an unknown one is every text."""
    try:
        match form:
            case "base64":
                return False  # else it would be bytes by now
            case "date-time":
                parse_timestamp(value)
            case "date":
                date.fromisoformat(value)
    except ValueError:
        return False
    return True


def matches(pattern: str, value: str, *, otherwise: bool) -> bool:
    """Whether a pattern is found in a text; ``otherwise`` for a pattern that Python cannot read."""
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return otherwise


def converted_scalar(value: PythonValue, schema: JsonSchema) -> PythonValue:
    """Convert a number or string to the schema's type where nothing is lost by it."""
    match only_type(schema.get("type")), value:
        case "integer", float() if value.is_integer():
            return int(value)
        case "number", bool():
            return value
        case "number", int() if abs(value) <= MAX_EXACT_FLOAT:
            return float(value)
        case "number", str() if value in FLOAT_WORDS:
            return float(value)
        case "string", str():
            return converted_string(value, schema.get("format"))
        case _:
            return value


def only_type(declared: object) -> object:
    """The one type that a value has if it is not None; None where there are several."""
    if not isinstance(declared, list | tuple):
        return declared
    others = [one for one in declared if one != "null"]
    return others[0] if len(others) == 1 else None


def converted_string(value: str, form: object) -> str | bytes:
    """Convert a string to what its format stands for; one that is not of the format is kept."""
    try:
        if form == "base64":
            return base64.b64decode("".join(value.split()), validate=True)
        if form == "date-time" and not ISO_DATETIME.fullmatch(value):
            # Older Pythons read neither "Z" nor nanoseconds, and the reader may run on one.
            return parse_timestamp(value).ToDatetime(tzinfo=timezone.utc).isoformat()
    except ValueError:
        return value
    return value


def converted_key(key: PythonKey, names: object) -> PythonKey:
    """JSON's keys are strings; give them the type that the schema wants."""
    if not isinstance(names, Mapping) or not isinstance(key, str):
        return key
    try:
        match names.get("type"):
            case "integer" if INTEGER.fullmatch(key):
                return int(key)
            case "number" if FLOAT.fullmatch(key):
                return float(key)
            case "boolean":
                return {"true": True, "false": False}.get(key.lower(), key)
    except ValueError:  # an integer of thousands of digits
        return key
    return key


def is_among(value: PythonValue, options: Iterable[object]) -> bool:
    """Whether a value is equal to one of the options."""
    wanted = identity(value)
    return any(identity(option) == wanted for option in options)


def identity(value: object) -> Hashable:
    """What is equal exactly when JSON's values are: 1 and 1.0 are, 1 and true are not."""
    match value:
        case bool():
            return ("true" if value else "false",)
        case list() | tuple():
            return ("array", *(identity(item) for item in value))
        case dict():
            items = value.items()
            return ("object", frozenset((identity(key), identity(item)) for key, item in items))
        case _:
            return value  # a number, a string or None


def shown(value: object) -> str:
    """A value in a message: itself where it is short."""
    match value:
        case list() | tuple():
            return "an array"
        case dict():
            return "an object"
        case str() | bytes() if len(value) > MAX_SHOWN:
            return f"{value[:MAX_SHOWN]!r}…"
    return repr(value)[:MAX_SHOWN]
