"""What a job of Flyte 2 holds to reach its data: on an AWS that checks every request."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from flyte.io import File
from support.actions import Actions
from support.aws_cluster import Account, Identity, PodCluster, of_container
from support.flyte2 import Flyte2Harness, flyte2_harness
from support.flyte2_functions import access
from support.function_harness import requested
from support.ministack import ROOT

from perian_shim.sandbox.flyte.surroundings import variables_set

pytestmark = pytest.mark.slow


@dataclass
class AwsActions(Actions, PodCluster):
    """A backend of Flyte 2 whose own access to the store is not that of its pods."""


@pytest.fixture(scope="module")
def account() -> Account:
    return Account.new()


@pytest.fixture
def scoped(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flyte2Harness]:
    """A backend whose pods have a role, and hand out keys of another one."""
    account.aws.s3().put_object(Bucket=account.bucket, Key="in/data", Body=b"words")
    account.aws.s3().put_object(Bucket=account.other, Key="data", Body=b"others")
    with (
        flyte2_harness(tmp_path_factory.mktemp("flyte2")) as flyte2,
        Identity(account.aws, account.role, 900).served() as url,
    ):
        on_aws = account.harness(
            flyte2.harness, of_container(url), aws_role_arn=account.assumed
        ).cluster
        assert isinstance(on_aws, PodCluster)
        cluster = AwsActions(
            bucket=on_aws.bucket,
            environment=on_aws.environment,
            secrets=on_aws.secrets,
            bin_dir=on_aws.bin_dir,
            identity=on_aws.identity,
        )
        there = {
            "FLYTE_AWS_ENDPOINT": account.aws.url,
            "FLYTE_AWS_ACCESS_KEY_ID": ROOT.access_key,
            "FLYTE_AWS_SECRET_ACCESS_KEY": ROOT.secret_key,
        }
        # flyte in this process reads and writes there too. pytest's monkeypatch would put back the
        # sandbox's own after the sandbox has ended.
        with variables_set(there):
            yield Flyte2Harness(replace(flyte2.harness, cluster=cluster), keys=False)


def test_a_function_reads_and_writes_with_keys_that_end_with_its_job(
    scoped: Flyte2Harness, account: Account
) -> None:
    ran = scoped.run(access.copied, data=File(path=f"s3://{account.bucket}/in/data"), seconds=0.0)
    assert ran.attempt.outputs is not None, ran.attempt.log
    bucket, _, key = ran.value.path.removeprefix("s3://").partition("/")
    assert account.aws.s3().get_object(Bucket=bucket, Key=key)["Body"].read() == b"WORDS"
    (job,) = ran.jobs
    assert "AWS_SECRET_ACCESS_KEY" not in str(requested(job))


def test_it_has_no_keys_in_its_environment(scoped: Flyte2Harness) -> None:
    ran = scoped.run(access.keys_of_the_job)
    assert ran.value.split() == [
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "PERIAN_SHIM_KEY",
    ], ran.attempt.log


def test_what_is_none_of_its_business_it_cannot_reach(
    scoped: Flyte2Harness, account: Account
) -> None:
    data = File(path=f"s3://{account.bucket}/in/data")
    elsewhere = f"s3://{account.other}/data"
    ran = scoped.run(access.reading_elsewhere, data=data, seconds=0.0, uri=elsewhere)
    assert ran.value == "refused", ran.attempt.log
