"""``perian-shim cancel``: what ends, what does not, and who is asked."""

import json
import sys
from pathlib import Path

import pytest
from perian.models.workload_status import WorkloadStatus
from support.answers import reply
from support.api_front import FaultyServer
from support.command import Printed, Use, columns, lines
from support.sandbox_api import Api
from support.terminal import Terminal

from perian_shim.cli import main
from perian_shim.settings import (
    EXECUTION_DOMAIN,
    EXECUTION_ID,
    EXECUTION_PROJECT,
    JOB_KEY,
    JOB_RECORDS,
)

COMMAND = Path(sys.executable).with_name("perian-shim")

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def live(api: Api, **variables: str) -> str:
    """Submit a job with some environment and wait until it runs."""
    job_id = api.submit("sh -c 'echo up; exec sleep 60'", environment=variables)
    api.running(job_id, "up")
    return job_id


def results(capsys: Printed) -> dict[str, str]:
    """Return what is said of each job."""
    head, *rows = map(columns, lines(capsys))
    assert head == ["JOB", "RESULT"]
    return dict(rows)


def test_a_running_job_is_seen_ended(api: Api, capsys: Printed) -> None:
    job_id = live(api)
    assert main(["cancel", job_id]) == 0
    assert results(capsys) == {job_id: "ended: Cancelled"}
    assert api.view(job_id).status == WorkloadStatus.CANCELLED


def test_every_job_is_tried_and_a_job_that_is_not_there_is_a_failure(
    api: Api, capsys: Printed
) -> None:
    ended = str(api.run("true").id)
    running = live(api)
    assert main(["cancel", ended]) == 0
    assert results(capsys) == {ended: "had ended already: Done"}
    assert main(["cancel", UNKNOWN, "../x", ended, running, running]) == 1
    found = results(capsys)
    assert found[UNKNOWN].startswith("failed: ")
    assert "No job found" in found[UNKNOWN]
    assert found["../x"].startswith("failed: Not a job id")
    assert found[ended] == "had ended already: Done"
    assert found[running] == "ended: Cancelled"


@pytest.mark.parametrize(("option", "name"), [("--key", JOB_KEY), ("--execution", EXECUTION_ID)])
def test_all_live_jobs_of_a_key_or_an_execution_are_ended(
    api: Api, capsys: Printed, option: str, name: str
) -> None:
    mine = {JOB_KEY: "k", name: f"two{option}"}
    api.run("true", environment=mine)
    running = live(api, **mine)
    other = live(api, **{JOB_KEY: "k"})
    assert main(["cancel", option, f"two{option}", "--yes"]) == 0
    assert results(capsys) == {running: "ended: Cancelled"}
    assert api.view(other).status == WorkloadStatus.RUNNING


def nightly(api: Api, project: str, bucket: str = "b") -> str:
    """Submit a job of an execution that is called as one of every project."""
    folder = f"s3://{bucket}/metadata/{project}-production-nightly/n0/data/_perian/attempts"
    place = {EXECUTION_ID: "nightly", EXECUTION_PROJECT: project, EXECUTION_DOMAIN: "production"}
    return live(api, **{JOB_KEY: "k", **place, JOB_RECORDS: folder})


def test_no_job_is_ended_while_several_executions_have_the_name(api: Api, capsys: Printed) -> None:
    shop, bank = nightly(api, "shop"), nightly(api, "bank")
    assert main(["cancel", "--execution", "nightly", "--yes"]) == 2
    assert "bank/production" in capsys.readouterr().err
    assert api.view(shop).status == api.view(bank).status == WorkloadStatus.RUNNING
    assert main(["cancel", "--execution", "nightly", "--project", "shop", "--yes"]) == 0
    assert results(capsys) == {shop: "ended: Cancelled"}
    assert api.view(bank).status == WorkloadStatus.RUNNING
    other = nightly(api, "bank", "of-another-flyte")
    assert main(["cancel", "--execution", "nightly", "--project", "bank", "--yes"]) == 2
    assert "s3://of-another-flyte/metadata" in capsys.readouterr().err
    assert main(["cancel", bank, other]) == 0


def test_nothing_is_ended_unasked_where_nobody_can_be_asked(api: Api, capsys: Printed) -> None:
    running = live(api, **{JOB_KEY: "unasked"})
    assert main(["cancel", "--key", "unasked"]) == 2
    printed = capsys.readouterr()
    assert running in printed.err
    assert "--yes" in printed.err
    assert api.view(running).status == WorkloadStatus.RUNNING


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [("n", 1, WorkloadStatus.RUNNING), ("y", 0, WorkloadStatus.CANCELLED)],
)
def test_on_a_terminal_it_is_asked_first(
    api: Api, answer: str, code: int, status: WorkloadStatus
) -> None:
    running = live(api, **{JOB_KEY: f"asked {answer}"})
    with Terminal(str(COMMAND), "cancel", "--key", f"asked {answer}") as terminal:
        terminal.wait_for("End 1 job? [y/N]")
        assert running in terminal.printed
        assert api.view(running).status == WorkloadStatus.RUNNING
        terminal.type(f"{answer}\n")
        assert terminal.wait() == code
    assert api.view(running).status == status


@pytest.mark.usefixtures("api")
def test_a_key_that_no_live_job_has_is_a_failure(capsys: Printed) -> None:
    assert main(["cancel", "--key", "typo", "--yes"]) == 1
    assert "no live job has the key 'typo'" in capsys.readouterr().err


def test_what_became_of_jobs_can_be_had_as_json(api: Api, capsys: Printed) -> None:
    job_id = live(api)
    assert main(["cancel", job_id, "-o", "json"]) == 0
    expected = [{"id": job_id, "over": True, "result": "ended: Cancelled"}]
    assert json.loads(capsys.readouterr().out) == expected


def test_a_job_that_does_not_end_is_said_to_go_on(use: Use, capsys: Printed) -> None:
    running = {"jobs": [{"id": "j1", "status": "Running", "docker_metadata": None}]}
    with FaultyServer(reply(body=running)) as server:
        use(server.url)
        assert main(["cancel", "j1", "--wait", "1"]) == 1
        asked = [request.line for request in server.requests].count("PATCH /job/j1/cancel")
    assert results(capsys) == {"j1": "asked to end, goes on: Running"}
    assert asked > 1


def test_a_server_that_fails_is_said(use: Use, capsys: Printed) -> None:
    with FaultyServer(reply(503, {"detail": "maintenance"})) as server:
        use(server.url)
        assert main(["cancel", "j1"]) == 1
    said = results(capsys)["j1"]
    assert said.startswith("failed: PATCH /job/j1/cancel failed (HTTP 503): maintenance.")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["j1", "--key", "k"],
        ["--key", ""],
        ["--key", "k", "--orphans"],
        ["--execution", "e", "j1"],
    ],
)
def test_wrong_arguments_do_nothing(arguments: list[str], use: Use) -> None:
    with FaultyServer(reply(500)) as server:
        use(server.url)
        assert main(["cancel", *arguments]) == 2
        assert not server.requests
