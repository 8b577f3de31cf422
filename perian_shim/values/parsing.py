"""What a job left, read as the declared type: text to Flyte literals.

The literals are those that flytekit makes of the corresponding Python values, so that a task which
takes the output decodes it as if flytekit had written it. ``parse_output`` reads strictly: content
that is not of the declared type raises ``OutputMismatch``. Files, directories and datasets are not
read from text; see ``output_shape``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

import msgpack  # type: ignore[import-untyped]  # ships no types
from flytekit.models.literals import Literal
from flytekit.models.types import LiteralType, SimpleType
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from perian_shim.values.build import (
    list_literal,
    map_literal,
    msgpack_literal,
    struct_literal,
    union_literal,
)
from perian_shim.values.literals import JsonValue
from perian_shim.values.simple import (
    checked_text,
    json_kind,
    simple_from_json,
    simple_from_text,
)
from perian_shim.values.types import PROTOBUF_NAME_KEY, TypeParts, describe_type, parts_of

MAX_HEAD = 200
MAX_REASON = 600
MAX_NUMBER = 40

ENUM = "enum"
JSON = "json"
STRICTNESS: tuple[int | str, ...] = (
    SimpleType.BOOLEAN,
    SimpleType.INTEGER,
    SimpleType.FLOAT,
    SimpleType.DATETIME,
    SimpleType.DURATION,
    ENUM,
    JSON,
    SimpleType.BINARY,
    SimpleType.ERROR,
    SimpleType.STRING,
    SimpleType.NONE,
)
"""Kinds of types in the order in which a union tries them."""


class OutputMismatch(ValueError):
    """An output's content is not of its declared type.

    Attributes:
        name: the output.
        expected: the declared type, for people.
        reason: what is wrong.
        head: the beginning of what was found, printable and at most 200 characters long.
    """

    def __init__(self, name: str, expected: str, reason: str, head: str) -> None:
        super().__init__(f"output {name!r} is not of type {expected}: {reason}. It begins: {head}")
        self.name = name
        self.expected = expected
        self.reason = reason
        self.head = head


def parse_output(text: str, literal_type: LiteralType, name: str) -> Literal:
    """Read the content of an output file.

    A string is taken verbatim, everything else without surrounding whitespace: integers and
    floats in decimal, ``true``/``false``/``1``/``0``, RFC 3339 times, durations as ``5400s`` or
    ``1h30m``, enum values; lists, maps and dataclasses as JSON. A union takes the first variant
    that fits: bool, int, float, datetime, duration, enum, JSON types, string; None for ``null`` and
    for nothing, unless it could be a string.

    Args:
        text: the whole content.
        literal_type: the declared type.
        name: the output's name, for messages.

    Raises:
        OutputMismatch: when the content is not of the type.
    """
    try:
        return from_text(text, literal_type)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise OutputMismatch(name, describe_type(literal_type), reason[:MAX_REASON], head_of(text))


def head_of(text: str) -> str:
    """The beginning of a text with what cannot be printed escaped; ``(nothing)`` if empty."""
    printable = "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in text[:MAX_HEAD]
    )
    if len(text) <= MAX_HEAD and len(printable) <= MAX_HEAD:
        return printable or "(nothing)"
    return f"{printable[: MAX_HEAD - 1]}…"


def from_text(text: str, literal_type: LiteralType, *, exact: bool = False) -> Literal:
    """Read text as a type; ``exact`` as in ``simple_parsing``.

    Raises:
        ValueError: with the reason.
    """
    parts = parts_of(literal_type)
    if parts.variants is not None:
        return choose(parts.variants, lambda variant, exact: from_text(text, variant, exact=exact))
    if is_json_type(parts):
        return from_json(load_json(text), literal_type, exact=exact)
    refuse_files(parts)
    return simple_from_text(text, parts, exact=exact)


def from_json(
    value: JsonValue, literal_type: LiteralType, place: str = "$", *, exact: bool = False
) -> Literal:
    """Read a JSON value as a type.

    Args:
        value: what was parsed.
        literal_type: the type.
        place: where the value is in the document, for messages.
        exact: as in ``simple_parsing``.

    Raises:
        ValueError: with the place and the reason.
    """
    parts = parts_of(literal_type)
    if parts.variants is not None:
        return choose(
            parts.variants, lambda variant, exact: from_json(value, variant, place, exact=exact)
        )
    if parts.simple == SimpleType.STRUCT:
        return struct_from_json(value, parts, place)
    if parts.element is not None and isinstance(value, list):
        return list_literal(
            [
                from_json(item, parts.element, f"{place}[{index}]", exact=exact)
                for index, item in enumerate(value)
            ]
        )
    if parts.map_value is not None and isinstance(value, dict):
        return map_literal(
            {
                checked_text(key): from_json(item, parts.map_value, f"{place}.{key}", exact=exact)
                for key, item in value.items()
            }
        )
    try:
        refuse_files(parts)
        return simple_from_json(value, parts, exact=exact)
    except ValueError as error:
        raise ValueError(f"at {place}: expected {describe_type(literal_type)}, {error}") from None


def is_json_type(parts: TypeParts) -> bool:
    """Whether a file holds such a value as JSON."""
    return (
        parts.element is not None
        or parts.map_value is not None
        or parts.simple == SimpleType.STRUCT
    )


def refuse_files(parts: TypeParts) -> None:
    """Refuse the types whose values are not text."""
    if parts.blob is not None or parts.dataset is not None or parts.schema is not None:
        raise ValueError("a file, directory or dataset cannot be read from text")


def choose(
    variants: Sequence[LiteralType], read: Callable[[LiteralType, bool], Literal]
) -> Literal:
    """Read a value as the first variant of a union that fits.

    Args:
        variants: the union's types.
        read: reads the value as a variant, exactly or with tolerance.

    Raises:
        ValueError: when none fits, with each variant's reason.
    """
    ranked = sorted(variants, key=strictness)
    kinds = [parts_of(variant).simple for variant in ranked]
    strings = [v for v, kind in zip(ranked, kinds, strict=True) if kind == SimpleType.STRING]
    nones = [v for v, kind in zip(ranked, kinds, strict=True) if kind == SimpleType.NONE]
    values = ranked[: len(ranked) - len(strings) - len(nones)]
    attempts = [(variant, True) for variant in (*values, *strings)]
    attempts += [(variant, False) for variant in (*values, *strings, *nones)]
    reasons = {}
    for variant, exact in attempts:
        try:
            return union_literal(read(variant, exact), variant)
        except ValueError as error:
            reasons[describe_type(variant)] = str(error)
    if len(values) == 1 and not strings:
        raise ValueError(reasons[describe_type(values[0])])
    raise ValueError("; ".join(f"as {kind}: {reason}" for kind, reason in reasons.items()))


def strictness(literal_type: LiteralType) -> int:
    """Rank of a union's variant: the lower, the sooner it is tried."""
    parts = parts_of(literal_type)
    if parts.enum_values is not None:
        return STRICTNESS.index(ENUM)
    return STRICTNESS.index(JSON if is_json_type(parts) or parts.simple is None else parts.simple)


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
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"not usable JSON (the key {twice!r} appears twice in one object)")
    return result


def struct_from_json(value: JsonValue, parts: TypeParts, place: str) -> Literal:
    """Read a dataclass or an untyped dict.

    Returns:
        msgpack, as flytekit packs it; a protobuf Struct where the type is a protobuf message.

    Raises:
        ValueError: with the place and the reason.
    """
    if not parts.metadata or PROTOBUF_NAME_KEY in parts.metadata:
        if not isinstance(value, dict):
            raise ValueError(f"at {place}: expected an object, got {json_kind(value)}")
        return msgpack_literal(packed(value)) if not parts.metadata else protobuf_struct(value)
    # jsonschema is slow to import, and most tasks have no dataclass among their outputs.
    from perian_shim.values.schema import conform  # noqa: PLC0415 - see above

    return msgpack_literal(packed(conform(value, parts.metadata, place)))


def packed(value: object) -> bytes:
    """Pack a value with msgpack.

    Raises:
        ValueError: when it holds an integer of more than 64 bits or half a surrogate pair, or is
            nested too deeply.
    """
    try:
        data: bytes = msgpack.packb(value)
    except OverflowError:
        raise ValueError("an integer in it does not fit in 64 bits") from None
    return data


def protobuf_struct(value: dict[str, JsonValue]) -> Literal:
    """Make a protobuf Struct.

    Raises:
        ValueError: when a Struct cannot hold the value.
    """
    try:
        return struct_literal(json_format.ParseDict(value, Struct()))
    except json_format.ParseError as error:
        raise ValueError(str(error)) from None
