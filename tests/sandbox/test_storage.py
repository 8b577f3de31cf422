"""The sandbox's S3 takes what jobs and flytekit send it."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import requests
from botocore.config import Config
from support.waiting import LONG_SECONDS

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.s3.process import REGION, ObjectStorage
from perian_shim.sandbox.spawn import HERE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "data"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    running = ObjectStorage(tmp_path_factory.mktemp("storage") / "log", bucket=BUCKET)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(storage: ObjectStorage) -> Iterator["S3Client"]:
    made = client_of(storage)
    yield made
    made.close()


def client_of(storage: ObjectStorage) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=storage.endpoint,
        aws_access_key_id=storage.access_key_id,
        aws_secret_access_key=storage.secret_access_key,
        region_name=REGION,
        config=Config(signature_version="s3v4", proxies={}),
    )


def test_the_bucket_is_there(client: "S3Client") -> None:
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [BUCKET]


def test_objects_go_in_and_come_out(client: "S3Client") -> None:
    client.put_object(Bucket=BUCKET, Key="a/b c;d%e", Body=b"content")
    assert client.get_object(Bucket=BUCKET, Key="a/b c;d%e")["Body"].read() == b"content"


@pytest.mark.slow
def test_a_form_upload_of_100_mb_arrives_whole(client: "S3Client", tmp_path: Path) -> None:
    source = tmp_path / "large"
    digest = hashlib.sha256()
    with source.open("wb") as stream:
        for index in range(100):
            block = bytes([index]) * 1_000_000
            digest.update(block)
            stream.write(block)
    post = client.generate_presigned_post(BUCKET, "large", ExpiresIn=600)
    with (
        source.open("rb") as content,
        requests.post(
            post["url"], data=post["fields"], files={"file": content}, timeout=300
        ) as response,
    ):
        assert response.ok
    got = hashlib.sha256()
    for chunk in client.get_object(Bucket=BUCKET, Key="large")["Body"].iter_chunks(1 << 20):
        got.update(chunk)
    assert got.digest() == digest.digest()


def test_uploads_in_parallel_do_not_disturb_each_other(client: "S3Client") -> None:
    def upload(number: int) -> int:
        post = client.generate_presigned_post(BUCKET, f"parallel/{number}")
        files = {"file": str(number).encode() * 50_000}
        return requests.post(post["url"], data=post["fields"], files=files, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(upload, range(16))) == {204}
    for number in range(16):
        body = client.get_object(Bucket=BUCKET, Key=f"parallel/{number}")["Body"].read()
        assert body == str(number).encode() * 50_000


def test_storages_share_nothing(storage: ObjectStorage, client: "S3Client", tmp_path: Path) -> None:
    other = ObjectStorage(tmp_path / "log", bucket=BUCKET)
    other.start()
    try:
        client.put_object(Bucket=BUCKET, Key="only-here", Body=b"x")
        theirs = client_of(other)
        assert "Contents" not in theirs.list_objects_v2(Bucket=BUCKET)
        theirs.close()
        assert other.secret_access_key != storage.secret_access_key
    finally:
        other.stop()


def test_a_port_in_use_is_an_error_that_names_it(storage: ObjectStorage, tmp_path: Path) -> None:
    other = ObjectStorage(tmp_path / "log", port=storage.port)
    with pytest.raises(SandboxError, match=str(storage.port)):
        other.start()
    assert other.process is None


def test_an_invalid_bucket_name_is_an_error_that_names_it(tmp_path: Path) -> None:
    other = ObjectStorage(tmp_path / "log", bucket="x")
    with pytest.raises(SandboxError, match="bucket 'x'"):
        other.start()


def test_without_the_extra_the_sandbox_imports_and_the_storage_says_what_is_missing() -> None:
    # -S leaves out every installed package, moto and flask among them.
    code = (
        f"import sys; sys.path.insert(0, {str(HERE.parent.parent)!r})\n"
        "import perian_shim.sandbox\n"
        "from perian_shim.sandbox.s3.server import main\n"
        'main([\'{"host": "127.0.0.1", "port": 0, "bucket": "b", "tolerance": 900}\'])\n'
    )
    outcome = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        input='["key", "secret"]\n',
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    assert outcome.stdout == '{"missing": "moto"}\n', outcome.stderr
