"""Jobs do not meet each other, nor the machine; and nothing of them stays."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perian.models.workload_status import WorkloadStatus
from support.sandbox_api import PATIENCE_SECONDS, Api, running_api
from support.tools import require_tool
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox.errors import IsolationUnavailable
from perian_shim.sandbox.records import ContainerFile
from perian_shim.sandbox.supervisor.isolation import Isolation, choose_isolation
from perian_shim.sandbox.supervisor.process_tree import descendants, parents
from perian_shim.sandbox.supervisor.rewrite import DEFAULT_PREFIXES, rewrite_file, rewriter

MEETING = (
    "sh -c 'mkdir -p /var/outputs && echo $NAME > /var/outputs/answer"
    " && echo written && sleep 1 && cat /var/outputs/answer'"
)


@pytest.fixture(params=[Isolation.OVERLAY, Isolation.REWRITE])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path / "state", isolation=request.param) as running:
        yield running


@pytest.fixture
def overlay_api(tmp_path: Path) -> Iterator[Api]:
    with running_api(tmp_path / "state", isolation=Isolation.OVERLAY) as running:
        yield running


def supervisor_of(api: Api, job_id: str) -> int:
    mark = str(api.store.folder(job_id).path).encode()
    for process in descendants(os.getpid()):
        if mark in Path(f"/proc/{process}/cmdline").read_bytes():
            return process
    raise AssertionError(f"no supervisor of {job_id}")


def test_jobs_that_write_the_same_path_at_the_same_time_do_not_meet(api: Api) -> None:
    before = os.path.lexists("/var/outputs")
    jobs = [api.submit(MEETING, environment={"NAME": name}) for name in ("first", "second")]
    for job_id in jobs:
        api.running(job_id, "written")
    logs = [api.finished(job_id).logs for job_id in jobs]
    assert logs == ["written\nfirst\n", "written\nsecond\n"]
    assert os.path.lexists("/var/outputs") == before


def test_nothing_of_an_ended_job_is_left_but_its_records(api: Api) -> None:
    job_id = api.submit(
        "sh -c 'mkdir -p /var/outputs/deep && echo x > /var/outputs/deep/file'",
        files={"/var/inputs/a": b"a"},
    )
    api.finished(job_id)
    left = {entry.name for entry in api.store.folder(job_id).path.iterdir()}
    assert left == {
        "request.json",
        "state.json",
        "output.log",
        "control",
        "alive.lock",
        "supervisor.log",
    }


def test_what_holds_secrets_is_for_the_owner_only(api: Api) -> None:
    folder = api.store.folder(api.submit("true", secrets={"KEY": "s3cret"}))
    assert folder.path.stat().st_mode & 0o077 == 0
    assert folder.request_file.stat().st_mode & 0o777 == 0o600


def test_the_host_is_untouched_by_writes_and_removals_anywhere(overlay_api: Api) -> None:
    job = overlay_api.run(
        "sh -c 'echo x > /etc/perian-sandbox-canary; rm -f /etc/passwd; "
        "ls /etc/perian-*; ls /etc/passwd'"
    )
    assert "/etc/perian-sandbox-canary" in (job.logs or "")
    assert job.status == WorkloadStatus.USERERROR
    assert not Path("/etc/perian-sandbox-canary").exists()
    assert Path("/etc/passwd").exists()


def test_the_command_is_process_1_and_sees_no_other(overlay_api: Api) -> None:
    job = overlay_api.run("sh -c 'echo $$; ls /proc | grep -c \"^[0-9]\"'")
    pid, count = (job.logs or "").split()
    assert pid == "1"
    assert int(count) <= 3


def test_a_job_does_not_see_other_jobs_folders(overlay_api: Api) -> None:
    job = overlay_api.run(f"ls {overlay_api.store.directory}")
    assert (job.status, job.logs) == (WorkloadStatus.DONE, None)


def test_a_job_leaves_no_mount_behind(overlay_api: Api) -> None:
    job_id = str(overlay_api.run("true").id)
    mounts = Path("/proc/self/mountinfo").read_text("utf-8")
    # Others on this machine mount and unmount meanwhile.
    own = {job_id, str(overlay_api.store.folder(job_id).workspace)}
    assert [line for line in mounts.splitlines() if any(name in line for name in own)] == []


def test_a_job_whose_supervisor_is_killed_is_a_server_error_and_its_processes_end(
    overlay_api: Api,
) -> None:
    job_id = overlay_api.submit("sh -c 'echo up; sleep 300'")
    overlay_api.running(job_id, "up")
    supervisor = supervisor_of(overlay_api, job_id)
    family = descendants(supervisor)
    os.kill(supervisor, signal.SIGKILL)
    job = overlay_api.finished(job_id)
    assert job.status == WorkloadStatus.SERVERERROR
    assert "supervisor died" in (job.errors or "")
    wait_until(
        lambda: not set(family) & set(parents()), PATIENCE_SECONDS, f"processes {family} end"
    )
    assert not overlay_api.store.folder(job_id).workspace.exists()


def test_a_supervisor_that_is_told_to_end_takes_its_job_along(api: Api) -> None:
    job_id = api.submit("sh -c 'echo up; sleep 300'")
    api.running(job_id, "up")
    supervisor = supervisor_of(api, job_id)
    family = descendants(supervisor)
    os.kill(supervisor, signal.SIGTERM)
    job = api.finished(job_id)
    assert job.status == WorkloadStatus.SERVERERROR
    assert "signal 15" in (job.errors or "")
    assert not set(family) & set(parents())


def busybox_image(directory: Path) -> Path:
    """Make a root with busybox and what it is linked against, and nothing else."""
    busybox = require_tool("busybox")
    root = directory / "busybox image, with: odd name"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    for applet in ("sh", "ls", "cat", "env"):
        (root / "bin" / applet).symlink_to("busybox")
    linked = subprocess.run(
        [require_tool("ldd"), busybox],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    ).stdout
    for library in re.findall(r"(/\S+)", linked):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    return root


def test_a_registered_directory_is_an_images_root(tmp_path: Path) -> None:
    root = busybox_image(tmp_path)
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    images = {"example/busybox-only:1": root}
    with running_api(tmp_path / "state", isolation=Isolation.OVERLAY, images=images) as api:
        job = api.run(
            "sh -c 'cat /var/inputs/x; echo y > /tmp/y; cat /tmp/y; ls /; test -e /usr/bin/env'",
            image="example/busybox-only",
            tag="1",
            files={"/var/inputs/x": b"x\n"},
        )
        other = api.run("true", image="example/busybox-only", tag="2")
    lines = (job.logs or "").splitlines()
    assert lines[:2] == ["x", "y"]
    assert {"bin", "dev", "proc", "sys", "tmp", "var"} <= set(lines[2:])
    assert job.errors == "container exited with code 1"
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before
    assert "manifest unknown" in (other.errors or "")


def test_a_directory_image_is_refused_without_a_root_of_its_own(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.mkdir()
    images = {"example/app": image}
    with running_api(tmp_path / "state", isolation=Isolation.REWRITE, images=images) as api:
        job = api.run("true", image="example/app")
    assert job.status == WorkloadStatus.SERVERERROR
    assert "needs overlay isolation" in (job.errors or "")


def test_rewrite_mode_moves_paths_in_the_command_and_in_texts(tmp_path: Path) -> None:
    script = b"cat /var/inputs/x > /var/outputs/y; ls /var/outputs; cat /etc/extra.conf\n"
    files = {"/perian-shim/run.sh": script, "/var/inputs/x": b"", "/etc/extra.conf": b"extra\n"}
    with running_api(tmp_path, isolation=Isolation.REWRITE) as api:
        job = api.run("sh -c 'mkdir /var/outputs; sh /perian-shim/run.sh'", files=files)
    assert (job.errors, job.logs) == (None, "y\nextra\n")


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("/var/inputs/x", "/R/var/inputs/x"),
        ("--in=/var/inputs", "--in=/R/var/inputs"),
        ("a:/var/outputs/b:/perian-shim", "a:/R/var/outputs/b:/R/perian-shim"),
        ("cat '/var/inputs/x'>/var/outputs/y", "cat '/R/var/inputs/x'>/R/var/outputs/y"),
        ("/var/inputs-old/x", "/var/inputs-old/x"),
        ("/var/inputs.txt", "/var/inputs.txt"),
        ("/srv/var/inputs/x", "/srv/var/inputs/x"),
        ("http://host/var/inputs/x", "http://host/var/inputs/x"),
    ],
)
def test_a_path_is_moved_only_where_it_is_one(text: str, moved: str) -> None:
    assert rewriter("/R", DEFAULT_PREFIXES)(text) == moved


@given(st.text())
def test_texts_without_known_paths_stay_as_they_are(text: str) -> None:
    if not any(prefix in text for prefix in DEFAULT_PREFIXES):
        assert rewriter("/R", DEFAULT_PREFIXES)(text) == text


def test_binary_files_stay_as_they_are() -> None:
    file = ContainerFile("/x", b"\xff /var/inputs")
    assert rewrite_file(file, rewriter("/R", DEFAULT_PREFIXES)) is file


def test_the_choice_says_what_is_used_and_why(tmp_path: Path) -> None:
    choice = choose_isolation(tmp_path, Isolation.REWRITE)
    assert choice.mode is Isolation.REWRITE
    assert "plain processes" in choice.statement


def test_a_container_engine_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IsolationUnavailable, match="no podman on PATH"):
        choose_isolation(tmp_path, runner="podman")


def test_an_unknown_runner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsolationUnavailable, match="docker, podman"):
        choose_isolation(tmp_path, runner="lxc")
