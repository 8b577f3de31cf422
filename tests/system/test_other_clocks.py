"""A pod whose clock is wrong does its work, and a fast one comes to the same end sooner."""

import pytest
from support.api_front import FaultyApi
from support.flyte import Harness
from support.in_pod import skewed
from support.listings import ListingLag

from perian_shim import PerianConfig, PerianContainerTask

pytestmark = pytest.mark.slow


def task() -> PerianContainerTask:
    return PerianContainerTask(
        name="test.clock",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["sh", "-c", "echo 42 > /var/outputs/answer"],
        outputs={"answer": int},
    )


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_pod_whose_clock_is_wrong_by_an_hour_does_its_work(
    harness: Harness, seconds: int
) -> None:
    outputs = harness.with_variables(**skewed(seconds)).outputs(task())
    assert harness.value(outputs["answer"], int) == 42


def test_a_pod_does_its_work_while_the_listing_lags_by_two_minutes(harness: Harness) -> None:
    with FaultyApi(harness.sandbox, ListingLag(120), speed=60) as api:
        outputs = harness.with_variables(**api.environment).outputs(task())
    assert harness.value(outputs["answer"], int) == 42
