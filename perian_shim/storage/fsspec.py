"""Any object store that fsspec has a file system for; flytekit knows which, and sets it up.

It reads and writes, but signs nothing: a container task's job cannot be given access there.
Failures of the store are ``StorageFailed``, as with S3, and so is a read that is not whole.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from fsspec import AbstractFileSystem

from perian_shim.errors import StorageFailed
from perian_shim.storage.base import ObjectInfo, broken_off, moment
from perian_shim.storage.unsigned import SignsNothing

T = TypeVar("T")

READ_ATTEMPTS = 3
"""How often a read is tried whose content is not whole; the file systems wait by themselves."""

MODIFIED = ("LastModified", "last_modified", "updated", "mtime", "created")
"""Under which names file systems tell when an object was written."""


class FsspecStore(SignsNothing):
    """An ``ObjectStore`` without presigned access.

    Args:
        filesystem: returns the file system for a URI.
    """

    def __init__(self, filesystem: Callable[[str], AbstractFileSystem]) -> None:
        self._filesystem = filesystem

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a folder."""
        scheme = prefix.partition("://")[0]
        folder = prefix.rstrip("/") + "/"
        found = self._attempt(prefix, lambda fs: fresh_listing(fs, folder))
        for name, info in sorted((found or {}).items()):
            uri = f"{scheme}://{name.partition('://')[2] or name}"
            stamps = (moment(info.get(key)) for key in MODIFIED)
            yield ObjectInfo(
                uri, int(str(info["size"])), next((each for each in stamps if each), None)
            )

    def size(self, uri: str) -> int | None:
        """Return an object's size, or None if there is none."""
        info = self._attempt(uri, lambda fs: fresh_info(fs, uri))
        return None if info is None or info.get("type") != "file" else int(str(info["size"]))

    def read(self, uri: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of an object, or None if there is none."""
        return self._part(uri, lambda size: (0, min(size, limit)))

    def read_end(self, uri: str, length: int) -> bytes | None:
        """Return the last ``length`` bytes of an object, or None if there is none."""
        return self._part(uri, lambda size: (max(size - length, 0), size))

    def _part(self, uri: str, part: Callable[[int], tuple[int, int]]) -> bytes | None:
        """Return a part of an object: from where to where, given its size."""
        size = self.size(uri)
        if not size:  # some file systems refuse a range of nothing
            return None if size is None else b""
        start, end = part(size)
        for _ in range(READ_ATTEMPTS):
            content = self._attempt(uri, lambda fs: fs.cat_file(uri, start, end))
            if content is None:
                return None
            if len(content) == end - start:
                return bytes(content)
        raise broken_off(uri)

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:  # noqa: ARG002 - each file system names it otherwise
        """Create or replace an object."""
        self._attempt(uri, lambda fs: fs.pipe_file(uri, content))

    def delete(self, uri: str) -> None:
        """Delete an object; it is no fault if there is none."""
        self._attempt(uri, lambda fs: fs.rm_file(uri))

    def _attempt(self, uri: str, call: Callable[[AbstractFileSystem], T]) -> T | None:
        """Return what a call returns, None if there is no such object."""
        try:
            return call(self._filesystem(uri))
        except FileNotFoundError:
            return None
        except Exception as error:  # each file system of fsspec has errors of its own
            failure = StorageFailed(f"Access to {uri} failed: {error}")
            failure.passing = not isinstance(error, PermissionError | ValueError | TypeError)
            raise failure from error


def fresh_info(fs: AbstractFileSystem, uri: str) -> dict[str, object]:
    """Return what a file system knows of an object now, not what it once listed."""
    fs.invalidate_cache(uri)
    info: dict[str, object] = fs.info(uri)
    return info


def fresh_listing(fs: AbstractFileSystem, folder: str) -> dict[str, dict[str, object]]:
    """Return what a file system finds below a folder now, not what it once listed."""
    fs.invalidate_cache()
    found: dict[str, dict[str, object]] = fs.find(folder, detail=True)
    return found
