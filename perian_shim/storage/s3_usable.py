"""Whether a bucket takes what a job is going to send, as far as a look tells.

What a job cannot use is found before it is paid for: a bucket of another region, keys that the
store does not know, a bucket that is not there, one that wants of each upload what a form cannot
say. That we may read nothing is no fault.
"""

import re

from perian_shim.storage.failures import failed
from perian_shim.storage.s3_answers import OK, error_code, reason, told_region
from perian_shim.storage.s3_requests import ELSEWHERE, MALFORMED, S3Requests
from perian_shim.storage.web import is_busy

NO_BUCKET = "NoSuchBucket"
_USELESS = {
    NO_BUCKET,
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
    "Check the tasks' pods' endpoint (FLYTE_AWS_ENDPOINT), region (AWS_REGION) and keys, and the"
    " keys in the task's secrets if there are any."
)
_RETENTION = re.compile(rb"<DefaultRetention[\s>]")


def expect_usable(requests: S3Requests, uri: str, bucket: str, key: str) -> None:
    """Expect that what is signed for a bucket is accepted there, as far as one request tells.

    Raises:
        StorageFailed: it is refused.
    """
    answer = requests.ask(uri, "GET", bucket, key, limit=0, for_job=True)
    if is_busy(answer):
        raise failed(uri, reason(answer), passing=True)
    # A malformed request may be one that only this probe is.
    moved = answer.status in ELSEWHERE - {MALFORMED}
    if moved or error_code(answer) in _USELESS:
        failure = failed(uri, reason(answer), passing=False)
        region = told_region(answer)
        failure.remedy = _OTHER_REGION.format(region) if region else _CHECK_ACCESS
        raise failure


def expect_no_retention(requests: S3Requests, uri: str, bucket: str) -> None:
    """Expect that a bucket does not keep each new object for a time (object lock).

    S3 wants a checksum with every upload to such a bucket. A form is signed before anybody knows
    what will be sent with it. Who may not ask is not refused.

    Raises:
        StorageFailed: it does.
    """
    answer = requests.ask(uri, "GET", bucket, query={"object-lock": ""})
    if answer.status in OK and _RETENTION.search(answer.body):
        failure = failed(
            uri,
            "the bucket keeps each new object for a time (object lock with a default retention),"
            " and takes no upload without a checksum, which a job of a container task cannot send",
            passing=False,
        )
        failure.remedy = "Use a raw data prefix in another bucket, or a function task."
        raise failure
