"""``perian-shim job``: all that is known of one."""

import json

import pytest
from support.command import Printed
from support.sandbox_api import Api

from perian_shim.cli import main
from perian_shim.settings import (
    EXECUTION_DOMAIN,
    EXECUTION_ID,
    EXECUTION_PROJECT,
    JOB_KEY,
    JOB_OWNER,
    TASK_NAME,
)

OURS = {
    JOB_KEY: "k",
    EXECUTION_PROJECT: "flytesnacks",
    EXECUTION_DOMAIN: "development",
    EXECUTION_ID: "a1b2",
    TASK_NAME: "train",
    JOB_OWNER: "vision",
}
LINK = "https://flyte.example.org/console/projects/flytesnacks/domains/development/executions/a1b2"


def facts(capsys: Printed) -> dict[str, str]:
    """Return what is printed of a job, by name."""
    head, _, _ = capsys.readouterr().out.partition("\n\n")
    return dict(line.split(maxsplit=1) for line in head.splitlines())


def test_it_tells_what_and_whose_a_job_is(api: Api, capsys: Printed) -> None:
    job_id = str(api.run("true", environment=OURS).id)
    assert main(["job", job_id]) == 0
    found = facts(capsys)
    assert (found["job"], found["status"], found["task"]) == (job_id, "Done", "train")
    assert (found["execution"], found["owner"]) == ("a1b2", "vision")
    assert found["project"] == "flytesnacks/development"


def test_it_tells_when_a_job_did_what(api: Api, capsys: Printed) -> None:
    job_id = str(api.run("true").id)
    assert main(["job", job_id]) == 0
    _, _, table = capsys.readouterr().out.partition("\n\n")
    head, *steps = table.splitlines()
    assert head.split() == ["WHEN", "WHAT", "AFTER"]
    assert [step.split()[2] for step in steps] == ["submitted", "started", "succeeded"]


@pytest.mark.parametrize(
    "base", ["https://flyte.example.org", "https://flyte.example.org/console/"]
)
def test_it_links_to_flyte_if_the_consoles_address_is_known(
    api: Api, capsys: Printed, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    job_id = str(api.run("true", environment=OURS).id)
    assert main(["job", job_id]) == 0
    assert "flyte" not in facts(capsys)
    monkeypatch.setenv("PERIAN_FLYTE_CONSOLE_URL", base)
    assert main(["job", job_id]) == 0
    assert facts(capsys)["flyte"] == LINK


def test_the_consoles_address_is_that_of_pyflytes_configuration(
    api: Api, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = str(api.run("true", environment=OURS).id)
    monkeypatch.setenv("FLYTE_PLATFORM_URL", "flyte.example.org")
    assert main(["job", job_id, "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["flyte"] == LINK


def test_nothing_of_it_is_secret(api: Api, capsys: Printed) -> None:
    variables = {**OURS, "PASSWORD": "hunter22"}
    job_id = str(api.run("echo hunter44", environment=variables, secrets={"A": "hunter33"}).id)
    for output in ("table", "json", "name"):
        assert main(["job", job_id, "-o", output]) == 0
    assert "hunter" not in capsys.readouterr().out


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("job_id", ["00000000-0000-4000-8000-000000000000", "0000", "a b/c"])
def test_a_job_that_is_not_there_is_a_failure(job_id: str, capsys: Printed) -> None:
    assert main(["job", job_id]) == 1
    assert f"There is no job {job_id!r}; ids are taken whole." in capsys.readouterr().err
