"""The sandbox as a whole: starting, stopping, being killed and starting again."""

import json
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from perian.api_client import ApiClient
from perian.models.workload_status import WorkloadStatus
from support.sandbox_api import ORGANIZATION, PATIENCE_SECONDS, TOKEN, Api, official_client
from support.waiting import wait_until

from perian_shim.sandbox import Sandbox, SandboxError
from perian_shim.sandbox.server.http import ApiServer
from perian_shim.sandbox.server.store import JobStore

SCRIPT = Path(__file__).parent.parent / "support" / "sandbox_process.py"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory of which no job survives the test."""
    yield tmp_path
    JobStore(tmp_path / "jobs").cancel_all()


@contextmanager
def connected(environment: dict[str, str], state: Path) -> Iterator[Api]:
    client: ApiClient = official_client(
        environment["PERIAN_API_URL"],
        environment["PERIAN_ORGANIZATION"],
        environment["PERIAN_TOKEN"],
    )
    server = ApiServer.__new__(ApiServer)
    yield Api(server, JobStore(state / "jobs"), client)
    client.rest_client.pool_manager.clear()


@contextmanager
def sandbox_process(state: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    arguments = json.dumps(
        {
            "state_dir": str(state),
            "organization": ORGANIZATION,
            "token": TOKEN,
            "grace_seconds": 0.5,
        }
    )
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def listens(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "", address.port or 0)) == 0


def test_a_killed_server_loses_no_job(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(PATIENCE_SECONDS)
        wait = (
            "import socket; print('up', flush=True); "
            f"socket.create_connection({gate.getsockname()}).recv(1); print('end')"
        )
        with sandbox_process(state) as (first, environment), connected(environment, state) as api:
            ended = api.submit("echo ended")
            api.finished(ended)
            going = api.submit(shlex.join(["python3", "-c", wait]))
            api.running(going, "up")
            first.send_signal(signal.SIGKILL)
            first.wait(PATIENCE_SECONDS)
            wait_until(
                lambda: not listens(environment["FLYTE_AWS_ENDPOINT"]),
                PATIENCE_SECONDS,
                "the storage process ends with its parent",
            )
        with sandbox_process(state) as (_, environment), connected(environment, state) as api:
            assert [job.id for job in api.jobs.get_all_jobs().jobs or []] == [going, ended]
            assert api.view(ended).logs == "ended\n"
            assert api.view(going).status == WorkloadStatus.RUNNING
            gate.accept()[0].close()
            job = api.finished(going)
    assert (job.status, job.logs) == (WorkloadStatus.DONE, "up\nend\n")


def test_a_job_that_ran_through_a_restart_can_be_cancelled(state: Path) -> None:
    with sandbox_process(state) as (first, environment), connected(environment, state) as api:
        job_id = api.submit("sh -c 'echo up; sleep 300'")
        api.running(job_id, "up")
        first.send_signal(signal.SIGKILL)
        first.wait(PATIENCE_SECONDS)
    with sandbox_process(state) as (_, environment), connected(environment, state) as api:
        api.jobs.cancel_job(job_id)
        assert api.finished(job_id).status == WorkloadStatus.CANCELLED


def test_sigterm_ends_the_servers_and_leaves_jobs_running(state: Path) -> None:
    with (
        sandbox_process(state) as (process, environment),
        connected(environment, state) as api,
    ):
        job_id = api.submit("sh -c 'echo up; sleep 300'")
        api.running(job_id, "up")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert not listens(environment["PERIAN_API_URL"])
        assert not listens(environment["FLYTE_AWS_ENDPOINT"])
        snapshot = api.store.get(job_id)
        assert snapshot is not None
        assert snapshot.state.status.value == "Running"


def test_leaving_the_context_ends_jobs_servers_and_processes(tmp_path: Path) -> None:
    with Sandbox(tmp_path, grace_seconds=0.2) as sandbox:
        environment = sandbox.environment()
        with connected(environment, tmp_path) as api:
            job_id = api.submit("sh -c 'echo up; sleep 300'")
            api.running(job_id, "up")
    store = JobStore(tmp_path / "jobs")
    assert store.living() == []
    snapshot = store.get(job_id)
    assert snapshot is not None
    assert snapshot.state.status.value == "Cancelled"
    assert not listens(environment["PERIAN_API_URL"])
    assert not listens(environment["FLYTE_AWS_ENDPOINT"])


def test_a_stopped_sandbox_can_be_started_again(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    for _ in range(2):
        sandbox.start()
        assert listens(sandbox.api_url)
        sandbox.stop()
        sandbox.stop()


def test_the_environment_has_what_flytekit_boto3_and_the_client_read(tmp_path: Path) -> None:
    with Sandbox(tmp_path, organization="acme", token="t0ken") as sandbox:
        environment = sandbox.environment()
    assert environment["PERIAN_ORGANIZATION"] == "acme"
    assert environment["PERIAN_TOKEN"] == "t0ken"
    assert environment["FLYTE_AWS_ENDPOINT"] == environment["AWS_ENDPOINT_URL_S3"]
    assert {
        "PERIAN_API_URL",
        "FLYTE_AWS_ACCESS_KEY_ID",
        "FLYTE_AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
    } <= set(environment)


def test_tokens_are_random_and_not_shown(tmp_path: Path) -> None:
    first, second = Sandbox(tmp_path), Sandbox(tmp_path)
    assert first.token != second.token
    assert first.token not in repr(first)


def test_an_address_in_use_is_an_error_that_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        sandbox = Sandbox(tmp_path, api_port=taken.getsockname()[1])
        with pytest.raises(SandboxError, match="port is in use"):
            sandbox.start()
    assert sandbox.storage.process is None


def test_a_sandbox_that_is_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="not started"):
        Sandbox(tmp_path).environment()
