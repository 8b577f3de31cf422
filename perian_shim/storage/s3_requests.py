"""Signed requests to buckets of S3, each for the bucket's own region.

A region is asked for once per bucket, or learnt from a refusal: unlike ordinary calls of an SDK, a
presigned request cannot follow a redirect to another region.
"""

import datetime
import email.utils
import time
from collections.abc import Callable, Mapping

from perian_shim.storage.base import broken_off
from perian_shim.storage.failures import failed, unanswered
from perian_shim.storage.s3_address import DEFAULT_REGION, Addressing, object_url, region_of_arn
from perian_shim.storage.s3_answers import (
    REGION_HEADER,
    error_code,
    may_pass,
    reason,
    told_region,
)
from perian_shim.storage.s3_options import S3Options
from perian_shim.storage.s3_signer import Signer
from perian_shim.storage.sigv4 import Scope, query_string, signed_headers
from perian_shim.storage.web import Answer, BrokenOff, NoAnswer, Web, is_busy

MALFORMED = 400
ELSEWHERE = {301, 307, MALFORMED}
"""With these a store refuses what is signed for another region."""


_SKEWED = "RequestTimeTooSkewed"
_TOLERATED_SECONDS = 60.0
"""So much two clocks differ without any harm: an answer may also have taken its time."""


class S3Requests:
    """Makes requests.

    Args:
        signer: has the keys.
        web: makes them over HTTP.
        addressing: where buckets are.
        region: the default region.
        options: what goes with every request.
        now: the time, in seconds since the epoch.
    """

    def __init__(
        self,
        signer: Signer,
        web: Web,
        addressing: Addressing,
        region: str = DEFAULT_REGION,
        options: S3Options | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.addressing = addressing
        self._signer = signer
        self._web = web
        self._region = region
        self._options = options or S3Options()
        self._now = now
        self._ahead = 0.0
        self._regions: dict[str, str] = {}

    def ask(
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
        for_job: bool = False,
    ) -> Answer:
        """Make a request; once more where the store says that the bucket is elsewhere.

        Args:
            uri: what is accessed, for errors.
            method: HTTP method.
            bucket: its bucket.
            key: the object's; empty for the bucket itself.
            query: of the URL.
            headers: further ones.
            body: to send.
            limit: how many bytes of the answer are wanted.
            for_job: whether it is signed as a job's requests are.

        Raises:
            StorageFailed: there was no answer, or none was whole.
        """
        asked = (uri, method, bucket, key, query, headers, body, limit, for_job)
        ahead = self._ahead
        answer = self._ask_once(*asked)
        if answer.status in ELSEWHERE and self._learn_region(uri, bucket, answer):
            answer = self._ask_once(*asked)
        if error_code(answer) == _SKEWED and self._ahead != ahead:
            answer = self._ask_once(*asked)
        return answer

    def scope(
        self, uri: str, bucket: str, addressing: Addressing, *, for_job: bool = False
    ) -> Scope:
        """Return what signs for a bucket now, by the store's own clock as far as that is known."""
        now = datetime.datetime.fromtimestamp(self._now() + self._ahead, datetime.timezone.utc)
        keys = self._signer.keys(for_job=for_job)
        return Scope(keys, self._region_of(uri, bucket, addressing), now)

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
        for_job: bool,
    ) -> Answer:
        region = self._region_of(uri, bucket, self.addressing)
        url = object_url(self.addressing.bucket_url(bucket, region), key)
        if query:
            url += "?" + query_string(query)
        sent = {**self._options.on_all, **(headers or {})}

        def signed() -> Mapping[str, str]:
            scope = self.scope(uri, bucket, self.addressing, for_job=for_job)
            return signed_headers(scope, method, url, sent, body)

        try:
            answer = self._web.ask(method, url, signed, body, limit=limit, busy=may_pass)
        except BrokenOff as error:
            raise broken_off(uri) from error
        except NoAnswer as error:
            raise unanswered(uri, error) from error
        self._learn_time(answer)
        return answer

    def _region_of(self, uri: str, bucket: str, addressing: Addressing) -> str:
        """Return a bucket's own region; at other endpoints the default until one is told."""
        if addressing.endpoint:
            return self._regions.get(bucket, self._region)
        if bucket not in self._regions:
            self._regions[bucket] = region_of_arn(bucket) or self._asked_region(uri, bucket)
        return self._regions[bucket]

    def _learn_time(self, answer: Answer) -> None:
        """Take how far the store's clock is ahead of ours, if that is much.

        What is signed ends by the store's clock: by one that is behind, it would end too early.
        """
        try:
            told = email.utils.parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            return
        ahead = told.timestamp() - self._now()
        self._ahead = ahead if abs(ahead) > _TOLERATED_SECONDS else 0.0

    def _learn_region(self, uri: str, bucket: str, answer: Answer) -> bool:
        """Take the region that an answer tells; return whether it is news.

        The answer to a HEAD has no body, in which some stores tell it.
        """
        before = self._region_of(uri, bucket, self.addressing)
        region = told_region(answer)
        if not region and not answer.body:
            place = (uri, "GET", bucket, "", {"location": ""}, None, b"", None, False)
            region = told_region(self._ask_once(*place))
        if not region or region == before:
            return False
        self._regions[bucket] = region
        return True

    def _asked_region(self, uri: str, bucket: str) -> str:
        """Ask AWS, unsigned: also a refusal and a redirect tell the region."""
        url = self.addressing.bucket_url(bucket, self._region)
        try:
            answer = self._web.ask("HEAD", url + "/", dict)
        except NoAnswer as error:
            raise unanswered(uri, error) from error
        if is_busy(answer):
            raise failed(uri, reason(answer), passing=True)
        return answer.headers.get(REGION_HEADER, self._region)
