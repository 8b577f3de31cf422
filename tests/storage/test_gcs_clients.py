"""The client that flytekit has for Google Cloud Storage, with a token that is narrowed down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from support.gcs_verifier import GoogleCloud

from perian_shim.storage.google_scoped import GoogleScoper
from perian_shim.storage.reach import Reach
from perian_shim.storage.web import Web

gcsfs = pytest.importorskip("gcsfs.core")

REACH = Reach(("gs://bucket/solo/x",), ("gs://bucket/in/",), ("gs://bucket/out/",))
FILES = {"in/a/1": b"one", "in/a/b/2": b"two", "solo/x": b"solo", "secret": b"secret"}
CHUNK = 2**18


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    with GoogleCloud("bucket") as google:
        for key, content in FILES.items():
            google.put("bucket", key, content)
        yield google


@pytest.fixture
def files(google: GoogleCloud) -> Any:
    scoper = GoogleScoper.find({}, google.environ, Web(google.environ))
    assert scoper is not None
    credentials = Credentials(scoper.token(REACH).text)  # type: ignore[no-untyped-call]
    return gcsfs.GCSFileSystem(
        token=credentials, endpoint_url=google.url, project="p", skip_instance_cache=True
    )


def test_a_file_and_a_folder_are_fetched(files: Any, tmp_path: Path) -> None:
    files.get("bucket/solo/x", str(tmp_path / "x"))
    files.get("bucket/in/a/", str(tmp_path / "a/"), recursive=True)
    assert (tmp_path / "x").read_bytes() == b"solo"
    assert (tmp_path / "a/b/2").read_bytes() == b"two"


@pytest.mark.parametrize("size", [0, 10, 3 * CHUNK, 3 * CHUNK + 1])
def test_a_file_is_written_in_one_piece_or_in_chunks(
    size: int, files: Any, google: GoogleCloud
) -> None:
    with files.open("bucket/out/file", "wb", block_size=CHUNK) as file:
        file.write(b"y" * size)
    assert google.contents("bucket")["out/file"] == b"y" * size


def test_a_folder_is_written_and_removed(files: Any, google: GoogleCloud, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/1").write_bytes(b"1")
    files.put(f"{tmp_path}/", "bucket/out/d/", recursive=True)
    assert google.contents("bucket")["out/d/sub/1"] == b"1"
    assert files.find("bucket/out/d") == ["bucket/out/d/sub/1"]
    files.rm_file("bucket/out/d/sub/1")
    assert google.contents("bucket") == FILES


def test_what_is_not_there_is_not_there(files: Any) -> None:
    assert not files.exists("bucket/out/none")
    assert not files.exists("bucket/in/none")


def test_all_else_is_forbidden(files: Any, google: GoogleCloud) -> None:
    with pytest.raises(OSError, match="Forbidden"):
        files.cat_file("bucket/secret")
    with pytest.raises(OSError, match="Forbidden"):
        files.ls("bucket")
    with pytest.raises(OSError, match="Forbidden"):
        files.pipe_file("bucket/in/new", b"")
    with pytest.raises(OSError, match="Forbidden"):
        files.rm_file("bucket/in/a/1")
    assert google.contents("bucket") == FILES
