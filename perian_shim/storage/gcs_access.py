"""What a job is given on Google Cloud Storage: signed URLs and policies, for its XML API."""

import datetime
import functools
from collections.abc import Callable, Sequence

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import Signing, UploadPolicy, split_uri
from perian_shim.storage.failures import failed, unanswered
from perian_shim.storage.gcs_v4 import Stamp, bucket_url, unsigned_get, unsigned_policy
from perian_shim.storage.google_signing import Signer
from perian_shim.storage.s3_address import object_url
from perian_shim.storage.s3_answers import error_code, reason
from perian_shim.storage.web import NoAnswer, Web, is_busy

_USELESS = {
    "NoSuchBucket",
    "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
    "ExpiredToken",
    "AccountProblem",
    "UserProjectAccountProblem",
}
"""What no other request that the same account signs for the same bucket will change."""

_CHECK = (
    "Check that the bucket is there, that the service account that signs and its key are neither"
    " disabled nor deleted, and that the pod's clock is right."
)


class JobAccess:
    """Signs for jobs.

    Args:
        web: makes the requests.
        base: URL of the storage.
        signer: finds what signs, when that is needed.
        now: the time, in seconds since the epoch.
    """

    def __init__(
        self, web: Web, base: str, signer: Callable[[], Signer], now: Callable[[], float]
    ) -> None:
        self._web = web
        self._base = base
        self._signer = functools.cache(signer)
        self._now = now
        self._usable: set[str] = set()

    def signing(self) -> Signing:
        """Return for how long what is signed stays good."""
        return self._signer().signing()

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:
        """Return for each object a URL that reads it; all are signed at once.

        Args:
            uris: of the objects.
            expires_in: seconds; at most seven days with a key, twelve hours without.

        Raises:
            InvalidInput: nobody there can sign, or an object is in another store.
            StorageFailed: signing failed.
        """
        if not uris:
            return []
        signer, stamp = self._signer(), self._stamp()
        life = min(expires_in, signer.longest)
        unsigned = []
        for uri in uris:
            bucket, key = named(uri)
            url = object_url(bucket_url(self._base, bucket), key)
            unsigned.append(unsigned_get(stamp, url, life))
        signatures = signer.sign([each.text for each in unsigned])
        return [url.signed(made) for url, made in zip(unsigned, signatures, strict=True)]

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        """Return leave to create objects below a prefix.

        Args:
            prefix: URI of the folder.
            expires_in: as with ``presign``.

        Raises:
            InvalidInput: as with ``presign``.
            StorageFailed: signing failed, or what is signed is of no use there.
        """
        signer, stamp = self._signer(), self._stamp()
        bucket, key = named(prefix)
        self._expect_usable(prefix, bucket)
        life = min(expires_in, signer.longest)
        policy = unsigned_policy(stamp, self._base, bucket, key.rstrip("/") + "/", life)
        return policy.signed(signer.sign([policy.text])[0])

    def _stamp(self) -> Stamp:
        now = datetime.datetime.fromtimestamp(self._now(), datetime.timezone.utc)
        return Stamp(self._signer().account(), now)

    def _expect_usable(self, prefix: str, bucket: str) -> None:
        """Expect that what is signed for a bucket is accepted there, as far as one request tells.

        What a job cannot use is found before it is paid for. That nothing may be read is no fault.

        Raises:
            StorageFailed: it is refused.
        """
        if bucket in self._usable:
            return
        (url,) = self.presign([prefix], 60)
        try:
            answer = self._web.ask("GET", url, dict, limit=0)
        except NoAnswer as error:
            raise unanswered(prefix, error) from error
        if is_busy(answer):
            raise failed(prefix, reason(answer), passing=True)
        if error_code(answer) in _USELESS:
            failure = failed(prefix, reason(answer), passing=False)
            failure.remedy = _CHECK
            raise failure
        self._usable.add(bucket)


def named(uri: str) -> tuple[str, str]:
    """Return bucket and key.

    Raises:
        InvalidInput: it is in another store, which may have a bucket of the same name.
    """
    if not uri.startswith(("gs://", "gcs://")):
        message = f"{uri!r} is not in Google Cloud Storage, for which it was to be signed."
        raise InvalidInput(message, remedy="Use data in the object store of the raw data prefix.")
    return split_uri(uri)
