"""What a function task's inputs refer to in object stores: its job has to be able to read that.

Files, directories and datasets say where they are. What lies inside a dataclass, and what is only
text to Flyte, is taken by its form: a URI of a store is one.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from flyteidl.core.literals_pb2 import Literal

from perian_shim.storage.reach import Reach
from perian_shim.values.decoding import UnreadableLiteral, decoded, map_entries, unwrapped
from perian_shim.values.literals import blob_leaves

STORED = re.compile(r"(?:s3|gs|gcs)://[^/\s]+/\S+")
"""An object's URI, or a folder's."""


def found_in(literals: Iterable[Literal]) -> tuple[list[str], list[str]]:
    """Return the URIs of the objects that values refer to, and those of folders.

    A folder's URI ends in a slash. What may be either is both.
    """
    objects, folders = [], []
    for literal in literals:
        for leaf in blob_leaves(literal):
            if not leaf.multipart or leaf.is_dataset:
                objects.append(leaf.uri)
            if leaf.multipart:
                folders.append(folder_uri(leaf.uri))
        for text in texts_in(literal):
            objects += [] if text.endswith("/") else [text]
            folders.append(folder_uri(text))
    is_stored = STORED.fullmatch
    return [uri for uri in objects if is_stored(uri)], [uri for uri in folders if is_stored(uri)]


def reach_text(reach: Reach) -> bytes:
    """Return a reach as it is kept for the pods that follow the job later."""
    return json.dumps(asdict(reach)).encode()


def read_reach(content: bytes | None) -> Reach | None:
    """Return what ``reach_text`` wrote; None if there is none, or it is damaged."""
    try:
        values = json.loads(content or b"")
        return Reach(**{name: tuple(uris) for name, uris in values.items()})
    except (ValueError, TypeError, AttributeError):
        return None


def folder_uri(uri: str) -> str:
    """Return the URI of a folder with the slash at its end."""
    return uri.rstrip("/") + "/"


def texts_in(literal: Literal) -> Iterator[str]:
    """Yield the texts in a value that are URIs of a store."""
    literal = unwrapped(literal)
    if literal.HasField("collection"):
        for item in literal.collection.literals:
            yield from texts_in(item)
    elif literal.HasField("map"):
        for _, item in map_entries(literal):
            yield from texts_in(item)
    elif literal.scalar.WhichOneof("value") in {"primitive", "generic", "binary"}:
        try:
            yield from uris_in(decoded(literal))
        except UnreadableLiteral:  # flytekit may read it in the job
            return


def uris_in(node: object) -> Iterator[str]:
    """Yield the texts in a JSON value that are URIs of a store."""
    if isinstance(node, str):
        if STORED.fullmatch(node):
            yield node
        elif node[:1] in {"{", "["} and "://" in node:
            try:
                yield from uris_in(json.loads(node))
            except (ValueError, RecursionError):
                return
    elif isinstance(node, dict):
        for value in node.values():
            yield from uris_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from uris_in(value)
