"""What the executor image is put together by: requirements, libraries, the tool that builds it."""

import _ctypes
import re
import subprocess
import sys
from pathlib import Path

import assemble
import image
import pytest
import rootfs
from container_engine import Engine, bytes_of
from hypothesis import given
from hypothesis import strategies as st
from support.tools import require_tool
from support.waiting import LONG_SECONDS
from symbols import HEADER_SIZE, without_symbols

REQUIREMENTS = """\
adlfs==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
aiohttp==3.1 ; python_version < '3.11' \\
    --hash=sha256:cc
aiohttp==3.2 ; python_version >= '3.11' \\
    --hash=sha256:dd
"""


def test_a_requirement_is_left_out_with_its_hashes() -> None:
    assert assemble.without(REQUIREMENTS, {"adlfs"}) == REQUIREMENTS[REQUIREMENTS.index("aio") :]


def test_nothing_is_left_out_of_other_requirements() -> None:
    assert assemble.without(REQUIREMENTS, set()) == REQUIREMENTS


def test_leaving_out_what_is_not_required_is_an_error() -> None:
    with pytest.raises(ValueError, match="azure-core"):
        assemble.without(REQUIREMENTS, {"azure-core"})


def requirements(lock: str) -> str:
    return (image.CHECKOUT / assemble.LOCKS / f"{lock}.txt").read_text()


def test_what_the_image_with_flytekit_leaves_out_is_in_its_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(image.CHECKOUT)
    omitted = assemble.names_in(assemble.OMITTED)
    assert "adlfs" in omitted
    kept = assemble.without(requirements("executor-flytekit"), omitted)
    assert "adlfs==" not in kept
    assert "flytekit==" in kept
    assert "dumb-init==" in kept


def test_the_image_has_neither_flytekit_nor_boto3() -> None:
    lock = requirements("executor")
    assert not [name for name in ("flytekit==", "boto3==", "s3fs==") if name in lock]
    assert "dumb-init==" in lock


def test_both_images_have_the_same_versions_of_what_they_share() -> None:
    """So that one wheelhouse serves both, and what is tested with one holds for the other."""
    lean, full = (
        {line.split()[0] for line in requirements(lock).splitlines() if "==" in line}
        for lock in ("executor", "executor-flytekit")
    )
    assert lean <= full


def test_the_library_of_the_image_without_flytekit_lacks_what_nothing_there_imports() -> None:
    omitted = rootfs.patterns(image.CHECKOUT / "images/omitted-library.txt")
    names = ["asyncio", "json", "sqlite3", "_sqlite3.cpython-312-x86_64-linux-gnu.so", "test"]
    assert rootfs.left_out("/lib", names, omitted) == {*names} - {"json"}
    assert rootfs.left_out("/lib", names, []) == {"test"}
    encodings = ["utf_8.py", "big5.py"]
    assert rootfs.left_out("/lib/encodings", encodings, omitted) == {"big5.py"}
    assert rootfs.left_out("/lib/encodings", encodings, []) == set()


def test_a_library_without_symbols_is_smaller_and_still_works(tmp_path: Path) -> None:
    source = tmp_path / "answer.c"
    source.write_text(
        "static int hidden(void) { return 42; } int answer(void) { return hidden(); }"
    )
    library = tmp_path / "libanswer.so"
    command = ["cc", "-g", "-shared", "-fPIC", "-o", str(library), str(source)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=5 * LONG_SECONDS)
    except FileNotFoundError:
        library.write_bytes(Path(_ctypes.__file__).read_bytes())
    before = library.read_bytes()
    library.write_bytes(without_symbols(before))
    assert library.stat().st_size < len(before)
    code = f"import ctypes; ctypes.CDLL({str(library)!r}); print('loaded')"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, check=True, timeout=LONG_SECONDS)
    assert ended.stdout == b"loaded\n"


@given(st.binary(max_size=200))
def test_what_is_no_library_is_left_alone(content: bytes) -> None:
    assert without_symbols(content) == content


@given(st.binary(min_size=HEADER_SIZE, max_size=300))
def test_a_damaged_library_is_never_a_reason_to_fail(content: bytes) -> None:
    damaged = b"\x7fELF\x02\x01" + content[6:]
    assert len(without_symbols(damaged)) <= len(damaged)


@pytest.mark.parametrize(
    ("printed", "size"), [("0 B", 0), ("12B", 12), ("1.5kB", 1500), ("48.3 MB", 48_300_000)]
)
def test_sizes_are_read_as_engines_print_them(printed: str, size: int) -> None:
    assert bytes_of(printed) == size


def test_a_wheelhouse_without_wheels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no wheels"), image.context(tmp_path):
        pass


def test_only_what_the_image_is_made_of_is_sent_to_the_builder(tmp_path: Path) -> None:
    (tmp_path / "given-1-py3-none-any.whl").touch()
    with image.context(tmp_path) as root:
        assert {path.name for path in root.iterdir()} == set(image.PARTS)
        assert (root / "images/wheelhouse/given-1-py3-none-any.whl").exists()
        assert list(root.rglob("__pycache__")) == []


def test_pips_certificates_and_index_are_passed_on_as_secrets(tmp_path: Path) -> None:
    authority, configuration = tmp_path / "ca.pem", tmp_path / "pip.conf"
    authority.touch()
    configuration.touch()
    environ = {"REQUESTS_CA_BUNDLE": str(authority), "PIP_CONFIG_FILE": str(configuration)}
    assert image.secrets(environ) == {"ca": authority, "pip.conf": configuration}


def test_without_an_engine_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert image.main(["build"]) == 1
    assert "install podman and buildah, or docker" in capsys.readouterr().err


WHEELS = [
    "jinja2-3.1-py3-none-any.whl",
    "protobuf-6.3-cp39-abi3-manylinux2014_x86_64.whl",
    "grpcio-1.7-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
]


@pytest.mark.parametrize(
    ("wheels", "python", "machine", "fit"),
    [
        (WHEELS, "3.12", "x86_64", True),
        (WHEELS, "3.12", "aarch64", False),
        (WHEELS[::2], "3.11", "x86_64", False),
        (WHEELS[:2], "3.11", "x86_64", True),
        (WHEELS[:2], "3.8", "x86_64", False),
        (WHEELS[:1], "3.11", "aarch64", True),
        (["dumb_init-1.2.5-py2.py3-none-manylinux1_x86_64.whl"], "3.10", "x86_64", True),
    ],
)
def test_wheels_are_compared_with_the_python_and_machine_of_the_base(
    wheels: list[str], python: str, machine: str, fit: bool
) -> None:
    assert image.fitting(wheels, python, machine) is fit


def engine_saying(folder: Path, script: str) -> Engine:
    """A container engine that answers as a shell script says."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Engine(str(program), (str(program), "build"), ())


def test_a_base_that_is_not_here_is_named_before_anything_is_built(tmp_path: Path) -> None:
    engine = engine_saying(tmp_path, "exit 1")
    with pytest.raises(ValueError, match="pulls nothing") as caught:
        image.check_offline(engine, None, tmp_path)
    for words in (image.default_base(), "save", "load < base.tar.gz", "BASE_IMAGE="):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 3.11 aarch64", "Python 3.11 on aarch64: collect them with `make wheelhouse"),
        ('[ "$1" = image ] || { echo no such file >&2; exit 127; }', "has no python3 that runs"),
    ],
)
def test_a_base_that_does_not_fit_the_wheels_is_named_before_anything_is_built(
    script: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / WHEELS[2]).touch()
    with pytest.raises(ValueError, match=message):
        image.check_offline(engine_saying(tmp_path, script), "base:1", tmp_path)


def test_a_base_that_fits_is_taken(tmp_path: Path) -> None:
    (tmp_path / WHEELS[2]).touch()
    image.check_offline(engine_saying(tmp_path, "echo 3.12 x86_64"), "base:1", tmp_path)


def test_the_image_names_its_base_and_the_digest_of_it_if_that_is_known() -> None:
    named = image.labels("python:3.12@sha256:aa", "sha256:aa")
    names = ("base.name", "base.digest")
    assert [named[f"org.opencontainers.image.{name}"] for name in names] == [
        "python:3.12",
        "sha256:aa",
    ]
    assert "org.opencontainers.image.base.digest" not in image.labels("python:3.12", None)


@pytest.mark.parametrize(
    ("known", "digest"),
    [
        ('{"Digest": "sha256:aa", "RepoDigests": ["python@sha256:bb"]}', "sha256:aa"),
        ('{"RepoDigests": ["python@sha256:bb"]}', "sha256:bb"),
        ('{"RepoDigests": []}', None),
    ],
)
def test_the_digest_of_a_base_is_what_the_engine_knows(
    known: str, digest: str | None, tmp_path: Path
) -> None:
    assert engine_saying(tmp_path, f"echo '[{known}]'").digest("python:3.12") == digest


def test_the_digest_of_a_base_that_is_named_by_it_is_not_asked_for(tmp_path: Path) -> None:
    engine = engine_saying(tmp_path, "exit 1")
    assert engine.digest("python@sha256:aa") == "sha256:aa"
    assert engine.digest("python:3.12") is None


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_says_what_it_does_and_how_long_it_takes(target: str, tmp_path: Path) -> None:
    """Each slow step of a first run: the environment, the packages, the work."""
    require_tool("make")
    command = ["make", "--dry-run", f"VENV={tmp_path}/venv", target]
    printed = subprocess.run(
        command,
        cwd=image.CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG_SECONDS,
    ).stdout.splitlines()
    slow = ("make_venv.py", "-r requirements", "perian-shim demo", "ruff format", "-m pytest")
    for number, line in enumerate(printed):
        if any(words in line for words in slow):
            assert printed[number - 1].startswith('echo "# ')
            assert re.search(r"second|minute", printed[number - 1])
