"""``perian-shim logs``: of a job, of an execution, followed."""

import pytest
from support.command import Printed, lines
from support.sandbox_api import Api

from perian_shim.cli import main
from perian_shim.settings import EXECUTION_ID, JOB_KEY, JOB_NODE


def test_the_log_of_a_job_is_printed(api: Api, capsys: Printed) -> None:
    job_id = str(api.run("printf 'one\\ntwo\\nthree\\n'").id)
    assert main(["logs", job_id]) == 0
    assert lines(capsys) == ["one", "two", "three"]
    assert main(["logs", job_id, "--tail", "2"]) == 0
    assert lines(capsys) == ["two", "three"]


def test_a_job_that_runs_is_followed_to_its_end(api: Api, capsys: Printed) -> None:
    job_id = api.submit("sh -c 'for i in 1 2 3; do echo $i; sleep 0.3; done'")
    assert main(["logs", job_id, "-f"]) == 0
    assert lines(capsys) == ["1", "2", "3"]


def test_the_jobs_of_an_execution_are_told_apart_by_their_nodes(api: Api, capsys: Printed) -> None:
    for node in ("n0", "n10"):
        variables = {JOB_KEY: "k", EXECUTION_ID: "logged", JOB_NODE: node}
        api.run(f"echo I am {node}", environment=variables)
    expected = ["n0  | I am n0", "n10 | I am n10"]
    assert main(["logs", "logged"]) == 0
    assert lines(capsys) == expected
    assert main(["logs", "logged", "--follow"]) == 0
    assert sorted(lines(capsys)) == expected


def test_a_terminal_obeys_nothing_of_a_log(api: Api, capsys: Printed) -> None:
    job_id = str(api.run("printf '\\033[2Jgone\\n'").id)
    assert main(["logs", job_id]) == 0
    assert lines(capsys) == [r"\x1b[2Jgone"]


def test_a_signature_in_a_log_is_not_shown(api: Api, capsys: Printed) -> None:
    job_id = str(api.run("echo https://b/k?X-Amz-Signature=0123abcd").id)
    assert main(["logs", job_id]) == 0
    assert "0123abcd" not in capsys.readouterr().out


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("what", ["00000000-0000-4000-8000-000000000000", "no-such-execution"])
def test_what_is_not_there_is_a_failure(what: str, capsys: Printed) -> None:
    assert main(["logs", what]) == 1
    assert "perian-shim logs: " in capsys.readouterr().err
