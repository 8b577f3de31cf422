"""What a function task's job is given to reach the object store, and where that shows."""

import itertools
from collections.abc import Mapping

import pytest

from perian_shim.errors import MissingSecret
from perian_shim.secret_keys import ACCESS_KEYS
from perian_shim.work.job_credentials import (
    GOOGLE_FILE,
    StorageAccess,
    storage_access,
)

KEYS = {"aws_access_key_id": "id-canary", "aws_secret_access_key": "key-canary"}
GOOGLE = {"google_application_credentials": '{"private_key": "google-canary"}'}


def access(secrets: Mapping[str, str], environ: Mapping[str, str] | None = None) -> StorageAccess:
    return storage_access(secrets.get, "perian", environ or {})


def test_aws_keys_are_variables_that_may_not_be_seen() -> None:
    assert access(KEYS) == StorageAccess(
        secrets={"AWS_ACCESS_KEY_ID": "id-canary", "AWS_SECRET_ACCESS_KEY": "key-canary"}
    )


def test_a_session_token_goes_with_the_keys() -> None:
    given = access({**KEYS, "aws_session_token": "token-canary"})
    assert given.secrets["AWS_SESSION_TOKEN"] == "token-canary"


def test_region_and_endpoint_may_be_seen_under_the_names_of_flytekit_and_boto3() -> None:
    given = access({**KEYS, "aws_region": "eu-west-1", "aws_endpoint_url": "https://s3.example"})
    assert given.variables == {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "FLYTE_AWS_ENDPOINT": "https://s3.example",
        "AWS_ENDPOINT_URL_S3": "https://s3.example",
    }


def endpoint(secrets: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
    return access({**KEYS, **secrets}, environ).variables.get("FLYTE_AWS_ENDPOINT")


SOURCES = (
    "PERIAN_S3_PUBLIC_ENDPOINT",
    "FLYTE_AWS_ENDPOINT",
    "AWS_ENDPOINT_URL_S3",
)


def test_the_secrets_endpoint_wins_over_the_containers() -> None:
    environ = {name: f"https://{name}" for name in SOURCES}
    assert endpoint({"aws_endpoint_url": "https://mine"}, environ) == "https://mine"


@pytest.mark.parametrize(("better", "worse"), list(itertools.pairwise(SOURCES)))
def test_the_containers_endpoint_is_the_jobs(better: str, worse: str) -> None:
    assert endpoint({}, {better: "https://a", worse: "https://b"}) == "https://a"
    assert endpoint({}, {better: "", worse: "https://b"}) == "https://b"


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_containers_region_is_the_jobs(name: str) -> None:
    assert access(KEYS, {name: "eu-north-1"}).variables["AWS_REGION"] == "eu-north-1"


def test_the_containers_own_keys_are_never_the_jobs() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "pod-canary", "FLYTE_AWS_ACCESS_KEY_ID": "pod-canary"}
    given = access(KEYS, environ)
    assert "pod-canary" not in [*given.variables.values(), *given.secrets.values()]


def test_a_service_account_is_a_file() -> None:
    given = access(GOOGLE)
    assert given.files == {GOOGLE_FILE: '{"private_key": "google-canary"}'}
    assert {**given.variables, **given.secrets} == {"GOOGLE_APPLICATION_CREDENTIALS": GOOGLE_FILE}


def test_both_clouds_can_be_given() -> None:
    given = access({**KEYS, **GOOGLE})
    assert set(given.files) == {GOOGLE_FILE}
    assert set(given.secrets) == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
    }


@pytest.mark.parametrize("missing", [*KEYS, None])
def test_without_keys_the_secret_group_and_its_keys_are_named(missing: str | None) -> None:
    secrets = {key: value for key, value in KEYS.items() if missing and key != missing}
    with pytest.raises(MissingSecret) as caught:
        access(secrets)
    for name in ("'perian'", *KEYS, *GOOGLE):
        assert name in str(caught.value)
    assert "canary" not in str(caught.value)


def test_no_secret_is_in_a_repr_or_a_variable_that_can_be_seen() -> None:
    secrets = {key: f"{key}-canary" for key in ACCESS_KEYS}
    given = access(secrets)
    hidden = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", *GOOGLE}
    for key in hidden:
        assert secrets[key] not in repr(given)
        assert secrets[key] not in given.variables.values()
        assert secrets[key] in given.confidential()


OWN = {"aws_access_key_id": "own-id", "aws_secret_access_key": "own-key", "aws_region": "own"}


def test_keys_of_the_users_own_machine_are_the_jobs_where_the_group_has_none() -> None:
    given = storage_access({"aws_region": "eu-west-1"}.get, "perian", {}, OWN)
    assert given.secrets == {"AWS_ACCESS_KEY_ID": "own-id", "AWS_SECRET_ACCESS_KEY": "own-key"}
    assert given.variables["AWS_REGION"] == "eu-west-1"
    assert given.own


@pytest.mark.parametrize("secrets", [KEYS, GOOGLE])
def test_keys_of_the_group_come_before_those_of_the_users_own_machine(
    secrets: Mapping[str, str],
) -> None:
    given = storage_access(secrets.get, "perian", {}, OWN)
    assert not {"own-id", "own-key"} & set(given.secrets.values())
    assert not given.own


@pytest.mark.parametrize("half", ["aws_access_key_id", "aws_secret_access_key"])
def test_half_a_key_of_the_group_is_not_completed_by_the_users_own(half: str) -> None:
    with pytest.raises(MissingSecret):
        storage_access({half: "x"}.get, "perian", {}, OWN)


def test_without_any_keys_a_local_run_names_the_variables_too() -> None:
    with pytest.raises(MissingSecret, match="AWS_ACCESS_KEY_ID"):
        storage_access(dict[str, str]().get, "perian", {}, {})
