"""How a job reaches its data as long as it runs: grants that are renewed, secrets, large files."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.s3 import Bucket
from support.storage_front import Answer, Seen, faulty_server
from support.waiting import LONG_SECONDS, wait_until
from support.wrapper import SECONDS, TRANSPORTS, Ended, Job, make_image, result_of

pytestmark = [pytest.mark.sampled("job"), pytest.mark.thorough]

SECRET = "f00dfeedc0ffee"
QUERY = f"?X-Amz-Signature={SECRET}"
MIB = 1024**2


@pytest.fixture(params=TRANSPORTS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    """A job in each kind of image, of which nothing may be left."""
    job = Job(tmp_path, make_image(tmp_path, request.param))
    job.renew = 1
    yield job
    assert job.ends
    assert job.left_behind() == []
    assert processes_of(job) == []


def processes_of(job: Job) -> list[str]:
    """Command lines of the processes that a job has."""
    lines = [(file, cmdline(file)) for file in Path("/proc").glob("[0-9]*/cmdline")]
    return [line for _, line in lines if str(job.root) in line]


def cmdline(file: Path) -> str:
    try:
        return file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def form(job: Job, bucket: Bucket, *, seconds: int = 3600) -> None:
    """Give the job leave to upload, for so long."""
    job.access = [each for each in job.access if each[0] == "get"]
    job.post_with(*bucket.post("run/", seconds))


def waiting(job: Job, script: str = "true") -> tuple[subprocess.Popen[str], Path]:
    """Start a command that waits until a file is there, which is returned."""
    go = job.work / "go"
    script = f'until [ -e "{go}" ]; do sleep 0.05; done; {script}'
    process = job.start("/bin/sh", "-c", f"PATH=/usr/bin:/bin; echo begun; {script}")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process, go


def ended(job: Job, process: "subprocess.Popen[str]") -> Ended:
    out, err = process.communicate(timeout=SECONDS)
    job.ends.append(Ended(process.returncode, out, err))
    return job.ends[-1]


def copy_of_grant(job: Job) -> Path | None:
    """The private copy of the newest grant."""
    return next((job.root / "tmp").glob("tmp-perian-shim.*/grant"), None)


def has_read(job: Job, number: int) -> bool:
    """Whether the job has the grant that was written as this one."""
    copy = copy_of_grant(job)
    return copy is not None and f"&n={number}\n" in copy.read_text()


# --- renewal ---


@pytest.mark.every_variant
def test_while_the_command_runs_each_next_grant_is_read(job: Job, bucket: Bucket) -> None:
    form(job, bucket)
    process, go = waiting(job)
    for number in (2, 3):
        job.grant_now()
        wait_until(lambda n=number: has_read(job, n), LONG_SECONDS, "the next grant is not read")  # type: ignore[misc]  # mypy cannot infer a lambda's default
    go.touch()
    assert ended(job, process).code == 0


@pytest.mark.every_variant
def test_outputs_are_uploaded_with_the_newest_grant(job: Job, bucket: Bucket) -> None:
    job.add("output", "x", job.work / "x")
    form(job, bucket, seconds=1)
    process, go = waiting(job, f'echo 1 > "{job.work}/x"')
    form(job, bucket)
    job.grant_now()
    wait_until(lambda: has_read(job, 2), LONG_SECONDS, "the next grant is not read")
    go.touch()
    end = ended(job, process)
    assert (end.code, bucket.get("run/outputs/x")) == (0, b"1\n"), end.err


def test_a_grant_that_is_not_whole_does_not_replace_one_that_is(job: Job, bucket: Bucket) -> None:
    form(job, bucket)
    process, go = waiting(job)
    job.grant_now(whole=False)
    job.grant_now(whole=False)
    assert process.stderr is not None
    assert "the next grant" in process.stderr.readline()
    assert has_read(job, 1)
    go.touch()
    assert ended(job, process).code == 0


def test_that_a_grant_cannot_be_read_is_said_once_and_disturbs_no_command(
    job: Job, bucket: Bucket
) -> None:
    form(job, bucket)
    process, go = waiting(job, "i=0; while [ $i -lt 60 ]; do sleep 0.05; i=$((i + 1)); done")
    assert job.grant is not None
    job.grant.bucket.put("grant", b"")
    go.touch()
    end = ended(job, process)
    assert (end.code, end.err.count("the next grant")) == (0, 1), end.err


def test_a_command_that_kills_what_renews_the_grant_can_still_leave_its_outputs(
    job: Job, bucket: Bucket
) -> None:
    job.add("output", "x", job.work / "x")
    form(job, bucket, seconds=1)
    process, go = waiting(job, f'echo 1 > "{job.work}/x"')
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if "begun" not in cmdline(Path(f"/proc/{child}/cmdline")):
            os.kill(int(child), signal.SIGKILL)
    form(job, bucket)
    job.grant_now()
    go.touch()
    end = ended(job, process)
    assert (end.code, bucket.get("run/outputs/x")) == (0, b"1\n"), end.err


def test_a_command_that_empties_the_temporary_directory_can_still_leave_its_outputs(
    job: Job, bucket: Bucket
) -> None:
    job.add("output", "x", job.work / "x")
    form(job, bucket)
    end = job.shell(f'rm -rf "{job.root}/tmp"/*; echo 1 > "$1/x"')
    assert (end.code, bucket.get("run/outputs/x")) == (0, b"1\n"), end.err


# --- access that has expired ---


@pytest.mark.every_variant
def test_access_that_expires_while_the_pod_is_away_is_waited_for(job: Job, bucket: Bucket) -> None:
    job.environment["PERIAN_SHIM_PATIENCE"] = str(SECONDS)
    job.add("output", "x", job.work / "x")
    form(job, bucket, seconds=-1)
    process = job.start("/bin/sh", "-c", f'echo 1 > "{job.work}/x"; echo done')
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    form(job, bucket)
    job.grant_now()
    end = ended(job, process)
    assert (end.code, bucket.get("run/outputs/x")) == (0, b"1\n"), end.err


def test_access_that_nobody_renews_is_given_up_and_named(job: Job, bucket: Bucket) -> None:
    job.add("output", "x", job.work / "x")
    form(job, bucket, seconds=-1)
    end = job.shell('echo 1 > "$1/x"')
    assert end.code == 66
    assert "access expired, and nobody renews it" in end.err


@pytest.mark.parametrize("names", [["a", "b", "c d"], ["c d", "b", "a"]], ids=["in order", "not"])
@pytest.mark.parametrize(
    ("transport", "shell"),
    [("python3", "dash"), ("curl", "dash"), ("curl", "busybox"), ("curl", "bash")],
)
def test_an_input_that_is_fetched_late_is_fetched_with_the_newest_grant(
    tmp_path: Path, bucket: Bucket, transport: str, shell: str, names: list[str]
) -> None:
    job = Job(tmp_path, make_image(tmp_path, transport, shell))
    job.environment["PERIAN_SHIM_PATIENCE"] = str(SECONDS)
    job.renew = 1
    for name in sorted(names):
        bucket.put(name, name.encode())
        job.add("get", job.work / name, bucket.url(name, seconds=-1))
    process = job.start("/bin/true")
    job.access = [("get", str(job.work / name), bucket.url(name)) for name in names]
    wait_until(lambda: copy_of_grant(job) is not None, LONG_SECONDS, "no grant was read")
    job.grant_now()
    end = ended(job, process)
    assert end.code == 0, end.err
    assert {name: (job.work / name).read_bytes() for name in names} == {
        name: name.encode() for name in names
    }


def test_without_a_grant_nothing_is_run(job: Job, bucket: Bucket) -> None:
    form(job, bucket)
    job.grant_now(whole=False)
    end = job.run("/bin/echo", "ran")
    assert (end.code, end.out) == (65, "")
    assert "not whole" in end.err


# --- what nobody may see ---


@pytest.mark.every_variant
def test_no_signature_is_among_the_arguments_of_a_process(job: Job) -> None:
    shown: list[str] = []

    def look(seen: Seen) -> Answer:
        del seen
        shown.extend(processes_of(job))
        return Answer(body=b"content")

    with faulty_server(look) as server:
        job.add("get", job.work / "in", f"{server.url}/a{QUERY}")
        assert job.run("/bin/true").code == 0
    assert shown
    assert not [line for line in shown if SECRET in line]


def test_the_command_sees_neither_the_grant_nor_the_variables_of_secrets(
    job: Job, bucket: Bucket
) -> None:
    form(job, bucket)
    job.add("secret", "PERIAN_SHIM_SECRET_0", job.work / "key")
    job.environment |= {"PERIAN_SHIM_SECRET_0": SECRET, "MINE": "kept"}
    end = job.run("/usr/bin/env")
    assert "MINE=kept" in end.out
    assert "PERIAN_SHIM_GRANT" not in end.out
    assert SECRET not in end.out + end.err


@pytest.mark.parametrize("value", ["plain", "two\nlines\n\n", "", " ü$(id)`id`'\"\\n "])
def test_a_secret_is_a_file_that_only_the_jobs_user_can_read(job: Job, value: str) -> None:
    file = job.work / "deep" / "key"
    job.add("secret", "PERIAN_SHIM_SECRET_0", file)
    job.environment["PERIAN_SHIM_SECRET_0"] = value
    assert job.run("/bin/true").code == 0
    assert file.read_bytes() == value.encode()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_private_copy_of_a_grant_is_private(job: Job, bucket: Bucket) -> None:
    form(job, bucket)
    process, go = waiting(job)
    copy = copy_of_grant(job)
    assert copy is not None
    modes = [copy.stat().st_mode & 0o077, copy.parent.stat().st_mode & 0o077]
    go.touch()
    ended(job, process)
    assert modes == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_told_to_end_leaves_its_result_and_nothing_else(
    job: Job, bucket: Bucket, number: signal.Signals
) -> None:
    form(job, bucket)
    process, _ = waiting(job)
    process.send_signal(number)
    ended(job, process)
    assert "stopped by" in str(result_of(bucket)["problem"])


# --- large files ---


@pytest.mark.every_variant
def test_a_file_too_large_for_one_upload_comes_in_pieces(job: Job, bucket: Bucket) -> None:
    job.add("output", "d", job.work / "d")
    form(job, bucket)
    job.access = [each for each in job.access if each[0] != "max_bytes"]
    job.add("max_bytes", str(2 * MIB))
    job.add("piece", str(MIB))
    content = os.urandom(5 * MIB // 2)
    (job.work / "d").mkdir()
    (job.work / "d" / 'a "large" one').write_bytes(content)
    (job.work / "d" / "small").write_bytes(b"small")
    assert job.run("/bin/true").code == 0
    (piece,) = cast("list[dict[str, Any]]", result_of(bucket)["pieces"])
    assert piece["key"] == 'outputs/d/a "large" one'
    assert piece["bytes"] == len(content)
    assert b"".join(bucket.get(f"run/{part}") for part in piece["parts"]) == content
    assert bucket.get("run/outputs/d/small") == b"small"


def test_a_file_that_changes_while_its_pieces_are_uploaded_is_an_error(
    tmp_path: Path, bucket: Bucket
) -> None:
    job = Job(tmp_path, make_image(tmp_path, "python3"))
    job.add("output", "x", job.work / "x")
    stop = threading.Event()
    file = job.work / "x"

    def write() -> None:
        while not stop.wait(0.001):
            os.utime(file)

    form(job, bucket)
    job.access = [each for each in job.access if each[0] != "max_bytes"]
    job.add("max_bytes", str(2 * MIB))
    job.add("piece", str(MIB))
    file.write_bytes(bytes(20 * MIB))
    writer = threading.Thread(target=write)
    writer.start()
    try:
        end = job.run("/bin/true")
    finally:
        stop.set()
        writer.join(LONG_SECONDS)
    assert end.code == 66
    assert re.search("written to while it was uploaded", end.err)
