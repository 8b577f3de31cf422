"""Stores that sign nothing: they can be read and written, but no job can be given access there."""

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import UploadPolicy


class SignsNothing:
    """The part of an ``ObjectStore`` that gives access to jobs: refused."""

    def presign_get(self, uri: str, expires_in: int) -> str:  # noqa: ARG002 - as an ObjectStore
        """Refuse."""
        raise unsigned(uri)

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:  # noqa: ARG002
        """Refuse."""
        raise unsigned(prefix)

    def access_expires_in(self) -> float | None:
        """Return None: nothing is signed."""
        return None


def unsigned(uri: str) -> InvalidInput:
    """Return the error for a store that cannot sign."""
    message = f"A container task's job cannot be given access to {uri!r}: only s3:// can be signed."
    return InvalidInput(message, remedy="Use a raw data prefix on S3, or a function task.")
