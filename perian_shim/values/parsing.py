"""What a job left, read as the declared type: text to Flyte literals.

The literals are those that flytekit makes of the corresponding Python values, so that a task which
takes the output decodes it as if flytekit had written it. ``parse_output`` reads strictly: content
that is not of the declared type raises ``OutputMismatch``. Files, directories and datasets are not
read from text; see ``output_shape``.
"""

from __future__ import annotations

from flyteidl.core.types_pb2 import LiteralType

from perian_shim.values.reader import Reader
from perian_shim.values.serialized import SerializedLiteral
from perian_shim.values.types import describe_type

MAX_HEAD = 200
MAX_REASON = 600


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


def parse_output(text: str, literal_type: LiteralType, name: str) -> SerializedLiteral:
    """Read the content of an output file.

    A string is taken verbatim, everything else without surrounding whitespace: integers and
    floats in decimal, ``true``/``false``/``1``/``0``, RFC 3339 times, durations as ``5400s`` or
    ``1h30m``, enum values; lists, maps and dataclasses as JSON. A union takes the first variant
    that fits: bool, int, float, datetime, duration, enum, JSON types, string; None for ``null`` and
    for nothing, unless it could be a string.

    Memory and time are in proportion to the text.

    Args:
        text: the whole content.
        literal_type: the declared type.
        name: the output's name, for messages.

    Raises:
        OutputMismatch: when the content is not of the type.
    """
    try:
        return Reader(literal_type).from_text(text)
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
