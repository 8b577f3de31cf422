"""What a workflow has returned: as text, or as files in a folder."""

from pathlib import Path

from flyteidl.core.literals_pb2 import Literal

from perian_shim.sandbox.flyte.console import plain
from perian_shim.sandbox.flyte.store import Store
from perian_shim.values.literals import BlobLeaf, blob_leaves

SHOWN_BYTES = 4096
"""A file up to this size is shown, if it is text."""


def shown(name: str, literal: Literal, store: Store, folder: Path | None) -> str:
    """Return an output as text.

    Args:
        name: of the output.
        literal: the output.
        store: has its files.
        folder: where to save its files; None to show a short one's text instead, since the store
            ends with the run.
    """
    text = f"{name} = {plain(literal)}"
    leaves = list(blob_leaves(literal))
    if folder is None:
        if literal.scalar.HasField("blob") and not leaves[0].multipart:
            text += "".join(f"\n      {line}" for line in short_text(leaves[0].uri, store))
        return text
    for leaf in leaves:
        path = save(leaf, folder / name, store)
        text += f"\n      saved as {path}" if path else f"\n      nothing is at {leaf.uri}"
    return text


def short_text(uri: str, store: Store) -> list[str]:
    """Return the lines of a file, none of one that is long or no text."""
    content = store.read(uri) or b""
    if len(content) > SHOWN_BYTES:
        return []
    try:
        return content.decode().splitlines()
    except UnicodeDecodeError:
        return []


def save(leaf: BlobLeaf, folder: Path, store: Store) -> Path | None:
    """Copy a file, a directory or a dataset; return where it is, None if there is nothing.

    Raises:
        OSError: it cannot be written.
    """
    target = folder.joinpath(*(part.replace("/", "_") for part in leaf.path))
    content = None if leaf.multipart and not leaf.is_dataset else store.read(leaf.uri)
    if content is not None:
        suffix = Path(leaf.uri).suffix
        target = target.with_name(target.name + suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target
    listed = list(store.listed(leaf.uri))
    if not listed and not leaf.multipart:
        return None
    target.mkdir(parents=True, exist_ok=True)
    for uri in listed:
        within = uri[len(leaf.uri.rstrip("/")) + 1 :]
        file = (target / within).resolve()
        if file.is_relative_to(target.resolve()) and not uri.endswith("/"):
            file.parent.mkdir(parents=True, exist_ok=True)
            content = store.read(uri)
            file.write_bytes(content or b"")
    return target
