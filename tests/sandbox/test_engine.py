"""Container isolation: what docker or podman is asked to do.

No engine is needed: its command line is played by a shell script that notes how it was called.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from perian.models.workload_status import WorkloadStatus
from support.sandbox_api import ORGANIZATION, PATIENCE_SECONDS, TOKEN, Api, official_client

from perian_shim.sandbox.records import ContainerFile, Execution
from perian_shim.sandbox.server.application import Application, Credentials
from perian_shim.sandbox.server.http import ApiServer
from perian_shim.sandbox.server.job_request import JobPolicy
from perian_shim.sandbox.server.store import JobStore
from perian_shim.sandbox.supervisor.engine import (
    client_environment,
    container_name,
    mount_option,
    run_arguments,
)
from perian_shim.sandbox.supervisor.exec import CommandError
from perian_shim.sandbox.supervisor.isolation import Isolation, choose_isolation

STAND_IN = """#!/bin/sh
echo "$@" >> {calls}
case "$1" in
image) exit 1 ;;
pull) case "$3" in
  *missing*) echo "Error response from daemon: manifest for $3 not found" >&2; exit 1 ;;
  esac ;;
run) echo "running with GREETING=$GREETING"
  trap 'exit 143' TERM
  case "$*" in *wait*) while ! test -e {folder}/killed; do sleep 0.05; done; exit 143 ;; esac
  exit 7 ;;
kill) touch {folder}/killed ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def api(tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    programs = tmp_path / "bin"
    programs.mkdir()
    engine = programs / "docker"
    engine.write_text(
        STAND_IN.format(calls=shlex.quote(str(calls)), folder=shlex.quote(str(tmp_path)))
    )
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    choice = choose_isolation(tmp_path, runner="docker")
    assert choice.mode is Isolation.CONTAINER
    store = JobStore(tmp_path / "jobs")
    server = ApiServer(
        Application(store, JobPolicy(choice, grace_seconds=5), Credentials(ORGANIZATION, TOKEN))
    )
    server.start()
    client = official_client(server.url)
    yield Api(server, store, client)
    client.rest_client.pool_manager.clear()
    server.stop()
    store.cancel_all(PATIENCE_SECONDS)


def test_the_arguments_run_the_image_with_its_files_and_variables() -> None:
    execution = Execution(
        isolation="container",
        image="team/app:1",
        command="sh -c 'echo $A'",
        environment={"A": "1", "PATH": "/opt"},
    )
    argv = run_arguments("/usr/bin/docker", "id", execution, ["type=bind,source=/s,target=/t"])
    assert argv == (
        *("/usr/bin/docker", "run", "--name", "perian-sandbox-id"),
        *("--network", "host", "--pull", "never"),
        *("--mount", "type=bind,source=/s,target=/t"),
        *("--env", "A", "--env", "PATH=/opt"),
        *("--", "team/app:1", "sh", "-c", "echo $A"),
    )


def test_without_a_command_the_image_has_its_own() -> None:
    execution = Execution(isolation="container", image="app", command=None)
    assert run_arguments("docker", "id", execution, [])[-2:] == ("--", "app")


def test_unbalanced_quotes_are_the_jobs_fault() -> None:
    execution = Execution(isolation="container", image="app", command="'")
    with pytest.raises(CommandError):
        run_arguments("docker", "id", execution, [])


def test_values_of_variables_reach_the_client_by_its_environment() -> None:
    environment = client_environment({"TOKEN": "a\nb", "DOCKER_HOST": "x", "HOME": "/h"}, ())
    assert environment["TOKEN"] == "a\nb"
    assert "DOCKER_HOST" not in environment
    assert environment["HOME"] != "/h"


@pytest.mark.parametrize(
    ("path", "read_only", "option"),
    [
        ("/a", False, "type=bind,source=/s,target=/a"),
        ("/a", True, "type=bind,source=/s,target=/a,readonly"),
        ("/a,b", False, 'type=bind,source=/s,"target=/a,b"'),
    ],
)
def test_mounts_survive_odd_paths(path: str, option: str, *, read_only: bool) -> None:
    assert mount_option(Path("/s"), ContainerFile(path, b"", read_only)) == option


def test_a_job_is_pulled_run_and_removed(api: Api, calls: Path) -> None:
    job_id = api.submit("go", image="team/app", environment={"GREETING": "hi"}, files={"/in": b"x"})
    job = api.finished(job_id)
    assert job.status == WorkloadStatus.USERERROR
    assert job.errors == "container exited with code 7"
    assert job.logs == "running with GREETING=hi\n"
    inspected, pulled, run, removed = calls.read_text("utf-8").splitlines()
    assert inspected == "image inspect -- team/app"
    assert pulled == "pull -- team/app"
    assert run.endswith("--env GREETING -- team/app go")
    assert removed == f"rm --force {container_name(job_id)}"
    assert not api.store.folder(job_id).workspace.exists()


def test_an_image_that_cannot_be_pulled_is_a_user_error_with_the_engines_reason(api: Api) -> None:
    job = api.run("go", image="team/missing")
    assert job.status == WorkloadStatus.USERERROR
    assert "manifest for team/missing not found" in (job.errors or "")


def test_cancellation_goes_through_the_engine(api: Api, calls: Path) -> None:
    job_id = api.submit("wait", image="team/app")
    api.running(job_id, "running")
    api.jobs.cancel_job(job_id)
    assert api.finished(job_id).status == WorkloadStatus.CANCELLED
    noted = calls.read_text("utf-8")
    assert f"kill --signal SIGTERM {container_name(job_id)}" in noted
    assert f"rm --force {container_name(job_id)}" in noted
