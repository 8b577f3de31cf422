"""AWS signature version 4: in headers, and for S3 in a URL. Pure: the time is given.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from perian_shim.storage.s3_keys import Keys

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"

MAX_EXPIRY_SECONDS = 7 * 24 * 3600
"""The longest life that signature version 4 allows a presigned request."""


@dataclass(frozen=True)
class Scope:
    """What a signature is good for.

    Attributes:
        keys: what it is made with.
        region: of the bucket, or of the service.
        now: its time, in UTC.
        service: AWS's name of the service.
    """

    keys: Keys
    region: str
    now: datetime.datetime
    service: str = "s3"

    @property
    def time(self) -> str:
        """The time as AWS writes it."""
        return self.now.strftime("%Y%m%dT%H%M%SZ")

    @property
    def name(self) -> str:
        """The scope as it is signed."""
        return f"{self.now:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    @property
    def credential(self) -> str:
        """Key and scope."""
        return f"{self.keys.access_key}/{self.name}"

    def signature(self, text: str) -> str:
        """Sign a text."""
        key = f"AWS4{self.keys.secret_key}".encode()
        for part in self.name.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), "sha256").hexdigest()

    def signature_of_request(self, canonical: str) -> str:
        """Sign a canonical request."""
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return self.signature(f"{ALGORITHM}\n{self.time}\n{self.name}\n{digest}")


def host_of(url: str) -> str:
    """Return the Host header that a client sends: a scheme's own port is left out."""
    parts = urlsplit(url)
    own = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return parts.netloc.rpartition("@")[2].removesuffix(own)


def quoted(text: str) -> str:
    """Return a key as it stands in a path."""
    return quote(text, safe="/~")


def query_string(query: Mapping[str, str]) -> str:
    """Return a query as it is signed: sorted, all quoted."""
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    scope: Scope, method: str, url: str, headers: Mapping[str, str], body: bytes
) -> dict[str, str]:
    """Return the headers of a request, signature included.

    Args:
        scope: keys, region, time.
        method: HTTP method.
        url: quoted, its query made by ``query_string``.
        headers: further headers, which are signed as well.
        body: what is sent.
    """
    parts = urlsplit(url)
    digest = hashlib.sha256(body).hexdigest()
    sent = {**headers, "x-amz-content-sha256": digest, "x-amz-date": scope.time}
    if scope.keys.token:
        sent["x-amz-security-token"] = scope.keys.token
    lower = {name.lower(): value.strip() for name, value in sent.items()} | {"host": host_of(url)}
    names = ";".join(sorted(lower))
    lines = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
    canonical = "\n".join((method, parts.path or "/", parts.query, lines, names, digest))
    signature = scope.signature_of_request(canonical)
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={scope.credential}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


def presigned_get(
    scope: Scope,
    url: str,
    expires_in: int,
    further: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return a URL that reads an object without credentials.

    Args:
        scope: keys, region, time.
        url: the object's, quoted, without a query.
        expires_in: seconds, at most seven days.
        further: what else the query says; S3 takes it for headers.
    """
    parts = urlsplit(url)
    query = {
        **further,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": scope.credential,
        "X-Amz-Date": scope.time,
        "X-Amz-Expires": str(min(expires_in, MAX_EXPIRY_SECONDS)),
        "X-Amz-SignedHeaders": "host",
    }
    if scope.keys.token:
        query["X-Amz-Security-Token"] = scope.keys.token
    asked = query_string(query)
    canonical = "\n".join(
        ("GET", parts.path or "/", asked, f"host:{host_of(url)}\n", "host", UNSIGNED)
    )
    return f"{url}?{asked}&X-Amz-Signature={scope.signature_of_request(canonical)}"
