"""Stores that sign nothing: they can be read and written, but no job can be given access there."""

from collections.abc import Sequence

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import Signing, UploadPolicy


class SignsNothing:
    """The part of an ``ObjectStore`` that gives access to jobs: refused."""

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:  # noqa: ARG002 - as an ObjectStore
        """Refuse."""
        raise unsigned(uris[0])

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:  # noqa: ARG002
        """Refuse."""
        raise unsigned(prefix)

    def signing(self) -> Signing:
        """Return that nothing ends: nothing is signed."""
        return Signing()

    def join(self, parts: Sequence[str], uri: str) -> None:  # noqa: ARG002 - as an ObjectStore
        """Refuse: no job can have left pieces here."""
        raise unsigned(uri)


def unsigned(uri: str) -> InvalidInput:
    """Return the error for a store that cannot sign."""
    message = (
        f"A container task's job cannot be given access to {uri!r}: only s3:// and gs:// can be"
        " signed."
    )
    remedy = "Use a raw data prefix on S3 or Google Cloud Storage, or a function task."
    return InvalidInput(message, remedy=remedy)
