"""Google's signature version 4 for Cloud Storage: URLs that read, policies of HTML forms. Pure.

What is signed is made here; the signature itself, RSA with SHA-256, comes from elsewhere.

https://cloud.google.com/storage/docs/authentication/canonical-requests
https://cloud.google.com/storage/docs/xml-api/post-object-forms
"""

import base64
import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from perian_shim.storage.base import MAX_OBJECT_BYTES, UploadPolicy
from perian_shim.storage.sigv4 import UNSIGNED, host_of, query_string, quoted

ALGORITHM = "GOOG4-RSA-SHA256"


@dataclass(frozen=True)
class Stamp:
    """Who signs, and when.

    Attributes:
        account: e-mail address of the service account.
        now: the time, in UTC.
    """

    account: str
    now: datetime.datetime

    @property
    def time(self) -> str:
        """The time as Google writes it."""
        return self.now.strftime("%Y%m%dT%H%M%SZ")

    @property
    def scope(self) -> str:
        """The scope as it is signed; Google finds the bucket's location by itself."""
        return f"{self.now:%Y%m%d}/auto/storage/goog4_request"

    @property
    def credential(self) -> str:
        """Account and scope."""
        return f"{self.account}/{self.scope}"


@dataclass(frozen=True)
class UnsignedUrl:
    """A URL without its signature.

    Attributes:
        url: all of it but the signature.
        text: what is to be signed.
    """

    url: str
    text: str

    def signed(self, signature: bytes) -> str:
        """Return the URL that works."""
        return f"{self.url}&X-Goog-Signature={signature.hex()}"


@dataclass(frozen=True)
class UnsignedPolicy:
    """A policy without its signature.

    Attributes:
        url: where to POST to.
        key_prefix: what every key begins with.
        fields: the form's.
    """

    url: str
    key_prefix: str
    fields: Mapping[str, str] = field(repr=False)

    @property
    def text(self) -> str:
        """What is to be signed."""
        return self.fields["policy"]

    def signed(self, signature: bytes) -> UploadPolicy:
        """Return the policy that works."""
        fields = {**self.fields, "x-goog-signature": signature.hex()}
        return UploadPolicy(url=self.url, key_prefix=self.key_prefix, fields=fields)


def bucket_url(base: str, bucket: str) -> str:
    """Return a bucket's URL at an endpoint: a path, which needs no certificate of its own."""
    return f"{base}/{quoted(bucket)}"


def unsigned_get(stamp: Stamp, url: str, expires_in: int) -> UnsignedUrl:
    """Return a URL that is to read an object without credentials.

    Args:
        stamp: who signs, and when.
        url: the object's, quoted, without a query.
        expires_in: seconds, at most seven days.
    """
    asked = query_string(
        {
            "X-Goog-Algorithm": ALGORITHM,
            "X-Goog-Credential": stamp.credential,
            "X-Goog-Date": stamp.time,
            "X-Goog-Expires": str(expires_in),
            "X-Goog-SignedHeaders": "host",
        }
    )
    canonical = "\n".join(
        ("GET", urlsplit(url).path, asked, f"host:{host_of(url)}\n", "host", UNSIGNED)
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return UnsignedUrl(f"{url}?{asked}", f"{ALGORITHM}\n{stamp.time}\n{stamp.scope}\n{digest}")


def unsigned_policy(
    stamp: Stamp, base: str, bucket: str, key_prefix: str, expires_in: int
) -> UnsignedPolicy:
    """Return leave to create objects whose keys begin with a prefix.

    Args:
        stamp: who signs, and when.
        base: URL of the storage.
        bucket: the bucket's name.
        key_prefix: ends in ``/``.
        expires_in: seconds, at most seven days.
    """
    expires = stamp.now + datetime.timedelta(seconds=expires_in)
    fixed = {
        "success_action_status": "201",
        "x-goog-algorithm": ALGORITHM,
        "x-goog-credential": stamp.credential,
        "x-goog-date": stamp.time,
    }
    conditions: list[object] = [
        ["starts-with", "$key", key_prefix],
        ["content-length-range", 0, MAX_OBJECT_BYTES],
        {"bucket": bucket},
        *({name: value} for name, value in fixed.items()),
    ]
    document = {"conditions": conditions, "expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    return UnsignedPolicy(
        bucket_url(base, bucket) + "/", key_prefix, fields={**fixed, "policy": policy}
    )
