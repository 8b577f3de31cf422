"""What jobs hold on S3, for how long and with which reach: on an AWS that checks every request."""

import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from flytekit.types.file import FlyteFile
from support.aws_cluster import Account, Identity, of_container, static
from support.flyte import Harness
from support.forms import posted
from support.function_harness import requested
from support.functions.access import copied, keys_of_the_job
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.records import Status
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.storage.base import UploadPolicy

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors, pytest.mark.thorough]

LIFE = 60
"""For how many seconds the pods' keys are good in the tests of renewal."""

COPY = PerianContainerTask(
    name="access.copy",
    task_config=PerianConfig(cores=1),
    image="debian:12",
    command=[
        "sh",
        "-c",
        'sleep "$1"; tr a-z A-Z < /var/inputs/data > /var/outputs/o0',
        "-",
        "{{.inputs.seconds}}",
    ],
    inputs={"data": FlyteFile, "seconds": float},
    outputs={"o0": FlyteFile},
)
KINDS: Mapping[str, Any] = {"container": COPY, "function": copied}


@pytest.fixture(scope="module")
def account() -> Account:
    return Account.new()


@pytest.fixture
def data(account: Account) -> FlyteFile:
    account.aws.s3().put_object(Bucket=account.bucket, Key="in/data", Body=b"words")
    account.aws.s3().put_object(Bucket=account.bucket, Key="in/other", Body=b"others")
    account.aws.s3().put_object(Bucket=account.other, Key="data", Body=b"others")
    return FlyteFile(f"s3://{account.bucket}/in/data")


def content(account: Account, attempt: Any) -> bytes:
    """What the output file holds."""
    assert attempt.outputs is not None, f"{attempt.error}\n{attempt.log}"
    uri = attempt.outputs.literals["o0"].scalar.blob.uri
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return account.aws.s3().get_object(Bucket=bucket, Key=key)["Body"].read()


def content_of(account: Account, key: str) -> bytes:
    """What an object of the bucket holds, nothing if there is none."""
    try:
        found = account.aws.s3().get_object(Bucket=account.bucket, Key=key)
    except ClientError:
        return b""
    return found["Body"].read()


# --- as long as the job ---


@pytest.mark.thorough
def test_jobs_of_three_lives_of_their_pods_keys_end_well_though_the_pods_are_replaced(
    harness: Harness, account: Account, data: FlyteFile
) -> None:
    identity = Identity(account.aws, account.role, LIFE)
    inputs = {"data": data, "seconds": 3.0 * LIFE}
    with identity.served() as url, ThreadPoolExecutor(len(KINDS)) as pool:
        cluster = account.harness(harness, of_container(url), aws_role_arn=account.assumed)
        executions = {kind: cluster.execution() for kind in KINDS}
        pods = [
            cluster.start(KINDS[kind], inputs, execution=name) for kind, name in executions.items()
        ]
        for name in executions.values():
            wait_until(lambda n=name: running(cluster, n), LONG_SECONDS, "the job does not run")  # type: ignore[misc]  # mypy cannot infer a lambda's default
        threading.Event().wait(LIFE)
        for pod in pods:
            pod.process.send_signal(signal.SIGKILL)
            pod.wait()
        ends = [
            pool.submit(cluster.run, KINDS[kind], inputs, execution=name, attempt=1)
            for kind, name in executions.items()
        ]
        for end in ends:
            assert content(account, end.result()) == b"WORDS"
    assert [len(cluster.jobs(name)) for name in executions.values()] == [1, 1]
    assert identity.handed > 2 * len(KINDS)


def running(cluster: Harness, execution: str) -> bool:
    return any(job.state.status is Status.RUNNING for job in cluster.jobs(execution))


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_a_session_that_nobody_renews_are_refused_before_a_machine_is_paid_for(
    harness: Harness, account: Account, data: FlyteFile, kind: str
) -> None:
    keys = account.aws.short_lived(account.role, 600)
    variables = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }
    cluster = account.harness(harness, variables, aws_role_arn=account.assumed)
    execution = cluster.execution()
    ended = cluster.run(KINDS[kind], {"data": data, "seconds": 0.0}, execution=execution)
    assert ended.error is not None
    assert ended.error.code == "PERIAN:AccessTooShort"
    assert cluster.jobs(execution) == []


def test_a_users_keys_in_the_secrets_sign_where_the_pods_own_end_soon(
    harness: Harness, account: Account, data: FlyteFile
) -> None:
    user = account.user()
    with Identity(account.aws, account.role, 60).served() as url:
        cluster = account.harness(
            harness,
            of_container(url),
            aws_access_key_id=user.access_key,
            aws_secret_access_key=user.secret_key,
        )
        execution = cluster.execution()
        ended = cluster.run(COPY, {"data": data, "seconds": 0.0}, execution=execution)
    assert content(account, ended) == b"WORDS"
    (job,) = cluster.jobs(execution)
    assert f"Credential={user.access_key}%2F" in secrets_of(job)["PERIAN_SHIM_GRANT"]


# --- what a job holds ---


@dataclass
class Held:
    """A job that has begun, and what it holds.

    Attributes:
        account: where its data are.
        harness: where it runs.
        job: it.
        url: of its grant.
        grant: the grant's records.
        prefix: key prefix of the job's own.
    """

    account: Account
    harness: Harness
    job: JobSnapshot
    url: str
    grant: list[list[str]]
    prefix: str

    def one(self, kind: str) -> list[str]:
        return next(fields for fields in self.grant if fields[0] == kind)

    @property
    def policy(self) -> UploadPolicy:
        fields = {each[1]: each[2] for each in self.grant if each[0] == "field"}
        return UploadPolicy(self.one("post")[1], "", fields)

    def keys(self) -> Any:
        """boto3 with the keys of a function task's job."""
        _, access, secret, token = self.one("aws")
        return boto3.client(
            "s3",
            endpoint_url=self.account.aws.url,
            region_name="us-east-1",
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )


def secrets_of(job: JobSnapshot) -> dict[str, str]:
    """The variables that a job was given, ``secrets`` among them."""
    return dict(job.record.execution.environment or {})


def read(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="module", params=["role", "user"])
def identity(
    request: pytest.FixtureRequest, account: Account
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """A pod's variables and the task's secrets: of each kind of identity."""
    if request.param == "role":
        with Identity(account.aws, account.role, 600).served() as url:
            yield of_container(url), {"aws_role_arn": account.assumed}
        return
    keys = account.user()
    secrets = {"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key}
    yield static(keys), secrets


def begun(
    harness: Harness, account: Account, identity: tuple[dict[str, str], dict[str, str]], kind: str
) -> Iterator[Held]:
    """A job that runs while the test does."""
    variables, secrets = identity
    account.aws.s3().put_object(Bucket=account.bucket, Key="in/data", Body=b"words")
    cluster = account.harness(harness, variables, **secrets)
    execution = cluster.execution()
    inputs = {"data": FlyteFile(f"s3://{account.bucket}/in/data"), "seconds": 300.0}
    pod = cluster.start(KINDS[kind], inputs, execution=execution)
    wait_until(lambda: running(cluster, execution), LONG_SECONDS, "the job does not run")
    (job,) = cluster.jobs(execution)
    url = secrets_of(job)["PERIAN_SHIM_GRANT"]
    grant = [line.split("\t") for line in read(url).splitlines()]
    prefix = pod.pod.raw_prefix.removeprefix(f"s3://{account.bucket}/")
    yield Held(account, cluster, job, url, grant, prefix)
    pod.process.send_signal(signal.SIGTERM)
    pod.wait()
    with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
        read(url)


@pytest.fixture(scope="module")
def container(harness: Harness, account: Account, identity: Any) -> Iterator[Held]:
    yield from begun(harness, account, identity, "container")


@pytest.fixture(scope="module")
def function(harness: Harness, account: Account, identity: Any) -> Iterator[Held]:
    yield from begun(harness, account, identity, "function")


def test_a_container_tasks_job_holds_single_urls_and_one_form_for_an_hour_at_most(
    container: Held,
) -> None:
    kinds = {fields[0] for fields in container.grant}
    assert kinds == {
        *("version", "renew", "lives", "next", "get", "post", "prefix", "max_bytes", "piece"),
        *("field", "end"),
    }
    assert [each[1] for each in container.grant if each[0] == "get"] == ["/var/inputs/data"]
    assert container.one("prefix")[1] == f"{container.prefix}/"
    assert int(container.one("lives")[1]) <= 3600


def test_a_function_tasks_job_holds_temporary_keys_and_no_others(function: Held) -> None:
    assert [fields[0] for fields in function.grant] == [
        *("version", "renew", "lives", "next", "aws", "end")
    ]
    assert function.one("aws")[3]  # a session's token: they end
    given = json.dumps([requested(function.job), secrets_of(function.job)])
    assert "AWS_SECRET_ACCESS_KEY" not in given


def test_what_can_be_read_back_of_a_job_gives_no_access(container: Held, function: Held) -> None:
    for held in (container, function):
        shown = json.dumps({**requested(held.job), "secrets": None})
        for secret in (held.url, "X-Amz-Signature", *held.grant[-2][2:]):
            assert secret not in shown


def test_a_functions_code_sees_only_where_its_libraries_get_keys(
    harness: Harness, account: Account, identity: Any
) -> None:
    variables, secrets = identity
    cluster = account.harness(harness, variables, **secrets)
    seen = str(cluster.value(cluster.outputs(keys_of_the_job)["o0"], str)).split()
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN" in seen
    assert not [name for name in seen if "SECRET" in name or name == "PERIAN_SHIM_GRANT"]


# --- attacks ---

ELSEWHERE = (
    "in/data",
    "stolen",
    "{raw}-other/outputs/x",
    "{node}/task.pb",
    "{node}/0/outputs.pb",
    "{node}/_perian/attempts/0-0-f.json",
    "{node}/_perian/grants/x",
    "{node}/_perian/given/x",
)


def places(held: Held) -> list[str]:
    execution = held.prefix.rpartition("/")[2].split("-")[0]
    node = f"metadata/propeller/flytesnacks-development-{execution}/n0/data"
    return [place.format(raw=held.prefix, node=node) for place in ELSEWHERE]


@pytest.mark.parametrize("number", range(len(ELSEWHERE)), ids=ELSEWHERE)
def test_with_its_form_a_container_tasks_job_creates_nothing_outside_its_prefix(
    container: Held, number: int
) -> None:
    key = places(container)[number]
    status, _ = posted(container.policy, key, b"attack")
    assert status == 403
    assert b"attack" not in content_of(container.account, key)


def test_with_its_form_a_job_leaves_its_outputs(container: Held) -> None:
    status, _ = posted(container.policy, f"{container.prefix}/outputs/x", b"1")
    assert status == 201


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("/in/data", "/in/other"),
        lambda url: url.replace("/in/data", "/"),
        lambda url: url + "&list-type=2",
    ],
    ids=["another object", "the bucket", "a listing"],
)
def test_with_its_url_a_container_tasks_job_reads_nothing_else(
    container: Held, change: Callable[[str], str]
) -> None:
    url = container.one("get")[2]
    assert read(url) == "words"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        read(change(url))


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_with_its_url_a_container_tasks_job_changes_nothing(container: Held, method: str) -> None:
    request = urllib.request.Request(container.one("get")[2], b"", method=method)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)


@pytest.mark.parametrize("number", range(len(ELSEWHERE)), ids=ELSEWHERE)
def test_with_its_keys_a_function_tasks_job_writes_nothing_outside_its_prefix(
    function: Held, number: int
) -> None:
    key = places(function)[number]
    with pytest.raises(ClientError, match="AccessDenied"):
        function.keys().put_object(Bucket=function.account.bucket, Key=key, Body=b"attack")


@pytest.mark.parametrize("key", ["in/other", "secret"])
def test_with_its_keys_a_function_tasks_job_reads_nothing_else(function: Held, key: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        function.keys().get_object(Bucket=function.account.bucket, Key=key)


@pytest.mark.parametrize(
    "act",
    [
        lambda client, held: client.list_objects_v2(Bucket=held.account.bucket),
        lambda client, held: client.delete_object(Bucket=held.account.bucket, Key="in/data"),
        lambda client, held: client.get_object(Bucket=held.account.other, Key="data"),
        lambda client, held: client.put_object(Bucket=held.account.other, Key="x", Body=b""),
        lambda client, _: client.list_buckets(),
        lambda client, held: client.put_bucket_policy(Bucket=held.account.bucket, Policy="{}"),
    ],
    ids=["list", "delete", "read another bucket", "write there", "list buckets", "allow itself"],
)
def test_with_its_keys_a_function_tasks_job_can_do_nothing_else(
    function: Held, act: Callable[[Any, Held], object]
) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        act(function.keys(), function)


def test_with_its_keys_a_function_tasks_job_reads_its_input_and_writes_below_its_prefix(
    function: Held,
) -> None:
    client, bucket = function.keys(), function.account.bucket
    assert client.get_object(Bucket=bucket, Key="in/data")["Body"].read() == b"words"
    client.put_object(Bucket=bucket, Key=f"{function.prefix}/mine", Body=b"1")


# --- large files ---


def test_a_large_output_comes_in_pieces_that_are_joined_and_removed(
    harness: Harness, account: Account, tmp_path: Path
) -> None:
    keys = account.user()
    cluster = account.harness(harness, static(keys))
    (tmp_path / "sitecustomize.py").write_text(LOWERED)
    cluster = cluster.with_variables(PYTHONPATH=str(tmp_path))
    large = PerianContainerTask(
        name="access.large",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=[
            "sh",
            "-c",
            "head -c 30000000 /dev/urandom | tee /var/outputs/o0 | cksum > /var/outputs/sum",
        ],
        outputs={"o0": FlyteFile, "sum": str},
    )
    execution = cluster.execution()
    ended = cluster.run(large, execution=execution)
    got = content(account, ended)
    assert ended.outputs is not None
    assert len(got) == 30_000_000
    raw = f"{ended.outputs.literals['o0'].scalar.blob.uri}".rpartition("/outputs/")[0]
    left = [uri for uri in cluster.store.listed(raw) if "/pieces/" in uri]
    assert left == []


LOWERED = """
import perian_shim.storage.post_policy, perian_shim.work.container_access
perian_shim.storage.post_policy.MAX_OBJECT_BYTES = 12 * 1024**2
perian_shim.storage.base.UploadPolicy.__init__.__defaults__ = (12 * 1024**2,)
perian_shim.work.container_access.PIECE_BYTES = 8 * 1024**2
"""
"""Lowers the limits in a pod."""
