"""What a POST policy of S3 allows: its end, and its conditions on the form that is sent.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import binascii
import datetime
import json
from collections.abc import Mapping

from perian_shim.sandbox.s3.signatures import Denied, access_denied

FREE = frozenset({"policy", "x-amz-signature", "file"})
"""Fields that need no condition; and so does whatever begins with ``x-ignore-``."""


def check_policy(fields: Mapping[str, str], bucket: str, size: int, now: datetime.datetime) -> None:
    """Check a form against the policy in it, whose signature is good.

    Args:
        fields: the form's fields but the file, by lower-case name; ``key`` as it was sent.
        bucket: that the form is sent to.
        size: of the file, in bytes.
        now: the time.

    Raises:
        Denied: the policy has ended, or does not allow this.
    """
    expiration, conditions = read_policy(fields.get("policy", ""))
    if now > expiration:
        raise access_denied("Invalid according to Policy: Policy expired.")
    values = {**fields, "bucket": bucket}
    covered: set[str] = set()
    for condition in conditions:
        covered.add(check_condition(condition, values, size))
    for name in fields:
        if name not in covered | FREE and not name.startswith("x-ignore-"):
            raise access_denied(f"Invalid according to Policy: Extra input fields: {name}")


def read_policy(text: str) -> tuple[datetime.datetime, list[object]]:
    """Read a policy: until when it is good, and its conditions.

    Raises:
        Denied: it is none.
    """
    try:
        document = json.loads(base64.b64decode(text, validate=True))
        # datetime.fromisoformat reads the Z from Python 3.11 on.
        end = datetime.datetime.fromisoformat(str(document["expiration"]).replace("Z", "+00:00"))
        conditions = document["conditions"]
        if not isinstance(conditions, list) or end.tzinfo is None:
            raise ValueError(text)
    except (ValueError, KeyError, TypeError, binascii.Error):
        message = "Invalid Policy: Invalid JSON."
        raise Denied("InvalidPolicyDocument", message, 400) from None
    return end, conditions


def check_condition(condition: object, values: Mapping[str, str], size: int) -> str:
    """Check one condition; return the name of the field that it is about.

    Raises:
        Denied: it is not met.
    """
    match condition:
        case dict() if len(condition) == 1:
            ((name, expected),) = condition.items()
            return check_value("eq", str(name), expected, values, condition)
        case [str(kind), str(name), expected] if kind.lower() in {"eq", "starts-with"}:
            return check_value(kind.lower(), name.removeprefix("$"), expected, values, condition)
        case [str(kind), int(least), int(most)] if kind.lower() == "content-length-range":
            if size < least:
                message = "Your proposed upload is smaller than the minimum allowed size"
                raise Denied("EntityTooSmall", message, 400)
            if size > most:
                message = "Your proposed upload exceeds the maximum allowed size"
                raise Denied("EntityTooLarge", message, 400)
            return ""
    raise Denied("InvalidPolicyDocument", "Invalid Policy: unknown condition.", 400)


def check_value(
    kind: str, name: str, expected: object, values: Mapping[str, str], condition: object
) -> str:
    """Compare one field; return its name."""
    name = name.lower()
    value = values.get(name, "")
    met = value == expected if kind == "eq" else value.startswith(str(expected))
    if not met:
        message = f"Invalid according to Policy: Policy Condition failed: {json.dumps(condition)}"
        raise access_denied(message)
    return name
