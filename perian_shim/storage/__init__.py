"""The object store as perian-shim needs it, and what of it a job is given.

A container task's job gets no key of the bucket: a presigned URL for each object that it must read,
and one POST policy that lets it write below one prefix until a point in time. The resolver
container uses its own identity for the rest: listing, small reads, small writes.

``open_store(uri)`` chooses by scheme. S3, and what speaks its protocol, can do all of it, and so
can Google's (``gs://``), if there is something that signs. Any other store that flytekit knows
needs flytekit, ``fsspec.FsspecStore``: it can be read and written, enough for function tasks.
"""

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import ObjectInfo, ObjectStore, Signing, UploadPolicy, join_uri

__all__ = [
    "ObjectInfo",
    "ObjectStore",
    "Signing",
    "UploadPolicy",
    "can_presign",
    "is_well_formed",
    "join_uri",
    "needs_flytekit",
    "open_store",
    "signing_store",
]

GOOGLE_KEY = "google_application_credentials"

_LOCAL = {"", "file"}
_GOOGLE = {"gs", "gcs"}
_S3_URI = re.compile(r"s3://(?:[\w.-]{3,255}|arn:[^/\s]+)(?:/(?P<key>.*))?", re.ASCII | re.DOTALL)
_GOOGLE_URI = re.compile(r"gc?s://[\w.-]{3,222}(?:/(?P<key>[^\r\n]*))?", re.ASCII)


def can_presign(uri: str) -> bool:
    """Whether a job can be given access to one object there, if something may sign."""
    return urlsplit(uri).scheme in {"s3"} | _GOOGLE


def is_well_formed(uri: str, *, folder: bool = False) -> bool:
    """Whether a URI that can be presigned names a bucket and an object in it.

    Args:
        uri: the URI.
        folder: whether it may also be a whole bucket.
    """
    match = _S3_URI.fullmatch(uri) or _GOOGLE_URI.fullmatch(uri)
    return match is not None and bool(folder or match["key"])


def needs_flytekit(uri: str) -> bool:
    """Whether only flytekit reaches the store; who has flytekit opens an ``FsspecStore`` then."""
    return urlsplit(uri).scheme not in {"s3"} | _GOOGLE | _LOCAL


def signing_store(
    store: ObjectStore, uri: str, environ: Mapping[str, str], secrets: Mapping[str, str]
) -> ObjectStore:
    """Return the store that signs for jobs: with keys that last, where the pod's own do not.

    Args:
        store: the pod's own access to the store.
        uri: a URI in it.
        environ: as for ``open_store``.
        secrets: keys of the task's secret group, by their names; they are used to sign only.
    """
    scheme = urlsplit(uri).scheme
    signs = (scheme == "s3" and "aws_access_key_id" in secrets) or (
        scheme in _GOOGLE and GOOGLE_KEY in secrets
    )
    return open_store(uri, environ, secrets) if signs else store


def open_store(
    uri: str, environ: Mapping[str, str] = os.environ, secrets: Mapping[str, str] = {}
) -> ObjectStore:
    """Return the store that holds ``uri``.

    Args:
        uri: a URI in the store.
        environ: says where the store is, and with which keys it is reached.
        secrets: the task's, by name: a key among them signs what jobs are given.

    Raises:
        InvalidInput: it is on this machine, where no Perian job can reach it, or in a store that
            only flytekit reaches (``needs_flytekit``).
        ConfigError: flytekit's config file cannot be read.
        StorageFailed: what is set for the store cannot be used.
    """
    scheme = urlsplit(uri).scheme
    if scheme in _LOCAL:
        message = f"The raw data prefix {uri!r} is in no object store that a Perian job can reach."
        remedy = "Give a remote prefix, for `pyflyte run` with --raw-output-data-prefix s3://…"
        raise InvalidInput(message, remedy=remedy)
    if scheme == "s3":
        from perian_shim.storage.s3 import S3Store  # noqa: PLC0415 - only what is needed

        return S3Store.from_environment(environ, secrets=secrets)
    if scheme in _GOOGLE:
        from perian_shim.storage.gcs import GcsStore  # noqa: PLC0415 - only what is needed

        return GcsStore.from_environment(environ, secrets=secrets)
    message = f"perian-shim itself cannot reach {uri!r}: the store is neither s3:// nor gs://."
    remedy = (
        "Use a raw data prefix on S3 or Google Cloud Storage, or an image with flytekit and its"
        " plugin for this store."
    )
    raise InvalidInput(message, remedy=remedy)
