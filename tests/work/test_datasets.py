"""A dataset output is of its format, or fails the task that left it."""

import json
from typing import Annotated, Any

import pandas as pd
import pytest
from flyteidl.core.interface_pb2 import Variable
from flytekit import StructuredDataset
from flytekit.types.file import FlyteFile
from flytekit.types.schema import FlyteSchema
from support.flyte_values import declared
from support.memory_store import MemoryStore

from perian_shim.errors import USER_RETRY, OutputInvalid
from perian_shim.work.outputs import Harvest, Result

PARQUET = pd.DataFrame({"a": [1, 2], "b": ["x", None]}).to_parquet()
ENCRYPTED = b"PARE" + PARQUET[4:-4] + b"PARE"
CSV = Annotated[StructuredDataset, "csv"]
PLACE = "s3://bucket/run/outputs/data"


class CountingStore(MemoryStore):
    """Counts reads."""

    reads = 0

    def access(self, uri: str) -> None:
        self.reads += 1
        super().access(uri)


def collected(
    objects: dict[str, bytes], kind: str = "directory", python_type: Any = StructuredDataset
) -> CountingStore:
    """Let a job leave files of such names in the output ``data``, or one of the name ""."""
    separator = "/" if kind == "directory" else ""
    store = CountingStore({f"{PLACE}{separator}{name}": each for name, each in objects.items()})
    result = Result(0, kinds={"data": kind})
    harvest = Harvest(store, "s3://bucket/run", "/var/outputs", "job-1")
    harvest.collect(result, {"data": Variable(type=declared(python_type))})
    return store


@pytest.mark.parametrize("python_type", [StructuredDataset, StructuredDataset | None, FlyteSchema])
@pytest.mark.parametrize("content", [PARQUET, ENCRYPTED], ids=["plain", "encrypted"])
def test_parquet_is_taken(python_type: Any, content: bytes) -> None:
    collected({"": content}, "file", python_type)
    collected({"part-0.parquet": content, "deep/er/1": content}, python_type=python_type)


def test_what_readers_leave_out_is_not_looked_at() -> None:
    hidden = {"_SUCCESS": b"", ".part.crc": b"crc", "_delta_log/0.json": b"{}", "a/_metadata": b"?"}
    collected({"part-0": PARQUET, **hidden})


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a,b\n1,x\n", "is no parquet file, it begins with b'a,b\\\\n1,x\\\\n'"),
        (b"", "is empty and no parquet file"),
        (b"PAR1", "is no parquet file, it begins with b'PAR1'"),
        (PARQUET[:-1], "is a parquet file without its end"),
        (b"\x89PNG\r\n\x1a\nPAR1", "is no parquet file"),
    ],
    ids=["csv", "empty", "only a mark", "cut", "an image"],
)
def test_what_is_no_parquet_is_named_with_what_was_found(content: bytes, found: str) -> None:
    words = rf"'data' \(structured dataset\): /var/outputs/data {found}"
    with pytest.raises(OutputInvalid, match=words):
        collected({"": content}, "file")
    with pytest.raises(OutputInvalid, match=rf"/var/outputs/data/deep/b {found}") as refusal:
        collected({"a": PARQUET, "deep/b": content})
    assert refusal.value.outcome == USER_RETRY
    assert "job-1" in str(refusal.value)


def test_a_directory_without_any_data_is_refused() -> None:
    with pytest.raises(OutputInvalid, match="/var/outputs/data has no parquet file in it"):
        collected({"_SUCCESS": b""})


def test_another_format_is_what_its_type_declares() -> None:
    collected({"": b"a,b\n"}, "file", CSV)
    collected({"0.csv": b"a,b\n", "1.csv": b""}, python_type=CSV)
    with pytest.raises(OutputInvalid, match="/var/outputs/data is parquet and not csv"):
        collected({"": PARQUET}, "file", CSV)


@pytest.mark.parametrize("begin", [b"ORCID,name\n", b"PAR1,x\n", b"ARROW1\n", b"Obj\x01,x\n"])
def test_a_text_that_begins_like_a_file_of_another_format_is_a_text(begin: bytes) -> None:
    collected({"": begin + b"1,2\n"}, "file", CSV)


def test_each_dataset_of_a_list_is_looked_at() -> None:
    store = CountingStore({f"{PLACE}/0": PARQUET, f"{PLACE}/1/x": b"text"})
    entries = {"0": "file", "1": "directory"}
    result = Result(0, kinds={"data": "directory"}, entries={"data": entries})
    harvest = Harvest(store, "s3://bucket/run", "/var/outputs", "job-1")
    with pytest.raises(OutputInvalid, match="/var/outputs/data/1/x is no parquet file"):
        harvest.collect(result, {"data": Variable(type=declared(list[StructuredDataset]))})


def test_of_many_files_the_first_and_the_last_are_looked_at() -> None:
    names = [f"part-{n:04d}" for n in range(1000)]
    content = dict.fromkeys(names, PARQUET)
    assert collected(content).reads <= 41
    collected({**content, names[500]: b"not looked at"})
    for name in (names[0], names[-1]):
        with pytest.raises(OutputInvalid, match=name):
            collected({**content, name: json.dumps({}).encode()})


def test_of_other_outputs_nothing_is_read() -> None:
    assert collected({"": b"any"}, "file", FlyteFile).reads == 0
