"""The object store as perian-shim needs it, and what of it a job is given.

A container task's job gets no key of the bucket: a presigned URL for each object that it must read,
and one POST policy that lets it write below one prefix until a point in time. The resolver
container uses its own identity for the rest: listing, small reads, small writes.

``open_store(uri)`` chooses by scheme. S3, and what speaks its protocol, can do all of it. Any other
store that flytekit knows (``gs://``, ``abfs://``) can be read and written, which is enough for
function tasks; Google signs URLs and POST policies in the same form, so it fits the protocol.
"""

from urllib.parse import urlsplit

from flytekit.core.context_manager import FlyteContext

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import ObjectInfo, ObjectStore, UploadPolicy, join_uri

__all__ = ["ObjectInfo", "ObjectStore", "UploadPolicy", "can_presign", "join_uri", "open_store"]

_LOCAL = {"", "file"}


def can_presign(uri: str) -> bool:
    """Whether a job can be given access to one object there."""
    return urlsplit(uri).scheme == "s3"


def open_store(uri: str, context: FlyteContext) -> ObjectStore:
    """Return the store that holds ``uri``.

    Args:
        uri: a URI in the store.
        context: flytekit's context, whose file access serves what is not S3.

    Raises:
        InvalidInput: it is on this machine, where no Perian job can reach it.
    """
    if urlsplit(uri).scheme in _LOCAL:
        message = f"The raw data prefix {uri!r} is in no object store that a Perian job can reach."
        remedy = "Give a remote prefix, for `pyflyte run` with --raw-output-data-prefix s3://…"
        raise InvalidInput(message, remedy=remedy)
    if can_presign(uri):
        from perian_shim.storage.s3 import S3Store  # boto3 is slow to import  # noqa: PLC0415

        return S3Store.from_flytekit()
    from perian_shim.storage.flyte import FlyteStore  # noqa: PLC0415 - seldom needed

    return FlyteStore(context.file_access)
