"""``perian-shim jobs`` and ``cancel``, against the sandbox's API and one that misbehaves."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from perian.models.workload_status import WorkloadStatus
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.front import Behaviour, Received
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api
from support.waiting import LONG_SECONDS

from perian_shim.cli import main
from perian_shim.settings import EXECUTION_ID, JOB_KEY

UNKNOWN = "00000000-0000-4000-8000-000000000000"
COMMAND = Path(sys.executable).with_name("perian-shim")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


Use = Callable[[str], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make the command line use the API at a URL."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("PERIAN_ORGANIZATION", ORGANIZATION)
    monkeypatch.setenv("PERIAN_TOKEN", TOKEN)
    return lambda url: monkeypatch.setenv("PERIAN_API_URL", url)


@pytest.fixture
def api(server: Api, use: Use) -> Api:
    use(server.server.url)
    return server


Printed = pytest.CaptureFixture[str]


def lines(capsys: Printed) -> list[str]:
    return capsys.readouterr().out.splitlines()


def columns(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def live(api: Api, **variables: str) -> str:
    """Submit a job with some environment and wait until it runs."""
    job_id = api.submit("sh -c 'echo up; exec sleep 60'", environment=variables)
    api.running(job_id, "up")
    return job_id


def test_jobs_are_listed_the_newest_first(api: Api, capsys: Printed) -> None:
    older = api.run("true", environment={JOB_KEY: "k-1", EXECUTION_ID: "exec-1"}).id
    newer = live(api)
    assert main(["jobs", "--limit", "2"]) == 0
    head, first, second = map(columns, lines(capsys))
    assert head == ["JOB", "STATUS", "CREATED", "KEY", "EXECUTION"]
    assert [*first[:2], *first[3:]] == [newer, "Running", "-", "-"]
    assert [*second[:2], *second[3:]] == [older, "Done", "k-1", "exec-1"]
    assert first[2].endswith("Z")
    assert first[2] >= second[2]


def test_jobs_with_a_key_are_listed_alone(api: Api, capsys: Printed) -> None:
    made = [api.submit("true", environment={JOB_KEY: key}) for key in ("mine", "other", "mine")]
    assert main(["jobs", "--key", "mine"]) == 0
    _, *shown = lines(capsys)
    assert [columns(line)[0] for line in shown] == [made[2], made[0]]


@pytest.mark.usefixtures("api")
def test_a_listing_without_jobs_is_a_headline(capsys: Printed) -> None:
    assert main(["jobs", "--key", "nobody's"]) == 0
    assert len(lines(capsys)) == 1


def test_a_running_job_is_cancelled(api: Api, capsys: Printed) -> None:
    job_id = live(api)
    assert main(["cancel", job_id]) == 0
    assert lines(capsys) == [f"{job_id}: cancelling"]
    assert api.finished(job_id).status == WorkloadStatus.CANCELLED


def test_every_job_is_tried_and_a_job_that_is_not_there_is_a_failure(
    api: Api, capsys: Printed
) -> None:
    ended = str(api.run("true").id)
    running = live(api)
    assert main(["cancel", ended]) == 0
    assert main(["cancel", UNKNOWN, "../x", ended, running]) == 1
    first, unknown, odd, again, last = lines(capsys)
    assert first == again == f"{ended}: ended already"
    assert unknown.startswith(f"{UNKNOWN}: ")
    assert "No job found" in unknown
    assert odd.startswith("../x: Not a job id")
    assert last == f"{running}: cancelling"


def test_all_jobs_with_a_key_are_cancelled(api: Api, capsys: Printed) -> None:
    key = {JOB_KEY: "two"}
    ended = api.run("true", environment=key).id
    running = live(api, **key)
    other = live(api)
    assert main(["cancel", "--key", "two"]) == 0
    assert lines(capsys) == [f"{running}: cancelling", f"{ended}: ended already (Done)"]
    assert api.view(other).status == WorkloadStatus.RUNNING


@pytest.mark.usefixtures("api")
def test_a_key_that_no_job_has_is_a_failure(capsys: Printed) -> None:
    assert main(["cancel", "--key", "typo"]) == 1
    assert "no job has the key 'typo'" in capsys.readouterr().err


def listed(**parameters: object) -> dict[str, object]:
    docker = {"docker_run_parameters": parameters} if parameters else None
    return {"id": "j1", "status": "Running", "docker_metadata": docker}


def test_a_job_whose_listing_hides_the_key_is_asked_for(use: Use, capsys: Printed) -> None:
    shown = reply(body={"jobs": [listed(env_variables={JOB_KEY: "k"})]})
    hidden = reply(body={"jobs": [listed()]})

    def answer(request: Received) -> Behaviour:
        return hidden if request.path == "/job" else shown

    with FaultyServer(by_request(answer)) as server:
        use(server.url)
        assert main(["jobs", "--key", "k"]) == 0
        assert [columns(line)[0] for line in lines(capsys)] == ["JOB", "j1"]
        assert main(["jobs", "--key", "x"]) == 0
        assert len(lines(capsys)) == 1


def test_what_a_job_says_of_itself_cannot_move_the_cursor(use: Use, capsys: Printed) -> None:
    odd = listed(env_variables={JOB_KEY: "\x1b[2Jk\nfake  line", EXECUTION_ID: "\x9b1A"})
    with FaultyServer(reply(body={"jobs": [odd]})) as server:
        use(server.url)
        assert main(["jobs"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2
    assert all(character.isprintable() for character in printed.replace("\n", ""))


def test_a_server_that_fails_is_one_line(use: Use, capsys: Printed) -> None:
    with FaultyServer(reply(503, {"detail": "maintenance"})) as server:
        use(server.url)
        assert main(["jobs"]) == 1
        assert main(["cancel", "j1"]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("perian-shim jobs: GET /job failed (HTTP 503): maintenance.")
    assert printed.out.startswith("j1: PATCH /job/j1/cancel failed (HTTP 503): maintenance.")
    assert (printed.err + printed.out).count("\n") == 2


@pytest.mark.parametrize("missing", ["PERIAN_ORGANIZATION", "PERIAN_TOKEN"])
def test_missing_credentials_are_named(
    use: Use, missing: str, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    use("http://localhost:1")
    monkeypatch.delenv(missing)
    assert main(["jobs"]) == 1
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["cancel"],
        ["cancel", "j1", "--key", "k"],
        ["cancel", "--key", ""],
        ["jobs", "--limit", "0"],
        ["jobs", "--limit", "x"],
        ["jobs", "j1"],
        [],
    ],
)
def test_wrong_arguments_do_nothing(arguments: list[str], use: Use) -> None:
    with FaultyServer(reply(500)) as server:
        use(server.url)
        assert main(arguments) == 2
        assert not server.requests


def test_the_installed_command_lists_jobs(api: Api) -> None:
    job_id = api.submit("true", environment={JOB_KEY: "installed"})
    ended = subprocess.run(
        [COMMAND, "jobs", "--key", "installed"],
        capture_output=True,
        check=True,
        text=True,
        timeout=LONG_SECONDS,
    )
    assert job_id in ended.stdout
    assert not ended.stderr
