"""Inputs of a run on somebody's own machine: local files are copied to where a job can fetch them.

``pyflyte run`` leaves local paths in literals. In a pod this must never happen: there an input that
names a local path would be a way to read the pod's own files.
"""

from collections.abc import Mapping
from pathlib import Path

from flyteidl.core import literals_pb2
from flytekit.core.context_manager import FlyteContext
from flytekit.models.literals import Literal

from perian_shim.storage import join_uri


def with_remote_blobs(
    context: FlyteContext, literals: Mapping[str, Literal], prefix: str
) -> dict[str, Literal]:
    """Return the literals with their local files and directories copied below a prefix.

    Args:
        context: flytekit's context, whose file access copies.
        literals: literals by name.
        prefix: URI below which the copies go.
    """
    return {
        name: remote(context, literal, join_uri(prefix, "_perian", "local", name))
        for name, literal in literals.items()
    }


def remote(context: FlyteContext, literal: Literal, uri: str) -> Literal:
    """Return one literal with its local files copied to or below a URI."""
    message = literal.to_flyte_idl()
    replaced = False
    for blob, place in local_blobs(message, uri):
        path = Path(blob.uri)
        context.file_access.put_data(str(path), place, is_multipart=path.is_dir())
        blob.uri = place
        replaced = True
    if not replaced:
        return literal
    changed: Literal = Literal.from_flyte_idl(message)
    return changed


Located = literals_pb2.Blob | literals_pb2.StructuredDataset | literals_pb2.Schema


def local_blobs(message: literals_pb2.Literal, uri: str) -> list[tuple[Located, str]]:
    """Find what lies on this machine, and where its copy is to go."""
    kind = message.WhichOneof("value")
    if kind == "collection":
        parts = [(item, str(index)) for index, item in enumerate(message.collection.literals)]
        return [found for item, part in parts for found in local_blobs(item, f"{uri}/{part}")]
    if kind == "map":
        names = sorted(message.map.literals)  # numbered: a key may be no part of a URI
        parts = [(message.map.literals[name], str(number)) for number, name in enumerate(names)]
        return [found for item, part in parts for found in local_blobs(item, f"{uri}/{part}")]
    if kind != "scalar":
        return []
    if message.scalar.HasField("union"):
        return local_blobs(message.scalar.union.value, uri)
    located: Located
    if message.scalar.HasField("blob"):
        located = message.scalar.blob
    elif message.scalar.HasField("structured_dataset"):
        located = message.scalar.structured_dataset
    elif message.scalar.HasField("schema"):
        located = message.scalar.schema
    else:
        return []
    return [(located, uri)] if "://" not in located.uri and Path(located.uri).exists() else []
