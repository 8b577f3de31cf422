"""Lines of text that the programs in a job read: those of its plan and of its grants. Pure.

A record is a line, its fields are separated by tabs; ``job/run.sh`` describes which there are.
"""

from collections.abc import Sequence
from typing import TypeAlias

from perian_shim.errors import InvalidInput

Record: TypeAlias = tuple[str, ...]

VERSION: Record = ("version", "1")


def record(name: str, *fields: str) -> Record:
    """Return a record, refusing what would break its lines.

    Args:
        name: of the input that it is about.
        fields: the fields.

    Raises:
        InvalidInput: a field holds control characters.
    """
    for value in fields:
        if any(ord(character) < ord(" ") for character in value):
            message = f"Input {name!r}: the name {value!r} holds control characters."
            raise InvalidInput(message)
    return fields


def text_of(records: Sequence[Record]) -> bytes:
    """Return records as they are sent."""
    return "".join("\t".join(fields) + "\n" for fields in (VERSION, *records)).encode()
