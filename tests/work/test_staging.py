"""What a job is given: checked on the request and on the objects in a real S3."""

import base64
import json
import shlex
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest
from flyteidl.core.interface_pb2 import TypedInterface
from flyteidl.core.literals_pb2 import Literal
from flytekit import StructuredDataset
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from hypothesis import given
from hypothesis import strategies as st
from perian.models.create_job_request import CreateJobRequest as OfficialRequest
from support.flyte_values import declared
from support.flyte_values import encoded as literal
from support.s3 import SECRET_KEY, Bucket, new_bucket, s3_store

from perian_shim import PerianConfig
from perian_shim.errors import InvalidInput
from perian_shim.spec import ContainerWork, ForwardedSecret, JobSpec
from perian_shim.storage.s3 import S3Store
from perian_shim.template import render_command
from perian_shim.work.request import Labels, Private, build_request
from perian_shim.work.staging import MAX_LOOKED_FOR, Stager, Staging
from perian_shim.work.task_record import TaskRecord

WORK = ContainerWork(("true",))
SPEC = JobSpec(PerianConfig(cores=1), "debian:12", WORK)


@pytest.fixture
def bucket() -> Bucket:
    return new_bucket()


@pytest.fixture
def store() -> S3Store:
    return s3_store()


def staged(
    store: S3Store,
    bucket: Bucket,
    inputs: Mapping[str, Literal] | None = None,
    outputs: Mapping[str, Any] | None = None,
    types: Mapping[str, Any] | None = None,
    argv: tuple[str, ...] = WORK.command,
) -> Staging:
    """What a job is given; ``types`` are those of the inputs, where they matter."""
    interface = TypedInterface()
    for name, each in (types or {}).items():
        interface.inputs.variables[name].type.CopyFrom(declared(each))
    for name, each in (outputs or {}).items():
        interface.outputs.variables[name].type.CopyFrom(declared(each))
    stager = Stager(WORK, store, f"s3://{bucket.name}/q7/x-n0-0", 3600)
    return stager.stage(argv, inputs or {}, TaskRecord("test", SPEC, interface))


def files(staging: Staging) -> dict[str, bytes]:
    return {file.path: file.content for file in staging.files}


def plan(staging: Staging) -> list[list[str]]:
    text = files(staging)["/perian-shim/plan"].decode()
    return [line.split("\t") for line in text.splitlines()]


def values(staging: Staging) -> dict[str, bytes]:
    """The values that the wrapper copies, by the path that they get."""
    sent = files(staging)
    return {f[2]: sent[f"/perian-shim/{f[1]}"] for f in plan(staging) if f[0] == "copy"}


def test_without_files_and_outputs_the_command_is_the_users_own(
    store: S3Store, bucket: Bucket
) -> None:
    staging = staged(store, bucket, {"n": literal(3, int)})
    assert (staging.command, staging.wrapped) == (("true",), False)
    assert files(staging)["/var/inputs/n"] == b"3"
    assert json.loads(files(staging)["/var/inputs/inputs.json"]) == {"n": 3}


def test_with_outputs_the_wrapper_runs_the_command(store: S3Store, bucket: Bucket) -> None:
    staging = staged(store, bucket, outputs={"x": int})
    assert staging.command == ("/bin/sh", "/perian-shim/run.sh", "true")
    assert ["output", "x", "/var/outputs/x"] in plan(staging)
    assert ["error", "/var/outputs/_ERROR"] in plan(staging)


def test_a_file_is_fetched_by_a_presigned_url(store: S3Store, bucket: Bucket) -> None:
    bucket.put("data/a b?#%.txt", b"content")
    uri = f"s3://{bucket.name}/data/a b?#%.txt"
    staging = staged(store, bucket, {"f": literal(FlyteFile(uri), FlyteFile)})
    (get,) = [fields for fields in plan(staging) if fields[0] == "get"]
    assert get[1] == "/var/inputs/f"
    with urllib.request.urlopen(get[2]) as answer:
        assert answer.read() == b"content"
    assert json.loads(values(staging)["/var/inputs/inputs.json"]) == {"f": "/var/inputs/f"}


def test_a_directory_is_fetched_object_by_object_with_its_nesting(
    store: S3Store, bucket: Bucket
) -> None:
    for name in ("d/x", "d/deep/x", "d/deep/er/y", "dd/other"):
        bucket.put(name, b"1")
    directory: FlyteDirectory = FlyteDirectory(f"s3://{bucket.name}/d")
    staging = staged(store, bucket, {"d": literal(directory, FlyteDirectory)})
    paths = [fields[1] for fields in plan(staging) if fields[0] == "get"]
    assert sorted(paths) == ["/var/inputs/d/deep/er/y", "/var/inputs/d/deep/x", "/var/inputs/d/x"]


def test_an_object_that_would_leave_the_directory_is_refused(
    store: S3Store, bucket: Bucket
) -> None:
    bucket.put("d/../../etc/passwd", b"1")
    directory: FlyteDirectory = FlyteDirectory(f"s3://{bucket.name}/d")
    with pytest.raises(InvalidInput, match="has no place in a directory"):
        staged(store, bucket, {"d": literal(directory, FlyteDirectory)})


@pytest.mark.parametrize("uri", ["/tmp/local.txt", "abfs://container/x", "file:///tmp/x"])
def test_a_file_that_no_job_can_reach_is_refused_naming_input_and_place(
    store: S3Store, bucket: Bucket, uri: str
) -> None:
    template = literal(FlyteFile(f"s3://{bucket.name}/x"), FlyteFile)
    template.scalar.blob.uri = uri
    with pytest.raises(InvalidInput) as caught:
        staged(store, bucket, {"model": template})
    assert f"Input 'model' is at {uri!r}" in str(caught.value)


def test_a_map_key_that_is_no_file_name_is_refused(store: S3Store, bucket: Bucket) -> None:
    file: FlyteFile = FlyteFile(f"s3://{bucket.name}/x")
    with pytest.raises(InvalidInput, match="cannot be a file name"):
        staged(store, bucket, {"m": literal({"../a": file}, dict[str, FlyteFile])})


def dirs(staging: Staging) -> list[str]:
    return [fields[1] for fields in plan(staging) if fields[0] == "dir"]


@pytest.mark.parametrize(
    ("python_type", "value", "expected"),
    [
        (list[FlyteFile], [], [""]),
        (dict[str, FlyteFile], {}, [""]),
        (list[StructuredDataset], [], [""]),
        (list[FlyteFile] | None, [], [""]),
        (list[list[FlyteFile]], [[], []], ["", "/0", "/1"]),
        (dict[str, list[FlyteDirectory]], {"k": []}, ["", "/k"]),
    ],
)
def test_an_empty_list_or_map_of_files_is_an_empty_directory(
    store: S3Store, bucket: Bucket, python_type: Any, value: object, expected: list[str]
) -> None:
    inputs = {"fs": literal(value, python_type)}
    staging = staged(store, bucket, inputs, types={"fs": python_type})
    assert dirs(staging) == [f"/var/inputs/fs{path}" for path in expected]
    assert "/var/inputs/fs" not in values(staging)
    assert json.loads(values(staging)["/var/inputs/inputs.json"]) == {"fs": value}


def test_an_empty_list_of_values_is_a_file(store: S3Store, bucket: Bucket) -> None:
    staging = staged(store, bucket, {"n": literal([], list[int])}, types={"n": list[int]})
    assert files(staging)["/var/inputs/n"] == b"[]"


def test_an_empty_map_key_of_a_list_of_files_is_refused(store: S3Store, bucket: Bucket) -> None:
    python_type = dict[str, list[FlyteFile]]
    with pytest.raises(InvalidInput, match="cannot be a file name"):
        staged(store, bucket, {"m": literal({"..": []}, python_type)}, types={"m": python_type})


def test_a_file_that_is_not_there_is_named(store: S3Store, bucket: Bucket) -> None:
    file = literal(FlyteFile(f"s3://{bucket.name}/no/such"), FlyteFile)
    with pytest.raises(InvalidInput, match=r"Input 'f': there is no object 's3://.*/no/such'"):
        staged(store, bucket, {"f": file})


@pytest.mark.parametrize("name", ["{bucket}/no/such", "no-such-bucket-anywhere/d"])
def test_a_directory_that_is_not_there_is_named(store: S3Store, bucket: Bucket, name: str) -> None:
    folder: FlyteDirectory = FlyteDirectory("s3://" + name.format(bucket=bucket.name))
    with pytest.raises(InvalidInput, match="Input 'd': there is nothing below"):
        staged(store, bucket, {"d": literal(folder, FlyteDirectory)})


def test_a_directory_that_is_empty_is_an_empty_directory(store: S3Store, bucket: Bucket) -> None:
    bucket.put("e/", b"")
    folder: FlyteDirectory = FlyteDirectory(f"s3://{bucket.name}/e")
    assert dirs(staged(store, bucket, {"d": literal(folder, FlyteDirectory)})) == ["/var/inputs/d"]


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://bucket", "s3://a b/key"])
def test_a_malformed_uri_is_the_inputs_fault(store: S3Store, bucket: Bucket, uri: str) -> None:
    template = literal(FlyteFile(f"s3://{bucket.name}/x"), FlyteFile)
    template.scalar.blob.uri = uri
    with pytest.raises(InvalidInput) as caught:
        staged(store, bucket, {"model": template})
    assert f"Input 'model' is at {uri!r}" in str(caught.value)


def test_the_signature_of_a_url_that_no_job_can_fetch_is_not_shown(
    store: S3Store, bucket: Bucket
) -> None:
    folder = literal(FlyteDirectory(f"s3://{bucket.name}/x"), FlyteDirectory)
    folder.scalar.blob.uri = "https://example.org/x?X-Amz-Signature=f00dfeed"
    with pytest.raises(InvalidInput) as caught:
        staged(store, bucket, {"d": folder})
    assert "https://example.org/x" in str(caught.value)
    assert "f00dfeed" not in str(caught.value)


def test_only_some_of_many_files_are_looked_for(store: S3Store, bucket: Bucket) -> None:
    bucket.put("there", b"1")
    many: list[FlyteFile] = [FlyteFile(f"s3://{bucket.name}/there")] * MAX_LOOKED_FOR
    absent: FlyteFile = FlyteFile(f"s3://{bucket.name}/absent")
    inputs = {"fs": literal([*many, absent], list[FlyteFile])}
    assert staged(store, bucket, inputs, types={"fs": list[FlyteFile]}).wrapped


def test_with_the_wrapper_values_lie_beside_it_and_are_copied(
    store: S3Store, bucket: Bucket
) -> None:
    staging = staged(store, bucket, {"n": literal(3, int)}, {"x": int})
    assert all(path.startswith("/perian-shim/") for path in files(staging))
    assert values(staging)["/var/inputs/n"] == b"3"


def test_an_output_that_is_a_list_of_files_says_how_deep_its_elements_are(
    store: S3Store, bucket: Bucket
) -> None:
    types = {"d": FlyteDirectory, "fs": list[FlyteFile], "m": dict[str, list[FlyteDirectory]]}
    found = {f[1]: f[3:] for f in plan(staged(store, bucket, outputs=types)) if f[0] == "output"}
    assert found == {"d": [], "fs": ["1"], "m": ["2"]}


def test_large_values_are_fetched_and_small_ones_sent(store: S3Store, bucket: Bucket) -> None:
    large = "ü" * 100_000
    staging = staged(store, bucket, {"small": literal("s", str), "large": literal(large, str)})
    gets = {fields[1]: fields[2] for fields in plan(staging) if fields[0] == "get"}
    assert set(gets) == {"/var/inputs/large", "/var/inputs/inputs.json"}
    assert values(staging)["/var/inputs/small"] == b"s"
    with urllib.request.urlopen(gets["/var/inputs/large"]) as answer:
        assert answer.read().decode() == large


def test_a_large_plan_is_fetched(store: S3Store, bucket: Bucket) -> None:
    for number in range(300):
        bucket.put(f"d/{number}", b"")
    directory: FlyteDirectory = FlyteDirectory(f"s3://{bucket.name}/d")
    staging = staged(store, bucket, {"d": literal(directory, FlyteDirectory)})
    (version, include, *kept) = plan(staging)
    assert (version, include[0]) == (["version", "1"], "include")
    assert {each[0] for each in kept} == {"error", "post", "prefix", "max_bytes", "field"}
    with urllib.request.urlopen(include[1]) as answer:
        assert answer.read().decode().count("\nget\t") == 300


def test_the_upload_policy_is_limited_to_the_attempts_prefix(
    store: S3Store, bucket: Bucket
) -> None:
    staging = staged(store, bucket, outputs={"x": int})
    fields = {f[1]: f[2] for f in plan(staging) if f[0] == "field"}
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert ["starts-with", "$key", "q7/x-n0-0/"] in policy["conditions"]
    assert {"bucket": bucket.name} in policy["conditions"]
    assert ["content-length-range", 0, 5 * 1024**3] in policy["conditions"]
    assert ["prefix", "q7/x-n0-0/"] in plan(staging)


def test_no_key_of_the_bucket_is_in_what_a_job_is_given(store: S3Store, bucket: Bucket) -> None:
    bucket.put("f", b"1")
    file = literal(FlyteFile(f"s3://{bucket.name}/f"), FlyteFile)
    staging = staged(store, bucket, {"f": file}, {"x": int})
    request = build_request(SPEC, staging, Labels("k", "s3://b/q7"), Private(), None)
    for content in (*files(staging).values(), json.dumps(request.to_json()).encode()):
        assert SECRET_KEY.encode() not in content


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(values=st.lists(texts, min_size=1, max_size=4))
def test_the_command_sent_splits_into_exactly_the_rendered_list(values: list[str]) -> None:
    names = [f"v{number}" for number in range(len(values))]
    command = ["run", *(f"--{name}={{{{.inputs.{name}}}}}" for name in names)]
    command += [f"{{{{ inputs.{name} }}}}" for name in names]
    inputs = {name: literal(value, str) for name, value in zip(names, values, strict=True)}
    rendered = render_command(command, inputs, raw_output_data_prefix="", per_retry_unique_key="")
    expected = ["run", *(f"--{n}={v}" for n, v in zip(names, values, strict=True)), *values]
    staging = Staging(("/bin/sh", "/perian-shim/run.sh", *rendered), (), wrapped=True)
    request = build_request(SPEC, staging, Labels("k", "s3://b/q7"), Private(), None)
    sent = OfficialRequest.from_dict(request.to_json())
    assert sent is not None
    assert sent.docker_run_parameters is not None
    assert shlex.split(str(sent.docker_run_parameters.command))[2:] == expected


def meant(value: object) -> object:
    """Return what an official model says, without what it fills in."""
    if isinstance(value, dict):
        return {k: meant(v) for k, v in value.items() if v is not None and v is not False}
    return value


def test_the_request_is_what_the_official_client_would_send() -> None:
    spec = replace(
        SPEC,
        config=PerianConfig(
            cores=4,
            memory="64Gi",
            accelerators=2,
            accelerator_type="A100",
            os_storage_size=80,
            country_code="de",
            provider="OTC",
        ),
        image="registry:5000/team/job:v1",
        environment={"MODE": "fast"},
    )
    staging = Staging(("true",), (), wrapped=False)
    request = build_request(spec, staging, Labels("key", "s3://b/q7"), Private(), 600)
    sent = OfficialRequest.from_dict(request.to_json())
    assert sent is not None
    assert sent.requirements is not None
    assert meant(sent.to_dict()) == {
        "auto_failover_instance_type": True,
        "timeout_seconds": 600,
        "os_storage_config": {"size": 80},
        "requirements": {
            "cpu": {"cores": 4},
            "ram": {"size": "64"},
            "accelerator": {"no": 2, "name": "A100"},
            "region": {"location": "DE"},
            "provider": {"name_short": "OTC"},
        },
        "docker_run_parameters": {
            "image_name": "registry:5000/team/job",
            "image_tag": "v1",
            "command": "true",
            "env_variables": {
                "MODE": "fast",
                "PERIAN_SHIM_KEY": "key",
                "PERIAN_SHIM_OUTPUT": "s3://b/q7",
            },
        },
    }


def test_forwarded_secrets_go_where_a_flyte_pod_has_them() -> None:
    secrets = {
        ForwardedSecret("G", "key"): "one",
        ForwardedSecret("g", "named", "MY_TOKEN"): "two",
        ForwardedSecret("G", "File", "MY_FILE", as_file=True): "three",
    }
    staging = Staging(("true",), (), wrapped=False)
    docker = build_request(SPEC, staging, Labels("k", "o"), Private(secrets), None).docker
    path = "/etc/flyte/secrets/g/file"
    assert docker.secrets == {
        "_FSEC_G_KEY": "one",
        "_FSEC_G_NAMED": "two",
        "MY_TOKEN": "two",
        "MY_FILE": path,
        "FLYTE_SECRETS_DEFAULT_DIR": "/etc/flyte/secrets",
        "FLYTE_SECRETS_FILE_PREFIX": "",
    }
    assert {file.path: file.content for file in docker.container_files} == {path: b"three"}
    assert not {"one", "two", "three"} & set(docker.env_variables.values())
    assert PurePosixPath(path).is_absolute()


def test_empty_folders_of_an_input_directory_are_made(store: S3Store, bucket: Bucket) -> None:
    for key in ("d/f", "d/empty/", "d/deep/er/"):
        bucket.put(key, b"")
    directory: FlyteDirectory = FlyteDirectory(f"s3://{bucket.name}/d")
    records = plan(staged(store, bucket, {"d": literal(directory, FlyteDirectory)}))
    folders = {each[1] for each in records if each[0] == "dir"}
    assert folders == {f"/var/inputs/d{each}" for each in ("", "/empty", "/deep/er")}


@pytest.mark.parametrize(
    ("argv", "wrapped"),
    [(("true",), False), (("sh", "-c", "echo bad > /var/outputs/_ERROR"), True)],
)
def test_a_task_without_inputs_and_outputs_is_wrapped_if_it_is_told_of_the_outputs_directory(
    store: S3Store, bucket: Bucket, argv: tuple[str, ...], wrapped: bool
) -> None:
    staging = staged(store, bucket, argv=argv)
    assert staging.wrapped is wrapped
    if wrapped:
        assert ["error", "/var/outputs/_ERROR"] in plan(staging)
