"""A POST policy of S3: leave to create objects below one prefix by HTML form. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import datetime
import json
from collections.abc import Mapping
from types import MappingProxyType

from perian_shim.storage.base import MAX_OBJECT_BYTES, UploadPolicy
from perian_shim.storage.sigv4 import ALGORITHM, MAX_EXPIRY_SECONDS, Scope


def signed_policy(
    scope: Scope,
    url: str,
    bucket: str,
    key_prefix: str,
    expires_in: int,
    further: Mapping[str, str] = MappingProxyType({}),
) -> UploadPolicy:
    """Return leave to create objects whose keys begin with a prefix.

    Args:
        scope: keys, region, time.
        url: the bucket's.
        bucket: its name.
        key_prefix: ends in ``/``.
        expires_in: seconds, at most seven days.
        further: fields that must go with every upload as they are.
    """
    expires = scope.now + datetime.timedelta(seconds=min(expires_in, MAX_EXPIRY_SECONDS))
    fixed = {
        **further,
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": scope.credential,
        "x-amz-date": scope.time,
    }
    if scope.keys.token:
        fixed["x-amz-security-token"] = scope.keys.token
    conditions: list[object] = [
        ["starts-with", "$key", key_prefix],
        ["content-length-range", 0, MAX_OBJECT_BYTES],
        {"success_action_status": "201"},
        {"bucket": bucket},
        *({name: value} for name, value in fixed.items()),
    ]
    document = {"expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    fields = {
        "success_action_status": "201",
        **fixed,
        "policy": policy,
        "x-amz-signature": scope.signature(policy),
    }
    return UploadPolicy(url=url, key_prefix=key_prefix, fields=fields)
