"""What a bucket demands is honoured, by the pod and by what a job is given, or refused in time."""

import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from support.forms import fetched, posted
from support.ministack import REGION, Ministack, allow, ministack
from support.storage_front import Answer, FaultyStorage, faulty_server, s3_error

from perian_shim.errors import ConfigError, StorageFailed
from perian_shim.storage.s3 import S3Store
from perian_shim.storage.s3_keys import Keys

MIB = 1024**2
KEY = "arn:aws:kms:us-east-1:000000000000:key/1"
KMS = {"PERIAN_S3_SSE": "aws:kms"}
PAYS = {"PERIAN_S3_REQUEST_PAYER": "requester"}
PAYER = "x-amz-request-payer"


@pytest.fixture
def aws() -> Ministack:
    return ministack()


@pytest.fixture
def user(aws: Ministack) -> Keys:
    """A user who may do anything on S3."""
    return aws.user(allow("s3:*"))


def store_of(keys: Keys, endpoint: str, **variables: str) -> S3Store:
    """The store of a pod that has such keys."""
    return S3Store.from_environment(
        {
            "HOME": "/no/such/home",
            "FLYTE_AWS_ENDPOINT": endpoint,
            "FLYTE_AWS_ACCESS_KEY_ID": keys.access_key,
            "FLYTE_AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            **variables,
        },
        lambda _: None,
    )


def works(store: S3Store, bucket: str) -> None:
    """Expect that the pod and a job can do what they do with a bucket."""
    uri = f"s3://{bucket}/run/own"
    store.write(uri, b"own")
    assert (store.read(uri, 100), store.size(uri)) == (b"own", 3)
    assert fetched(store.presign([uri], 60)[0]) == (200, b"own")
    status, said = posted(store.upload_policy(f"s3://{bucket}/run", 60), "output")
    assert status == 201, said
    parts = [f"s3://{bucket}/run/{number}" for number in range(2)]
    for part in parts:
        store.write(part, bytes(5 * MIB))
    store.join(parts, f"s3://{bucket}/run/joined")
    found = {item.uri: item.size for item in store.iter_objects(f"s3://{bucket}/run")}
    assert found[f"s3://{bucket}/run/output"] == len("content")
    assert found[f"s3://{bucket}/run/joined"] == 10 * MIB


# --- encryption ---


@pytest.fixture
def encrypted(aws: Ministack) -> str:
    """A bucket whose policy denies what is not said to be encrypted with a key."""
    bucket = aws.bucket()
    aws.put_bucket_policy(
        bucket,
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
        },
    )
    return bucket


def test_a_bucket_that_demands_encryption_gets_it(
    aws: Ministack, user: Keys, encrypted: str
) -> None:
    works(store_of(user, aws.url, **KMS, PERIAN_S3_SSE_KMS_KEY_ID=KEY), encrypted)
    for name in ("own", "output", "joined"):
        head = aws.s3().head_object(Bucket=encrypted, Key=f"run/{name}")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEY)


def test_without_the_setting_it_refuses_the_pods_first_write(
    aws: Ministack, user: Keys, encrypted: str
) -> None:
    with pytest.raises(StorageFailed, match="AccessDenied"):
        store_of(user, aws.url).write(f"s3://{encrypted}/run/x", b"")


def test_a_job_cannot_leave_out_the_encryption(aws: Ministack, user: Keys, encrypted: str) -> None:
    policy = store_of(user, aws.url, **KMS).upload_policy(f"s3://{encrypted}/run", 60)
    fields = {**policy.fields}
    del fields["x-amz-server-side-encryption"]
    status, _ = posted(replace(policy, fields=fields), "x")
    assert status == 403


@pytest.mark.parametrize(
    "variables",
    [
        {"PERIAN_S3_SSE": "rot13"},
        {"PERIAN_S3_SSE_KMS_KEY_ID": KEY},
        {"PERIAN_S3_SSE": "AES256", "PERIAN_S3_SSE_KMS_KEY_ID": KEY},
        {"PERIAN_S3_REQUEST_PAYER": "somebody"},
    ],
    ids=str,
)
def test_a_setting_that_s3_does_not_know_is_an_error(variables: Mapping[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(variables))):
        store_of(Keys("a", "b"), "http://localhost:9", **variables)


# --- requester pays ---


def demanding(server: FaultyStorage) -> list[bool]:
    """Of each request, whether it says that we pay."""
    return [at.headers.get(PAYER) == "requester" for at in server.seen]


def test_all_requests_say_that_who_asks_pays() -> None:
    page = Answer(body=b"<ListBucketResult/>")
    with faulty_server(lambda _: page) as server:
        store = store_of(Keys("a", "b"), server.url, **PAYS)
        store.write("s3://bucket/x", b"")
        store.read("s3://bucket/x", 9)
        store.size("s3://bucket/x")
        store.delete("s3://bucket/x")
        list(store.iter_objects("s3://bucket/x"))
    assert demanding(server) == [True] * 5


def test_without_the_setting_none_does() -> None:
    with faulty_server(lambda _: Answer(404)) as server:
        store_of(Keys("a", "b"), server.url).read("s3://bucket/x", 9)
    assert demanding(server) == [False]


def test_what_a_job_is_given_says_it_and_is_signed(aws: Ministack, user: Keys) -> None:
    bucket = aws.bucket()
    store = store_of(user, aws.url, **PAYS)
    works(store, bucket)
    (url,) = store.presign([f"s3://{bucket}/run/own"], 60)
    assert f"&{PAYER}=requester" in url
    assert fetched(url.replace(f"&{PAYER}=requester", ""))[0] == 403
    assert store.upload_policy(f"s3://{bucket}/run", 60).fields[PAYER] == "requester"


# --- object lock ---


def locked(aws: Ministack, *, retention: bool) -> str:
    """A bucket with object lock."""
    bucket = aws.bucket(lock=True)
    if retention:
        rule: Any = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
        aws.s3().put_object_lock_configuration(
            Bucket=bucket,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
        )
    return bucket


def test_a_bucket_that_keeps_each_object_is_refused_before_a_job_is_paid_for(
    aws: Ministack, user: Keys
) -> None:
    bucket = locked(aws, retention=True)
    store = store_of(user, aws.url)
    with pytest.raises(StorageFailed, match="default retention") as raised:
        store.upload_policy(f"s3://{bucket}/run", 60)
    assert "another bucket" in str(raised.value)
    assert not raised.value.passing


def test_the_pod_itself_can_write_to_such_a_bucket(aws: Ministack, user: Keys) -> None:
    bucket = locked(aws, retention=True)
    store = store_of(user, aws.url)
    store.write(f"s3://{bucket}/x", b"x")
    assert store.size(f"s3://{bucket}/x") == 1


def test_a_lock_that_keeps_nothing_by_itself_is_no_obstacle(aws: Ministack, user: Keys) -> None:
    works(store_of(user, aws.url), locked(aws, retention=False))


def test_who_may_not_ask_for_locks_is_not_refused(aws: Ministack) -> None:
    bucket = aws.bucket()
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
    works(store_of(aws.user(allow(objects)), aws.url), bucket)


def test_a_store_that_knows_no_locks_is_asked_once() -> None:
    unknown = Answer(501, s3_error("NotImplemented", "A header or query is not implemented."))
    with faulty_server(lambda at: unknown if "object-lock" in at.target else Answer(404)) as server:
        store_of(Keys("a", "b"), server.url).upload_policy("s3://bucket/run", 60)
    assert len([at for at in server.seen if "object-lock" in at.target]) == 1


# --- names and places ---


def test_a_buckets_name_may_have_dots(aws: Ministack, user: Keys) -> None:
    works(store_of(user, aws.url), aws.bucket("with.dots.in-it"))


def test_a_bucket_may_be_in_another_region(aws: Ministack, user: Keys) -> None:
    works(store_of(user, aws.url), aws.bucket(region="eu-west-1"))


def test_an_endpoint_may_take_buckets_in_its_host_name(
    aws: Ministack, user: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = socket.getaddrinfo

    def found(host: Any, *arguments: Any, **options: Any) -> Any:
        """Find every name below localhost here, as a resolver should."""
        known = "127.0.0.1" if str(host).endswith(".localhost") else host
        return resolved(known, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    bucket = aws.bucket()
    endpoint = f"http://s3.localhost:{aws.port}"
    store = store_of(user, endpoint, FLYTE_AWS_ADDRESSING_STYLE="virtual")
    assert store.presign([f"s3://{bucket}/x"], 60)[0].startswith(
        f"http://{bucket}.s3.localhost:{aws.port}/x?"
    )
    works(store, bucket)
