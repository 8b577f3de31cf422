"""The object store as perian-shim needs it, and what of it a job is given.

A container task's job gets no key of the bucket: a presigned URL for each object that it must read,
and one POST policy that lets it write below one prefix until a point in time. The resolver
container uses its own identity for the rest: listing, small reads, small writes.

``open_store(uri)`` chooses by scheme. S3, and what speaks its protocol, can do all of it. Any other
store that flytekit knows (``gs://``, ``abfs://``) can be read and written, which is enough for
function tasks; Google signs URLs and POST policies in the same form, so it fits the protocol.
"""

import re
from urllib.parse import urlsplit

from flytekit.core.context_manager import FlyteContext

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import ObjectInfo, ObjectStore, UploadPolicy, join_uri

__all__ = [
    "ObjectInfo",
    "ObjectStore",
    "UploadPolicy",
    "can_presign",
    "is_well_formed",
    "join_uri",
    "open_store",
]

_LOCAL = {"", "file"}
_S3_URI = re.compile(r"s3://(?:[\w.-]{3,255}|arn:[^/\s]+)(?:/(?P<key>.*))?", re.ASCII | re.DOTALL)


def can_presign(uri: str) -> bool:
    """Whether a job can be given access to one object there."""
    return urlsplit(uri).scheme == "s3"


def is_well_formed(uri: str, *, folder: bool = False) -> bool:
    """Whether an S3 URI names a bucket and an object in it; a folder may be the whole bucket."""
    match = _S3_URI.fullmatch(uri)
    return match is not None and bool(folder or match["key"])


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
    from perian_shim.storage.fsspec import FlyteStore  # noqa: PLC0415 - seldom needed

    return FlyteStore(context.file_access)
