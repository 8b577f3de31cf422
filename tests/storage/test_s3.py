"""The object stores: what is read is whole, what is not there is not there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from flytekit.core.data_persistence import FileAccessProvider
from support.s3 import ACCESS_KEY, REGION, SECRET_KEY, new_bucket, s3_endpoint
from support.storage_front import Answer, FaultyStorage, faulty_server, in_turn, s3_error

from perian_shim.errors import StorageFailed
from perian_shim.storage import is_well_formed
from perian_shim.storage.fsspec import FlyteStore
from perian_shim.storage.s3 import READ_PAUSES, S3Store

BROKEN_OFF = Answer(body=b"12345", announced=10)
WHOLE = Answer(body=b"1234567890")


def s3_store(endpoint: str, sleep: Callable[[float], None] = lambda _: None) -> S3Store:
    session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)
    return S3Store(session, endpoint, sleep=sleep)


@pytest.fixture
def real() -> S3Store:
    return s3_store(s3_endpoint())


def read_from(server: FaultyStorage, limit: int) -> tuple[bytes | None, list[float]]:
    pauses: list[float] = []
    return s3_store(server.url, pauses.append).read("s3://bucket/key", limit), pauses


def test_a_read_whose_answer_breaks_off_is_tried_again() -> None:
    with faulty_server(in_turn(BROKEN_OFF, BROKEN_OFF, WHOLE)) as server:
        assert read_from(server, 100) == (WHOLE.body, list(READ_PAUSES[:2]))


def test_a_read_that_never_is_whole_is_an_error_and_no_value() -> None:
    with (
        faulty_server(lambda _: BROKEN_OFF) as server,
        pytest.raises(
            StorageFailed, match="Reading s3://bucket/key failed: the answers keep breaking off"
        ),
    ):
        read_from(server, 100)
    assert len(server.seen) == len(READ_PAUSES) + 1


@pytest.mark.parametrize("limit", [1, 5, 10, 11])
def test_of_a_long_object_the_first_bytes_are_read(limit: int) -> None:
    with faulty_server(lambda _: WHOLE) as server:
        assert read_from(server, limit) == (WHOLE.body[:limit], [])


def test_a_refusal_is_not_tried_again() -> None:
    refusal = Answer(403, s3_error("AccessDenied", "Access Denied"))
    with faulty_server(lambda _: refusal) as server, pytest.raises(StorageFailed, match="Denied"):
        read_from(server, 100)
    assert len(server.seen) == 1


def test_what_is_not_there_reads_as_none_and_lists_as_nothing(real: S3Store) -> None:
    bucket = new_bucket()
    assert real.read(f"s3://{bucket.name}/no", 10) is None
    assert real.size(f"s3://{bucket.name}/no") is None
    assert list(real.iter_objects(f"s3://{bucket.name}/no")) == []
    assert list(real.iter_objects("s3://no-such-bucket-anywhere/no")) == []


def test_an_empty_object_is_empty_and_not_absent(real: S3Store) -> None:
    bucket = new_bucket()
    bucket.put("empty", b"")
    assert real.read(f"s3://{bucket.name}/empty", 10) == b""


@pytest.mark.parametrize(
    ("uri", "as_object", "as_folder"),
    [
        ("s3://bucket/key", True, True),
        ("s3://bucket/a b?#%/ü\n", True, True),
        ("s3://bucket/", False, True),
        ("s3://bucket", False, True),
        ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/x", True, True),
        ("s3://", False, False),
        ("s3:///key", False, False),
        ("s3://two words/key", False, False),
        ("S3:bucket/key", False, False),
    ],
)
def test_a_uri_needs_a_bucket_and_for_an_object_a_key(
    uri: str, as_object: bool, as_folder: bool
) -> None:
    assert is_well_formed(uri) is as_object
    assert is_well_formed(uri, folder=True) is as_folder


class Short(FileAccessProvider):
    """flytekit's file access, on a file system that hands out one byte less, a few times."""

    times = 0

    def get_filesystem_for_path(self, path: str = "", *arguments: Any, **options: Any) -> Any:
        """As flytekit's, but short."""
        inner = super().get_filesystem_for_path(path, *arguments, **options)
        outer = self

        class Wrapped:
            def cat_file(self, path: str, start: int, end: int) -> bytes:
                content: bytes = inner.cat_file(path, start, end)
                outer.times -= 1
                return content[:-1] if outer.times >= 0 else content

            def __getattr__(self, name: str) -> object:
                return getattr(inner, name)

        return Wrapped()


@pytest.fixture
def access(tmp_path: Path) -> Short:
    return Short(str(tmp_path / "local"), str(tmp_path / "raw"))


def test_any_other_store_reads_again_what_is_not_whole(access: Short, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1234567890")
    access.times = 2
    assert FlyteStore(access).read(str(tmp_path / "x"), 5) == b"12345"


def test_any_other_store_fails_when_it_never_is_whole(access: Short, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1234567890")
    access.times = 100
    with pytest.raises(StorageFailed, match="keep breaking off"):
        FlyteStore(access).read(str(tmp_path / "x"), 100)


def test_any_other_store_knows_empty_from_absent(access: Short, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert FlyteStore(access).read(str(tmp_path / "empty"), 100) == b""
    assert FlyteStore(access).read(str(tmp_path / "absent"), 100) is None
