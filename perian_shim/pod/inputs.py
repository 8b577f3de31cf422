"""The inputs of a run: whole, and this item's.

Flyte keeps large literals in objects of their own, and hands every item of a map task the whole
lists.
"""

import os
from collections.abc import Mapping

from flyteidl.core.literals_pb2 import Literal
from google.protobuf.message import DecodeError

from perian_shim import settings
from perian_shim.errors import InvalidInput
from perian_shim.pod.run_context import OpenStore

MAX_MESSAGE_BYTES = 2 * 1024**3
"""More than protobuf can hold in one message."""


def fetched(open_store: OpenStore, name: str, literal: Literal) -> Literal:
    """Return a literal with its value, also when Flyte keeps that in an object of its own.

    Args:
        open_store: opens the store that has it.
        name: the input's name, for messages.
        literal: as it is in ``inputs.pb``.

    Raises:
        InvalidInput: the object is not there, or is not a literal.
        StorageFailed: it cannot be read.
    """
    if not literal.HasField("offloaded_metadata"):
        return literal
    uri = literal.offloaded_metadata.uri
    content = open_store(uri).read(uri, MAX_MESSAGE_BYTES)
    if content is None:
        raise InvalidInput(f"Input {name!r}: Flyte keeps its value at {uri}, which is gone.")
    try:
        return Literal.FromString(content)
    except DecodeError as error:
        raise InvalidInput(f"Input {name!r}: what is at {uri} is not a literal.") from error


def map_item(
    inputs: Mapping[str, Literal],
    bound: frozenset[str],
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Literal]:
    """Return the inputs of one item of a map task; Flyte hands every item the whole lists.

    Args:
        inputs: the map task's inputs.
        bound: names of those that are not lists of items.
        environ: the container's environment, which says which item it is.

    Raises:
        InvalidInput: the environment names no item, or a list is too short.
    """
    index = environ.get(environ.get(settings.ARRAY_INDEX_NAME, ""), "")
    if not index.isdecimal():
        message = f"This is an item of a map task, but {settings.ARRAY_INDEX_NAME} names none."
        raise InvalidInput(message)
    return {
        name: literal if name in bound else item_of(name, literal, int(index))
        for name, literal in inputs.items()
    }


def item_of(name: str, literal: Literal, index: int) -> Literal:
    """Return one item of a list."""
    items = literal.collection.literals
    if index >= len(items):
        message = f"Input {name!r} of a map task has {len(items)} items, item {index} is wanted."
        raise InvalidInput(message)
    return items[index]
