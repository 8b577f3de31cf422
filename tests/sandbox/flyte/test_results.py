"""What a workflow returns is shown as text, or saved as files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flyteidl.core import literals_pb2, types_pb2

from perian_shim.sandbox.flyte.results import SHOWN_BYTES, shown
from perian_shim.sandbox.flyte.store import Store

Literal = literals_pb2.Literal
Scalar = literals_pb2.Scalar


class Objects(Store):
    """A store of a few objects."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {f"s3://b/{name}": content for name, content in objects.items()}

    def read(self, uri: str) -> bytes | None:
        return self.objects.get(uri)

    def listed(self, prefix: str) -> Iterator[str]:
        yield from (uri for uri in self.objects if uri.startswith(prefix.rstrip("/") + "/"))


def blob(uri: str, *, directory: bool = False) -> Literal:
    many = types_pb2.BlobType.MULTIPART if directory else types_pb2.BlobType.SINGLE
    metadata = literals_pb2.BlobMetadata(type=types_pb2.BlobType(dimensionality=many))
    return Literal(scalar=Scalar(blob=literals_pb2.Blob(uri=uri, metadata=metadata)))


def dataset(uri: str) -> Literal:
    return Literal(scalar=Scalar(structured_dataset=literals_pb2.StructuredDataset(uri=uri)))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"\xff\xfe", []),
        (b"x" * (SHOWN_BYTES + 1), []),
    ],
    ids=["text", "bytes", "much"],
)
def test_a_short_text_file_is_shown(content: bytes, lines: list[str]) -> None:
    text = shown("o0", blob("s3://b/file"), Objects(file=content), None)
    assert text == "\n      ".join(["o0 = s3://b/file", *lines])


def test_files_directories_and_datasets_are_saved(tmp_path: Path) -> None:
    objects = {"file.txt": b"1", "d/a": b"2", "d/e/b": b"3", "set/00000": b"4", "one.parquet": b"5"}
    store = Objects(**objects)
    for name, literal in {
        "file": blob("s3://b/file.txt"),
        "folder": blob("s3://b/d", directory=True),
        "many": dataset("s3://b/set"),
        "one": dataset("s3://b/one.parquet"),
        "list": Literal(
            collection=literals_pb2.LiteralCollection(literals=[blob("s3://b/file.txt")])
        ),
    }.items():
        assert "saved as" in shown(name, literal, store, tmp_path)
    saved = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert saved == {
        "file.txt": b"1",
        "folder/a": b"2",
        "folder/e/b": b"3",
        "many/00000": b"4",
        "one.parquet": b"5",
        "list/0.txt": b"1",
    }


def test_nothing_is_saved_outside_the_folder(tmp_path: Path) -> None:
    store = Objects(**{"d/../../escaped": b"1", "d/in": b"2"})
    shown("o0", blob("s3://b/d", directory=True), store, tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["in"]


def test_what_is_not_there_is_not_said_to_be_saved(tmp_path: Path) -> None:
    text = shown("o0", blob("s3://b/gone"), Objects(), tmp_path)
    assert text.endswith("nothing is at s3://b/gone")
    assert not list(tmp_path.iterdir())
