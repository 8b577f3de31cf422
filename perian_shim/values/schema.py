"""JSON values made to fit the JSON schema of a declared dataclass, and checked against it.

flytekit's schema describes a dataclass's JSON form, but the literal is msgpack with richer types:
a float field holds a float even where JSON has ``1``, ``dict[int, str]`` has integer keys, and
bytes are bytes. ``conform`` makes these conversions, then validates; a value that does not fit
raises ``SchemaMismatchError`` with the place (``$.rows[2].mean``) and the reason. Nothing is ever
fetched for a ``$ref``, and a schema that is itself invalid checks nothing.

Import this module only where it is needed: jsonschema is slow to import.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import date, timezone
from typing import TypeAlias, cast

from jsonschema import Draft202012Validator, FormatChecker, SchemaError, validators
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from perian_shim.values.decoding import PythonKey, PythonValue
from perian_shim.values.embedded import referred
from perian_shim.values.literals import JsonValue
from perian_shim.values.mismatch import MismatchError
from perian_shim.values.simple import FLOAT_WORDS
from perian_shim.values.times import parse_timestamp

JsonSchema: TypeAlias = Mapping[str, object]

MAX_REASON = 300
MAX_REFERENCES = 50
# What every Python's datetime.fromisoformat reads; newer ones read more.
ISO_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?([+-][0-9]{2}:[0-9]{2})?"
)


class SchemaMismatchError(MismatchError):
    """A JSON value that does not fit a schema."""


def conform(value: JsonValue, schema: JsonSchema) -> PythonValue:
    """Convert a JSON value to what the schema's type holds, and check it.

    Args:
        value: parsed JSON.
        schema: a JSON schema, as in the metadata of a STRUCT LiteralType.

    Returns:
        The value to be packed.

    Raises:
        SchemaMismatchError: with the JSON path and the reason.
    """
    # A JSON value is a Python value; only dict's invariance hides it from the type checker.
    return Conformer(schema).conform(cast("PythonValue", value))


class Conformer:
    """One schema with its validator, and the conversions it asks for."""

    def __init__(self, schema: JsonSchema) -> None:
        self.root = schema
        self.validator = validator_for(schema)

    def conform(self, value: PythonValue) -> PythonValue:
        """As the module's ``conform``."""
        if self.validator is None:
            return value
        converted = self.converted(value, self.root)
        try:
            error = best_match(self.validator.iter_errors(converted))  # type: ignore[arg-type]  # bytes and integer keys too
        except Unresolvable:
            return converted
        if error is None:
            return converted
        reason = error.message
        if len(reason) > MAX_REASON:
            reason = f"{reason[: MAX_REASON // 2]} … {reason[-MAX_REASON // 2 :]}"
        mismatch = SchemaMismatchError(reason)
        mismatch.inside(error.json_path.removeprefix("$"))
        raise mismatch

    def converted(self, value: PythonValue, schema: object) -> PythonValue:
        """Make the conversions that a part of the schema asks for; what does not fit is kept."""
        resolved = self.resolved(schema)
        if resolved is None:
            return value
        variants = resolved.get("anyOf") or resolved.get("oneOf")
        if isinstance(variants, list):
            return self.best_variant(value, variants)
        match value:
            case dict():
                return self.converted_object(value, resolved)
            case list():
                return self.converted_array(value, resolved)
            case _:
                return converted_scalar(value, resolved)

    def best_variant(self, value: PythonValue, variants: list[object]) -> PythonValue:
        """Convert by the first variant that fits the value as it is, else by the first that fits.

        So 1.0 stays a float in a union of int and float.
        """
        fitting = []
        for variant in variants:
            candidate = self.converted(value, variant)
            if self.is_valid(candidate, variant):
                # Tells 1, 1.0 and True apart at every depth, which == does not.
                if repr(candidate) == repr(value):
                    return candidate
                fitting.append(candidate)
        return fitting[0] if fitting else value

    def is_valid(self, value: PythonValue, schema: object) -> bool:
        """Whether a converted value fits a part of the schema."""
        assert self.validator is not None
        try:
            return bool(self.validator.evolve(schema=schema).is_valid(value))  # type: ignore[arg-type]  # as above
        except Unresolvable:
            return True

    def converted_object(
        self, value: dict[PythonKey, PythonValue], schema: JsonSchema
    ) -> dict[PythonKey, PythonValue]:
        """Convert an object's keys and values."""
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        names = schema.get("propertyNames")
        extra = schema.get("additionalProperties")
        return {
            converted_key(key, names): self.converted(item, known.get(key, extra))
            for key, item in value.items()
        }

    def converted_array(self, value: list[PythonValue], schema: JsonSchema) -> list[PythonValue]:
        """Convert an array's items."""
        prefix = schema.get("prefixItems")
        leading = prefix if isinstance(prefix, list) else []
        rest = schema.get("items")
        return [
            self.converted(item, leading[index] if index < len(leading) else rest)
            for index, item in enumerate(value)
        ]

    def resolved(self, schema: object) -> JsonSchema | None:
        """Follow local references; None for what says nothing about the value."""
        for _ in range(MAX_REFERENCES):
            if not isinstance(schema, Mapping):
                return None
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = referred(self.root, reference)
        return None


def converted_scalar(value: PythonValue, schema: JsonSchema) -> PythonValue:
    """Convert a number or string to the schema's type where nothing is lost by it."""
    match schema.get("type"), value:
        case "integer", float() if value.is_integer():
            return int(value)
        case "number", bool():
            return value
        case "number", int() if abs(value) <= 2**53:
            return float(value)
        case "number", str() if value in FLOAT_WORDS:
            return float(value)
        case "string", str():
            return converted_string(value, schema.get("format"))
        case _:
            return value


def converted_string(value: str, format_: object) -> str | bytes:
    """Convert a string to what its format stands for; one that is not of the format is kept."""
    try:
        if format_ == "base64":
            return base64.b64decode("".join(value.split()), validate=True)
        if format_ == "date-time" and not ISO_DATETIME.fullmatch(value):
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
            case "integer":
                return int(key)
            case "number":
                return float(key)
            case "boolean":
                return {"true": True, "false": False}.get(key.lower(), key)
    except ValueError:
        return key
    return key


def validator_for(schema: JsonSchema) -> Validator | None:
    """Make the validator; None when the schema is none that can be used."""
    cls = validators.validator_for(dict(schema), default=Draft202012Validator)
    try:
        cls.check_schema(dict(schema))
    except SchemaError:
        return None
    formats = FormatChecker(formats=())
    formats.checks("date-time", raises=ValueError)(is_datetime)
    formats.checks("date", raises=ValueError)(is_date)
    formats.checks("base64")(lambda value: isinstance(value, bytes))
    types = cls.TYPE_CHECKER.redefine("string", lambda _, value: isinstance(value, str | bytes))
    extended = validators.extend(cls, type_checker=types)  # type: ignore[no-untyped-call]  # untyped
    # An empty registry: without it a remote reference would be fetched.
    validator: Validator = extended(dict(schema), registry=Registry(), format_checker=formats)
    return validator


def is_datetime(value: object) -> bool:
    """Format check of ``date-time``; raises ValueError for text that is none."""
    return not isinstance(value, str) or bool(parse_timestamp(value))


def is_date(value: object) -> bool:
    """Format check of ``date``; raises ValueError for text that is none."""
    return not isinstance(value, str) or bool(date.fromisoformat(value))
