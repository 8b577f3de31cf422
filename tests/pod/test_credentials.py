"""Whose keys of the object store a function task's job gets."""

import json
from collections.abc import Mapping

import pytest

from perian_shim.config import PerianConfig
from perian_shim.errors import MissingSecret, StorageFailed
from perian_shim.pod.credentials import Credentials, SecretReader, scopers
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.spec import FunctionWork, JobSpec
from perian_shim.work.scoped_access import AwsAccess, GoogleAccess

PERIAN = {"PERIAN_ORGANIZATION": "acme", "PERIAN_TOKEN": "token", "HOME": "/no/such/home"}
FLYTE = {"FLYTE_AWS_ACCESS_KEY_ID": "flyte-id", "FLYTE_AWS_SECRET_ACCESS_KEY": "flyte-key"}
AWS = {
    "AWS_ACCESS_KEY_ID": "aws-id",
    "AWS_SECRET_ACCESS_KEY": "aws-key",
    "AWS_SESSION_TOKEN": "aws-token",
}
SPEC = JobSpec(PerianConfig(cores=1), "image", FunctionWork("resolver", ()))


def job_secrets(environ: Mapping[str, str], *, local: bool) -> dict[str, str]:
    secrets = SecretReader(FlyteSecrets({}), {**PERIAN, **environ})
    return dict(Credentials.read(SPEC, secrets, "s3://b/x", local=local).access.secrets)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (FLYTE, ["flyte-id", "flyte-key"]),
        (AWS, ["aws-id", "aws-key", "aws-token"]),
        ({**FLYTE, **AWS}, ["flyte-id", "flyte-key"]),
    ],
)
def test_a_local_runs_job_gets_the_keys_that_the_run_itself_uses(
    environ: dict[str, str], expected: list[str]
) -> None:
    assert list(job_secrets(environ, local=True).values()) == expected


@pytest.mark.parametrize("environ", [FLYTE, AWS])
def test_a_pods_own_keys_are_never_its_jobs(environ: dict[str, str]) -> None:
    with pytest.raises(MissingSecret):
        job_secrets(environ, local=False)


def test_half_a_key_is_an_error() -> None:
    with pytest.raises(StorageFailed, match="one half"):
        job_secrets({"AWS_ACCESS_KEY_ID": "x"}, local=True)


def test_they_are_hidden() -> None:
    secrets = SecretReader(FlyteSecrets({}), {**PERIAN, **AWS})
    credentials = Credentials.read(SPEC, secrets, "s3://b/x", local=True)
    assert "aws-key" not in repr(credentials)
    assert "aws-key" not in credentials.redactor()("a log with aws-key in it")


ROLE = {"aws_role_arn": "arn:aws:iam::1:role/r"}
KEY = {
    "google_application_credentials": json.dumps(
        {"type": "service_account", "client_email": "a@b.example", "private_key": "k"}
    )
}


@pytest.mark.parametrize(
    ("prefix", "keys", "clouds"),
    [
        ("s3://b/x", ROLE, [AwsAccess]),
        ("s3://b/x", {**ROLE, **KEY}, [AwsAccess, GoogleAccess]),
        ("gs://b/x", {**ROLE, **KEY}, [AwsAccess, GoogleAccess]),
        ("s3://b/x", KEY, []),
        ("abfs://b/x", {**ROLE, **KEY}, []),
    ],
)
def test_temporary_credentials_are_for_the_cloud_of_the_outputs_and_for_the_other_one_if_named(
    prefix: str, keys: dict[str, str], clouds: list[type]
) -> None:
    environ = {"HOME": "/no/such/home", "NO_GCE_CHECK": "true"}
    assert [type(each) for each in scopers(prefix, keys, environ)] == clouds
