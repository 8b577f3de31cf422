"""The object store as perian-shim needs it, and what of it a job is given.

A job gets no key of the bucket: a presigned URL for each object that it must read, and one POST
policy that lets it write below one prefix until a point in time. The resolver container uses its
own identity for the rest: listing, small reads, small writes.

``open_store(uri)`` chooses by scheme. S3 and what speaks its protocol is there; Google Cloud
Storage signs URLs and POST policies in the same form, so it fits the same protocol.
"""

from urllib.parse import urlsplit

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import ObjectInfo, ObjectStore, UploadPolicy, join_uri

__all__ = ["ObjectInfo", "ObjectStore", "UploadPolicy", "is_remote", "join_uri", "open_store"]

_SCHEMES = ("s3",)


def is_remote(uri: str) -> bool:
    """Whether ``open_store`` knows the URI's scheme."""
    return urlsplit(uri).scheme in _SCHEMES


def open_store(uri: str) -> ObjectStore:
    """Return the store that holds ``uri``.

    Raises:
        InvalidInput: the scheme is not supported.
    """
    if not is_remote(uri):
        message = (
            f"The raw data prefix {uri!r} is in no object store that a Perian job can reach;"
            f" supported: {', '.join(scheme + '://' for scheme in _SCHEMES)}."
        )
        remedy = "Give a remote prefix, for `pyflyte run` with --raw-output-data-prefix s3://…"
        raise InvalidInput(message, remedy=remedy)
    from perian_shim.storage.s3 import S3Store  # boto3 is slow to import  # noqa: PLC0415

    return S3Store.from_flytekit()
