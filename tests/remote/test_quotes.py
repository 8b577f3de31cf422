"""Quotes: the machine that a task would get, and what it costs at most."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flytekit import Resources, task
from support.answers import reply
from support.api_front import FaultyServer
from support.command import Use

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.errors import ConfigError
from perian_shim.remote import Amount, Quote

pytestmark = pytest.mark.usefixtures("api")

A100 = PerianConfig(accelerator_type="A100")
"""Two machines have it, both in USD; the cheaper one costs 1.29 and is billed by ten minutes."""


def container(**options: Any) -> PerianContainerTask:
    return PerianContainerTask("quoted", A100, "debian:12", ["true"], **options)


def test_a_task_gets_the_cheapest_machine_that_fits() -> None:
    found = Quote.of(container())
    assert (found.task, found.asks) == ("quoted", "accelerator_type='A100'")
    assert found.offer is not None
    assert found.offer.name == "1A100.22V"
    assert found.price_per_hour == Amount(Decimal("1.290"), "USD")


@pytest.mark.parametrize(
    ("minutes", "steps"), [(1, 1), (10, 1), (10.001, 2), (60, 6), (95, 10), (1440, 144)]
)
def test_the_worst_case_is_the_timeout_in_full_steps_of_the_billing(
    minutes: float, steps: int
) -> None:
    found = Quote.of(A100, timedelta(minutes=minutes))
    assert found.worst_case == Amount(Decimal("1.290") * steps / 6, "USD")


def test_the_worst_case_is_that_of_the_tasks_own_timeout() -> None:
    found = Quote.of(container(timeout=timedelta(hours=2)))
    assert found.timeout_seconds == 7200
    assert found.worst_case == Amount(Decimal("2.580"), "USD")


def test_another_timeout_can_be_asked_about() -> None:
    found = Quote.of(container(timeout=timedelta(hours=2)), timeout=3600)
    assert found.worst_case == Amount(Decimal("1.290"), "USD")


def test_each_retry_may_cost_as_much_again() -> None:
    (option,) = Quote.of(container(timeout=timedelta(hours=1), retries=3)).options
    assert option.worst_case == Amount(Decimal("1.290"), "USD")
    assert option.worst_case_of_all == Amount(Decimal("5.160"), "USD")


def test_without_a_timeout_nothing_bounds_the_cost() -> None:
    found = Quote.of(container())
    assert (found.timeout_seconds, found.worst_case) == (None, None)


def test_where_currencies_compete_there_is_a_machine_for_each() -> None:
    found = Quote.of(PerianConfig(accelerator_type="T4"), 3600)
    assert [str(each.worst_case) for each in found.options] == ["1.19 EUR", "0.81 USD"]
    assert (found.offer, found.worst_case, found.price_per_hour) == (None, None, None)


def test_what_a_function_task_asks_for_by_flytekits_resources_counts() -> None:
    @task(
        task_config=PerianConfig(country_code="DE"),
        requests=Resources(gpu="4", mem="200Gi"),
        container_image="x:1",
    )
    def train() -> int:
        return 1

    found = Quote.of(train)
    assert found.asks == "memory=200, accelerators=4, country_code='DE'"
    assert found.offer is not None
    assert found.offer.name == "p2v.8xlarge.8"


def test_a_task_that_gets_no_machine_is_told_why() -> None:
    found = Quote.of(PerianConfig(accelerators=1000), 60)
    assert (found.options, found.offer) == ((), None)
    assert found.reasons == ("No machine at all has accelerators=1000: the most is 8.",)


def test_a_machine_without_a_price_is_still_named(use: Use) -> None:
    with FaultyServer(reply(body={"instance_types": [{"id": "m", "name": "m"}]})) as server:
        use(server.url)
        found = Quote.of(A100, 60)
    assert found.offer is not None
    assert (found.offer.name, found.price_per_hour, found.worst_case) == ("m", None, None)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), timedelta(0)])
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigError, match="timeout: expected"):
        Quote.of(A100, timeout)


def test_only_tasks_of_ours_are_quoted() -> None:
    @task
    def plain() -> int:
        return 1

    with pytest.raises(ConfigError, match="expected a PerianConfig or a task that has one"):
        Quote.of(plain)


def test_a_quote_can_be_awaited() -> None:
    assert asyncio.run(Quote.of.aio(A100, 60)) == Quote.of(A100, 60)
