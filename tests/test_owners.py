"""Whose a job is, as its environment tells: of this version's jobs, of older ones, of others."""

import pytest
from support.answers import reply
from support.api_front import FaultyServer

from perian_shim.api.client import PerianClient
from perian_shim.api.jobs import Job
from perian_shim.owners import JobOrigin, is_ours

SHOWN = {
    "FLYTE_INTERNAL_EXECUTION_PROJECT": "shop",
    "FLYTE_INTERNAL_EXECUTION_DOMAIN": "prod",
    "FLYTE_INTERNAL_EXECUTION_ID": "a1b2",
    "FLYTE_INTERNAL_TASK_NAME": "shop.train",
    "FLYTE_INTERNAL_TASK_VERSION": "v7",
    "FLYTE_ATTEMPT_NUMBER": "2",
    "PERIAN_SHIM_KEY": "0123",
    "PERIAN_SHIM_NODE": "n0/dn1",
    "PERIAN_SHIM_OUTPUT": "s3://flyte/ab/a1b2-n0-2",
    "PERIAN_SHIM_OWNER": "team-vision",
    "PERIAN_SHIM_POD": "the-pod",
    "PERIAN_SHIM_RECORDS": "s3://flyte/x/_perian/attempts",
}
TOLD = JobOrigin(
    project="shop",
    domain="prod",
    execution="a1b2",
    node="n0/dn1",
    task="shop.train",
    version="v7",
    attempt=2,
    owner="team-vision",
    pod="the-pod",
    records="s3://flyte/x/_perian/attempts",
    key="0123",
    output="s3://flyte/ab/a1b2-n0-2",
)
NEW = ("PERIAN_SHIM_NODE", "PERIAN_SHIM_OWNER", "PERIAN_SHIM_POD", "PERIAN_SHIM_RECORDS")


def origin(shown: dict[str, str]) -> JobOrigin:
    told = JobOrigin.of(Job("j", "Running", env_variables=shown))
    assert told is not None
    return told


def test_a_job_tells_whose_it_is() -> None:
    assert origin(SHOWN) == TOLD


@pytest.mark.parametrize("key", [{}, {"PERIAN_SHIM_KEY": ""}])
def test_a_job_without_a_key_is_not_ours(key: dict[str, str]) -> None:
    job = Job("j", "Running", env_variables={"FLYTE_INTERNAL_EXECUTION_ID": "a1b2", **key})
    assert not is_ours(job)
    assert JobOrigin.of(job) is None


def older(output: str, **more: str) -> JobOrigin:
    """A job as versions before this one have submitted it."""
    shown = {name: value for name, value in SHOWN.items() if name not in NEW}
    return origin({**shown, "PERIAN_SHIM_OUTPUT": output, **more})


@pytest.mark.parametrize(
    ("output", "pod", "node"),
    [
        ("s3://flyte/ab/a1b2-n0-2", "a1b2-n0-2", "n0"),
        ("s3://flyte/ab/a1b2-n0-2/submission-1-2", "a1b2-n0-2", "n0"),
        ("s3://flyte/ab/a1b2-n0-0-dn1-2", "a1b2-n0-0-dn1-2", ""),
        ("s3://flyte/ab/fh7k2lqa", "", ""),
        ("s3://flyte/ab/other-n0-2", "", ""),
        ("", "", ""),
    ],
)
def test_of_an_older_job_pod_and_node_follow_from_its_outputs_place(
    output: str, pod: str, node: str
) -> None:
    told = older(output)
    assert (told.execution, told.pod, told.node) == ("a1b2", pod, node)


def test_an_older_job_names_neither_owner_nor_records() -> None:
    told = older("s3://flyte/ab/a1b2-n0-2")
    assert (told.owner, told.records) == ("", "")


@pytest.mark.parametrize("number", ["", "two", "-1", "9" * 5000])
def test_an_attempt_that_is_no_number_follows_from_the_outputs_place(number: str) -> None:
    assert older("s3://flyte/ab/a1b2-n0-4", FLYTE_ATTEMPT_NUMBER=number).attempt == 4
    assert older("s3://flyte/ab/fh7k2lqa", FLYTE_ATTEMPT_NUMBER=number).attempt is None


def test_of_an_older_local_runs_job_only_key_and_output_are_known() -> None:
    shown = {"PERIAN_SHIM_KEY": "k", "PERIAN_SHIM_OUTPUT": "s3://b/local-1-n0-2"}
    assert origin(shown) == JobOrigin(key="k", output="s3://b/local-1-n0-2")


def listed(environment: dict[str, str]) -> Job:
    docker = {"docker_run_parameters": {"command": "true", "env_variables": environment}}
    job = {"id": "j", "status": "Running", "docker_metadata": docker}
    with (
        FaultyServer(reply(200, {"jobs": [job]})) as server,
        PerianClient(server.url, "org", "token-value") as client,
    ):
        (found,) = client.list_jobs().items
        return found


def test_a_listing_tells_it_beside_a_very_long_variable_of_the_users() -> None:
    assert JobOrigin.of(listed({"LONG": "x" * 200_000, **SHOWN})) == TOLD


def test_a_listing_whose_environment_is_too_large_says_so() -> None:
    job = listed({**{f"V{n}": "x" * 4000 for n in range(100)}, **SHOWN})
    assert JobOrigin.of(job) is None
    assert not job.env_complete
