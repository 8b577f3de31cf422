"""Every transport moves files for real, in an image that has nothing else."""

import hashlib
import os
from pathlib import Path

import pytest
from support.s3 import Bucket
from support.wrapper import TRANSPORTS, Job, every_image, make_image, result_of

pytestmark = [pytest.mark.sampled("job", "plain_job"), pytest.mark.thorough]

SHELLS = ("dash", "busybox", "bash")

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
    "*",
    ".dotted",
    "..two",
    "...",
]


@pytest.fixture(params=every_image(), ids=lambda pair: f"{pair[0]}-in-{pair[1]}")
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    transport, shell = request.param
    return Job(tmp_path, make_image(tmp_path, transport, shell))


@pytest.fixture(params=TRANSPORTS)
def plain_job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(tmp_path, make_image(tmp_path, request.param))


@pytest.mark.every_variant
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


@pytest.mark.every_variant
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
    expected["run/outputs/tree/bare/"] = b""
    for name in ("number", "nothing", "tree", "absent"):
        job.add("output", name, out / name)
    job.post_to(bucket)

    ended = job.shell('echo 42 >"$1/out/number"; : >"$1/out/nothing"')

    assert ended.code == 0, ended.err
    assert result_of(bucket) == {
        "version": 1,
        "exit_code": 0,
        "transport": job.image.transport,
        "error": False,
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


def entries_of(bucket: Bucket, name: str) -> object:
    outputs = result_of(bucket)["outputs"]
    assert isinstance(outputs, dict)
    return outputs[name]["entries"]


def test_the_elements_of_a_list_are_recorded_with_their_kinds(job: Job, bucket: Bucket) -> None:
    names = [name for name in ODD_NAMES if not name.startswith(".")]
    (job.work / "names").write_text("\n".join(names) + "\n")
    job.add("output", "fs", job.work / "fs", "1")
    job.post_to(bucket)

    ended = job.shell(
        'mkdir "$1/fs" && cd "$1/fs" && while IFS= read -r name; do : >"./$name"; done <"$1/names"'
        " && mkdir -p full/deep empty/deep && : >full/deep/x && ln -s full link"
        " && ln -s /no/where dangling && mkfifo pipe && : >.hidden"
    )

    assert ended.code == 0, ended.err
    assert entries_of(bucket, "fs") == {
        **dict.fromkeys([*names, ".hidden"], "file"),
        **dict.fromkeys(["full", "empty", "link"], "directory"),
        **dict.fromkeys(["dangling", "pipe"], "other"),
    }


def test_the_elements_of_a_list_of_lists_are_recorded(job: Job, bucket: Bucket) -> None:
    job.add("output", "ls", job.work / "ls", "2")
    job.post_to(bucket)

    ended = job.shell(
        'cd "$1" && mkdir -p ls/0 ls/1/d/deep ls/1/e && : >ls/1/f && : >ls/1/d/deep/x'
    )

    assert ended.code == 0, ended.err
    files = {"1/f": "file"}
    folders = dict.fromkeys(["0", "1", "1/d", "1/e"], "directory")
    assert entries_of(bucket, "ls") == {**files, **folders}
    keys = {"run/outputs/ls/1/f", "run/outputs/ls/1/d/deep/x", "run/outputs/ls/1/e/"}
    assert bucket.keys("run/outputs/") == keys


def test_an_empty_list_has_no_elements(job: Job, bucket: Bucket) -> None:
    job.add("output", "fs", job.work / "fs", "1")
    job.post_to(bucket)

    assert job.shell('mkdir "$1/fs"').code == 0
    assert entries_of(bucket, "fs") == {}
    assert bucket.keys("run/outputs/") == set()


def test_directories_without_files_become_markers(job: Job, bucket: Bucket) -> None:
    job.add("output", "empty", job.work / "empty")
    job.add("output", "full", job.work / "full")
    job.add("output", "ds", job.work / "ds", "1")
    job.post_to(bucket)

    ended = job.shell(
        'cd "$1" && mkdir -p empty/deep full/deep ds/0 "ds/1 ü" && : >full/x && : >ds/0/x'
    )

    assert ended.code == 0, ended.err
    assert bucket.keys("run/outputs/") == {
        "run/outputs/empty/",
        "run/outputs/empty/deep/",
        "run/outputs/full/x",
        "run/outputs/full/deep/",
        "run/outputs/ds/0/x",
        "run/outputs/ds/1 ü/",
    }
    assert bucket.get("run/outputs/empty/") == b""


NOT_UTF_8 = (
    b"x\xff",
    b"\xc3",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xe2\x82",
    b"a\x80b",
    b"\xf5\x80\x80\x80",
    b"\xe0\xc3\x80\xa0\x80",
)


@pytest.mark.parametrize("name", NOT_UTF_8, ids=repr)
def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path, bucket: Bucket, name: bytes) -> None:
    for transport, shell in (("python3", "dash"), *(("curl", each) for each in SHELLS)):
        place = tmp_path / f"{transport}-{shell}"
        place.mkdir()
        job = Job(place, make_image(place, transport, shell))
        (job.work / "tree").mkdir()
        Path(os.fsdecode(os.fsencode(job.work / "tree") + b"/fine \xc3\xbc")).touch()
        Path(os.fsdecode(os.fsencode(job.work / "tree") + b"/" + name)).touch()
        job.add("output", "tree", job.work / "tree")
        job.post_to(bucket)

        ended = job.run("/bin/true")

        assert ended.code == 66
        assert "output tree: a name is not UTF-8" in ended.err
        assert bucket.keys("run/outputs/") == set()


def test_names_from_all_of_unicode_are_kept(job: Job, bucket: Bucket) -> None:
    points = [0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0x10FFFF]
    names = ["".join(map(chr, points)), *(f"{chr(point)}x" for point in points)]
    (job.work / "tree").mkdir()
    for name in names:
        Path(os.fsdecode(os.fsencode(job.work / "tree") + b"/" + name.encode())).touch()
    job.add("output", "tree", job.work / "tree")
    job.post_to(bucket)

    ended = job.run("/bin/true")

    assert ended.code == 0, ended.err
    assert "(11 files" in ended.err


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


@pytest.mark.parametrize("shell", SHELLS)
def test_many_files_are_all_counted(tmp_path: Path, bucket: Bucket, shell: str) -> None:
    job = Job(tmp_path, make_image(tmp_path, "curl", shell))
    (job.work / "tree").mkdir()
    for number in range(101):  # the wrapper asks for the sizes of a hundred at a time
        (job.work / "tree" / f" {number} total ").write_bytes(b"x" * number)
    job.add("output", "tree", job.work / "tree")
    job.post_to(bucket)

    ended = job.run("/bin/true")

    assert ended.code == 0, ended.err
    outputs = {"tree": {"kind": "directory", "files": 101, "bytes": 5050}}
    assert result_of(bucket)["outputs"] == outputs
    assert len(bucket.keys("run/outputs/tree/")) == 101


def test_what_the_environment_says_of_patterns_hides_no_file(
    tmp_path: Path, bucket: Bucket
) -> None:
    job = Job(tmp_path, make_image(tmp_path, "curl", "bash"))
    job.environment["GLOBIGNORE"] = "*"
    job.add("output", "tree", job.work / "tree")
    job.post_to(bucket)

    ended = job.shell('mkdir "$1/tree"; : >"$1/tree/file"; echo "$GLOBIGNORE"')

    assert ended.out == "*\n"
    assert bucket.keys("run/outputs/") == {"run/outputs/tree/file"}


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
