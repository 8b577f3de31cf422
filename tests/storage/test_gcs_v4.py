"""Google's signature version 4: the same as Google's own library makes, which need not be there."""

import base64
import datetime
import json
from typing import Any

import pytest
from google.oauth2.service_account import Credentials
from support.gcs_verifier import SIGNER, GoogleCloud

from perian_shim.storage.gcs_v4 import Stamp, bucket_url, unsigned_get, unsigned_policy
from perian_shim.storage.s3_address import object_url

URL = "https://storage.googleapis.com"
NOW = datetime.datetime(2030, 1, 31, 12, 0, 0, tzinfo=datetime.timezone.utc)
STAMP = Stamp(SIGNER, NOW)
KEYS = [
    "key",
    "a b/c+d",
    "a//b",
    "/in front",
    "p?q#r%25&s=t",
    "日本/🚀~_.-",
    "'\"\\",
    "%2F",
    "a/../b",
]


@pytest.fixture(scope="module")
def credentials() -> Any:
    with GoogleCloud() as google:
        document = json.loads(google.key())
    return Credentials.from_service_account_info(document)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("base", [URL, "http://localhost:4443"])
def test_a_url_is_the_one_that_googles_library_makes(key: str, base: str, credentials: Any) -> None:
    signing = pytest.importorskip("google.cloud.storage._signing")
    unsigned = unsigned_get(STAMP, object_url(bucket_url(base, "a-bucket"), key), 3600)
    theirs = signing.generate_signed_url_v4(
        credentials,
        object_url("/a-bucket", key),
        3600,
        api_access_endpoint=base,
        _request_timestamp=STAMP.time,
    )
    assert unsigned.signed(credentials.sign_bytes(unsigned.text.encode())) == theirs


def test_a_policy_has_the_fields_that_googles_library_makes(credentials: Any) -> None:
    storage = pytest.importorskip("google.cloud.storage")
    client = storage.Client(project="project", credentials=credentials)
    theirs = client.generate_signed_post_policy_v4(
        "a-bucket", "key", datetime.timedelta(seconds=60), fields={"success_action_status": "201"}
    )
    ours = unsigned_policy(STAMP, URL, "a-bucket", "out/", 60).signed(b"")
    assert ours.url == theirs["url"]
    assert ours.fields.keys() == theirs["fields"].keys() - {"key"}


def test_a_policy_allows_one_prefix_of_one_bucket_until_its_end() -> None:
    policy = unsigned_policy(STAMP, URL, "a-bucket", "out/ü/", 90)
    document = json.loads(base64.b64decode(policy.text))
    assert document == {
        "expiration": "2030-01-31T12:01:30Z",
        "conditions": [
            ["starts-with", "$key", "out/ü/"],
            ["content-length-range", 0, 5 * 1024**3],
            {"bucket": "a-bucket"},
            {"success_action_status": "201"},
            {"x-goog-algorithm": "GOOG4-RSA-SHA256"},
            {"x-goog-credential": f"{SIGNER}/20300131/auto/storage/goog4_request"},
            {"x-goog-date": "20300131T120000Z"},
        ],
    }


def test_a_signature_is_in_no_repr() -> None:
    policy = unsigned_policy(STAMP, URL, "a-bucket", "out/", 90).signed(b"\xab\xcd")
    assert policy.fields["x-goog-signature"] == "abcd"
    assert "abcd" not in repr(policy)
