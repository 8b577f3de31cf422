"""Amazon S3, and what speaks its protocol (MinIO, Ceph, …), over plain HTTP.

The few requests that are needed are made and signed here: an SDK would cost the pod that waits for
a job more memory than all the rest of it. Presigned requests are signature version 4.

A presigned request dies with the credentials that signed it. ``signing`` tells when,
so that the caller can warn before it pays for a job that cannot leave its outputs.

A read is the whole content or an error: an answer that breaks off is asked for again, a few times.
"""

import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import unquote_plus

from perian_shim.storage.aws_keys import key_chain
from perian_shim.storage.base import ObjectInfo, Signing, UploadPolicy, moment, split_uri
from perian_shim.storage.failures import NO_SUCH_PART, end_of, failed
from perian_shim.storage.post_policy import signed_policy
from perian_shim.storage.s3_address import DEFAULT_REGION, Addressing, object_url
from perian_shim.storage.s3_answers import OK, error_code, may_pass, parsed, reason
from perian_shim.storage.s3_join import join
from perian_shim.storage.s3_options import S3Options
from perian_shim.storage.s3_requests import S3Requests
from perian_shim.storage.s3_settings import S3Settings
from perian_shim.storage.s3_signer import Signer, static_keys
from perian_shim.storage.s3_usable import NO_BUCKET, expect_no_retention, expect_usable
from perian_shim.storage.sigv4 import presigned_get
from perian_shim.storage.web import Answer, Web

_NOT_FOUND = 404


class S3Store:
    """An ``ObjectStore`` on S3.

    Args:
        requests: makes our own requests.
        signer: has the keys.
        public: where buckets are for jobs, when those reach them under another name.
        options: what buckets demand of requests.
    """

    def __init__(
        self,
        requests: S3Requests,
        signer: Signer,
        public: Addressing | None = None,
        options: S3Options | None = None,
    ) -> None:
        self._requests = requests
        self._signer = signer
        self._public = public or requests.addressing
        self._options = options or S3Options()
        self._usable: set[str] = set()

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] = os.environ,
        sleep: Callable[[float], None] = time.sleep,
        secrets: Mapping[str, str] = MappingProxyType({}),
    ) -> "S3Store":
        """Return a store set up as flytekit's own S3 access is, then as AWS's tools are.

        Args:
            environ: says where it is and how it is reached.
            sleep: waits between attempts, in seconds.
            secrets: the task's, by the names of their keys. Static keys of S3 among them sign what
                a job is given if the pod's own keys are temporary. Their region and endpoint are
                not the store's.

        Raises:
            ConfigError: flytekit's config file cannot be read, or a setting is none that S3 knows.
            StorageFailed: only one half of a key is set.
        """
        settings = S3Settings.read(environ)
        options = S3Options.read(environ)
        web = Web(environ, sleep)
        styles = (settings.virtual_hosts, settings.dual_stack, settings.fips)
        public = settings.public_endpoint
        signer = Signer(key_chain(settings, environ, web), static_keys(secrets, settings))
        region = settings.region or DEFAULT_REGION
        requests = S3Requests(signer, web, Addressing(settings.endpoint, *styles), region, options)
        return cls(requests, signer, Addressing(public, *styles) if public else None, options)

    def __repr__(self) -> str:
        return f"S3Store(endpoint={self._requests.addressing.endpoint!r})"

    def signing(self) -> Signing:
        """Return for how long what we sign stays good."""
        return self._signer.signing()

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:
        """Return for each object a URL that reads it."""
        return [self._presigned(uri, expires_in) for uri in uris]

    def _presigned(self, uri: str, expires_in: int) -> str:
        bucket, key = split_uri(uri)
        scope = self._requests.scope(uri, bucket, self._public, for_job=True)
        url = object_url(self._public.bucket_url(bucket, scope.region), key)
        return presigned_get(scope, url, expires_in, self._options.on_all)

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        """Return leave to create objects below a prefix."""
        bucket, key = split_uri(prefix)
        if bucket not in self._usable:
            expect_usable(self._requests, prefix, bucket, key)
            expect_no_retention(self._requests, prefix, bucket)
            self._usable.add(bucket)
        scope = self._requests.scope(prefix, bucket, self._public, for_job=True)
        url = self._public.bucket_url(bucket, scope.region)
        fixed = {**self._options.on_all, **self._options.on_new}
        return signed_policy(scope, url, bucket, key.rstrip("/") + "/", expires_in, fixed)

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a folder, markers of folders in it too; its own is left out."""
        bucket, key = split_uri(prefix)
        query = {"list-type": "2", "prefix": key.rstrip("/") + "/" if key else ""}
        query["encoding-type"] = "url"  # names may hold what XML cannot
        while True:
            answer = self._requests.ask(prefix, "GET", bucket, query=query)
            if answer.status == _NOT_FOUND and error_code(answer) == NO_BUCKET:
                return
            page = parsed(prefix, self._good(prefix, answer).body)
            quoted = page.findtext("EncodingType") == "url"  # some stores do not do it
            for entry in page.iter("Contents"):
                name = entry.findtext("Key", "")
                name = unquote_plus(name) if quoted else name
                if name != query["prefix"]:
                    yield ObjectInfo(
                        f"s3://{bucket}/{name}",
                        int(entry.findtext("Size", "0")),
                        moment(entry.findtext("LastModified")),
                    )
            token = page.findtext("NextContinuationToken")
            if page.findtext("IsTruncated") != "true" or not token:
                return
            query["continuation-token"] = token

    def size(self, uri: str) -> int | None:
        """Return an object's size, or None if there is none."""
        bucket, key = split_uri(uri)
        answer = self._requests.ask(uri, "HEAD", bucket, key)
        if answer.status == _NOT_FOUND:
            return None
        length = self._good(uri, answer).headers.get("content-length", "")
        if not length.isdecimal():
            raise failed(uri, "the answer does not tell the size", passing=False)
        return int(length)

    def read(self, uri: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes, or None if there is no such object."""
        bucket, key = split_uri(uri)
        answer = self._requests.ask(uri, "GET", bucket, key, limit=limit)
        if answer.status == _NOT_FOUND and error_code(answer) != NO_BUCKET:
            return None
        return self._good(uri, answer).body

    def read_end(self, uri: str, length: int) -> bytes | None:
        """Return the last ``length`` bytes, or None if there is no such object."""
        bucket, key = split_uri(uri)
        part = {"Range": f"bytes=-{length}"}
        answer = self._requests.ask(uri, "GET", bucket, key, headers=part, limit=length)
        if answer.status == NO_SUCH_PART:
            return b""
        if answer.status == _NOT_FOUND and error_code(answer) != NO_BUCKET:
            return None
        return end_of(uri, self._good(uri, answer), length)

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:
        """Create or replace an object."""
        bucket, key = split_uri(uri)
        # A bucket with object lock wants it.
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        headers = {"Content-MD5": base64.b64encode(digest).decode(), **self._options.on_new}
        headers |= {"Content-Type": content_type} if content_type else {}
        self._good(uri, self._requests.ask(uri, "PUT", bucket, key, body=content, headers=headers))

    def delete(self, uri: str) -> None:
        """Delete an object; it is no fault if there is none."""
        bucket, key = split_uri(uri)
        answer = self._requests.ask(uri, "DELETE", bucket, key)
        if answer.status != _NOT_FOUND:
            self._good(uri, answer)

    def join(self, parts: Sequence[str], uri: str) -> None:
        """Make one object of several, in this order; they stay."""
        bucket, key = split_uri(uri)

        def ask(
            method: str,
            query: Mapping[str, str],
            headers: Mapping[str, str] | None = None,
            body: bytes = b"",
        ) -> Answer:
            return self._requests.ask(
                uri, method, bucket, key, query=query, headers=headers, body=body
            )

        join(ask, parts, uri, self._options.on_new)

    @staticmethod
    def _good(uri: str, answer: Answer) -> Answer:
        if answer.status not in OK:
            raise failed(uri, reason(answer), passing=may_pass(answer))
        return answer
