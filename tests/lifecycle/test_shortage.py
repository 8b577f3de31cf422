"""A machine that cannot be had: what was asked, which requirement fails, what there is instead."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from support.answers import reply
from support.api_front import FaultyServer
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api

from perian_shim.api.client import PerianClient
from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements
from perian_shim.errors import JobRejected
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.lifecycle.shortage import Offers, nearest, why
from perian_shim.sandbox.server.catalogue import ACCELERATORS, INSTANCE_TYPES

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


def request(instance_type_id: str | None = None, **requirements: Any) -> CreateJobRequest:
    return CreateJobRequest(
        docker=DockerRun("debian", "12"),
        requirements=Requirements(**requirements),
        instance_type_id=instance_type_id,
        auto_failover_instance_type=instance_type_id is None,
    )


def jobs(url: str) -> Jobs:
    policy = replace(RetryPolicy(), outage=0.1)
    return Jobs(lambda: PerianClient(url, ORGANIZATION, TOKEN), Retrier(policy, Clock()))


def refusal(url: str, asked: CreateJobRequest) -> JobRejected:
    operations = jobs(url)
    try:
        with pytest.raises(JobRejected) as caught:
            operations.submit(asked)
    finally:
        operations.close()
    return caught.value


@pytest.mark.parametrize(
    ("asked", "repeated", "reason"),
    [
        (
            {"accelerator_type": "A1000"},
            "asks for accelerator_type='A1000'.",
            "No machine at all has accelerator_type='A1000': there is ",
        ),
        (
            {"country_code": "XX", "cores": 4},
            "asks for cores=4, country_code='XX'.",
            "No machine at all has country_code='XX': there is AT, CH, DE, ",
        ),
        (
            {"max_price_per_hour": Decimal("0.001")},
            "asks for max_price_per_hour=0.001.",
            "has max_price_per_hour=0.001: the cheapest costs 0.028 EUR.",
        ),
        (
            {"max_price_per_hour": Decimal("0.001"), "accelerator_type": "A100"},
            "accelerator_type='A100', max_price_per_hour=0.001.",
            "has max_price_per_hour=0.001: the cheapest costs 1.29 USD.",
        ),
        ({"cores": 4096}, "asks for cores=4096.", "has cores=4096: the most is 176."),
        (
            {"memory_gb": 9999},
            "asks for memory=9999.",
            "No machine at all has memory=9999: the most is 1480.",
        ),
        (
            {"accelerators": 16, "provider": "DC"},
            "asks for accelerators=16, provider='DC'.",
            "No machine at all has accelerators=16: the most is 8.",
        ),
        ({"provider": "OTB"}, "provider='OTB'.", "nearest by name: OTC"),
        (
            {"accelerator_type": "T4", "country_code": "FI"},
            "accelerator_type='T4', country_code='FI'.",
            "Without country_code='FI' the rest can be had: there is DE, NL.",
        ),
        (
            {"cores": 100, "country_code": "DE"},
            "asks for cores=100, country_code='DE'.",
            "Without cores=100 the rest can be had: the most is 32. Without country_code='DE'",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_refusal_says_what_was_asked_which_requirement_fails_and_what_there_is(
    api: Api, asked: dict[str, Any], repeated: str, reason: str
) -> None:
    error = refusal(api.server.url, request(**asked))
    assert repeated in error.message
    assert reason in error.message
    assert "Ask for less" in error.remedy


def test_an_accelerators_nearest_names_are_the_catalogues(api: Api) -> None:
    error = refusal(api.server.url, request(accelerator_type="A1000"))
    _, _, near = error.message.partition("nearest by name: ")
    assert near.startswith(("NVIDIA_A100_80, NVIDIA_A100_40", "NVIDIA_A100_40, NVIDIA_A100_80"))


def test_an_unknown_instance_type_is_named(api: Api) -> None:
    error = refusal(api.server.url, request(UNKNOWN))
    assert f"asks for instance_type_id='{UNKNOWN}'" in error.message
    assert "The catalogue has no machine of this id." in error.message


def test_an_instance_type_that_cannot_be_had_now_is_described(api: Api) -> None:
    [taken] = [offer for offer in INSTANCE_TYPES if not offer.available]
    with PerianClient(api.server.url, ORGANIZATION, TOKEN) as client:
        told = why(request(taken.id), Offers(lambda act: act(client)))
    assert told == ["It is 1L40.20V of DC in FI, which cannot be had now."]


def test_no_requirement_that_fails_alone_or_by_its_absence_is_said(api: Api) -> None:
    asked = request(accelerator_type="H100", country_code="PL", provider="GCP")
    assert "more than one has to give way" in refusal(api.server.url, asked).message


def test_a_refusal_for_another_reason_stays_as_it_is() -> None:
    answers = [reply(422, b'{"detail": "image_name: too long"}')]
    with FaultyServer(*answers) as server:
        error = refusal(server.url, request(cores=1))
    assert "too long" in error.message
    assert "asks for" not in error.message


def test_a_catalogue_that_does_not_answer_does_not_hide_the_refusal() -> None:
    answers = [reply(404, b'{"detail": "No instance type found"}'), reply(500, b"{}")]
    with FaultyServer(*answers) as server:
        error = refusal(server.url, request(cores=1))
    assert "No instance type found" in error.message
    assert "The task asks for cores=1." in error.message


def test_a_job_that_is_taken_costs_no_call_of_the_catalogue(api: Api) -> None:
    operations = jobs(api.server.url)
    before = len(api.store.page(1, 100)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PerianClient, "list_instance_types", None)
        operations.submit(request(cores=1))
    operations.close()
    assert len(api.store.page(1, 100)[0]) == before + 1


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("A1000", {"NVIDIA_A100_80", "NVIDIA_A100_40"}),
        ("H10", {"NVIDIA_H100_80"}),
        ("L40SS", {"NVIDIA_L40S_48"}),
        ("nvidia a100", {"NVIDIA_A100_80", "NVIDIA_A100_40"}),
        ("Gaudi", set()),
    ],
)
def test_the_nearest_names_are_those_that_are_alike(asked: str, expected: set[str]) -> None:
    assert set(nearest(asked, [kind.name for kind in ACCELERATORS])[: len(expected)]) == expected
