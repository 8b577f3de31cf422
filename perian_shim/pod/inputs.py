"""The inputs of a run: whole, this item's, and where a job can fetch them.

Flyte keeps large literals in objects of their own, and hands every item of a map task the whole
lists. ``pyflyte run`` on one's own machine leaves local paths in literals; those files are copied
to where a job can fetch them. In a pod this must never happen: there an input that names a local
path would be a way to read the pod's own files.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from flyteidl.core import literals_pb2
from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal
from flytekit.utils.asyn import loop_manager

from perian_shim import settings
from perian_shim.errors import InvalidInput
from perian_shim.storage import join_uri


def fetched(context: FlyteContext, literal: Literal) -> Literal:
    """Return a literal with its value, also when Flyte keeps that in an object of its own."""
    if not literal.offloaded_metadata:
        return literal
    whole: Literal = loop_manager.synced(TypeEngine.unwrap_offloaded_literal)(context, literal)
    return whole


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
    items = literal.collection.literals if literal.collection is not None else []
    if index >= len(items):
        message = f"Input {name!r} of a map task has {len(items)} items, item {index} is wanted."
        raise InvalidInput(message)
    item: Literal = items[index]
    return item


def with_remote_blobs(
    context: FlyteContext, literals: Mapping[str, Literal], prefix: str
) -> dict[str, Literal]:
    """Return the literals with their local files and directories copied below a prefix.

    A copy's place is made of what it is a copy of, so that the same files are the same inputs when
    the same thing is run again.

    Args:
        context: flytekit's context, whose file access copies.
        literals: literals by name.
        prefix: URI below which the copies go.
    """
    return {name: remote(context, literal, prefix) for name, literal in literals.items()}


def remote(context: FlyteContext, literal: Literal, prefix: str) -> Literal:
    """Return one literal with its local files copied below a URI."""
    message = literal.to_flyte_idl()
    replaced = False
    for blob in local_blobs(message):
        path = Path(blob.uri)
        place = join_uri(prefix, fingerprint(path), path.name)
        context.file_access.put_data(str(path), place, is_multipart=path.is_dir())
        blob.uri = place
        replaced = True
    if not replaced:
        return literal
    changed: Literal = Literal.from_flyte_idl(message)
    return changed


def fingerprint(path: Path) -> str:
    """Return a digest of a file, or of all that is in a directory: names, sizes and times."""
    digest = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape"))
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        status = each.stat()
        facts = (each.relative_to(path), status.st_size, status.st_mtime_ns)
        digest.update(repr(facts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


Located = literals_pb2.Blob | literals_pb2.StructuredDataset | literals_pb2.Schema


def local_blobs(message: literals_pb2.Literal) -> Iterator[Located]:
    """Find what lies on this machine."""
    kind = message.WhichOneof("value")
    if kind == "collection":
        for item in message.collection.literals:
            yield from local_blobs(item)
    elif kind == "map":
        for name in sorted(message.map.literals):
            yield from local_blobs(message.map.literals[name])
    elif kind == "scalar" and message.scalar.HasField("union"):
        yield from local_blobs(message.scalar.union.value)
    elif kind == "scalar":
        scalar = message.scalar
        for field in ("blob", "structured_dataset", "schema"):
            if scalar.HasField(field):
                located: Located = getattr(scalar, field)
                if "://" not in located.uri and Path(located.uri).exists():
                    yield located
