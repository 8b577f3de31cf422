"""``perian-shim jobs``, against the sandbox's API and ones that misbehave."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.answers import by_request, in_turn, reply
from support.api_front import FaultyServer
from support.command import Printed, Use, columns, lines
from support.front import Behaviour, Received
from support.sandbox_api import Api
from support.terminal import Terminal
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.cli import main
from perian_shim.settings import EXECUTION_ID, JOB_KEY, JOB_OWNER, TASK_NAME

COMMAND = Path(sys.executable).with_name("perian-shim")

HEAD = ["JOB", "STATUS", "CREATED", "TASK", "EXECUTION", "NODE", "OWNER", "COST"]


def names(capsys: Printed, *arguments: str) -> list[str]:
    assert main(["jobs", "-o", "name", *arguments]) == 0
    return lines(capsys)


def live(api: Api, **variables: str) -> str:
    """Submit a job with some environment and wait until it runs."""
    job_id = api.submit("sh -c 'echo up; exec sleep 60'", environment=variables)
    api.running(job_id, "up")
    return job_id


def test_jobs_are_listed_the_newest_first(api: Api, capsys: Printed) -> None:
    ours = {JOB_KEY: "k-1", EXECUTION_ID: "exec-1", TASK_NAME: "train", JOB_OWNER: "vision"}
    older = api.run("true", environment=ours).id
    newer = live(api)
    assert main(["jobs", "--limit", "2"]) == 0
    head, first, second = map(columns, lines(capsys))
    assert head == HEAD
    assert [*first[:2], *first[3:7]] == [newer, "Running", *"----"]
    assert [*second[:2], *second[3:7]] == [older, "Done", "train", "exec-1", "-", "vision"]
    assert first[2].endswith("Z")
    assert first[2] >= second[2]


@pytest.mark.parametrize(
    ("option", "name"),
    [("--key", JOB_KEY), ("--execution", EXECUTION_ID), ("--owner", JOB_OWNER)],
)
def test_jobs_are_listed_by_whose_they_are(
    api: Api, capsys: Printed, option: str, name: str
) -> None:
    made = [
        api.submit("true", environment={JOB_KEY: "k", name: f"{option}{value}"})
        for value in ("mine", "other", "mine")
    ]
    assert names(capsys, option, f"{option}mine") == [made[2], made[0]]


def test_jobs_are_listed_by_phase_and_time(api: Api, capsys: Printed) -> None:
    variables = {JOB_KEY: "by-phase"}
    ended = str(api.run("true", environment=variables).id)
    running = live(api, **variables)
    assert names(capsys, "--key", "by-phase", "--phase", "running") == [running]
    assert names(capsys, "--key", "by-phase", "--since", "1h") == [running, ended]
    assert names(capsys, "--key", "by-phase", "--since", "1w") == [running, ended]
    assert names(capsys, "--key", "by-phase", "--since", "2999-01-01T00:00:00Z") == []


def test_jobs_of_others_can_be_left_out(api: Api, capsys: Printed) -> None:
    ours = api.submit("true", environment={JOB_KEY: "k"})
    theirs = api.submit("true")
    assert names(capsys, "--limit", "2") == [theirs, ours]
    assert names(capsys, "--limit", "1", "--ours") == [ours]


@pytest.mark.usefixtures("api")
def test_a_listing_without_jobs_is_a_headline(capsys: Printed) -> None:
    assert main(["jobs", "--key", "nobody's"]) == 0
    assert len(lines(capsys)) == 1


def test_json_tells_whose_a_job_is_and_nothing_secret(api: Api, capsys: Printed) -> None:
    variables = {JOB_KEY: "as-json", EXECUTION_ID: "e1", "PASSWORD": "hunter22"}
    job_id = api.submit("true", environment=variables, secrets={"TOKEN": "hunter33"})
    assert main(["jobs", "--key", "as-json", "-o", "json"]) == 0
    printed = capsys.readouterr().out
    (job,) = json.loads(printed)
    assert (job["id"], job["origin"]["execution"]) == (job_id, "e1")
    assert "hunter" not in printed


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
        assert names(capsys, "--key", "k") == ["j1"]
        assert names(capsys, "--key", "x") == []


def test_what_a_job_says_of_itself_cannot_move_the_cursor(use: Use, capsys: Printed) -> None:
    odd = listed(env_variables={JOB_KEY: "k", TASK_NAME: "\x1b[2Jk\nfake  line", JOB_OWNER: "\x9b"})
    odd["status"] = "\u202eRunning"
    with FaultyServer(reply(body={"jobs": [odd]})) as server:
        use(server.url)
        assert main(["jobs"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2
    assert all(character.isprintable() for character in printed.replace("\n", ""))


def test_a_server_that_fails_for_long_is_an_error(use: Use, capsys: Printed) -> None:
    with FaultyServer(reply(503, {"detail": "maintenance"})) as server:
        use(server.url)
        assert main(["jobs"]) == 1
    printed = capsys.readouterr()
    assert "perian-shim jobs: GET /job failed (HTTP 503): maintenance." in printed.err
    assert not printed.out


def test_a_server_that_fails_once_is_asked_again(
    use: Use, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = reply(body={"jobs": [listed(command="true")]})
    with FaultyServer(in_turn(reply(429, {"detail": "slow down"}), good)) as server:
        use(server.url)
        monkeypatch.setenv("PERIAN_OUTAGE_SECONDS", "20")
        assert names(capsys) == ["j1"]


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
        ["jobs", "--limit", "0"],
        ["jobs", "--limit", "x"],
        ["jobs", "--phase", "x"],
        ["jobs", "--since", "yesterday"],
        ["jobs", "--watch", "--orphans"],
        ["jobs", "--watch", "-o", "json"],
        ["jobs", "j1"],
        ["job"],
        ["logs"],
        ["logs", "j1", "--tail", "-1"],
        ["completion", "tcsh"],
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


def test_watching_prints_a_line_for_each_change(api: Api, tmp_path: Path) -> None:
    job_id = live(api, **{JOB_KEY: "watched"})
    printed = tmp_path / "printed"
    with printed.open("w") as output:
        process = subprocess.Popen(
            [COMMAND, "jobs", "--key", "watched", "--watch"], stdout=output, env=dict(os.environ)
        )
    try:
        wait_until(lambda: "Running" in printed.read_text(), LONG_SECONDS, "it says that it runs")
        api.jobs.cancel_job(job_id)
        wait_until(lambda: "Cancelled" in printed.read_text(), LONG_SECONDS, "it says how it ended")
    finally:
        process.send_signal(2)
        assert process.wait(LONG_SECONDS) == 130
    first, second = printed.read_text().splitlines()
    assert f"{job_id}  Running" in first
    assert f"{job_id}  Cancelled" in second


def test_on_a_terminal_a_table_is_drawn_again(api: Api) -> None:
    job_id = live(api, **{JOB_KEY: "drawn"})
    with Terminal(str(COMMAND), "jobs", "--key", "drawn", "--watch") as terminal:
        terminal.wait_for("Running")
        api.jobs.cancel_job(job_id)
        terminal.wait_for("Cancelled")
        terminal.interrupt()
        assert terminal.wait() == 130
