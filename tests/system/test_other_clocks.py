"""A pod whose clock is wrong does its work, and a fast one comes to the same end sooner."""

import pytest
from support.api_front import FaultyApi
from support.flyte import Harness
from support.in_pod import skewed
from support.listings import ListingLag
from support.shell_task import shell

from perian_shim import PerianContainerTask

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors]


def answering() -> PerianContainerTask:
    return shell("echo 42 > /var/outputs/answer", outputs={"answer": int})


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_pod_whose_clock_is_wrong_by_an_hour_does_its_work(
    harness: Harness, seconds: int
) -> None:
    outputs = harness.with_variables(**skewed(seconds)).outputs(answering())
    assert harness.value(outputs["answer"], int) == 42


def test_a_pod_does_its_work_while_the_listing_lags_by_two_minutes(harness: Harness) -> None:
    with FaultyApi(harness.sandbox, ListingLag(120), speed=60) as api:
        outputs = harness.with_variables(**api.environment).outputs(answering())
    assert harness.value(outputs["answer"], int) == 42
