"""Any other store, through a file system of fsspec: what is read is whole."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.storage.base import moment
from perian_shim.storage.fsspec import FsspecStore


class Short(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system that hands out one byte less, a few times."""

    cachable = False
    times = 0

    def cat_file(self, path: str, start: int, end: int, **options: Any) -> bytes:
        """As usual, but short."""
        content: bytes = super().cat_file(path, start, end, **options)
        self.times -= 1
        return content[:-1] if self.times >= 0 else content


@pytest.fixture
def short() -> Short:
    return Short()


@pytest.fixture
def store(short: Short) -> FsspecStore:
    return FsspecStore(lambda _: short)


def test_any_other_store_reads_again_what_is_not_whole(
    store: FsspecStore, short: Short, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"1234567890")
    short.times = 2
    assert store.read(str(tmp_path / "x"), 5) == b"12345"


def test_any_other_store_fails_when_it_never_is_whole(
    store: FsspecStore, short: Short, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"1234567890")
    short.times = 100
    with pytest.raises(StorageFailed, match="keep breaking off"):
        store.read(str(tmp_path / "x"), 100)


def test_any_other_store_knows_empty_from_absent(store: FsspecStore, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert store.read(str(tmp_path / "empty"), 100) == b""
    assert store.read(str(tmp_path / "absent"), 100) is None


def test_any_other_store_tells_when_an_object_was_written(
    store: FsspecStore, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"1")
    (found,) = store.iter_objects(f"file://{tmp_path}")
    assert found.modified == pytest.approx((tmp_path / "x").stat().st_mtime)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1970-01-01T00:00:01.000Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01.123456789+00:00", 1.123456),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1970-01-01 00:00:01", 1.0),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), 1.0),
        (1.5, 1.5),
        ("soon", None),
        (None, None),
    ],
)
def test_whatever_form_a_stores_time_has(stamp: object, expected: float | None) -> None:
    assert moment(stamp) == expected


def test_any_other_store_signs_nothing(store: FsspecStore) -> None:
    with pytest.raises(InvalidInput, match=r"only s3:// and gs:// can be signed"):
        store.presign(["abfs://container/x"], 60)[0]


def test_any_other_store_reads_the_end(store: FsspecStore, tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    (tmp_path / "none").write_bytes(b"")
    ends = [store.read_end(f"file://{tmp_path}/{name}", 4) for name in ("ten", "none", "absent")]
    assert ends == [b"6789", b"", None]
