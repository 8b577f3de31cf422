"""botocore's own chain of credentials, run in a process of its own.

What it finds comes back on a pipe, in the form of AWS's ``credential_process``. The process ends at
once, so that a pod which waits for hours does not hold botocore in memory.
"""

from collections.abc import Mapping

from perian_shim.errors import StorageFailed
from perian_shim.storage.child import answer_of
from perian_shim.storage.s3_keys import Keys, parsed_keys

_SOURCE = """
import json, sys
sys.path[:] = json.loads(sys.stdin.read())
try:
    import botocore.session
except ImportError:
    sys.exit(json.dump({"missing": True}, sys.stdout))
try:
    found = botocore.session.Session().get_credentials()
    if found is None:
        sys.exit(json.dump({"none": True}, sys.stdout))
    keys = found.get_frozen_credentials()
    expires = getattr(found, "_expiry_time", None)
except Exception as error:
    name = type(error).__name__
    passing = isinstance(error, botocore.exceptions.ConnectionError) or name in (
        "MetadataRetrievalError", "HTTPClientError", "CredentialRetrievalError")
    said = " ".join(f"{name}: {error}".split())[:300]
    sys.exit(json.dump({"error": said, "passing": passing}, sys.stdout))
json.dump({"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key,
           "SessionToken": keys.token, "Expiration": expires and expires.isoformat()}, sys.stdout)
"""


def keys_of_botocore(environ: Mapping[str, str]) -> Keys:
    """Return the keys that botocore finds.

    Raises:
        StorageFailed: it finds none.
    """
    found = answer_of(_SOURCE, environ, "Looking for credentials for S3")
    if "missing" in found:
        raise no_keys("none are set, and botocore, which could look further, is not installed")
    if "none" in found:
        raise no_keys("none are set, and no role or profile offers any")
    if "error" in found:
        raise no_keys(found["error"], passing=bool(found["passing"]))
    return parsed_keys(found, "SessionToken")


def no_keys(why: str, *, passing: bool = False) -> StorageFailed:
    """Return the error for a pod without keys."""
    remedy = "Give the pod's service account a role for the bucket, or set FLYTE_AWS_ACCESS_KEY_ID."
    failure = StorageFailed(f"There are no credentials for S3: {why}.", remedy=remedy)
    failure.passing = passing
    return failure
