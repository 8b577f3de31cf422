"""What is signed here is what botocore signs, letter by letter."""

import base64
import datetime
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.session
import pytest

from perian_shim.storage.post_policy import signed_policy
from perian_shim.storage.s3_address import Addressing, object_url
from perian_shim.storage.s3_keys import Keys
from perian_shim.storage.sigv4 import Scope, presigned_get, query_string, signed_headers

pytestmark = pytest.mark.usefixtures("no_store_in_the_environment")

NOW = datetime.datetime(2026, 11, 27, 13, 5, 59, tzinfo=datetime.timezone.utc)
KEYS = Keys("AKIAEXAMPLE", "wJalr/XUtn+FEMI")
TEMPORARY = Keys("ASIAEXAMPLE", "wJalr/XUtn+FEMI", "IQoJb3JpZ2lu/+==")
OWN = "https://minio.example.org:9000"

NAMES = [
    "key",
    "a/b c/d",
    "p?q#r%25+ s/ü",
    "~b*c'(d)!",
    "a//b",
    "日本/🚀",
    "%2F",
    "/in front",
    "./x/../y",
    "new\nline",
]

PLACES = [
    # bucket, region, endpoint, virtual hosts
    ("bucket", "eu-west-1", "", False),
    ("bucket", "us-east-1", "", False),
    ("bucket", "cn-north-1", "", False),
    ("bucket", "us-gov-west-1", "", False),
    ("with.dots", "eu-west-1", "", False),
    ("with.dots", "us-east-1", "", False),
    ("arn:aws:s3:eu-west-1:123456789012:accesspoint:mine", "eu-west-1", "", False),
    ("bucket", "us-east-1", OWN, False),
    ("bucket", "us-east-1", OWN, True),
    ("with.dots", "us-east-1", OWN, True),
    ("with.dots", "us-east-1", "http://10.0.0.1:9000", False),
    ("bucket", "us-east-1", "http://minio:9000", True),
    ("bucket", "us-east-1", "https://minio.example.org/", False),
    ("bucket", "us-east-1", "https://minio.example.org:443", False),
    ("bucket", "us-east-1", "http://minio.example.org:80", False),
]


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's clock stands still."""
    for module in ("botocore.auth", "botocore.signers"):
        monkeypatch.setattr(
            f"{module}.get_current_datetime", lambda remove_tzinfo=True: moment(remove_tzinfo)
        )


def moment(remove_tzinfo: bool) -> datetime.datetime:
    return NOW.replace(tzinfo=None) if remove_tzinfo else NOW


def oracle(keys: Keys, region: str, endpoint: str, virtual_hosts: bool, **options: Any) -> Any:
    """boto3's own client, as it was used before."""
    session = botocore.session.Session()
    session.set_credentials(keys.access_key, keys.secret_key, keys.token or None)
    style: Any = "virtual" if not endpoint or virtual_hosts else "path"
    return session.create_client(
        "s3",
        region,
        endpoint_url=endpoint or None,
        config=botocore.config.Config(
            signature_version="s3v4", s3={"addressing_style": style}, **options
        ),
    )


def parts_of(url: str) -> tuple[str, list[tuple[str, str]]]:
    """A URL up to its query, and the query in any order."""
    return url.partition("?")[0], sorted(parse_qsl(urlsplit(url).query))


def ours(keys: Keys, region: str) -> Scope:
    return Scope(keys, region, NOW)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["static", "temporary"])
@pytest.mark.parametrize("name", NAMES)
def test_a_url_is_signed_as_botocore_does(name: str, keys: Keys) -> None:
    asked = {"Bucket": "bucket", "Key": name}
    expected = oracle(keys, "eu-west-1", "", False).generate_presigned_url(
        "get_object", Params=asked, ExpiresIn=3600
    )
    url = object_url(Addressing().bucket_url("bucket", "eu-west-1"), name)
    assert parts_of(presigned_get(ours(keys, "eu-west-1"), url, 3600)) == parts_of(expected)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(("bucket", "region", "endpoint", "virtual_hosts"), PLACES)
def test_a_bucket_is_where_botocore_finds_it(
    bucket: str, region: str, endpoint: str, virtual_hosts: bool
) -> None:
    expected = oracle(KEYS, region, endpoint, virtual_hosts).generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "a b"}, ExpiresIn=3600
    )
    place = Addressing(endpoint, virtual_hosts).bucket_url(bucket, region)
    assert presigned_get(ours(KEYS, region), object_url(place, "a b"), 3600) == expected


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("dual_stack", [False, True])
@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1"])
def test_aws_has_other_names_for_fips_and_ipv6(dual_stack: bool, fips: bool, region: str) -> None:
    client = oracle(
        KEYS, region, "", False, use_dualstack_endpoint=dual_stack, use_fips_endpoint=fips
    )
    expected = client.generate_presigned_url("get_object", Params={"Bucket": "b12", "Key": "k"})
    place = Addressing(dual_stack=dual_stack, fips=fips).bucket_url("b12", region)
    assert urlsplit(place).netloc == urlsplit(expected).netloc


def test_no_url_lives_longer_than_seven_days() -> None:
    url = presigned_get(ours(KEYS, "us-east-1"), "https://host/key", 10**9)
    assert "X-Amz-Expires=604800&" in url


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["static", "temporary"])
@pytest.mark.parametrize("prefix", ["run/_perian/", "ü b/?&+/"])
def test_a_post_policy_is_the_one_of_boto3(prefix: str, keys: Keys) -> None:
    expected = oracle(keys, "eu-west-1", "", False).generate_presigned_post(
        "bucket",
        prefix + "${filename}",
        Fields={"success_action_status": "201"},
        Conditions=[
            ["starts-with", "$key", prefix],
            ["content-length-range", 0, 5 * 1024**3],
            {"success_action_status": "201"},
        ],
        ExpiresIn=3600,
    )
    place = Addressing().bucket_url("bucket", "eu-west-1")
    policy = signed_policy(ours(keys, "eu-west-1"), place, "bucket", prefix, 3600)
    theirs = {name: value for name, value in expected["fields"].items() if name != "key"}
    said, told = (
        json.loads(base64.b64decode(fields["policy"])) for fields in (policy.fields, theirs)
    )
    # boto3 adds the exact prefix of the key a second time.
    told["conditions"].remove(["starts-with", "$key", prefix])
    assert said["expiration"] == told["expiration"]
    assert sorted(said["conditions"], key=str) == sorted(told["conditions"], key=str)
    own = {"policy", "x-amz-signature"}
    assert {k: v for k, v in policy.fields.items() if k not in own} == {
        k: v for k, v in theirs.items() if k not in own
    }
    assert policy.url.rstrip("/") == expected["url"].rstrip("/")


@pytest.mark.usefixtures("frozen")
def test_a_policy_is_signed_as_botocore_signs_it() -> None:
    policy = signed_policy(ours(TEMPORARY, "eu-west-1"), "https://b.example.org", "b", "run/", 60)
    credentials = botocore.credentials.Credentials("ASIAEXAMPLE", TEMPORARY.secret_key, "-")
    signer = botocore.auth.S3SigV4PostAuth(credentials, "s3", "eu-west-1")
    request = botocore.awsrequest.AWSRequest("POST", "https://b.example.org")
    request.context["timestamp"] = ours(TEMPORARY, "eu-west-1").time
    assert signer.signature(policy.fields["policy"], request) == policy.fields["x-amz-signature"]


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["static", "temporary"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_request_is_signed_as_botocore_does(method: str, name: str, keys: Keys) -> None:
    body = b"content" if method == "PUT" else b""
    headers = {"Content-MD5": "abc=="} if method == "PUT" else {}
    query = {"list-type": "2", "prefix": "ü b/+&=?", "continuation-token": "a/b=="}
    url = object_url(Addressing(OWN).bucket_url("bucket", ""), name) + "?" + query_string(query)
    signer = botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials(keys.access_key, keys.secret_key, keys.token or None),
        "s3",
        "eu-west-1",
    )
    request = botocore.awsrequest.AWSRequest(method, url, dict(headers), body)
    request.context["client_config"] = botocore.config.Config(s3={"payload_signing_enabled": True})
    signer.add_auth(request)
    sent = signed_headers(ours(keys, "eu-west-1"), method, url, headers, body)
    assert sent["Authorization"] == request.headers["Authorization"]


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("keys", [KEYS, TEMPORARY], ids=["static", "temporary"])
def test_a_request_to_another_service_is_signed_as_botocore_does(keys: Keys) -> None:
    url, body, form = "https://sts.eu-west-1.amazonaws.com/", b"Action=x", {"Content-Type": "a/b"}
    signer = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials(keys.access_key, keys.secret_key, keys.token or None),
        "sts",
        "eu-west-1",
    )
    sent = signed_headers(Scope(keys, "eu-west-1", NOW, "sts"), "POST", url, form, body)
    digest = {"x-amz-content-sha256": sent["x-amz-content-sha256"]}
    request = botocore.awsrequest.AWSRequest("POST", url, form | digest, body)
    signer.add_auth(request)
    assert sent["Authorization"] == request.headers["Authorization"]
