"""Files inside dataclasses: found in the JSON schema by which an SDK describes a dataclass.

The SDK itself resolves such a file where the dataclass is decoded, which never happens in a
container: the program would find a path that it cannot reach, and its own paths would be reported
as if they were in the object store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from flyteidl.core.types_pb2 import LiteralType

from perian_shim.values.types import parts_of

FILE_TITLES = frozenset({"FlyteFile", "FlyteDirectory", "FlyteSchema", "StructuredDataset"})
"""Titles in flytekit's schemas of what refers to stored bytes."""

SHORT_TITLES = {
    "File": {"path", "format"},
    "Dir": {"path", "format"},
    "DataFrame": {"uri", "format"},
}
"""The same in Flyte 2's, with fields by which they are told from classes of the user's."""


def embedded_files(literal_type: LiteralType) -> Iterator[tuple[str, str]]:
    """Find the files inside the dataclasses of a type.

    Args:
        literal_type: any type; lists, maps and unions are looked into.

    Yields:
        Place of the field (``rows[].picture``) and the title of its type (``FlyteFile``).
    """
    parts = parts_of(literal_type)
    for inner in (parts.element, parts.map_value, *(parts.variants or ())):
        if inner is not None:
            yield from embedded_files(inner)
    yield from files_in_schema(parts.metadata, parts.metadata, "", ())


def files_in_schema(
    schema: object, root: Mapping[str, object], place: str, seen: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Find the files in a part of a JSON schema.

    Args:
        schema: the part.
        root: the whole, to which references are relative.
        place: where the part is.
        seen: the references that led here: a schema may contain itself.
    """
    if not isinstance(schema, Mapping):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference not in seen:
            target = referred(root, reference)
            yield from files_in_schema(target, root, place, (*seen, reference))
        return
    title, properties = schema.get("title"), schema.get("properties")
    if place and schema.get("type") == "object" and is_file(title, properties):
        yield place, str(title)
        return
    if isinstance(properties, Mapping):
        for name, field in properties.items():
            yield from files_in_schema(field, root, f"{place}.{name}".lstrip("."), seen)
    for key in ("items", "additionalProperties"):
        yield from files_in_schema(schema.get(key), root, f"{place}[]", seen)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        variants = schema.get(key)
        for variant in variants if isinstance(variants, list | tuple) else ():
            yield from files_in_schema(variant, root, place, seen)


def is_file(title: object, properties: object) -> bool:
    """Whether an object of a schema refers to stored bytes."""
    if title in FILE_TITLES:
        return True
    fields = SHORT_TITLES.get(title) if isinstance(title, str) else None
    return fields is not None and isinstance(properties, Mapping) and fields <= set(properties)


def referred(root: Mapping[str, object], reference: str) -> object:
    """Follow a reference within a schema; None when it leads elsewhere or nowhere."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    target: object = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, Mapping) else None
    return target
