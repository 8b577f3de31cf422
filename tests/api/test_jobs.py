"""Jobs as the API shows them, built with the official models and read by ours."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perian.models.workload_status import WorkloadStatus
from support.official import MORNING, official_job, wire

from perian_shim.api.catalogue import Price
from perian_shim.api.errors import MalformedResponse
from perian_shim.api.excerpt import Excerpt
from perian_shim.api.jobs import LISTED_JOBS, ONE_JOB, Job
from perian_shim.api.pages import Page
from perian_shim.api.phases import JobStatus, Phase
from perian_shim.api.trimming import Keep, Trimmer


def test_every_field_of_an_official_job_is_read() -> None:
    assert Job.from_json(wire(official_job().to_dict())) == Job(
        id="046b6c7f-0b8a-43b9-b35d-6489e6daee91",
        status="Running",
        created_at=MORNING,
        started_at=MORNING + timedelta(seconds=1),
        done_at=MORNING + timedelta(seconds=2),
        updated_at=MORNING + timedelta(seconds=3),
        logs="line\n",
        errors="none",
        price=Price(Decimal("1.25"), "EUR", "PER_HOUR"),
        image="busybox:1",
        command="echo hi",
        env_variables={"A": "HIDDEN-env", "N": "1"},
        instance_type_id="it-1",
        timeout_seconds=60,
    )


def test_secrets_that_the_api_echoes_are_not_kept() -> None:
    job = Job.from_json(wire(official_job().to_dict()))
    assert "HIDDEN-secret" not in str(vars(job))
    assert "HIDDEN-password" not in str(vars(job))


def test_repr_shows_no_environment() -> None:
    assert "HIDDEN" not in repr(Job.from_json(wire(official_job().to_dict())))


def test_exactly_the_official_statuses_are_known() -> None:
    assert {status.value for status in JobStatus} == {status.value for status in WorkloadStatus}


def test_a_known_status_is_text_everywhere() -> None:
    statuses: list[str] = [JobStatus.DONE]
    assert statuses == ["Done"]
    assert f"{JobStatus.DONE} {JobStatus.DONE!s} {JobStatus.DONE:>5}" == "Done Done  Done"


@given(st.text(min_size=1))
def test_any_status_is_kept_as_it_is_spelled(status: str) -> None:
    assert Job.from_json({"id": "1", "status": status}).status == status


def test_a_job_of_which_little_is_known_is_read() -> None:
    assert Job.from_json({"id": "1", "future_field": [1]}) == Job(id="1", status="Undefined")


def test_null_means_missing() -> None:
    fields = ("status", "logs", "price", "docker_metadata", "runtime_metadata", "created_at")
    document: dict[str, object] = dict.fromkeys(fields)
    assert Job.from_json({**document, "id": "1"}) == Job(id="1", status="Undefined")


def test_an_image_without_a_tag_has_no_colon() -> None:
    document = {"id": "1", "docker_metadata": {"docker_run_parameters": {"image_name": "a/b"}}}
    assert Job.from_json(document).image == "a/b"


def docker(**parameters: object) -> dict[str, object]:
    """A job's ``docker_metadata``."""
    return {"docker_run_parameters": parameters}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "job"),
        ({}, "job.id"),
        ({"id": ""}, "job.id"),
        ({"id": 7}, "job.id"),
        ({"id": "1", "status": 3}, "job.status"),
        ({"id": "1", "docker_metadata": "SECRET"}, "job.docker_metadata"),
        ({"id": "1", "docker_metadata": docker(env_variables="SECRET")}, "env_variables"),
    ],
)
def test_a_wrong_shape_is_named_by_its_field_and_not_its_value(
    document: object, field: str
) -> None:
    with pytest.raises(MalformedResponse) as caught:
        Job.from_json(document)
    assert f"{field} " in caught.value.message
    assert "SECRET" not in str(caught.value)


ODD: list[dict[str, object]] = [
    {"logs": ["x"]},
    {"created_at": "yesterday"},
    {"done_at": 12},
    {"created_at": "0001-01-01T00:00:00Z"},
    {"started_at": "9999-12-31T23:59:59-12:00"},
    {"price": "cheap"},
    {"price": {"unit_price": "n/a"}},
    {"price": {"unit_price": "NaN"}},
    {"price": {"unit_price": "1E+999999"}},
    {"price": {"unit_price": "1E-999999"}},
    {"runtime_metadata": "none"},
    {"runtime_metadata": {"timeout_seconds": 0.5}},
    {"runtime_metadata": {"timeout_seconds": True}},
    {"docker_metadata": docker(command=["a"], image_name=7)},
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("read", [Job.from_json, Job.from_listing])
def test_what_nothing_depends_on_may_be_of_any_shape(
    read: Callable[[object], Job | None], odd: dict[str, object]
) -> None:
    assert read({"id": "1", "status": "Done", **odd}) == Job(id="1", status="Done")


def test_an_explanation_that_is_no_text_is_kept_as_json() -> None:
    assert Job.from_json({"id": "1", "errors": ["no", "disk"]}).errors == '["no", "disk"]'


@pytest.mark.parametrize(
    "odd",
    [
        {"status": 3},
        {"docker_metadata": "none", "command": "x"},
        {"docker_metadata": {"docker_run_parameters": []}},
        {"docker_metadata": docker(command="x", env_variables=["A"])},
    ],
)
def test_a_listed_job_whose_key_or_status_cannot_be_told_lives_and_has_to_be_asked_for(
    odd: dict[str, object],
) -> None:
    assert Job.from_listing({"id": "1", **odd}) == Job(id="1", status="Undefined")


@pytest.mark.parametrize("entry", [None, 7, "x", [], {}, {"id": ""}, {"id": 7, "status": "Done"}])
def test_an_entry_of_which_nothing_can_be_told_is_left_out(entry: object) -> None:
    listed = Page.from_json(
        {"jobs": [entry, {"id": "1"}]}, "jobs", Job.from_listing, page=1, limit=2
    )
    assert [job.id for job in listed.items] == ["1"]
    assert listed.has_next, "the page was full all the same"


def test_an_entry_without_an_id_is_shown_with_its_environment() -> None:
    entry = {"status": "Running", "docker_metadata": docker(env_variables={"KEY": "ours"})}
    job = Job.from_listing(entry, "jobs[4]")
    assert job is not None
    assert job.env_variables == {"KEY": "ours"}
    assert job.id == "(jobs[4], without an id)"


def test_a_shortened_log_is_an_excerpt() -> None:
    cut = {"head": "a\nb", "omitted": 10, "tail": "c\nd\n"}
    log = Job.from_json({"id": "1", "logs": cut}).logs
    assert isinstance(log, Excerpt)
    assert log.startswith("a\n[perian-shim] 13 characters")
    assert log.endswith(" left out here\nd\n")
    assert log.whole_length == 17


def read_as(keep: Keep, *jobs: object) -> list[object]:
    """Return the jobs that are left of an answer when it has streamed by."""
    text = json.dumps({"status": "Success", "jobs": jobs}, default=datetime.isoformat).encode()
    trimmer = Trimmer(keep)
    left: dict[str, list[object]] = json.loads(trimmer.feed(text) + trimmer.close())
    return left["jobs"]


def listed(job: object) -> Job:
    (left,) = read_as(LISTED_JOBS, job)
    found = Job.from_listing(left)
    assert found is not None
    return found


def test_of_an_answer_about_one_job_all_that_matters_is_kept() -> None:
    official = official_job().to_dict()
    (left,) = read_as(ONE_JOB, official)
    job, whole = Job.from_json(left), Job.from_json(wire(official))
    assert (job, job.env_complete) == (whole, True)
    assert "HIDDEN-secret" not in str(left)
    assert "HIDDEN-password" not in str(left)
    assert base64.b64encode(b"HIDDEN").decode() not in str(left)


def test_in_a_listing_a_job_comes_without_its_bulk() -> None:
    official = official_job().to_dict()
    (left,) = read_as(LISTED_JOBS, official)
    whole = Job.from_json(wire(official))
    assert listed(official) == replace(whole, logs=None, errors=None, command=None)
    assert listed(official).env_complete
    assert not {"HIDDEN-secret", "HIDDEN-password", "requirements"} & set(str(left).split("'"))


def test_a_listed_job_that_has_no_environment_is_told_from_one_that_does_not_show_it() -> None:
    assert listed({"id": "1", "docker_metadata": docker(command="x", image_name="a")}).env_complete
    assert listed({"id": "1", "docker_metadata": docker(command="x" * 10**6)}).env_complete
    assert listed({"id": "1", "docker_metadata": docker(env_variables={"A": ""})}).env_complete
    hidden: list[dict[str, object]] = [
        {},
        {"docker_metadata": None},
        {"docker_metadata": docker(image_name="a")},
    ]
    hidden += [{"docker_metadata": docker(env_variables={}, command=None)}]
    assert not any(listed({"id": "1", **odd}).env_complete for odd in hidden)


def test_what_is_too_long_of_a_listed_environment_is_left_out_and_missed() -> None:
    variables = {"KEY": "k", "LONG": "x" * 20_000, "LIST": [1]}
    job = listed({"id": "1", "docker_metadata": docker(env_variables=variables)})
    assert job.env_variables == {"KEY": "k", "LIST": "[1]"}
    assert not job.env_complete


@pytest.mark.parametrize("shown", [{}, {"command": "true"}])
def test_a_listed_environment_that_is_too_long_is_missed(shown: dict[str, str]) -> None:
    variables = {f"V{number}": "x" * 1000 for number in range(100)}
    metadata = docker(env_variables=variables, **shown)
    entry = {"id": "1", "status": "Done", "docker_metadata": metadata}
    job = listed(entry)
    assert (job.status, job.env_variables, job.env_complete) == ("Done", {}, False)
    (one,) = read_as(ONE_JOB, entry)
    assert Job.from_json(one).env_variables == variables
    assert Job.from_json(one).env_complete


def test_an_explanation_and_a_command_that_are_very_long_are_excerpts() -> None:
    lines = "".join(f"line {number}\n" for number in range(400_000))
    (left,) = read_as(
        ONE_JOB,
        {"id": "1", "errors": lines, "docker_metadata": docker(command=lines)},
    )
    job = Job.from_json(left)
    assert isinstance(job.errors, Excerpt)
    assert isinstance(job.command, Excerpt)
    assert "characters of the error are left out here\n" in job.errors
    assert "characters of the command are left out here\n" in job.command
    assert job.errors.whole_length == job.command.whole_length == len(lines)
    assert job.command.endswith("\nline 399999\n")


def test_an_explanation_that_is_a_very_long_list_is_left_out() -> None:
    (left,) = read_as(ONE_JOB, {"id": "1", "errors": ["x" * 1000] * 5000, "status": "UserError"})
    assert Job.from_json(left) == Job("1", "UserError")


def test_a_job_knows_what_its_status_means() -> None:
    assert Job("1", "Paused").phase is Phase.RUNNING
    assert Job("1", "Hibernating").phase is Phase.UNKNOWN
