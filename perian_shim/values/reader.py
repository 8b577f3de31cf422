"""Values read as one declared type: text and JSON to serialized literals.

A ``Reader`` opens a type once for all the values read as it, and a list's elements are written one
after the other, so that a list takes memory in proportion to its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgpack  # type: ignore[import-untyped]  # ships no types
from flyteidl.core import types_pb2
from flyteidl.core.literals_pb2 import Literal
from flyteidl.core.types_pb2 import LiteralType
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from perian_shim.values.build import msgpack_literal, struct_literal
from perian_shim.values.json_text import load_json
from perian_shim.values.literals import JsonValue
from perian_shim.values.mismatch import MismatchError
from perian_shim.values.schema import Schema
from perian_shim.values.serialized import (
    SerializedLiteral,
    serialize,
    serialized_entries,
    serialized_list,
    union_of_type,
)
from perian_shim.values.simple import (
    checked_text,
    json_kind,
    simple_from_json,
    simple_from_text,
)
from perian_shim.values.types import PROTOBUF_NAME_KEY, describe_type, parts_of

ENUM = "enum"
JSON = "json"
STRICTNESS: tuple[int | str, ...] = (
    types_pb2.BOOLEAN,
    types_pb2.INTEGER,
    types_pb2.FLOAT,
    types_pb2.DATETIME,
    types_pb2.DURATION,
    ENUM,
    JSON,
    types_pb2.BINARY,
    types_pb2.ERROR,
    types_pb2.STRING,
    types_pb2.NONE,
)
"""Kinds of types in the order in which a union tries them."""


class Reader:
    """Reads values as one declared type.

    ``exact`` is as in ``perian_shim.values.simple``.
    """

    def __init__(self, literal_type: LiteralType) -> None:
        self.literal_type = literal_type
        self.parts = parts_of(literal_type)
        content = self.parts.element or self.parts.map_value
        self.content = None if content is None else Reader(content)
        self.variants = [Reader(variant) for variant in self.parts.variants or ()]
        self.variants.sort(key=Reader.strictness)
        self.attempts = attempts(self.variants)
        self.schema = Schema(self.parts.metadata)
        self.serialized_type = literal_type.SerializeToString(deterministic=True)

    def from_text(self, text: str, *, exact: bool = False) -> SerializedLiteral:
        """Read text.

        Raises:
            ValueError: with the reason.
        """
        if self.variants:
            return self.choose(lambda one, exact: one.from_text(text, exact=exact), ValueError)
        if self.is_json:
            return self.from_json(load_json(text), exact=exact)
        self.refuse_files()
        return serialize(simple_from_text(text, self.parts, exact=exact))

    def from_json(self, value: JsonValue, *, exact: bool = False) -> SerializedLiteral:
        """Read a JSON value.

        Raises:
            MismatchError: with the place and the reason.
        """
        if self.variants:
            return self.choose(lambda one, exact: one.from_json(value, exact=exact), MismatchError)
        if self.parts.simple == types_pb2.STRUCT:
            return serialize(self.struct(value))
        if self.parts.element is not None and isinstance(value, list):
            return serialized_list(self.items(value, exact=exact))
        if self.parts.map_value is not None and isinstance(value, dict):
            return serialized_entries(self.entries(value, exact=exact))
        try:
            self.refuse_files()
            return serialize(simple_from_json(value, self.parts, exact=exact))
        except ValueError as error:
            reason = f"expected {describe_type(self.literal_type)}, {error}"
            raise MismatchError(reason) from None

    def items(self, value: list[JsonValue], *, exact: bool) -> Iterator[SerializedLiteral]:
        """Read the elements of a list, one at a time."""
        assert self.content is not None
        for index, item in enumerate(value):
            try:
                yield self.content.from_json(item, exact=exact)
            except MismatchError as error:
                error.inside(f"[{index}]")
                raise

    def entries(
        self, value: dict[str, JsonValue], *, exact: bool
    ) -> Iterator[tuple[str, SerializedLiteral]]:
        """Read the entries of a map by key, one at a time."""
        assert self.content is not None
        for key in sorted(value):
            try:
                yield checked_text(key), self.content.from_json(value[key], exact=exact)
            except MismatchError as error:
                error.inside(f".{key}")
                raise

    def choose(
        self,
        read: Callable[[Reader, bool], SerializedLiteral],
        refusal: type[ValueError],
    ) -> SerializedLiteral:
        """Read a value as the first variant of the union that fits.

        Args:
            read: reads the value as a variant, exactly or with tolerance.
            refusal: the exception to raise.

        Raises:
            ValueError: when none fits, with each variant's reason.
        """
        refusals: dict[Reader, ValueError] = {}
        for variant, exact in self.attempts:
            try:
                return union_of_type(read(variant, exact), variant.serialized_type)
            except ValueError as error:
                refusals[variant] = error.with_traceback(None)  # which would refer to this frame
        told = [variant for variant in refusals if variant.parts.simple != types_pb2.NONE]
        if len(told) == 1 and told[0].parts.simple != types_pb2.STRING:
            raise refusals[told[0]]
        reasons = (
            f"as {describe_type(variant.literal_type)}: {short_reason(error)}"
            for variant, error in refusals.items()
        )
        raise refusal("; ".join(reasons))

    @property
    def is_json(self) -> bool:
        """Whether a file holds such a value as JSON."""
        return self.content is not None or self.parts.simple == types_pb2.STRUCT

    def strictness(self) -> int:
        """Rank as a union's variant: the lower, the sooner it is tried."""
        if self.parts.enum_values is not None:
            return STRICTNESS.index(ENUM)
        simple = self.parts.simple
        return STRICTNESS.index(JSON if self.is_json or simple is None else simple)

    def refuse_files(self) -> None:
        """Refuse the types whose values are not text."""
        parts = self.parts
        if parts.blob is not None or parts.dataset is not None or parts.schema is not None:
            raise ValueError("a file, directory or dataset cannot be read from text")

    def struct(self, value: JsonValue) -> Literal:
        """Read a dataclass or an untyped dict.

        Returns:
            msgpack, as flytekit packs it; a protobuf Struct where the type is a protobuf message.

        Raises:
            MismatchError: with the place and the reason.
        """
        schema = self.parts.metadata
        try:
            if schema and PROTOBUF_NAME_KEY not in schema:
                return msgpack_literal(packed(self.schema.conform(value)))
            if isinstance(value, dict):
                return protobuf_struct(value) if schema else msgpack_literal(packed(value))
        except MismatchError:
            raise
        except ValueError as error:
            raise MismatchError(str(error)) from None
        raise MismatchError(f"expected an object, got {json_kind(value)}")


def short_reason(error: ValueError) -> str:
    """What is wrong, with the place only where it is inside the value."""
    at_top = isinstance(error, MismatchError) and error.place == "$"
    return error.reason if isinstance(error, MismatchError) and at_top else str(error)


def attempts(ranked: list[Reader]) -> list[tuple[Reader, bool]]:
    """In which order a union tries its variants, and whether exactly."""
    strings = [one for one in ranked if one.parts.simple == types_pb2.STRING]
    nones = [one for one in ranked if one.parts.simple == types_pb2.NONE]
    values = ranked[: len(ranked) - len(strings) - len(nones)]
    exactly = [(one, True) for one in (*values, *strings)]
    return exactly + [(one, False) for one in (*values, *strings, *nones)]


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
