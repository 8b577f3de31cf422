"""The AWS that other tests rely on refuses what AWS refuses."""

import json
from collections.abc import Mapping

import pytest
from botocore.exceptions import ClientError
from support.ministack import Ministack, allow, ministack

from perian_shim.storage.s3_keys import Keys


@pytest.fixture
def aws() -> Ministack:
    return ministack()


def refusal(aws: Ministack, keys: Keys, bucket: str, key: str) -> str:
    """The store's code for reading an object, empty if it can be read."""
    try:
        aws.s3(keys).get_object(Bucket=bucket, Key=key)["Body"].close()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_a_user_may_do_what_the_users_policy_says(aws: Ministack) -> None:
    bucket = aws.bucket()
    for key in ("a/x", "b/x"):
        aws.s3().put_object(Bucket=bucket, Key=key, Body=b"x")
    user = aws.user(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*"))
    assert (refusal(aws, user, bucket, "a/x"), refusal(aws, user, bucket, "b/x")) == (
        "",
        "AccessDenied",
    )


def test_a_users_secret_is_checked(aws: Ministack) -> None:
    user = aws.user(allow("s3:*"))
    wrong = Keys(user.access_key, "wrong")
    assert refusal(aws, wrong, aws.bucket(), "x") == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("session_policy", "says"),
    [(allow("s3:*"), ""), (allow("s3:GetObject", "arn:aws:s3:::other/*"), "AccessDenied")],
)
def test_a_roles_session_may_do_no_more_than_its_policy(
    aws: Ministack, session_policy: Mapping[str, object], says: str
) -> None:
    bucket = aws.bucket()
    aws.s3().put_object(Bucket=bucket, Key="x", Body=b"x")
    document = json.dumps({"Version": "2012-10-17", "Statement": [session_policy]})
    made = aws.client("sts", aws.user(allow("sts:AssumeRole"))).assume_role(
        RoleArn=aws.role(allow("s3:*")), RoleSessionName="session", Policy=document
    )["Credentials"]
    keys = Keys(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    assert refusal(aws, keys, bucket, "x") == says
