"""JSON values made to fit the JSON schema of a declared dataclass, and checked against it.

flytekit's schema describes a dataclass's JSON form, but the literal is msgpack with richer types:
a float field holds a float even where JSON has ``1``, ``dict[int, str]`` has integer keys, and
bytes are bytes. ``Schema.conform`` converts and checks in one walk; a value that does not fit
raises ``SchemaMismatchError`` with the place (``$.rows[2].mean``) and the reason.

What a property declares as its default is taken as it is, whatever its type: ``name: str = None``
is how many write an optional field, and flytekit writes its None. These rules are known: ``type``,
``enum``, ``const``, ``$ref`` within the schema, ``anyOf``, ``oneOf``, ``allOf``, ``properties``,
``patternProperties``, ``additionalProperties``, ``propertyNames``, ``required``, ``items``,
``prefixItems``, ``additionalItems``, ``uniqueItems``, ``pattern``, the formats ``date-time``,
``date`` and ``base64``, and the limits of numbers and lengths. A rule that is unknown or damaged
checks nothing, and nothing is ever fetched for a ``$ref``.

The walk takes time in proportion to the value: a union looks at each of its variants once for each
value, also where unions are inside unions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from perian_shim.values.decoding import PythonKey, PythonValue
from perian_shim.values.embedded import referred
from perian_shim.values.literals import JsonValue
from perian_shim.values.mismatch import MismatchError
from perian_shim.values.schema_rules import (
    JsonSchema,
    converted_key,
    converted_scalar,
    identity,
    is_among,
    matches,
    problems,
    shown,
)

MAX_REASON = 300
OLD_DRAFTS = ("draft-03", "draft-04", "draft-06", "draft-07")
"""In these, nothing beside a ``$ref`` counts."""

Applied = tuple[int, ...]
"""The ids of the schemas that are being applied to one and the same value."""


class SchemaMismatchError(MismatchError):
    """A JSON value that does not fit a schema."""

    def __init__(self, reason: str) -> None:
        if len(reason) > MAX_REASON:
            half = MAX_REASON // 2 - 2
            reason = f"{reason[:half]} … {reason[-half:]}"
        super().__init__(reason)


class Schema:
    """A JSON schema, as in the metadata of a STRUCT LiteralType."""

    def __init__(self, root: JsonSchema) -> None:
        self.root = root
        self.ref_is_alone = any(draft in str(root.get("$schema")) for draft in OLD_DRAFTS)
        self.targets: dict[str, object] = {}
        self.unions = 0
        self.known: dict[tuple[int, int], tuple[PythonValue, PythonValue | MismatchError]] = {}

    def conform(self, value: JsonValue) -> PythonValue:
        """Convert a JSON value to what the schema's type holds, and check it.

        Args:
            value: parsed JSON; it is left as it is.

        Returns:
            The value to be packed; the very object where nothing had to be converted.

        Raises:
            SchemaMismatchError: with the JSON path and the reason.
        """
        # A JSON value is a Python value; only dict's invariance hides it from the type checker.
        return self.fitted(cast("PythonValue", value), self.root)

    def fitted(self, value: PythonValue, schema: object, applied: Applied = ()) -> PythonValue:
        """Convert and check a value by a part of the schema."""
        if schema is False:
            raise SchemaMismatchError(f"nothing is allowed here, got {shown(value)}")
        if not isinstance(schema, Mapping) or id(schema) in applied:
            return value
        value = self.composed(value, schema, (*applied, id(schema)))
        if self.ref_is_alone and isinstance(schema.get("$ref"), str):
            return value
        value = converted_scalar(value, schema)
        for problem in problems(value, schema):
            raise SchemaMismatchError(problem)
        match value:
            case dict():
                return self.fitted_object(value, schema)
            case list():
                return self.fitted_array(value, schema)
        return value

    def composed(self, value: PythonValue, schema: JsonSchema, applied: Applied) -> PythonValue:
        """Apply the schemas of which a schema is composed to the whole value."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            value = self.fitted(value, self.target(reference), applied)
            if self.ref_is_alone:
                return value
        for part in list_of(schema, "allOf"):
            value = self.fitted(value, part, applied)
        for rule in ("anyOf", "oneOf"):
            if list_of(schema, rule):
                value = self.one_of(value, schema, rule, applied)
        return value

    def target(self, reference: str) -> object:
        """Follow a reference within the schema; None for any other."""
        if reference not in self.targets:
            self.targets[reference] = referred(self.root, reference)
        return self.targets[reference]

    def one_of(
        self, value: PythonValue, schema: JsonSchema, rule: str, applied: Applied
    ) -> PythonValue:
        """Convert by the first variant that fits the value as it is, else by the first that fits.

        So 1.0 stays a float in a union of int and float. What became of a list or object is kept
        for as long as it can be asked for again: until the outermost union is done.
        """
        variants = list_of(schema, rule)
        key = (id(value), id(variants))
        if key in self.known:
            outcome = self.known[key][1]
        else:
            self.unions += 1
            try:
                outcome = self.chosen(value, variants, rule, applied)
            finally:
                self.unions -= 1
                if not self.unions:
                    self.known.clear()
            if self.unions and isinstance(value, dict | list):
                self.known[key] = (value, outcome)  # which also keeps the id from being used again
        if isinstance(outcome, MismatchError):
            raise outcome.copy()
        return outcome

    def chosen(
        self, value: PythonValue, variants: list[object], rule: str, applied: Applied
    ) -> PythonValue | MismatchError:
        """Apply each variant of a union once."""
        fitting: list[PythonValue] = []
        refusals: list[MismatchError] = []
        for variant in variants:
            try:
                candidate = self.fitted(value, variant, applied)
            except MismatchError as error:
                refusals.append(error.with_traceback(None))  # which would refer to this frame
                continue
            if candidate is value and rule == "anyOf":
                return value
            fitting.append(candidate)
        if rule == "oneOf" and len(fitting) > 1:
            return SchemaMismatchError(f"{shown(value)} fits more than one variant of a union")
        if fitting:
            return next((candidate for candidate in fitting if candidate is value), fitting[0])
        told = [
            refusal
            for refusal, variant in zip(refusals, variants, strict=True)
            if not (isinstance(variant, Mapping) and variant.get("type") == "null")
        ]
        if len(told) == 1:
            return told[0]
        reasons = "; ".join(map(str, refusals))
        return SchemaMismatchError(f"{shown(value)} fits no variant of a union: {reasons}")

    def fitted_object(
        self, value: dict[PythonKey, PythonValue], schema: JsonSchema
    ) -> dict[PythonKey, PythonValue]:
        """Convert and check an object's keys and values."""
        for name in list_of(schema, "required"):
            if isinstance(name, str) and name not in value:
                raise SchemaMismatchError(f"{name!r} is a required property")
        rules = ObjectRules(schema)
        if rules.check_nothing:
            return value
        result: dict[PythonKey, PythonValue] = {}
        changed = False
        for key, item in value.items():
            try:
                name = self.fitted_key(key, rules.names)
                fitted = self.fitted_property(key, item, rules)
            except MismatchError as error:
                error.inside(f".{key!s}")
                raise
            if name in result:
                raise SchemaMismatchError(f"the key {shown(name)} is there twice")
            changed = changed or fitted is not item or name is not key
            result[name] = fitted
        return result if changed else value

    def fitted_property(
        self, key: PythonKey, value: PythonValue, rules: ObjectRules
    ) -> PythonValue:
        """Convert and check the value of a key."""
        try:
            fitted = value
            for part in rules.for_key(key):
                fitted = self.fitted(fitted, part)
        except MismatchError:
            if rules.is_default(key, value):
                return value
            raise
        return fitted

    def fitted_key(self, key: PythonKey, names: object) -> PythonKey:
        """Convert and check a key."""
        name = converted_key(key, names)
        self.fitted(name, names)
        return name

    def fitted_array(self, value: list[PythonValue], schema: JsonSchema) -> list[PythonValue]:
        """Convert and check an array's items; a new list only where an item was converted."""
        leading, rest = list_of(schema, "prefixItems"), schema.get("items")
        if isinstance(rest, list):  # as older drafts say it
            leading, rest = rest, schema.get("additionalItems")
        result = value
        if leading or isinstance(rest, Mapping) or rest is False:
            for index, item in enumerate(value):
                try:
                    fitted = self.fitted(item, leading[index] if index < len(leading) else rest)
                except MismatchError as error:
                    error.inside(f"[{index}]")
                    raise
                if fitted is not item:
                    result = list(value) if result is value else result
                    result[index] = fitted
        if schema.get("uniqueItems") is True:
            check_unique(result)
        return result


class ObjectRules:
    """Which parts of a schema apply to which keys of an object."""

    def __init__(self, schema: JsonSchema) -> None:
        properties, patterns = schema.get("properties"), schema.get("patternProperties")
        self.names = schema.get("propertyNames")
        self.properties: JsonSchema = properties if isinstance(properties, Mapping) else {}
        self.patterns: JsonSchema = patterns if isinstance(patterns, Mapping) else {}
        self.extra = schema.get("additionalProperties")

    @property
    def check_nothing(self) -> bool:
        """Whether there is no rule for any key."""
        without = self.names is None and self.extra is None
        return without and not self.properties and not self.patterns

    def is_default(self, key: PythonKey, value: PythonValue) -> bool:
        """Whether a value is what the key's property has where nothing is given."""
        part = self.properties.get(key) if isinstance(key, str) else None
        return (
            isinstance(part, Mapping) and "default" in part and is_among(value, [part["default"]])
        )

    def for_key(self, key: PythonKey) -> Iterator[object]:
        """The parts for the value of a key.

        Raises:
            SchemaMismatchError: when there may be no such key.
        """
        found = False
        if key in self.properties:
            found = True
            yield self.properties[str(key)]
        for pattern, part in self.patterns.items():
            if matches(pattern, str(key), otherwise=False):
                found = True
                yield part
        if found:
            return
        if self.extra is False:
            raise SchemaMismatchError(
                f"additional properties are not allowed, {key!r} was unexpected"
            )
        yield self.extra


def check_unique(items: list[PythonValue]) -> None:
    """Refuse an item that is there twice."""
    seen = set()
    for index, item in enumerate(items):
        one = identity(item)
        if one in seen:
            raise SchemaMismatchError(f"item {index} is there twice, {shown(item)}")
        seen.add(one)


def list_of(schema: JsonSchema, rule: str) -> list[object]:
    """The list that a rule is; empty when there is no such rule, or no list."""
    value = schema.get(rule)
    return value if isinstance(value, list) else []
