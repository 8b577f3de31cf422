"""Local files among the inputs of a run without a backend: copied to where a job can fetch them.

``pyflyte run`` on one's own machine leaves local paths in literals. In a pod this must never
happen: there an input that names a local path would be a way to read the pod's own files.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

from flyteidl.core.literals_pb2 import Blob, Literal, Schema, StructuredDataset

from perian_shim.pod.run_context import Upload
from perian_shim.storage import join_uri


class Writable(Protocol):
    """What takes objects; an ``ObjectStore`` does."""

    def write(self, uri: str, data: bytes, /) -> object:
        """Write an object."""


def with_remote_files(
    upload: Upload, literals: Mapping[str, Literal], prefix: str
) -> dict[str, Literal]:
    """Return the literals with their local files and directories copied below a prefix.

    A copy's place is made of what it is a copy of, so that the same files are the same inputs when
    the same thing is run again.

    Args:
        upload: copies.
        literals: literals by name.
        prefix: URI below which the copies go.
    """
    return {name: with_remote_file(upload, literal, prefix) for name, literal in literals.items()}


def with_remote_file(upload: Upload, literal: Literal, prefix: str) -> Literal:
    """Return one literal with its local files copied below a URI."""
    changed = Literal()
    changed.CopyFrom(literal)
    for located in local_files(changed):
        path = Path(located.uri)
        place = join_uri(prefix, fingerprint(path), path.name)
        upload(path, place)
        located.uri = place
    return changed


def put(store: Writable, path: Path, uri: str) -> None:
    """Copy a local file or folder to a URI."""
    if path.is_file():
        store.write(uri, path.read_bytes())
        return
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        store.write(join_uri(uri, file.relative_to(path).as_posix()), file.read_bytes())


def fingerprint(path: Path) -> str:
    """Return a digest of a file, or of all that is in a directory: names, sizes and times."""
    digest = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape"))
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        status = each.stat()
        facts = (each.relative_to(path), status.st_size, status.st_mtime_ns)
        digest.update(repr(facts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


Located: TypeAlias = Blob | StructuredDataset | Schema


def local_files(message: Literal) -> Iterator[Located]:
    """Find what lies on this machine."""
    kind = message.WhichOneof("value")
    if kind == "collection":
        for item in message.collection.literals:
            yield from local_files(item)
    elif kind == "map":
        for name in sorted(message.map.literals):
            yield from local_files(message.map.literals[name])
    elif kind == "scalar" and message.scalar.HasField("union"):
        yield from local_files(message.scalar.union.value)
    elif kind == "scalar":
        scalar = message.scalar
        for field in ("blob", "structured_dataset", "schema"):
            if scalar.HasField(field):
                located: Located = getattr(scalar, field)
                if "://" not in located.uri and Path(located.uri).exists():
                    yield located
