"""Which values may be handed to what: the rules that FlyteAdmin has when it compiles a workflow.

They are those of the compiler's type checks (``flytepropeller/pkg/compiler/validators``, the rules
for files since Flyte 1.15). One is left out: two different dataclasses are compared there by their
JSON schemas, and here they fit.
"""

from collections.abc import Callable, Mapping

from flyteidl.core import types_pb2

LiteralType = types_pb2.LiteralType
SimpleType = types_pb2.SimpleType
Column = types_pb2.SchemaType.SchemaColumn

COLUMNS = {
    Column.INTEGER: SimpleType.INTEGER,
    Column.FLOAT: SimpleType.FLOAT,
    Column.STRING: SimpleType.STRING,
    Column.BOOLEAN: SimpleType.BOOLEAN,
    Column.DATETIME: SimpleType.DATETIME,
    Column.DURATION: SimpleType.DURATION,
}
"""What a schema's columns are as columns of a structured dataset."""


def castable(given: LiteralType, declared: LiteralType) -> bool:
    """Return whether every value of one type may be handed to what is declared as another."""
    variants = given.union_type.variants
    if len(variants) == 1 and fits(variants[0], declared):
        return True
    return fits(given, declared)


def fits(given: LiteralType, declared: LiteralType) -> bool:
    """Return the same, where a union of one type is not taken for that type."""
    kind = declared.WhichOneof("type")
    rule = RULES.get(str(kind))
    if rule is not None:
        return rule(given, declared)
    if is_none(declared):
        return is_none(given)
    return same(given, declared)


def same(given: LiteralType, declared: LiteralType) -> bool:
    """Whether two types are one, or as good as one; what only describes them does not count."""
    kinds = given.WhichOneof("type"), declared.WhichOneof("type")
    enum_or_text = {("enum_type", "simple"): declared, ("simple", "enum_type"): given}.get(kinds)
    if enum_or_text is not None:
        return bool(enum_or_text.simple == SimpleType.STRING)
    if given.structure.tag and given.structure.tag != declared.structure.tag:
        return False
    return bare(given) == bare(declared)


def bare(kind: LiteralType) -> LiteralType:
    """Return a type without what only describes it."""
    copy = LiteralType()
    copy.CopyFrom(kind)
    for name in ("structure", "metadata", "annotation"):
        copy.ClearField(name)
    return copy


def is_none(kind: LiteralType) -> bool:
    """Whether a type has no value but ``None``; an empty list or map is one of such."""
    return kind.WhichOneof("type") == "simple" and kind.simple == SimpleType.NONE


def collection(given: LiteralType, declared: LiteralType) -> bool:
    """A list: by its items. An empty one fits any."""
    if not given.HasField("collection_type"):
        return False
    items = given.collection_type
    return is_none(items) or fits(items, declared.collection_type)


def mapping(given: LiteralType, declared: LiteralType) -> bool:
    """A map: by its values. An empty one fits any."""
    if not given.HasField("map_value_type"):
        return False
    values = given.map_value_type
    return is_none(values) or fits(values, declared.map_value_type)


def blob(given: LiteralType, declared: LiteralType) -> bool:
    """A file or directory: by the format, if both have one."""
    formats = {given.blob.format, declared.blob.format} - {""}
    return given.HasField("blob") and len(formats) <= 1


def union(given: LiteralType, declared: LiteralType) -> bool:
    """A union: each of the given types fits one of the declared; a single one exactly one."""
    variants = declared.union_type.variants
    if given.HasField("union_type"):
        return all(
            any(castable(one, each) for each in variants) for one in given.union_type.variants
        )
    return sum(castable(given, each) for each in variants) == 1


def schema(given: LiteralType, declared: LiteralType) -> bool:
    """A schema: by its columns, if both have some."""
    columns = {each.name: each.type for each in declared.schema.columns}
    if given.HasField("schema"):
        mine = {each.name: each.type for each in given.schema.columns}
        return not mine or all(mine.get(name, -1) == kind for name, kind in columns.items())
    if not given.HasField("structured_dataset_type") or not is_parquet(given):
        return False
    types = columns_of(given)
    return not types or all(is_column(name, kind, types) for name, kind in columns.items())


def dataset(given: LiteralType, declared: LiteralType) -> bool:
    """A structured dataset: by its format and columns, if both have some."""
    if is_none(given):
        return True
    columns = columns_of(declared)
    if given.HasField("schema"):
        mine = {each.name: each.type for each in given.schema.columns}
        known = all(name in mine and is_column(name, mine[name], columns) for name in columns)
        return is_parquet(declared) and (not mine or known)
    if not given.HasField("structured_dataset_type"):
        return False
    ends = given.structured_dataset_type, declared.structured_dataset_type
    if len({each.format.lower() for each in ends} - {""}) > 1:
        return False
    types = columns_of(given)
    return not types or all(
        name in types and fits(types[name], kind) for name, kind in columns.items()
    )


def columns_of(kind: LiteralType) -> dict[str, LiteralType]:
    """Return the types of a structured dataset's columns, by name."""
    return {each.name: each.literal_type for each in kind.structured_dataset_type.columns}


def is_column(name: str, kind: int, types: Mapping[str, LiteralType]) -> bool:
    """Whether a structured dataset has a schema's column."""
    wanted = COLUMNS.get(kind)  # type: ignore[call-overload]  # protobuf's enums are ints
    return name in types and wanted is not None and types[name].simple == wanted


def is_parquet(kind: LiteralType) -> bool:
    """Whether a structured dataset may be what schemas are stored as."""
    return kind.structured_dataset_type.format.lower() in {"", "parquet"}


RULES: dict[str, Callable[[LiteralType, LiteralType], bool]] = {
    "collection_type": collection,
    "map_value_type": mapping,
    "blob": blob,
    "union_type": union,
    "schema": schema,
    "structured_dataset_type": dataset,
}
"""By what is declared."""
