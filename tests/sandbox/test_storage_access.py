"""The sandbox's S3 lets nobody in who has no keys: signatures, expiry, policies, other origins."""

import base64
import datetime
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.utils
import pytest
import requests
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.sandbox.s3.policies import check_policy
from perian_shim.sandbox.s3.process import REGION, ObjectStorage
from perian_shim.sandbox.s3.signatures import UNSIGNED, Denied, Keyring, Signed

BUCKET = "data"
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
HOUR = datetime.timedelta(hours=1)
KEYS = Keyring("access", "secret", now=lambda: NOW)
ORIGIN = {"Origin": "https://somewhere.example.org"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    running = ObjectStorage(tmp_path_factory.mktemp("storage") / "log", bucket=BUCKET)
    running.start()
    with client(running) as owner:
        owner.put_object(Bucket=BUCKET, Key="mine", Body=b"content")
    yield running
    running.stop()


class client:  # noqa: N801 - used as a function
    """A client that is closed in the end; boto3's clients are no context managers of their own."""

    def __init__(self, storage: ObjectStorage, **other: str) -> None:
        self.made = boto3.client(
            "s3",
            endpoint_url=storage.endpoint,
            aws_access_key_id=other.get("access", storage.access_key_id),
            aws_secret_access_key=other.get("secret", storage.secret_access_key),
            region_name=REGION,
            config=Config(
                signature_version=other.get("version", "s3v4"),
                proxies={},
                retries={"total_max_attempts": 1},
            ),
        )

    def __enter__(self) -> Any:
        return self.made

    def __exit__(self, *_: object) -> None:
        self.made.close()


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_keys_are_random_and_in_no_argument_and_no_repr(storage: ObjectStorage) -> None:
    assert storage.process is not None
    arguments = Path(f"/proc/{storage.process.pid}/cmdline").read_bytes()
    for key in (storage.access_key_id, storage.secret_access_key):
        assert key.encode() not in arguments
        assert key not in repr(storage)
    assert ObjectStorage(Path("log")).secret_access_key != storage.secret_access_key


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "HEAD", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/", f"/{BUCKET}", f"/{BUCKET}/mine", "/moto-api/reset"])
def test_who_signs_nothing_is_refused(storage: ObjectStorage, method: str, path: str) -> None:
    with requests.request(method, storage.endpoint + path, data=b"x", timeout=30) as answer:
        assert answer.status_code == 403
    with client(storage) as owner:
        assert owner.get_object(Bucket=BUCKET, Key="mine")["Body"].read() == b"content"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"access": "stranger"}, "InvalidAccessKeyId"),
        ({"secret": "guessed"}, "SignatureDoesNotMatch"),
        ({"version": "s3"}, "AccessDenied"),
    ],
)
def test_other_keys_and_older_signatures_are_refused(
    storage: ObjectStorage, other: dict[str, str], code: str
) -> None:
    with client(storage, **other) as stranger, pytest.raises(Exception, match=code):
        stranger.get_object(Bucket=BUCKET, Key="mine")


def test_a_page_of_another_origin_is_allowed_nothing(storage: ObjectStorage) -> None:
    asked = {**ORIGIN, "Access-Control-Request-Method": "PUT"}
    url = f"{storage.endpoint}/{BUCKET}/mine"
    answers = [requests.options(url, headers=asked, timeout=30)]
    with client(storage) as owner:
        presigned = owner.generate_presigned_url(
            "get_object", Params={"Bucket": BUCKET, "Key": "mine"}
        )
    answers.append(requests.get(presigned, headers=ORIGIN, timeout=30))
    assert [answer.status_code for answer in answers] == [403, 200]
    for answer in answers:
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_presigned_url_opens_its_object_and_nothing_else(storage: ObjectStorage) -> None:
    with client(storage) as owner:
        url = owner.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "mine"})
    assert requests.get(url, timeout=30).content == b"content"
    for changed in (
        url.replace("/mine", "/other"),
        url.replace("X-Amz-Expires=3600", "X-Amz-Expires=360000"),
        url + "&versionId=1",
        url[:-1] + ("0" if url[-1] != "0" else "1"),
    ):
        assert code_of(requests.get(changed, timeout=30)) == (403, "SignatureDoesNotMatch")
    assert requests.put(url, data=b"x", timeout=30).status_code == 403


def test_a_body_that_is_not_the_one_signed_is_refused(storage: ObjectStorage) -> None:
    url = f"{storage.endpoint}/{BUCKET}/changed"
    headers = by_botocore(storage, "PUT", url, b"signed")
    answer = requests.put(url, data=b"another", headers=headers, timeout=30)
    assert code_of(answer) == (400, "XAmzContentSHA256Mismatch")
    assert requests.put(url, data=b"signed", headers=headers, timeout=30).status_code == 200


def test_an_amazon_header_that_is_not_signed_is_refused(storage: ObjectStorage) -> None:
    url = f"{storage.endpoint}/{BUCKET}/changed"
    headers = by_botocore(storage, "PUT", url, b"signed")
    headers["x-amz-copy-source"] = f"/{BUCKET}/mine"
    answer = requests.put(url, data=b"signed", headers=headers, timeout=30)
    assert code_of(answer) == (403, "AccessDenied")


def test_an_amazon_header_with_an_underscore_can_be_signed(storage: ObjectStorage) -> None:
    url, name = f"{storage.endpoint}/{BUCKET}/underscore", "x-amz-meta-content_type"
    request = botocore.awsrequest.AWSRequest("PUT", url, {name: "text/html"}, data=b"signed")
    headers = by_botocore(storage, "PUT", url, b"signed", request)
    assert requests.put(url, data=b"signed", headers=headers, timeout=30).status_code == 200
    del headers[name]
    answer = requests.put(url, data=b"signed", headers=headers, timeout=30)
    assert code_of(answer) == (403, "AccessDenied")


def by_botocore(
    storage: ObjectStorage, method: str, url: str, body: bytes, request: Any = None
) -> dict[str, str]:
    request = request or botocore.awsrequest.AWSRequest(method, url, data=body)
    keys = botocore.credentials.Credentials(storage.access_key_id, storage.secret_access_key)
    botocore.auth.S3SigV4Auth(keys, "s3", REGION).add_auth(request)
    return dict(request.headers.items())


Form = tuple[str, dict[str, str]]


@pytest.fixture
def form(storage: ObjectStorage) -> Form:
    with client(storage) as owner:
        post = owner.generate_presigned_post(
            BUCKET,
            "below/${filename}",
            Conditions=[["starts-with", "$key", "below/"], ["content-length-range", 1, 10]],
        )
    return post["url"], post["fields"]


def posted(form: Form, content: bytes = b"12345", **fields: str) -> tuple[int, str]:
    files = {"file": ("name", content)}
    url, given = form
    return code_of(requests.post(url, data={**given, **fields}, files=files, timeout=30))


def test_a_form_does_what_its_policy_allows(storage: ObjectStorage, form: Form) -> None:
    assert posted(form) == (204, "")
    with client(storage) as owner:
        assert owner.get_object(Bucket=BUCKET, Key="below/name")["Body"].read() == b"12345"


@pytest.mark.parametrize(
    ("fields", "content", "refusal"),
    [
        ({"key": "above"}, b"12345", (403, "AccessDenied")),
        ({"acl": "public-read"}, b"12345", (403, "AccessDenied")),
        ({"policy": "e30="}, b"12345", (403, "SignatureDoesNotMatch")),
        ({"x-amz-signature": "0" * 64}, b"12345", (403, "SignatureDoesNotMatch")),
        ({"x-amz-credential": "stranger/20260101/us-east-1/s3/aws4_request"}, b"12345",
         (403, "InvalidAccessKeyId")),
        ({}, b"", (400, "EntityTooSmall")),
        ({}, b"12345678901", (400, "EntityTooLarge")),
    ],
)  # fmt: skip
def test_a_form_that_its_policy_does_not_allow_is_refused(
    form: Form, fields: dict[str, str], content: bytes, refusal: tuple[int, str]
) -> None:
    assert posted(form, content, **fields) == refusal


def test_a_form_to_another_bucket_is_refused(form: Form) -> None:
    assert posted((form[0].replace(f"/{BUCKET}", "/another"), form[1])) == (403, "AccessDenied")


def test_a_form_without_a_policy_is_refused(form: Form) -> None:
    assert posted((form[0], {"key": "below/x"})) == (403, "AccessDenied")


def signed_by_botocore(url: str, expires: int, when: datetime.datetime) -> str:
    request = botocore.awsrequest.AWSRequest("GET", url)
    keys = botocore.credentials.Credentials("access", "secret")
    with frozen(when):
        botocore.auth.S3SigV4QueryAuth(keys, "s3", REGION, expires=expires).add_auth(request)
    return str(request.url)


class frozen:  # noqa: N801 - used as a function
    """botocore's clock, stopped: it has one of two names, by version."""

    def __init__(self, when: datetime.datetime) -> None:
        self.when, self.patch = when, pytest.MonkeyPatch()

    def __enter__(self) -> None:
        def now(*_: object, **__: object) -> datetime.datetime:
            return self.when

        if hasattr(botocore.auth, "get_current_datetime"):
            self.patch.setattr(botocore.auth, "get_current_datetime", now)
        else:
            clock = type("Clock", (datetime.datetime,), {"utcnow": staticmethod(now)})
            module = types.SimpleNamespace(datetime=clock)
            self.patch.setattr(botocore.auth, "datetime", module)

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


def received(url: str) -> Signed:
    parts = urlsplit(url)
    return Signed("GET", parts.path, parts.query, {"host": parts.netloc})


@given(key=st.text(min_size=1).filter(lambda key: key.isprintable()))
def test_botocores_urls_are_good_whatever_the_key(key: str) -> None:
    quoted = botocore.utils.percent_encode(key, safe="/~")
    url = signed_by_botocore(f"http://localhost:9/{BUCKET}/{quoted}", 60, NOW)
    assert KEYS.check(received(url)) == UNSIGNED


@pytest.mark.parametrize(
    ("ago", "expires", "message"),
    [
        (HOUR, 3599, "Request has expired"),
        (-HOUR, 7200, "Request is not valid yet"),
        (HOUR, 8 * 24 * 3600, "less than a week"),
    ],
)
def test_a_url_is_good_from_its_time_until_it_expires(
    ago: datetime.timedelta, expires: int, message: str
) -> None:
    url = signed_by_botocore(f"http://localhost:9/{BUCKET}/x", expires, NOW - ago)
    with pytest.raises(Denied, match=message):
        KEYS.check(received(url))


def test_a_url_is_good_in_its_last_second() -> None:
    url = signed_by_botocore(f"http://localhost:9/{BUCKET}/x", 3600, NOW - HOUR)
    assert KEYS.check(received(url)) == UNSIGNED


def test_a_signed_request_is_good_for_a_quarter_of_an_hour() -> None:
    request = botocore.awsrequest.AWSRequest("GET", "http://localhost:9/")
    keys = botocore.credentials.Credentials("access", "secret")
    botocore.auth.S3SigV4Auth(keys, "s3", REGION).add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = Signed("GET", "/", "", {**headers, "host": "localhost:9"})
    signed_at = datetime.datetime.now(datetime.timezone.utc)

    def checked(after: float) -> str:
        late = signed_at + datetime.timedelta(seconds=after)
        return Keyring("access", "secret", now=lambda: late).check(asked)

    assert checked(800)
    for after in (-1000, 1000):
        with pytest.raises(Denied, match="too large"):
            checked(after)


def policy(*conditions: object, expiration: str = "2999-01-01T00:00:00.000Z") -> dict[str, str]:
    document = {"expiration": expiration, "conditions": list(conditions)}
    return {"policy": base64.b64encode(json.dumps(document).encode()).decode(), "key": "a/b"}


def test_a_policy_that_has_ended_allows_nothing() -> None:
    ended = f"{NOW - datetime.timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    fields = policy(["starts-with", "$key", ""], expiration=ended)
    with pytest.raises(Denied, match="expired"):
        check_policy(fields, BUCKET, 1, NOW)


@pytest.mark.parametrize(
    "condition",
    [
        {"key": "a"},
        ["eq", "$key", "a"],
        ["starts-with", "$key", "b"],
        ["ends-with", "$key", "b"],
        {"key": "a/b", "acl": "private"},
        {"bucket": "another"},
        "key",
        ["content-length-range", 2, 9],
        ["content-length-range", "0", "9"],
    ],
)
def test_a_condition_that_is_not_met_or_not_understood_refuses(condition: object) -> None:
    with pytest.raises(Denied):
        check_policy(policy(["starts-with", "$key", "a"], condition), BUCKET, 1, NOW)


@pytest.mark.parametrize("text", ["", "!", "e30=", "W10="])
def test_what_is_no_policy_refuses(text: str) -> None:
    with pytest.raises(Denied):
        check_policy({"policy": text, "key": "a"}, BUCKET, 1, NOW)
