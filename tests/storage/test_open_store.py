"""Which store is opened for a URI, and what is imported for it."""

import json
import subprocess
import sys

import pytest

from perian_shim.errors import InvalidInput
from perian_shim.storage import can_presign, is_well_formed, needs_flytekit, open_store

KEYS = {
    "HOME": "/no/such/home",
    "FLYTE_AWS_ACCESS_KEY_ID": "key",
    "FLYTE_AWS_SECRET_ACCESS_KEY": "secret",
}

HEAVY = ("boto3", "botocore", "flytekit", "fsspec", "google.auth", "s3fs", "obstore", "yaml")


@pytest.mark.parametrize("uri", ["/tmp/x", "file:///tmp/x", "x"])
def test_this_machine_is_no_store(uri: str) -> None:
    with pytest.raises(InvalidInput, match="in no object store that a Perian job can reach"):
        open_store(uri, KEYS)


@pytest.mark.parametrize("uri", ["abfs://container/x", "ftp://host/x"])
def test_a_store_that_only_flytekit_reaches_is_told_apart(uri: str) -> None:
    assert needs_flytekit(uri)
    with pytest.raises(InvalidInput, match="image with flytekit"):
        open_store(uri, KEYS)


@pytest.mark.parametrize("uri", ["s3://bucket/x", "gs://bucket/x", "gcs://bucket/x", "/tmp/x"])
def test_no_other_store_needs_flytekit(uri: str) -> None:
    assert not needs_flytekit(uri)


@pytest.mark.parametrize("uri", ["s3://bucket/x", "gs://bucket/x", "gcs://bucket/x"])
def test_opening_a_store_loads_no_sdk(uri: str) -> None:
    program = (
        "import json, sys; from perian_shim.storage import open_store;"
        f"open_store({uri!r}, {KEYS!r}); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, timeout=60
    )
    assert set(HEAVY) & set(json.loads(done.stdout)) == set()


@pytest.mark.parametrize("uri", ["s3://bucket/x", "gs://bucket/x", "gcs://bucket/x"])
def test_a_job_can_be_given_access_where_urls_can_be_signed(uri: str) -> None:
    assert can_presign(uri)


@pytest.mark.parametrize("uri", ["abfs://container/x", "/tmp/x", "file:///tmp/x", "https://h/x"])
def test_a_job_can_be_given_no_access_elsewhere(uri: str) -> None:
    assert not can_presign(uri)


@pytest.mark.parametrize("scheme", ["s3", "gs", "gcs"])
@pytest.mark.parametrize("rest", ["bucket/key", "bucket//k", "a.b_c-1/p?q#r%25+ s/ü"])
def test_a_bucket_and_a_key_are_well_formed(scheme: str, rest: str) -> None:
    assert is_well_formed(f"{scheme}://{rest}")


@pytest.mark.parametrize("scheme", ["s3", "gs", "gcs"])
@pytest.mark.parametrize(
    "rest", ["", "/key", "bucket", "bucket/", "b/key", "bu cket/key", "bü-x/k"]
)
def test_what_names_no_object_is_not_well_formed(scheme: str, rest: str) -> None:
    assert not is_well_formed(f"{scheme}://{rest}")


def test_a_folder_may_be_a_whole_bucket() -> None:
    assert is_well_formed("gs://bucket", folder=True)
    assert not is_well_formed("gs://", folder=True)


def test_google_takes_no_key_of_several_lines() -> None:
    assert not is_well_formed("gs://bucket/a\nb")
