"""Every transport moves files for real, in an image that has nothing else."""

import hashlib
import os
from pathlib import Path

import pytest
from support.s3 import Bucket, new_bucket
from support.wrapper import TRANSPORTS, Job, every_image, make_image, result_of

ODD_NAMES = [
    "plain",
    "two words",
    " lead and trail ",
    "-rf",
    "semi;colon,comma",
    "quo\"te's",
    "back\\slash",
    "per%20cent%",
    "ünïcode-文字-🙂",
    "plus+and&amp?query#hash",
    "${filename}",
    "$(touch x)`y`",
    "[a]{b,c}*",
    "@file",
    "<less",
]


@pytest.fixture
def bucket() -> Bucket:
    return new_bucket()


@pytest.fixture(params=every_image(), ids=lambda pair: f"{pair[0]}-in-{pair[1]}")
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    transport, shell = request.param
    return Job(tmp_path, make_image(tmp_path, transport, shell))


@pytest.fixture(params=TRANSPORTS)
def plain_job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(tmp_path, make_image(tmp_path, request.param))


def test_inputs_arrive_whole_under_their_names(job: Job, bucket: Bucket) -> None:
    expected = {}
    for number, name in enumerate(ODD_NAMES):
        content = f"content {number}".encode() * number
        bucket.put(f"in/{name}", content)
        target = job.work / "in" / f"sub {number % 3}" / name
        job.add("get", target, bucket.url(f"in/{name}"))
        expected[target] = content

    ended = job.run("/bin/true")

    assert ended.code == 0, ended.err
    assert {path: path.read_bytes() for path in expected} == expected
    assert {p for p in (job.work / "in").rglob("*") if p.is_file()} == set(expected)
    assert job.left_behind() == []


def test_outputs_arrive_whole_under_their_names(job: Job, bucket: Bucket) -> None:
    out = job.work / "out"
    tree = out / "tree"
    expected = {"run/outputs/number": b"42\n", "run/outputs/nothing": b""}
    for number, name in enumerate(ODD_NAMES):
        path = tree / "deep" / name / name
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(100 * number))
        expected[f"run/outputs/tree/deep/{name}/{name}"] = path.read_bytes()
    size = sum(len(v) for v in expected.values()) - 3
    (tree / "bare").mkdir()
    for name in ("number", "nothing", "tree", "absent"):
        job.add("output", name, out / name)
    job.post_to(bucket)

    ended = job.shell('echo 42 >"$1/out/number"; : >"$1/out/nothing"')

    assert ended.code == 0, ended.err
    assert result_of(bucket) == {
        "version": 1,
        "exit_code": 0,
        "transport": job.image.transport,
        "outputs": {
            "number": {"kind": "file", "files": 1, "bytes": 3},
            "nothing": {"kind": "file", "files": 1, "bytes": 0},
            "tree": {"kind": "directory", "files": len(ODD_NAMES), "bytes": size},
            "absent": {"kind": "missing", "files": 0, "bytes": 0},
        },
    }
    keys = bucket.keys() - {"run/_perian/result.json"}
    assert {key: bucket.get(key) for key in keys} == expected
    assert job.left_behind() == []


def test_links_in_an_output_are_followed(job: Job, bucket: Bucket) -> None:
    elsewhere = job.root / "elsewhere"
    (elsewhere / "inner").mkdir(parents=True)
    (elsewhere / "inner" / "file").write_text("x")
    job.add("output", "tree", job.work / "tree")
    job.post_to(bucket)

    ended = job.shell(
        'mkdir "$1/tree" && ln -s "$2/inner" "$1/tree/dir" && ln -s "$2/inner/file" "$1/tree/f"',
        str(elsewhere),
    )

    assert ended.code == 0, ended.err
    assert bucket.keys("run/outputs/") == {"run/outputs/tree/dir/file", "run/outputs/tree/f"}


@pytest.mark.slow
def test_100_megabytes_come_and_go_unchanged(plain_job: Job, bucket: Bucket) -> None:
    content = os.urandom(1_000_000) * 100 + b"end"
    bucket.put("big", content)
    plain_job.add("get", plain_job.work / "big", bucket.url("big"))
    plain_job.add("output", "copy", plain_job.work / "copy")
    plain_job.post_to(bucket)

    ended = plain_job.shell('cp "$1/big" "$1/copy"')

    assert ended.code == 0, ended.err
    copy = bucket.get("run/outputs/copy")
    assert hashlib.sha256(copy).digest() == hashlib.sha256(content).digest()


def test_many_files_share_few_messages(plain_job: Job, bucket: Bucket) -> None:
    plain_job.add("output", "tree", plain_job.work / "tree")
    plain_job.post_to(bucket)

    ended = plain_job.shell(
        'mkdir "$1/tree"; for i in 1 2 3 4 5 6 7 8 9; do echo >"$1/tree/$i"; done'
    )

    assert ended.err.splitlines() == [
        f"[perian-shim] uploaded 1 outputs (9 files, 9 bytes) with {plain_job.image.transport}"
    ]
