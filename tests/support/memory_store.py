"""An object store in memory, which fails as it is told to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from perian_shim.errors import StorageFailed
from perian_shim.storage import ObjectInfo, Signing, UploadPolicy


@dataclass
class MemoryStore:
    """An ``ObjectStore`` that presigns nothing.

    Attributes:
        objects: its content, by URI.
        failures: how many of the next accesses fail.
        passing: whether such a failure may pass by itself.
        written: URIs in the order in which they were written.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    passing: bool = True
    written: list[str] = field(default_factory=list)

    def access(self, uri: str) -> None:
        if self.failures:
            self.failures -= 1
            failure = StorageFailed(f"{uri}: the object store failed")
            failure.passing = self.passing
            raise failure

    def read(self, uri: str, limit: int) -> bytes | None:
        self.access(uri)
        content = self.objects.get(uri)
        return None if content is None else content[:limit]

    def read_end(self, uri: str, length: int) -> bytes | None:
        self.access(uri)
        content = self.objects.get(uri)
        return None if content is None else content[-length:]

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:  # noqa: ARG002 - the protocol's
        self.access(uri)
        self.objects[uri] = content
        self.written.append(uri)

    def size(self, uri: str) -> int | None:
        self.access(uri)
        return len(self.objects[uri]) if uri in self.objects else None

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        self.access(prefix)
        folder = prefix.rstrip("/") + "/"
        for uri in sorted(self.objects):
            if uri.startswith(folder):
                yield ObjectInfo(uri, len(self.objects[uri]))

    def signing(self) -> Signing:
        return Signing()

    def presign(self, uris: Sequence[str], expires_in: int) -> NoReturn:
        raise NotImplementedError(uris, expires_in)

    def delete(self, uri: str) -> None:
        self.access(uri)
        self.objects.pop(uri, None)

    def join(self, parts: Sequence[str], uri: str) -> None:
        self.access(uri)
        self.objects[uri] = b"".join(self.objects[part] for part in parts)

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        raise NotImplementedError(prefix, expires_in)
