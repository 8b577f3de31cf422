"""Images with exactly what the wrapper says that it needs, and images with less."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.bare_root import CURL, IMAGES, bare_root, called, entering, image_root
from support.s3 import Bucket, new_bucket
from support.tools import require_tool
from support.waiting import LONG_SECONDS
from support.wrapper import NEEDED, Grant

from perian_shim.job import ASSETS, read_asset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.thorough,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a root file system"),
]

SCRIPT = """
read -r text < /in/file
echo "$text" > /out/tree/sub/f
: > /out/list/0
echo 1 > /out/list/1
echo 42 > /out/value
"""
"""What a program would do, with nothing but the shell; the plan makes the directories."""


def run(root: Path, bucket: Bucket, path: str = "/bin") -> "subprocess.CompletedProcess[str]":
    """Run the wrapper in a root file system, with inputs and outputs of each kind."""
    bucket.put("in/file", b"some words\n")
    url, fields = bucket.post("run/")
    access = [
        ("get", "/in/file", bucket.url("in/file")),
        ("post", url),
        ("prefix", "run/"),
        *(("field", name, value) for name, value in fields.items()),
    ]
    grant = Grant(new_bucket())
    grant.write(access, renew=60)
    records = [
        ("version", "1"),
        ("dir", "/out/tree/sub/empty"),
        ("dir", "/out/list"),
        ("output", "tree", "/out/tree"),
        ("output", "list", "/out/list", "1"),
        ("output", "value", "/out/value"),
        ("error", "/out/_ERROR"),
        ("grant",),
    ]
    folder = root / "perian-shim"
    for name in ASSETS:
        (folder / name).write_bytes(read_asset(name))
    (folder / "plan").write_text("".join("\t".join(each) + "\n" for each in records))
    command = ["/bin/sh", "/perian-shim/run.sh", "/bin/sh", "-ec", SCRIPT]
    return subprocess.run(
        [*entering(root), *command],
        env={"PATH": path, "PERIAN_SHIM_PAUSE": "0", "PERIAN_SHIM_GRANT": grant.url},
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("image", IMAGES)
def test_what_the_wrapper_says_it_needs_is_enough(
    tmp_path: Path, bucket: Bucket, image: str
) -> None:
    root = image_root(tmp_path, image)

    ended = run(root, bucket, "/no/such/directory:$PATH")

    assert ended.returncode == 0, ended.stderr
    assert {key: bucket.get(f"run/outputs/{key}") for key in outputs_of(bucket)} == {
        "tree/sub/f": b"some words\n",
        "tree/sub/empty/": b"",
        "list/0": b"",
        "list/1": b"1\n",
        "value": b"42\n",
    }
    assert json.loads(bucket.get("run/_perian/result.json"))["outputs"] == {
        "tree": {"kind": "directory", "files": 1, "bytes": 11},
        "list": {
            "kind": "directory",
            "files": 2,
            "bytes": 2,
            "entries": {"0": "file", "1": "file"},
        },
        "value": {"kind": "file", "files": 1, "bytes": 3},
    }


def outputs_of(bucket: Bucket) -> list[str]:
    return [key.removeprefix("run/outputs/") for key in bucket.keys("run/outputs/")]


@pytest.mark.parametrize("missing", ["ls", "wc", "od"])
def test_a_tool_that_is_needed_after_the_command_is_missed_before_it(
    tmp_path: Path, bucket: Bucket, missing: str
) -> None:
    root = bare_root(tmp_path / "root", [name for name in CURL if name != missing])

    ended = run(root, bucket)

    assert ended.returncode == 64
    assert f"the image lacks: {missing}. Add python3 or these to it" in ended.stderr
    assert not (root / "out").exists()


def test_all_that_the_wrapper_needs_beside_a_transport_is_in_coreutils() -> None:
    said = {
        name: subprocess.run(
            [require_tool(name), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        for name in NEEDED
    }

    assert {
        name for name, text in said.items() if "coreutils)" not in text.partition("\n")[0]
    } == set()


def test_an_image_with_a_shell_alone_is_refused_before_the_command(
    tmp_path: Path, bucket: Bucket
) -> None:
    root = bare_root(tmp_path / "root", [])

    ended = run(root, bucket)

    assert ended.returncode == 64
    assert "without python3" in ended.stderr
    assert "the image lacks: cat dd env ls" in ended.stderr


def test_an_image_with_tools_and_no_transport_is_refused_before_the_command(
    tmp_path: Path, bucket: Bucket
) -> None:
    root = bare_root(tmp_path / "root", [name for name in CURL if name != "curl"])

    ended = run(root, bucket)

    assert ended.returncode == 64
    assert "Add one of python3, curl or wget to the image" in ended.stderr


@pytest.mark.parametrize("image", IMAGES)
def test_outputs_for_which_there_is_no_room_are_missed_before_the_command(
    tmp_path: Path, bucket: Bucket, image: str
) -> None:
    root = image_root(tmp_path, image)
    (root / "out").symlink_to("/dev/full-disk")
    (root / "dev/full-disk").mkdir()
    called("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", root / "dev/full-disk")
    try:
        (root / "dev/full-disk/used").write_bytes(b"x" * 4096)
        ended = run(root, bucket)
    finally:
        called("umount", root / "dev/full-disk")

    assert ended.returncode == 64, ended.stderr
    assert "No space left on device" in ended.stderr
