"""Amazon S3, and what speaks its protocol (MinIO, Ceph, …), over plain HTTP.

The few requests that are needed are made and signed here: an SDK would cost the pod that waits for
a job more memory than all the rest of it. Presigned requests are signature version 4 for the
bucket's own region, which is asked for once per bucket: unlike ordinary calls of an SDK, a
presigned one cannot follow a redirect to another region.

A presigned request dies with the credentials that signed it. ``signing`` tells when,
so that the caller can warn before it pays for a job that cannot leave its outputs.

A read is the whole content or an error: an answer that breaks off is asked for again, a few times.
"""

import base64
import datetime
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import unquote_plus

from perian_shim.storage.aws_keys import KeyChain, key_chain
from perian_shim.storage.base import ObjectInfo, Signing, UploadPolicy, broken_off, split_uri
from perian_shim.storage.failures import NO_SUCH_PART, end_of, failed, unanswered
from perian_shim.storage.post_policy import signed_policy
from perian_shim.storage.s3_address import (
    DEFAULT_REGION,
    Addressing,
    object_url,
    region_of_arn,
)
from perian_shim.storage.s3_answers import (
    OK,
    REGION_HEADER,
    error_code,
    may_pass,
    parsed,
    reason,
    told_region,
)
from perian_shim.storage.s3_join import join
from perian_shim.storage.s3_settings import S3Settings
from perian_shim.storage.sigv4 import Scope, presigned_get, query_string, signed_headers
from perian_shim.storage.web import Answer, BrokenOff, NoAnswer, Web, is_busy

_NOT_FOUND = 404
_NO_BUCKET = "NoSuchBucket"
_MALFORMED = 400
_ELSEWHERE = {301, 307, _MALFORMED}
"""With these a store refuses what is signed for another region."""
_USELESS = {
    _NO_BUCKET,
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidToken",
    "AccountProblem",
    "AllAccessDisabled",
}
"""What no other request with the same keys to the same bucket will change."""
_OTHER_REGION = (
    "The bucket is in region {}: name that region's endpoint (FLYTE_AWS_ENDPOINT) and region"
    " (AWS_REGION) for the tasks' pods."
)
_CHECK_ACCESS = (
    "Check the tasks' pods' endpoint (FLYTE_AWS_ENDPOINT), region (AWS_REGION) and keys."
)


class S3Store:
    """An ``ObjectStore`` on S3.

    Args:
        keys: what requests are signed with.
        web: makes the requests.
        addressing: where buckets are.
        public: where they are for jobs, when those reach them under another name.
        region: the default region.
        now: the time, in seconds since the epoch.
    """

    def __init__(
        self,
        keys: KeyChain,
        web: Web,
        addressing: Addressing,
        public: Addressing | None = None,
        region: str = DEFAULT_REGION,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._web = web
        self._addressing = addressing
        self._public = public or addressing
        self._region = region
        self._now = now
        self._regions: dict[str, str] = {}
        self._usable: set[str] = set()

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] = os.environ,
        sleep: Callable[[float], None] = time.sleep,
        secrets: Mapping[str, str] = {},  # noqa: ARG003 - not needed yet
    ) -> "S3Store":
        """Return a store set up as flytekit's own S3 access is, then as AWS's tools are.

        Raises:
            ConfigError: flytekit's config file cannot be read.
            StorageFailed: only one half of a key is set.
        """
        settings = S3Settings.read(environ)
        web = Web(environ, sleep)
        styles = (settings.virtual_hosts, settings.dual_stack, settings.fips)
        public = settings.public_endpoint
        return cls(
            key_chain(settings, environ, web),
            web,
            Addressing(settings.endpoint, *styles),
            Addressing(public, *styles) if public else None,
            settings.region or DEFAULT_REGION,
        )

    def __repr__(self) -> str:
        return f"S3Store(endpoint={self._addressing.endpoint!r})"

    def signing(self) -> Signing:
        """Return for how long what we sign stays good."""
        return Signing(self._keys.seconds_left())

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:
        """Return for each object a URL that reads it."""
        return [self._presigned(uri, expires_in) for uri in uris]

    def _presigned(self, uri: str, expires_in: int) -> str:
        bucket, key = split_uri(uri)
        scope = self._scope(uri, bucket, self._public)
        url = object_url(self._public.bucket_url(bucket, scope.region), key)
        return presigned_get(scope, url, expires_in)

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        """Return leave to create objects below a prefix."""
        bucket, key = split_uri(prefix)
        self._expect_usable(prefix, bucket, key)
        scope = self._scope(prefix, bucket, self._public)
        url = self._public.bucket_url(bucket, scope.region)
        return signed_policy(scope, url, bucket, key.rstrip("/") + "/", expires_in)

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a folder, markers of folders in it too; its own is left out."""
        bucket, key = split_uri(prefix)
        query = {"list-type": "2", "prefix": key.rstrip("/") + "/" if key else ""}
        query["encoding-type"] = "url"  # names may hold what XML cannot
        while True:
            answer = self._ask(prefix, "GET", bucket, query=query)
            if answer.status == _NOT_FOUND and error_code(answer) == _NO_BUCKET:
                return
            page = parsed(prefix, self._good(prefix, answer).body)
            quoted = page.findtext("EncodingType") == "url"  # some stores do not do it
            for entry in page.iter("Contents"):
                name = entry.findtext("Key", "")
                name = unquote_plus(name) if quoted else name
                if name != query["prefix"]:
                    yield ObjectInfo(f"s3://{bucket}/{name}", int(entry.findtext("Size", "0")))
            token = page.findtext("NextContinuationToken")
            if page.findtext("IsTruncated") != "true" or not token:
                return
            query["continuation-token"] = token

    def size(self, uri: str) -> int | None:
        """Return an object's size, or None if there is none."""
        bucket, key = split_uri(uri)
        answer = self._ask(uri, "HEAD", bucket, key)
        if answer.status == _NOT_FOUND:
            return None
        length = self._good(uri, answer).headers.get("content-length", "")
        if not length.isdecimal():
            raise failed(uri, "the answer does not tell the size", passing=False)
        return int(length)

    def read(self, uri: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes, or None if there is no such object."""
        bucket, key = split_uri(uri)
        answer = self._ask(uri, "GET", bucket, key, limit=limit)
        if answer.status == _NOT_FOUND and error_code(answer) != _NO_BUCKET:
            return None
        return self._good(uri, answer).body

    def read_end(self, uri: str, length: int) -> bytes | None:
        """Return the last ``length`` bytes, or None if there is no such object."""
        bucket, key = split_uri(uri)
        part = {"Range": f"bytes=-{length}"}
        answer = self._ask(uri, "GET", bucket, key, headers=part, limit=length)
        if answer.status == NO_SUCH_PART:
            return b""
        if answer.status == _NOT_FOUND and error_code(answer) != _NO_BUCKET:
            return None
        return end_of(uri, self._good(uri, answer), length)

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""
        bucket, key = split_uri(uri)
        # A bucket with object lock wants it.
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        headers = {"Content-MD5": base64.b64encode(digest).decode()}
        self._good(uri, self._ask(uri, "PUT", bucket, key, body=content, headers=headers))

    def delete(self, uri: str) -> None:
        """Delete an object; it is no fault if there is none."""
        bucket, key = split_uri(uri)
        answer = self._ask(uri, "DELETE", bucket, key)
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
            return self._ask(uri, method, bucket, key, query=query, headers=headers, body=body)

        join(ask, parts, uri)

    def _ask(
        self,
        uri: str,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int | None = None,
    ) -> Answer:
        """Make a signed request; once more where the store says that the bucket is elsewhere."""
        asked = (uri, method, bucket, key, query, headers, body, limit)
        answer = self._ask_once(*asked)
        if answer.status in _ELSEWHERE and self._learn_region(uri, bucket, answer):
            answer = self._ask_once(*asked)
        return answer

    def _ask_once(
        self,
        uri: str,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes,
        limit: int | None,
    ) -> Answer:
        region = self._region_of(uri, bucket, self._addressing)
        url = object_url(self._addressing.bucket_url(bucket, region), key)
        if query:
            url += "?" + query_string(query)

        def signed() -> Mapping[str, str]:
            scope = self._scope(uri, bucket, self._addressing)
            return signed_headers(scope, method, url, headers or {}, body)

        try:
            return self._web.ask(method, url, signed, body, limit=limit, busy=may_pass)
        except BrokenOff as error:
            raise broken_off(uri) from error
        except NoAnswer as error:
            raise unanswered(uri, error) from error

    @staticmethod
    def _good(uri: str, answer: Answer) -> Answer:
        if answer.status not in OK:
            raise failed(uri, reason(answer), passing=may_pass(answer))
        return answer

    def _scope(self, uri: str, bucket: str, addressing: Addressing) -> Scope:
        """Return what signs for a bucket now."""
        now = datetime.datetime.fromtimestamp(self._now(), datetime.timezone.utc)
        return Scope(self._keys.current(), self._region_of(uri, bucket, addressing), now)

    def _region_of(self, uri: str, bucket: str, addressing: Addressing) -> str:
        """Return a bucket's own region; at other endpoints the default until one is told."""
        if addressing.endpoint:
            return self._regions.get(bucket, self._region)
        if bucket not in self._regions:
            self._regions[bucket] = region_of_arn(bucket) or self._asked_region(uri, bucket)
        return self._regions[bucket]

    def _learn_region(self, uri: str, bucket: str, answer: Answer) -> bool:
        """Take the region that an answer tells; return whether it is news.

        The answer to a HEAD has no body, in which some stores tell it.
        """
        before = self._region_of(uri, bucket, self._addressing)
        region = told_region(answer)
        if not region and not answer.body:
            region = told_region(
                self._ask_once(uri, "GET", bucket, "", {"location": ""}, None, b"", None)
            )
        if not region or region == before:
            return False
        self._regions[bucket] = region
        return True

    def _expect_usable(self, uri: str, bucket: str, key: str) -> None:
        """Expect that what is signed for a bucket is accepted there, as far as one request tells.

        What a job cannot use is found before it is paid for: a bucket of another region, keys that
        the store does not know, a bucket that is not there. That we may read nothing is no fault.

        Raises:
            StorageFailed: it is refused.
        """
        if bucket in self._usable:
            return
        answer = self._ask(uri, "GET", bucket, key, limit=0)
        if is_busy(answer):
            raise failed(uri, reason(answer), passing=True)
        # A malformed request may be one that only this probe is.
        moved = answer.status in _ELSEWHERE - {_MALFORMED}
        if moved or error_code(answer) in _USELESS:
            failure = failed(uri, reason(answer), passing=False)
            region = told_region(answer)
            failure.remedy = _OTHER_REGION.format(region) if region else _CHECK_ACCESS
            raise failure
        self._usable.add(bucket)

    def _asked_region(self, uri: str, bucket: str) -> str:
        """Ask AWS, unsigned: also a refusal and a redirect tell the region."""
        url = self._addressing.bucket_url(bucket, self._region)
        try:
            answer = self._web.ask("HEAD", url + "/", dict)
        except NoAnswer as error:
            raise unanswered(uri, error) from error
        if is_busy(answer):
            raise failed(uri, reason(answer), passing=True)
        return answer.headers.get(REGION_HEADER, self._region)
