"""Temporary keys of AWS for a job: who can ask for them, what they can do and what they cannot."""

import base64
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore.exceptions import ClientError
from support import s3fs_job
from support.front import Exchange
from support.ministack import ACCOUNT, REGION, Ministack, allow, ministack
from support.storage_front import (
    UNWELL,
    Answer,
    FaultyStorage,
    StorageFront,
    faulty_server,
    in_turn,
    s3_error,
)
from support.waiting import LONG_SECONDS, wait_until
from support.web_identities import TokenDesk, web_token

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.sandbox.server.application import Response
from perian_shim.storage.aws_scoped import AwsScoper
from perian_shim.storage.reach import Reach
from perian_shim.storage.s3_keys import Keys
from perian_shim.storage.web import Web

EVERYTHING = allow(["s3:*", "sts:*", "kms:*"])
SUBJECT = "system:serviceaccount:flyte:default"
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/1"


@pytest.fixture
def aws() -> Ministack:
    return ministack()


def secrets_of(keys: Keys, **more: str) -> dict[str, str]:
    """Keys as a task's secrets."""
    return {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        **({"aws_session_token": keys.token} if keys.token else {}),
        **more,
    }


def found(
    secrets: Mapping[str, str], environ: Mapping[str, str] | None = None, **options: Any
) -> AwsScoper | None:
    """Whoever asks for a job's keys."""
    whole = {"HOME": "/no/such/home", "AWS_EC2_METADATA_DISABLED": "true", **(environ or {})}
    return AwsScoper.find(secrets, whole, Web(whole, sleep=lambda _: None), **options)


def scoper(*arguments: Any, **options: Any) -> AwsScoper:
    """Whoever asks for a job's keys, if there is one."""
    scoper = found(*arguments, **options)
    assert scoper is not None
    return scoper


# --- what the keys can do, whoever asked for them ---

Asker = Callable[[Ministack, ExitStack], AwsScoper]
"""What is entered meanwhile is left by the stack."""


def by_role_and_keys(aws: Ministack, _: ExitStack) -> AwsScoper:
    role, user = aws.role(EVERYTHING), aws.user(allow("sts:AssumeRole"))
    return scoper(secrets_of(user, aws_role_arn=role, aws_sts_endpoint_url=aws.url))


def by_role_and_pod(aws: Ministack, _: ExitStack) -> AwsScoper:
    user = aws.user(allow("sts:AssumeRole"))
    environ = {"AWS_ACCESS_KEY_ID": user.access_key, "AWS_SECRET_ACCESS_KEY": user.secret_key}
    secrets = {"aws_role_arn": aws.role(EVERYTHING)}
    return scoper(secrets, {**environ, "AWS_ENDPOINT_URL_STS": aws.url})


def by_federation(aws: Ministack, _: ExitStack) -> AwsScoper:
    return scoper(secrets_of(aws.user(EVERYTHING), aws_sts_endpoint_url=aws.url))


def by_web_identity(aws: Ministack, stack: ExitStack) -> AwsScoper:
    desk = stack.enter_context(TokenDesk(aws))
    folder = stack.enter_context(TemporaryDirectory())
    environ = irsa(Path(folder), web_token()) | {"AWS_ROLE_ARN": aws.role(EVERYTHING)}
    return scoper({}, {**environ, "AWS_ENDPOINT_URL_STS": desk.url})


ASKERS = [by_role_and_keys, by_role_and_pod, by_federation, by_web_identity]


class Scene:
    """A bucket with inputs, and the keys of a job that may read them and write its own outputs."""

    def __init__(self, aws: Ministack, asker: Asker) -> None:
        self.aws = aws
        self.bucket = bucket = aws.bucket()
        for key in ("in/one.csv", "in/two.csv", "in/folder/x", "run/7/old", "run/8/other"):
            aws.s3().put_object(Bucket=bucket, Key=key, Body=key.encode())
        reach = Reach(
            (f"s3://{bucket}/in/one.csv",),
            (f"s3://{bucket}/in/folder/",),
            (f"s3://{bucket}/run/7/",),
        )
        with ExitStack() as stack:
            self.keys = asker(aws, stack).keys(reach)
        self.s3: Any = aws.s3(self.keys)


@pytest.fixture(scope="module", params=ASKERS)
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(ministack(), request.param)


def test_keys_for_a_job_have_an_end(scene: Scene) -> None:
    assert scene.keys.token
    assert scene.keys.expires is not None
    assert scene.keys.expires.timestamp() > time.time()


@pytest.mark.parametrize("key", ["in/one.csv", "in/folder/x", "run/7/old"])
def test_a_job_reads_its_inputs_and_what_it_wrote(scene: Scene, key: str) -> None:
    with scene.s3.get_object(Bucket=scene.bucket, Key=key)["Body"] as body:
        assert body.read() == key.encode()


def test_a_job_writes_and_lists_its_outputs(scene: Scene) -> None:
    scene.s3.put_object(Bucket=scene.bucket, Key="run/7/new", Body=b"x")
    listed = scene.s3.list_objects_v2(Bucket=scene.bucket, Prefix="run/7/")["Contents"]
    assert {"run/7/new", "run/7/old"} <= {item["Key"] for item in listed}


def deleted_all(s3: Any, bucket: str) -> None:
    """S3 answers 200 and says of each object that it was refused."""
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "run/7/old"}]})
    for error in answer.get("Errors", []):
        raise ClientError({"Error": {"Code": error["Code"]}}, "DeleteObjects")


ATTACKS: dict[str, Callable[[Any, str], object]] = {
    "another input": lambda s3, b: s3.get_object(Bucket=b, Key="in/two.csv"),
    "another run's outputs": lambda s3, b: s3.get_object(Bucket=b, Key="run/8/other"),
    "a write to another run": lambda s3, b: s3.put_object(Bucket=b, Key="run/8/x", Body=b""),
    "a write to a run of a like name": lambda s3, b: s3.put_object(
        Bucket=b, Key="run/70", Body=b""
    ),
    "a write to an input": lambda s3, b: s3.put_object(Bucket=b, Key="in/one.csv", Body=b""),
    "a write beside an input": lambda s3, b: s3.put_object(Bucket=b, Key="in/folder/y", Body=b""),
    "a large write to another run": lambda s3, b: s3.create_multipart_upload(
        Bucket=b, Key="run/8/x"
    ),
    "a copy of another's outputs": lambda s3, b: s3.copy_object(
        Bucket=b, Key="run/7/x", CopySource=f"{b}/run/8/other"
    ),
    "a listing of the bucket": lambda s3, b: s3.list_objects_v2(Bucket=b),
    "a listing of all runs": lambda s3, b: s3.list_objects_v2(Bucket=b, Prefix="run/"),
    "an old listing": lambda s3, b: s3.list_objects(Bucket=b),
    "a listing of versions": lambda s3, b: s3.list_object_versions(Bucket=b),
    "a listing of uploads": lambda s3, b: s3.list_multipart_uploads(Bucket=b),
    "a listing of buckets": lambda s3, b: s3.list_buckets(),  # noqa: ARG005
    "a deletion": lambda s3, b: s3.delete_object(Bucket=b, Key="run/7/old"),
    "a deletion of many": deleted_all,
    "a policy for the bucket": lambda s3, b: s3.put_bucket_policy(Bucket=b, Policy="{}"),
    "an access control list": lambda s3, b: s3.put_object_acl(
        Bucket=b, Key="run/7/old", ACL="public-read"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_store_refuses_a_job_anything_else(scene: Scene, attack: str) -> None:
    with pytest.raises(ClientError) as raised:
        ATTACKS[attack](scene.s3, scene.bucket)
    assert raised.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("action", ["assume_role", "get_federation_token", "get_session_token"])
def test_a_job_gets_no_further_keys_with_its_own(scene: Scene, action: str) -> None:
    wanted = {
        "assume_role": {"RoleArn": scene.aws.role(EVERYTHING), "RoleSessionName": "more"},
        "get_federation_token": {"Name": "more"},
        "get_session_token": {},
    }
    with pytest.raises(ClientError):
        getattr(scene.aws.client("sts", scene.keys), action)(**wanted[action])


def test_after_their_end_keys_are_good_for_nothing(aws: Ministack) -> None:
    bucket = aws.bucket()
    user = aws.user(EVERYTHING)
    short = scoper(secrets_of(user, aws_sts_endpoint_url=aws.url), seconds=1)
    s3 = aws.s3(short.keys(Reach(write=(f"s3://{bucket}/run/",))))

    def code() -> str:
        try:
            s3.put_object(Bucket=bucket, Key="run/x", Body=b"x")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ""

    assert wait_until(code, LONG_SECONDS, "the keys end") == "ExpiredToken"


def forbidding(exchange: Exchange) -> Response | None:
    """Say of an object that is not there what AWS says to whoever may not list the whole bucket."""
    response = exchange.answer()
    if response is None or response.status != 404 or exchange.request.method not in {"GET", "HEAD"}:
        return response
    return Response(
        403, b"" if exchange.request.method == "HEAD" else s3_error("AccessDenied", "no")
    )


def test_the_library_of_flytekit_works_with_such_keys(scene: Scene, tmp_path: Path) -> None:
    with StorageFront(scene.aws.url, forbidding) as front:
        done = subprocess.run(
            [
                *(sys.executable, s3fs_job.__file__, str(tmp_path)),
                *(f"s3://{scene.bucket}/in/folder/", f"s3://{scene.bucket}/run/7/out/"),
            ],
            env={
                "HOME": str(tmp_path),
                "AWS_ACCESS_KEY_ID": scene.keys.access_key,
                "AWS_SECRET_ACCESS_KEY": scene.keys.secret_key,
                "AWS_SESSION_TOKEN": scene.keys.token,
                "AWS_ENDPOINT_URL": front.url,
                "AWS_DEFAULT_REGION": REGION,
                "NO_PROXY": "*",
            },
            capture_output=True,
            text=True,
            timeout=LONG_SECONDS,
            check=False,
        )
        parts = [at for at in front.requests if "partNumber" in at.query]
    assert done.returncode == 0, done.stderr
    size = 2 * s3fs_job.PART + 1
    assert done.stdout.split("\n") == [
        f"deep/er/big {size}",
        "empty 0",
        f"streamed {s3fs_job.PART + 1}",
        "x 11",
        "",
    ]
    assert len(parts) >= 4


# --- who asks ---

STATIC = Keys("AKIAEXAMPLE", "wJalr/XUtn+FEMI")
TEMPORARY = Keys("ASIAEXAMPLE", "wJalr/XUtn+FEMI", "IQoJb3JpZ2lu/+==")
ROLE = "arn:aws:iam::123456789012:role/job"
REACH = Reach(("s3://bucket/in/x",), (), ("s3://bucket/run/7/",))
CREDENTIALS = Answer(
    body=b"<R><Credentials><AccessKeyId>ASIASCOPED</AccessKeyId>"
    b"<SecretAccessKey>secret/+</SecretAccessKey><SessionToken>token==</SessionToken>"
    b"<Expiration>2036-11-27T14:05:59Z</Expiration></Credentials></R>"
)
SCOPED = Keys(
    "ASIASCOPED",
    "secret/+",
    "token==",
    datetime.datetime(2036, 11, 27, 14, 5, 59, tzinfo=datetime.timezone.utc),
)


def irsa(directory: Path, token: str = "the pod's token") -> dict[str, str]:
    """The environment of a pod on EKS whose service account has a role."""
    (directory / "token").write_text(token)
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/pod",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(directory / "token"),
        "AWS_REGION": "eu-west-1",
    }


def asked_of(server: FaultyStorage, number: int = -1) -> dict[str, str]:
    """The parameters of a request."""
    return dict(parse_qsl(server.seen[number].body.decode()))


@pytest.fixture
def sts() -> Iterator[FaultyStorage]:
    with faulty_server(lambda _: CREDENTIALS) as server:
        yield server


def test_a_role_in_the_secrets_is_assumed_with_their_keys(sts: FaultyStorage) -> None:
    secrets = secrets_of(STATIC, aws_role_arn=ROLE, aws_region="eu-west-1")
    it = scoper({**secrets, "aws_sts_endpoint_url": sts.url}, pod_with_keys())
    assert (it.method, it.keys(REACH)) == ("AssumeRole", SCOPED)
    asked = asked_of(sts)
    assert (asked["Action"], asked["RoleArn"], asked["DurationSeconds"]) == (
        "AssumeRole",
        ROLE,
        "43200",
    )
    signed = sts.seen[0].headers["authorization"]
    assert f"Credential={STATIC.access_key}/" in signed
    assert "/eu-west-1/sts/aws4_request" in signed


def pod_with_keys() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "the pod's", "AWS_SECRET_ACCESS_KEY": "the pod's secret"}


def test_without_keys_in_the_secrets_their_role_is_assumed_by_the_pod(sts: FaultyStorage) -> None:
    it = scoper({"aws_role_arn": ROLE, "aws_sts_endpoint_url": sts.url}, pod_with_keys())
    assert (it.method, it.keys(REACH)) == ("AssumeRole", SCOPED)
    assert "Credential=the pod's/" in sts.seen[0].headers["authorization"]


def test_a_pod_with_a_web_identity_trades_it_in_one_step(
    sts: FaultyStorage, tmp_path: Path
) -> None:
    it = scoper({}, {**irsa(tmp_path), "AWS_ENDPOINT_URL_STS": sts.url})
    assert (it.method, it.keys(REACH)) == ("AssumeRoleWithWebIdentity", SCOPED)
    asked = asked_of(sts)
    assert asked["WebIdentityToken"] == "the pod's token"
    assert asked["DurationSeconds"] == "43200"
    assert "arn:aws:s3:::bucket/run/7/*" in asked["Policy"]
    assert "authorization" not in sts.seen[0].headers
    assert len(sts.seen) == 1


def test_a_web_identity_is_accepted_by_aws(aws: Ministack, tmp_path: Path) -> None:
    trusts = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"},
        "Condition": {"StringEquals": {f"{ISSUER}:sub": SUBJECT}},
    }
    bucket = aws.bucket()
    claims = json.dumps({"iss": f"https://{ISSUER}", "sub": SUBJECT}).encode()
    token = ".".join(base64.urlsafe_b64encode(part).decode() for part in (b"{}", claims, b"x"))
    environ = irsa(tmp_path, token) | {"AWS_ROLE_ARN": aws.role(EVERYTHING, trusts=trusts)}
    keys = scoper({}, {**environ, "AWS_ENDPOINT_URL_STS": aws.url}).keys(
        Reach(write=(f"s3://{bucket}/run/",))
    )
    aws.s3(keys).put_object(Bucket=bucket, Key="run/x", Body=b"x")


def test_a_web_identity_that_aws_refuses_is_named(aws: Ministack, tmp_path: Path) -> None:
    environ = irsa(tmp_path, web_token("somebody else"))
    with TokenDesk(aws) as desk:
        it = scoper({}, {**environ, "AWS_ENDPOINT_URL_STS": desk.url})
        with pytest.raises(StorageFailed, match="No such subject"):
            it.keys(REACH)


def test_static_keys_in_the_secrets_ask_for_a_federated_user(
    sts: FaultyStorage, tmp_path: Path
) -> None:
    it = scoper(secrets_of(STATIC, aws_sts_endpoint_url=sts.url), irsa(tmp_path))
    assert (it.method, it.keys(REACH)) == ("GetFederationToken", SCOPED)
    asked = asked_of(sts)
    assert asked["Name"].startswith("perian-shim")
    assert len(asked["Name"]) <= 32
    assert asked["DurationSeconds"] == "43200"


@pytest.mark.parametrize(
    ("secrets", "environ"),
    [
        ({}, {}),
        ({}, pod_with_keys()),
        (secrets_of(TEMPORARY), {}),
        ({"aws_access_key_id": "half"}, {}),
    ],
    ids=["nothing", "keys of the pod", "temporary keys", "half a key"],
)
def test_who_cannot_ask_does_not(secrets: Mapping[str, str], environ: Mapping[str, str]) -> None:
    assert found(secrets, environ) is None


@pytest.mark.parametrize(
    ("secrets", "environ"),
    [
        (secrets_of(STATIC, aws_endpoint_url="https://minio.example.org"), {}),
        (secrets_of(STATIC), {"FLYTE_AWS_ENDPOINT": "https://minio.example.org"}),
        (secrets_of(STATIC), {"AWS_ENDPOINT_URL_S3": "https://minio.example.org"}),
        (secrets_of(STATIC), {"AWS_ENDPOINT_URL": "https://minio.example.org"}),
        (
            secrets_of(STATIC, aws_endpoint_url="https://minio.example.org", aws_role_arn=ROLE),
            {"AWS_ENDPOINT_URL_STS": "https://sts.eu-west-1.amazonaws.com"},
        ),
    ],
)
def test_no_other_stores_keys_are_shown_to_aws(
    secrets: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    assert found(secrets, environ) is None


@pytest.mark.parametrize(
    "endpoint",
    ["https://s3.eu-west-1.amazonaws.com", "https://s3.cn-north-1.amazonaws.com.cn"],
)
def test_an_endpoint_of_aws_itself_is_no_other_store(endpoint: str) -> None:
    assert scoper(secrets_of(STATIC, aws_endpoint_url=endpoint)).method == "GetFederationToken"


def test_keys_of_aws_are_not_shown_to_the_pods_own_store(sts: FaultyStorage) -> None:
    secrets = secrets_of(STATIC, aws_endpoint_url="https://s3.eu-west-1.amazonaws.com")
    own = {"FLYTE_AWS_ENDPOINT": "https://minio.example.org", "AWS_ENDPOINT_URL_STS": sts.url}
    it = scoper(secrets, {**own, "HTTPS_PROXY": "http://127.0.0.1:9"})
    with pytest.raises(StorageFailed, match=r"sts\.amazonaws\.com"):
        it.keys(REACH)
    assert sts.seen == []


def test_nothing_of_a_key_is_in_what_is_said_of_it() -> None:
    it = scoper(secrets_of(STATIC, aws_role_arn=ROLE))
    said = f"{it!r} {it.method} {it.source}"
    assert ROLE in said
    assert STATIC.secret_key not in said
    assert STATIC.access_key not in said


# --- for how long ---

TOO_LONG = Answer(
    400,
    s3_error(
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    ),
)


def test_a_role_that_allows_an_hour_gives_keys_for_an_hour() -> None:
    with faulty_server(in_turn(TOO_LONG, CREDENTIALS)) as server:
        it = scoper(secrets_of(STATIC, aws_role_arn=ROLE, aws_sts_endpoint_url=server.url))
        assert (it.keys(REACH), it.keys(REACH)) == (SCOPED, SCOPED)
        asked = [asked_of(server, number)["DurationSeconds"] for number in range(3)]
    assert asked == ["43200", "3600", "3600"]


def test_temporary_keys_are_asked_for_an_hour(sts: FaultyStorage) -> None:
    secrets = secrets_of(TEMPORARY, aws_role_arn=ROLE, aws_sts_endpoint_url=sts.url)
    scoper(secrets).keys(REACH)
    assert asked_of(sts)["DurationSeconds"] == "3600"
    assert sts.seen[0].headers["x-amz-security-token"] == TEMPORARY.token


def test_a_refusal_of_any_life_is_told() -> None:
    with faulty_server(lambda _: TOO_LONG) as server, pytest.raises(StorageFailed) as raised:
        scoper(secrets_of(STATIC, aws_role_arn=ROLE, aws_sts_endpoint_url=server.url)).keys(REACH)
    assert "MaxSessionDuration" in raised.value.message
    assert len(server.seen) == 2


# --- refusals ---


def refusal(answer: Answer, **secrets: str) -> StorageFailed:
    """What is said when AWS answers so."""
    with faulty_server(lambda _: answer) as server, pytest.raises(StorageFailed) as raised:
        scoper(secrets_of(STATIC, aws_sts_endpoint_url=server.url, **secrets)).keys(REACH)
    return raised.value


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AccessDenied", "Allow the user sts:GetFederationToken"),
        ("InvalidClientTokenId", "Correct or renew"),
        ("RegionDisabledException", "Activate"),
        ("MalformedPolicyDocument", "plainer names"),
    ],
)
def test_a_refusal_says_why_and_what_to_do_and_is_final(code: str, remedy: str) -> None:
    failure = refusal(Answer(403, s3_error(code, "the reason")))
    assert "temporary keys of the user whose keys are in the task's secrets" in failure.message
    assert "HTTP 403 the reason" in failure.message
    assert remedy in str(failure)
    assert STATIC.secret_key not in str(failure)
    assert not failure.passing


def test_what_aws_repeats_of_a_parameter_is_not_told() -> None:
    said = "1 validation error detected: Value 'a secret' at 'webIdentityToken' failed"
    failure = refusal(Answer(400, s3_error("ValidationError", said)))
    assert "a secret" not in str(failure)
    assert "'webIdentityToken' failed" in failure.message


def test_a_request_for_keys_is_signed(aws: Ministack) -> None:
    wrong = Keys(aws.user(EVERYTHING).access_key, "wrong")
    with pytest.raises(StorageFailed, match="does not match") as raised:
        scoper(secrets_of(wrong, aws_sts_endpoint_url=aws.url)).keys(REACH)
    assert "Correct or renew" in str(raised.value)


def test_a_role_that_may_not_be_assumed_is_named() -> None:
    failure = refusal(Answer(403, s3_error("AccessDenied", "no")), aws_role_arn=ROLE)
    assert f"Assuming {ROLE} failed" in failure.message
    assert "trust policy" in str(failure)


@pytest.mark.parametrize(
    "answer", [UNWELL, Answer(400, s3_error("Throttling", "Rate exceeded"))], ids=["unwell", "busy"]
)
def test_a_service_in_trouble_may_recover(answer: Answer) -> None:
    assert refusal(answer).passing


def test_a_service_that_is_not_reached_may_be_later() -> None:
    with faulty_server(lambda _: CREDENTIALS) as server:
        server.listen(False)
        with pytest.raises(StorageFailed) as raised:
            scoper(secrets_of(STATIC, aws_sts_endpoint_url=server.url)).keys(REACH)
    assert raised.value.passing


MANY = Reach(tuple(f"s3://bucket/in/{number:03}" for number in range(40)))


def test_a_policy_that_aws_cannot_pack_is_shortened() -> None:
    too_large = Answer(400, s3_error("PackedPolicyTooLarge", "consumes 120% of allotted space"))
    with faulty_server(in_turn(too_large, CREDENTIALS)) as server:
        assert scoper(secrets_of(STATIC, aws_sts_endpoint_url=server.url)).keys(MANY) == SCOPED
        first, second = (len(asked_of(server, number)["Policy"]) for number in range(2))
    assert second < first


def test_what_aws_can_never_pack_is_refused_with_what_to_do() -> None:
    too_large = Answer(400, s3_error("PackedPolicyTooLarge", "consumes 120% of allotted space"))
    with (
        faulty_server(lambda _: too_large) as server,
        pytest.raises(InvalidInput, match="40 different places") as raised,
    ):
        scoper(secrets_of(STATIC, aws_sts_endpoint_url=server.url)).keys(MANY)
    assert "one folder" in str(raised.value)
