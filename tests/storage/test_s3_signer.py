"""With which keys a container task's job reads and writes: with those that live longest."""

import datetime
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.forms import fetched
from support.ministack import allow, ministack
from support.s3 import SECRET_KEY, s3_store
from support.storage_front import Answer, faulty_server
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.errors import StorageFailed
from perian_shim.storage.base import Signing
from perian_shim.storage.s3 import S3Store

STATIC = {"aws_access_key_id": "AKIAOFTHETASK", "aws_secret_access_key": SECRET_KEY}
TEMPORARY = {
    "AWS_ACCESS_KEY_ID": "ASIAOFTHEPOD",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
}
LASTING = {"AWS_ACCESS_KEY_ID": "AKIAOFTHEPOD", "AWS_SECRET_ACCESS_KEY": "secret"}
NOTHING: Mapping[str, str] = {}


def store_of(
    environ: Mapping[str, str],
    secrets: Mapping[str, str] = NOTHING,
    endpoint: str = "http://[::1]:9",
) -> S3Store:
    """The store of a pod with such keys, for a task with such secrets."""
    whole = {"HOME": "/no/such/home", "FLYTE_AWS_ENDPOINT": endpoint, **environ}
    return S3Store.from_environment(whole, lambda _: None, secrets)


def signer_of(store: S3Store) -> str:
    """The id of the key that signs what a job is given."""
    (url,) = store.presign(["s3://bucket/key"], 60)
    return url.partition("X-Amz-Credential=")[2].partition("%2F")[0]


# --- which keys sign ---


def test_static_keys_in_the_secrets_sign_for_a_pod_whose_own_are_temporary() -> None:
    assert signer_of(store_of(TEMPORARY, STATIC)) == "AKIAOFTHETASK"


def test_a_pods_own_static_keys_sign() -> None:
    assert signer_of(store_of(LASTING, STATIC)) == "AKIAOFTHEPOD"


@pytest.mark.parametrize(
    "secrets",
    [
        {},
        {"aws_access_key_id": "half"},
        {**STATIC, "aws_session_token": "token"},
        {**STATIC, "aws_endpoint_url": "https://another.example.org"},
    ],
    ids=["nothing", "half a key", "temporary keys", "keys of another store"],
)
def test_no_other_secrets_sign(secrets: Mapping[str, str]) -> None:
    assert signer_of(store_of(TEMPORARY, secrets)) == "ASIAOFTHEPOD"


def test_keys_for_the_same_store_sign_wherever_its_name_stands() -> None:
    secrets = {**STATIC, "aws_endpoint_url": "https://public.example.org/"}
    environ = {**TEMPORARY, "PERIAN_S3_PUBLIC_ENDPOINT": "https://public.example.org"}
    assert signer_of(store_of(environ, secrets)) == "AKIAOFTHETASK"


def test_the_region_in_the_secrets_is_not_the_stores() -> None:
    store = store_of({**TEMPORARY, "AWS_REGION": "eu-west-1"}, {**STATIC, "aws_region": "x-1"})
    assert "%2Feu-west-1%2Fs3%2F" in store.presign(["s3://bucket/key"], 60)[0]


def test_only_what_a_job_is_given_is_signed_with_the_tasks_keys() -> None:
    with faulty_server(lambda _: Answer(404)) as server:
        store = store_of(TEMPORARY, STATIC, server.url)
        policy = store.upload_policy("s3://bucket/run", 60)
        (tried,) = [at for at in server.seen if at.path == "/bucket/run"]
        store.read("s3://bucket/own", 100)
    assert policy.fields["x-amz-credential"].startswith("AKIAOFTHETASK/")
    assert "x-amz-security-token" not in policy.fields
    assert "Credential=AKIAOFTHETASK/" in tried.headers["authorization"]
    assert "Credential=ASIAOFTHEPOD/" in server.seen[-1].headers["authorization"]


def test_what_the_tasks_keys_signed_outlives_the_pods_keys() -> None:
    aws = ministack()
    bucket, user = aws.bucket(), aws.user(allow(["s3:*", "sts:*"]))
    aws.s3().put_object(Bucket=bucket, Key="x", Body=b"content")
    pod = aws.short_lived(aws.role(allow("s3:*")), seconds=1)
    environ = {
        "AWS_ACCESS_KEY_ID": pod.access_key,
        "AWS_SECRET_ACCESS_KEY": pod.secret_key,
        "AWS_SESSION_TOKEN": pod.token,
    }
    secrets = {"aws_access_key_id": user.access_key, "aws_secret_access_key": user.secret_key}
    (theirs,) = store_of(environ, secrets, aws.url).presign([f"s3://{bucket}/x"], 600)
    (own,) = store_of(environ, {}, aws.url).presign([f"s3://{bucket}/x"], 600)
    wait_until(lambda: fetched(own)[0] != 200, LONG_SECONDS, "the pod's keys end")
    assert fetched(theirs) == (200, b"content")


# --- for how long it is good ---


def test_what_static_keys_sign_does_not_end_by_itself() -> None:
    assert store_of(LASTING).signing() == Signing(None)
    assert s3_store().signing() == Signing(None)


def test_what_the_tasks_static_keys_sign_does_not_end_by_itself() -> None:
    assert store_of(TEMPORARY, STATIC).signing() == Signing(None)


def test_nothing_is_promised_of_temporary_keys_without_a_known_end() -> None:
    assert store_of(TEMPORARY).signing() == Signing(0.0, renewed=False)


def ends_in(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.timezone.utc)
    return moment.isoformat()


def test_given_keys_end_when_they_say_and_nothing_follows() -> None:
    signing = store_of({**TEMPORARY, "AWS_CREDENTIAL_EXPIRATION": ends_in(1800)}).signing()
    assert signing.seconds == pytest.approx(1800, abs=60)
    assert not signing.renewed


def test_keys_that_have_ended_sign_for_no_time() -> None:
    store = store_of({**TEMPORARY, "AWS_CREDENTIAL_EXPIRATION": ends_in(-10)})
    assert store.signing() == Signing(0.0, renewed=False)


def test_keys_of_a_web_identity_are_followed_by_others(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the pod's token")
    credentials = (
        "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        f"<SessionToken>t</SessionToken><Expiration>{ends_in(3600)}</Expiration></Credentials>"
    )
    with faulty_server(lambda _: Answer(body=credentials.encode())) as server:
        signing = store_of(
            {
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/pod",
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
                "AWS_ENDPOINT_URL_STS": server.url,
            }
        ).signing()
    assert signing.seconds == pytest.approx(3600, abs=60)
    assert signing.renewed


def test_without_keys_of_its_own_a_pod_signs_nothing() -> None:
    store = store_of({"AWS_EC2_METADATA_DISABLED": "true"}, STATIC)
    with pytest.raises(StorageFailed, match="no credentials"):
        store.signing()
