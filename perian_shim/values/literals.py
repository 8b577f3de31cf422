"""Flyte literals as text and as plain values, without the Python types they were made from.

Nothing is imported, unpickled or downloaded here: dataclasses arrive as msgpack or protobuf
Structs and become dicts, files and datasets become their URI. A literal that cannot be read as
asked raises ``InputNotRenderable`` (no text on a command line) or ``UnreadableLiteral`` (no
value at all). Offloaded literals must have been fetched before.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

from flyteidl.core.literals_pb2 import Literal
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from perian_shim.values.decoding import (
    PythonKey,
    PythonValue,
    UnreadableLiteral,
    decoded,
    exact_time,
    is_none,
    map_entries,
    simple_value,
    unwrapped,
    uri_of,
)
from perian_shim.values.go_text import format_value
from perian_shim.values.times import format_duration, format_timestamp
from perian_shim.values.types import is_directory

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Locate: TypeAlias = Callable[[Literal], str]

JSON = json.JSONEncoder(ensure_ascii=False)


class InputNotRenderable(ValueError):
    """An input that has no text on a command line."""


@dataclass(frozen=True)
class BlobLeaf:
    """A file, directory or dataset somewhere inside a literal.

    Attributes:
        path: where it is inside the literal: list positions and map keys; empty for the literal
            itself.
        uri: where its bytes are.
        multipart: whether it is a directory rather than one file. A dataset may be either, which
            only a look at the storage tells; it says True.
        is_dataset: whether it is a structured dataset or a schema.
    """

    path: tuple[str, ...]
    uri: str
    multipart: bool
    is_dataset: bool


def blob_leaves(literal: Literal, path: tuple[str, ...] = ()) -> Iterator[BlobLeaf]:
    """Find the files, directories and datasets in a literal, through lists, maps and unions.

    A FlyteFile inside a dataclass is none: there it is only a path in the dataclass's data.

    Args:
        literal: where to look.
        path: put before the path of each leaf found.
    """
    literal = unwrapped(literal)
    if literal.HasField("collection"):
        for index, item in enumerate(literal.collection.literals):
            yield from blob_leaves(item, (*path, str(index)))
    elif literal.HasField("map"):
        for key, item in map_entries(literal):
            yield from blob_leaves(item, (*path, key))
    elif (uri := uri_of(literal)) is not None:
        is_dataset = not literal.scalar.HasField("blob")
        multipart = is_dataset or is_directory(literal.scalar.blob.metadata.type)
        yield BlobLeaf(path, uri, multipart=multipart, is_dataset=is_dataset)


def render_literal(literal: Literal, name: str = "value") -> str:
    """Write a literal as Flyte's backend writes ``{{.inputs.<name>}}``.

    Structured datasets, unions, maps and protobuf Structs, which the backend refuses, are written
    as well: as the URI, the inner value, and ``map[k:v k2:v2]``.

    Args:
        literal: the value.
        name: the input's name, for messages.

    Raises:
        InputNotRenderable: for None and for what has no value.
    """
    if is_none(literal):
        raise InputNotRenderable(
            f"input {name!r} is None and {{{{.inputs.{name}}}}} has no text for that. Give it a "
            f'default with a Jinja expression: {{{{ inputs.{name} or "default" }}}}'
        )
    try:
        return go_text(literal)
    except (UnreadableLiteral, TypeError) as error:
        raise InputNotRenderable(
            f"input {name!r} cannot be written into a command: {error}"
        ) from None


def go_text(literal: Literal) -> str:
    """``render_literal`` without names in its errors, for literals inside others."""
    literal = unwrapped(literal)
    if literal.HasField("collection"):
        return f"[{','.join(go_text(item) for item in literal.collection.literals)}]"
    if literal.HasField("map"):
        # Go sorts by UTF-8 bytes, which is the order of code points that map_entries has.
        return f"map[{' '.join(f'{key}:{go_text(item)}' for key, item in map_entries(literal))}]"
    if is_none(literal):
        raise UnreadableLiteral("it contains None")
    if literal.scalar.HasField("primitive"):
        match exact_time(literal.scalar.primitive):
            case Timestamp() as timestamp:
                return format_timestamp(timestamp)
            case Duration() as duration:
                return format_duration(duration)
    return format_value(literal_to_python(literal))


def literal_to_python(literal: Literal, locate: Locate | None = None) -> PythonValue:
    """Read a literal as a plain Python value.

    Args:
        literal: the value.
        locate: gives the text that stands for a file, directory or dataset literal, for example a
            local path; its URI by default. Called once for each, in the order of ``blob_leaves``.

    Returns:
        None, bool, int, float, str, aware datetime, timedelta (both in microseconds), bytes, or a
        list or dict of these. Numbers of a protobuf Struct are floats, whole ones too.

    Raises:
        UnreadableLiteral: when the literal is empty or of an unknown encoding.
    """
    literal = unwrapped(literal)
    if literal.HasField("collection"):
        return [literal_to_python(item, locate) for item in literal.collection.literals]
    if literal.HasField("map"):
        return {key: literal_to_python(item, locate) for key, item in map_entries(literal)}
    if is_none(literal):
        return None
    if literal.scalar.HasField("primitive"):
        return simple_value(literal.scalar.primitive)
    uri = uri_of(literal)
    if uri is None:
        return decoded(literal)
    return locate(literal) if locate else uri


def literal_to_text(literal: Literal, locate: Locate | None = None) -> str | None:
    """Write a literal as the content of an input file.

    Text is verbatim, a datetime RFC 3339, a duration seconds (``5400s``), a bool ``true`` or
    ``false``, a float as Python writes it; lists, maps and dataclasses are JSON.

    Args:
        literal: the value.
        locate: as for ``literal_to_python``.

    Returns:
        The text, without a newline at the end; None when the value is None: no file then.

    Raises:
        UnreadableLiteral: as ``literal_to_python``.
    """
    literal = unwrapped(literal)
    if literal.scalar.HasField("primitive"):
        exact = exact_time(literal.scalar.primitive)
        if exact is not None:
            return exact.ToJsonString()
    if literal.HasField("collection") or literal.HasField("map"):
        return literal_to_json(literal, locate).decode()
    value = literal_to_python(literal, locate)
    return None if value is None else python_to_text(value)


def literal_to_json(literal: Literal, locate: Locate | None = None) -> bytes:
    """Write a literal as JSON in UTF-8; None is ``null``.

    Elements of lists and maps are written one after the other: as Python objects all at once they
    would take several times the memory.

    Args:
        literal: the value.
        locate: as for ``literal_to_python``.

    Raises:
        UnreadableLiteral: as ``literal_to_python``.
    """
    written = bytearray()
    for piece in json_pieces(literal, locate):
        written += piece.encode()
    return bytes(written)


def json_pieces(literal: Literal, locate: Locate | None) -> Iterator[str]:
    """Write a literal as JSON, piece by piece."""
    literal = unwrapped(literal)
    before = ""
    if literal.HasField("collection"):
        yield "["
        for item in literal.collection.literals:
            yield before
            yield from json_pieces(item, locate)
            before = ", "
        yield "]"
    elif literal.HasField("map"):
        yield "{"
        for key, item in map_entries(literal):
            yield f"{before}{JSON.encode(key)}: "
            yield from json_pieces(item, locate)
            before = ", "
        yield "}"
    else:
        yield integer_text(literal) or JSON.encode(
            to_json_value(literal_to_python(literal, locate))
        )


def integer_text(literal: Literal) -> str | None:
    """The text of an integer, None for other literals: a short way for long lists."""
    primitive = literal.scalar.primitive
    return str(primitive.integer) if primitive.HasField("integer") else None


def python_to_text(value: PythonValue) -> str:
    """Write a plain value as ``literal_to_text`` does; None becomes ``null``."""
    match value:
        case float():
            return repr(value)
        case list() | dict():
            return JSON.encode(to_json_value(value))
        case _:
            as_json = to_json_value(value)
            return as_json if isinstance(as_json, str) else json.dumps(as_json)


def to_json_value(value: PythonValue) -> JsonValue:
    """Turn a plain value into what JSON can hold, in protobuf's JSON forms.

    Datetimes become RFC 3339 (without a zone they are UTC), durations ``5400s``, bytes base64; map
    keys become strings. Floats stay floats: those that JSON lacks are written as Python's ``json``
    writes and reads them, ``NaN``, ``Infinity`` and ``-Infinity``.

    Raises:
        UnreadableLiteral: for a value of another type, such as a msgpack extension.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            timestamp = Timestamp()
            aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
            timestamp.FromDatetime(aware.astimezone(timezone.utc))
            return timestamp.ToJsonString()
        case timedelta():
            duration = Duration()
            duration.FromTimedelta(value)
            return duration.ToJsonString()
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case list():
            return [to_json_value(item) for item in value]
        case dict():
            return {json_key(key): to_json_value(item) for key, item in value.items()}
    raise UnreadableLiteral(f"a value of type {type(value).__name__} has no JSON form")


def json_key(key: PythonKey) -> str:
    """The string that stands for a map key in JSON: ``1``, ``true``, ``null``."""
    as_json = to_json_value(key)
    return as_json if isinstance(as_json, str) else json.dumps(as_json)
