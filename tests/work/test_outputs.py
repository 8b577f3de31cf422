"""What a job left, read from a real S3 as the wrapper writes it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from flyteidl.core.interface_pb2 import Variable
from flyteidl.core.literals_pb2 import LiteralMap
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from support.flyte_values import declared
from support.s3 import Bucket, new_bucket, s3_endpoint, s3_store
from support.storage_front import Answer, Seen, faulty_server, s3_error

from perian_shim.errors import (
    USER_FATAL,
    USER_RETRY,
    JobFailed,
    JobUnsuitable,
    OutputInvalid,
    OutputMissing,
    StorageFailed,
    TransferFailed,
)
from perian_shim.values.serialized import literal_map
from perian_shim.work.outputs import Harvest, Result


@pytest.fixture
def bucket() -> Bucket:
    return new_bucket()


def harvest(endpoint: str, bucket: str) -> Harvest:
    return Harvest(s3_store(endpoint), f"s3://{bucket}/run", "/var/outputs", "job-1")


def record(**fields: object) -> bytes:
    """A result record as the wrapper writes it."""
    given = {"version": 1, "exit_code": 0, "transport": "curl", "error": False, "outputs": {}}
    return json.dumps({**given, **fields}).encode()


def left(bucket: Bucket, **fields: object) -> Harvest:
    """What reads a job that left such a record."""
    bucket.put("run/_perian/result.json", record(**fields))
    return harvest(s3_endpoint(), bucket.name)


def collected(reader: Harvest, types: Mapping[str, Any]) -> LiteralMap:
    result = reader.result()
    assert result is not None
    declarations = {name: Variable(type=declared(each)) for name, each in types.items()}
    return LiteralMap.FromString(literal_map(reader.collect(result, declarations)))


def uris(outputs: LiteralMap, name: str) -> list[str]:
    literals = outputs.literals[name].collection.literals
    return [literal.scalar.blob.uri.partition("/run/outputs/")[2] for literal in literals]


def test_a_job_that_left_no_record_or_half_of_one_left_nothing(bucket: Bucket) -> None:
    reader = harvest(s3_endpoint(), bucket.name)
    assert reader.result() is None
    bucket.put("run/_perian/result.json", record()[:-3])
    assert reader.result() is None


def test_the_error_file_is_read_when_the_record_says_that_there_is_one(bucket: Bucket) -> None:
    bucket.put("run/_perian/error", b" no convergence\n")
    result = left(bucket, error=True).result()
    assert result == Result(0, error="no convergence")
    assert left(bucket, error=False).result() == Result(0)


def test_the_error_file_is_not_asked_for_otherwise() -> None:
    def without_list_permission(seen: Seen) -> Answer:
        if seen.path.endswith("result.json"):
            return Answer(body=record())
        return Answer(403, s3_error("AccessDenied", "Access Denied"))

    with faulty_server(without_list_permission) as server:
        assert harvest(server.url, "bucket").result() == Result(0)


def test_an_empty_error_file_is_an_error_too(bucket: Bucket) -> None:
    bucket.put("run/_perian/error", b"")
    reader = left(bucket, error=True)
    result = reader.result()
    assert result is not None
    with pytest.raises(JobFailed, match="left an error"):
        reader.check(result)


def test_what_cannot_work_is_final_and_a_failed_transfer_is_not(bucket: Bucket) -> None:
    reader = harvest(s3_endpoint(), bucket.name)
    with pytest.raises(JobUnsuitable, match="choose another input_data_dir") as unsuitable:
        reader.check(Result(64, "choose another input_data_dir"))
    with pytest.raises(TransferFailed) as failed:
        reader.check(Result(65, "HTTP status 503"))
    assert (unsuitable.value.outcome, failed.value.outcome) == (USER_FATAL, USER_RETRY)


def test_a_programs_own_exit_code_64_is_its_failure(bucket: Bucket) -> None:
    with pytest.raises(JobFailed, match="exited with code 64"):
        harvest(s3_endpoint(), bucket.name).check(Result(64))


def test_a_list_has_the_elements_that_the_wrapper_saw_in_their_order(bucket: Bucket) -> None:
    entries = {"10": "file", "2": "file", "1": "file"}
    reader = left(bucket, outputs={"fs": {"kind": "directory", "entries": entries}})
    outputs = collected(reader, {"fs": list[FlyteFile]})
    assert uris(outputs, "fs") == ["fs/1", "fs/2", "fs/10"]


def test_empty_directories_are_elements(bucket: Bucket) -> None:
    entries = {"0": "directory", "1": "directory"}
    bucket.put("run/outputs/ds/1/x", b"1")
    reader = left(bucket, outputs={"ds": {"kind": "directory", "entries": entries}})
    assert uris(collected(reader, {"ds": list[FlyteDirectory]}), "ds") == ["ds/0", "ds/1"]


def test_nested_lists_keep_empty_ones(bucket: Bucket) -> None:
    entries = {"a": "directory", "b": "directory", "b/0": "file", "c": "directory"}
    reader = left(bucket, outputs={"m": {"kind": "directory", "entries": entries}})
    lists = collected(reader, {"m": dict[str, list[FlyteFile]]}).literals["m"].map.literals
    assert {name: len(one.collection.literals) for name, one in lists.items()} == {
        "a": 0,
        "b": 1,
        "c": 0,
    }


@pytest.mark.parametrize(
    ("kind", "found"), [("other", "what is neither"), ("directory", "a directory")]
)
def test_an_element_of_another_kind_is_refused_by_its_place(
    bucket: Bucket, kind: str, found: str
) -> None:
    entries = {"0": "file", "1": kind}
    reader = left(bucket, outputs={"fs": {"kind": "directory", "entries": entries}})
    with pytest.raises(OutputInvalid) as caught:
        collected(reader, {"fs": list[FlyteFile]})
    assert "expected a file at /var/outputs/fs/1" in str(caught.value)
    assert f"left {found}" in str(caught.value)


def test_a_value_is_read_and_parsed(bucket: Bucket) -> None:
    bucket.put("run/outputs/n", b"12\n")
    outputs = collected(left(bucket, outputs={"n": {"kind": "file"}}), {"n": int})
    assert outputs.literals["n"].scalar.primitive.integer == 12


def test_a_value_of_which_only_half_arrives_is_no_value() -> None:
    broken_off = Answer(body=b"12", announced=4)
    with faulty_server(lambda _: broken_off) as server, pytest.raises(StorageFailed):
        harvest(server.url, "b").collect(
            Result(0, kinds={"n": "file"}), {"n": Variable(type=declared(int))}
        )


def test_a_value_that_is_gone_is_missing(bucket: Bucket) -> None:
    reader = left(bucket, outputs={"s": {"kind": "file"}})
    with pytest.raises(OutputMissing, match="is gone"):
        collected(reader, {"s": str})


def test_what_was_not_left_is_missing_unless_it_may_be(bucket: Bucket) -> None:
    reader = left(bucket, outputs={"n": {"kind": "missing"}})
    with pytest.raises(OutputMissing, match="/var/outputs/n"):
        collected(reader, {"n": int})
    assert collected(reader, {"n": int | None}).literals["n"].scalar.HasField("union")


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "/x", "", ".", "a//b", "a/", "a\0b"])
def test_an_entry_that_leads_out_of_its_output_is_refused(bucket: Bucket, path: str) -> None:
    reader = left(bucket, outputs={"fs": {"kind": "directory", "entries": {path: "file"}}})
    with pytest.raises(OutputInvalid, match="recorded an entry"):
        collected(reader, {"fs": list[FlyteFile]})


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"exit_code": 1e999, "outputs": {}}'])
def test_a_record_that_no_wrapper_writes_is_none(bucket: Bucket, content: bytes) -> None:
    bucket.put("run/_perian/result.json", content)
    assert harvest(s3_endpoint(), bucket.name).result() is None
