"""The platform's rules in real pods: what breaks one is refused before anything is rented."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.api_faults import Bend, bent
from support.api_front import FaultyApi
from support.flyte import Harness
from support.shell_task import shell

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.flyte.cluster import NodeError
from perian_shim.sandbox.server.catalogue import INSTANCE_TYPES
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.settings import JOB_RULES

pytestmark = [pytest.mark.below_the_doors, pytest.mark.thorough]

IDS = {each.name: each.id for each in INSTANCE_TYPES}


def under(harness: Harness, **rules: object) -> Harness:
    """Return a harness whose pods have these rules."""
    return harness.with_variables(PERIAN_POLICY=json.dumps(rules))


def refused(harness: Harness, task: PerianContainerTask) -> NodeError:
    """Run a task that is refused, and expect that nothing was rented."""
    execution = harness.execution()
    attempt = harness.run(task, execution=execution)
    assert attempt.error is not None, attempt.log
    assert harness.jobs(execution) == []
    return attempt.error


def job_of(harness: Harness, task: PerianContainerTask) -> JobSnapshot:
    """Run a task that succeeds; return its job."""
    execution = harness.execution()
    attempt = harness.run(task, execution=execution)
    assert attempt.error is None, attempt.log
    (job,) = harness.jobs(execution)
    return job


def request_of(job: JobSnapshot) -> dict[str, Any]:
    """Return what was asked of Perian: of the machine, and how long it may run."""
    view: Mapping[str, Any] = job.record.view
    return {**view["requirement_metadata"], **view["runtime_metadata"]}


BROKEN: list[tuple[dict[str, object], dict[str, Any], tuple[str, ...]]] = [
    (
        {"max_price_per_hour": 3, "currency": "EUR"},
        {"task_config": PerianConfig(cores=1, max_price_per_hour=5)},
        ("max_price_per_hour=5", "max_price_per_hour allows 3 EUR"),
    ),
    (
        {"max_price_per_run": 4, "currency": "EUR"},
        {"task_config": PerianConfig(cores=1, max_price_per_hour=3), "timeout": 7200},
        ("3 per hour for a timeout of 7200 s, 6.00 EUR", "max_price_per_run allows 4 EUR"),
    ),
    (
        {"max_price_per_run": 4, "currency": "EUR"},
        {},
        ("the task has no timeout", "max_price_per_run allows 4 EUR"),
    ),
    (
        {"max_price_per_hour": 50, "currency": "EUR"},
        {"task_config": PerianConfig(accelerator_type="A100")},
        ("1A100.22V of DC in FI", "its price is in USD", "the rules' currency is EUR"),
    ),
    (
        {"providers": ["OTC", "OVH"]},
        {"task_config": PerianConfig(cores=1, provider="GCP")},
        ("provider='GCP'", "providers allows OTC, OVH"),
    ),
    (
        {"countries": ["DE", "NL"]},
        {"task_config": PerianConfig(cores=1, country_code="US")},
        ("country_code='US'", "countries allows DE, NL"),
    ),
    (
        {"countries": ["DE"]},
        {"task_config": PerianConfig(accelerator_type="H100")},
        ("no machine that the task asks for is allowed", "countries allows DE"),
    ),
    (
        {"instance_types": ["b3-32"]},
        {"task_config": PerianConfig(instance_type_id=IDS["s3.medium.2"])},
        (IDS["s3.medium.2"], "its type is s3.medium.2, and instance_types allows b3-32"),
    ),
    (
        {"max_timeout_seconds": 3600},
        {"timeout": 7200},
        ("timeout=7200 s", "max_timeout_seconds allows 3600 s"),
    ),
]


@pytest.mark.parametrize(("rules", "asked", "says"), BROKEN, ids="-".join)
def test_a_task_that_breaks_a_rule_is_refused_with_the_rule_and_what_it_asked(
    harness: Harness, rules: dict[str, object], asked: dict[str, Any], says: tuple[str, ...]
) -> None:
    error = refused(under(harness, **rules), shell(**asked))
    assert (error.code, error.kind, error.recoverable) == ("PERIAN:AgainstPolicy", "USER", False)
    for words in (*says, "PERIAN_POLICY", "Ask for what the rules allow"):
        assert words in error.message


def test_what_a_task_leaves_open_is_asked_for_as_the_rules_have_it(harness: Harness) -> None:
    ruled = under(
        harness, providers=["OVH"], countries=["FR"], max_price_per_hour=2, currency="EUR"
    )
    job = job_of(ruled, shell())
    asked = request_of(job)["requirements"]
    assert asked["provider"] == {"name_short": "OVH"}
    assert asked["region"] == {"location": "FR"}
    assert asked["price"]["unit_price"] == "2"
    assert request_of(job).get("instance_type_id") is None


def test_of_several_allowed_the_cheapest_machine_is_asked_for(harness: Harness) -> None:
    job = job_of(under(harness, providers=["OVH", "EXO"]), shell())
    assert request_of(job)["instance_type_id"] == IDS["standard.large"]


def test_a_machine_is_allowed_by_its_name(harness: Harness) -> None:
    job = job_of(under(harness, instance_types=["B3-32", "l4-90"]), shell())
    assert request_of(job)["instance_type_id"] == IDS["b3-32"]


def test_the_highest_price_of_a_run_bounds_the_price_of_an_hour(harness: Harness) -> None:
    ruled = under(harness, max_price_per_run=1, currency="EUR", default_timeout_seconds=7200)
    job = job_of(ruled, shell())
    assert request_of(job)["requirements"]["price"]["unit_price"] == "0.5"
    assert request_of(job)["timeout_seconds"] == 7200


@pytest.mark.parametrize(
    ("rules", "timeout", "expected"),
    [
        ({"default_timeout_seconds": 600}, None, 600),
        ({"default_timeout_seconds": 600}, 700, 700),
        ({"max_timeout_seconds": 800}, None, 800),
        ({"max_timeout_seconds": 800, "default_timeout_seconds": 600}, None, 600),
    ],
)
def test_a_task_without_a_timeout_gets_the_platforms(
    harness: Harness, rules: dict[str, object], timeout: int | None, expected: int
) -> None:
    job = job_of(under(harness, **rules), shell(timeout=timeout))
    assert request_of(job)["timeout_seconds"] == expected


def test_a_job_that_outlives_the_platforms_timeout_names_it(harness: Harness) -> None:
    attempt = under(harness, default_timeout_seconds=1).run(shell("sleep 60"))
    assert attempt.error is not None
    assert attempt.error.code == "PERIAN:Timeout"
    assert "limit of 1 s" in attempt.error.message


def test_another_secret_group_may_be_the_default(harness: Harness) -> None:
    # What Flyte mounts was fixed by registration: the platform has to give this one to all pods.
    given = {f"_FSEC_TEAM_{k}".upper(): value for (_, k), value in harness.cluster.secrets.items()}
    elsewhere = replace(harness, cluster=replace(harness.cluster, secrets={}))
    ruled = under(elsewhere, default_secret_group="team").with_variables(**given)
    assert job_of(ruled, shell()).state.status.value == "Done"


def test_a_group_that_the_task_names_is_its_own(harness: Harness) -> None:
    others = {("own", key): value for (_, key), value in harness.cluster.secrets.items()}
    elsewhere = replace(harness, cluster=replace(harness.cluster, secrets=others))
    task = shell(task_config=PerianConfig(cores=1, secret_group="own"))
    job = job_of(under(elsewhere, default_secret_group="team"), task)
    assert job.state.status.value == "Done"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"max_pric_per_hour": 1}', ("max_pric_per_hour: expected one of max_price_per_hour,",)),
        ('{"max_jobs": 0}', ("max_jobs: expected a whole number of at least 1, got 0",)),
        ('{"max_jobs": 1, "queue_folder": "gs://b/turns/"}', ("kind of store that Flyte uses",)),
        ("/no/such/file", ("/no/such/file", "No such file")),
    ],
)
def test_rules_that_cannot_be_read_rent_nothing(
    harness: Harness, text: str, says: tuple[str, ...]
) -> None:
    error = refused(harness.with_variables(PERIAN_POLICY=text), shell())
    assert (error.code, error.kind, error.recoverable) == ("PERIAN:Config", "USER", False)
    for words in (*says, "PERIAN_POLICY"):
        assert words in error.message


def test_rules_are_read_from_a_file(harness: Harness, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text('{"default_timeout_seconds": 900}')
    job = job_of(harness.with_variables(PERIAN_POLICY=str(file)), shell())
    assert request_of(job)["timeout_seconds"] == 900


def test_without_rules_a_job_carries_none(harness: Harness) -> None:
    job = job_of(harness, shell())
    assert JOB_RULES not in (job.record.execution.environment or {})


# --- what Perian chooses ---


def elsewhere_once_running(bend: Bend) -> None:
    """Show every job as one on a machine of Google's."""
    bend.view["runtime_metadata"]["instance_type_id"] = IDS["e2-standard-2"]


def test_a_machine_that_the_rules_do_not_allow_is_given_back_and_both_are_named(
    harness: Harness,
) -> None:
    with FaultyApi(harness.sandbox, bent(elsewhere_once_running)) as api:
        ruled = under(harness, providers=["OTC", "OVH", "EXO", "DC"]).with_variables(
            **api.environment
        )
        execution = harness.execution()
        error = ruled.run(shell("sleep 60"), execution=execution).error
    assert error is not None
    assert error.code == "PERIAN:WrongMachine"
    assert "its provider is GCP, and providers allows OTC, OVH, EXO, DC" in error.message
    (job,) = harness.jobs(execution)
    assert job.state.status.value == "Cancelled"


# --- jobs that are there ---


@pytest.mark.parametrize(
    "later",
    [
        '{"providers": ["GCP"], "max_timeout_seconds": 5}',
        '{"misspelt": 1}',
        "/no/file",
        '{"max_jobs": 1, "queue_folder": "gs://b/turns/"}',
    ],
)
def test_a_job_that_is_rejoined_is_not_ended_because_a_rule_has_changed(
    harness: Harness, later: str
) -> None:
    task = shell("sleep 4")
    execution = harness.execution()
    first = under(harness, providers=["OTC", "EXO"]).start(task, execution=execution)
    while not any(job.state.status.value == "Running" for job in harness.jobs(execution)):
        assert first.process.poll() is None
    first.process.kill()
    first.wait()
    ruled = harness.with_variables(PERIAN_POLICY=later)
    second = ruled.start(task, execution=execution, attempt=1).wait()
    assert second.error is None, second.log
    assert "rejoining job" in second.log
    (job,) = harness.jobs(execution)
    assert job.state.status.value == "Done"
