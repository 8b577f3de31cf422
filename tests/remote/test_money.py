"""Credits and costs, asked for at a sandbox that keeps accounts."""

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.command import Use
from support.front import Behaviour, Received
from support.past_jobs import origin, price, put, running
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api

from perian_shim.api.client import PerianClient
from perian_shim.api.costs import CENT
from perian_shim.api.errors import InvalidRequest, ServerFault, Unauthorized
from perian_shim.errors import ConfigError
from perian_shim.remote import Credits, costs
from perian_shim.remote.money import report_costs

SINCE = datetime(2026, 3, 1, tzinfo=timezone.utc)
UNTIL = datetime(2026, 4, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
STEPS = ("PER_SECOND", "PER_MINUTE", "PER_10_MINUTES", "PER_HOUR")
PROJECTS = ("vision", "speech", "search", "")


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, use: Use) -> Iterator[Api]:
    """A sandbox without any job but the test's own."""
    with running_api(tmp_path_factory.mktemp("own")) as found:
        use(found.server.url)
        yield found


def two_hundred_jobs(api: Api) -> None:
    """Jobs of all granularities, some of them over an edge of the month."""
    chance = random.Random(20260301)
    for number in range(200):
        began = SINCE - DAY + timedelta(seconds=chance.uniform(0, 32 * 86400))
        ended = began + timedelta(seconds=chance.choice([0.2, 59.9, 600, 4000, 90000]))
        cost = price(
            f"{chance.uniform(0.0005, 30):.4f}",
            chance.choice(["EUR", "USD"]),
            STEPS[number % 4],
            (None, *STEPS)[number % 5],
        )
        project = PROJECTS[number % len(PROJECTS)]
        variables = origin(project, f"x{number % 17}") if project else {}
        put(api.store, began, ended, cost, variables)


def test_the_cost_of_two_hundred_jobs_is_the_bill_to_the_cent(own: Api) -> None:
    two_hundred_jobs(own)
    found = costs(SINCE, UNTIL, by="project")
    assert {line.group for line in found.lines} == {
        *("vision/production", "speech/production", "search/production", "(not from Flyte)")
    }
    assert {line.currency for line in found.lines} == {"EUR", "USD"}
    assert all(line.jobs > 10 for line in found.lines)
    for line in (*found.lines, *found.totals):
        assert line.billed is not None
        assert line.computed.quantize(CENT) == line.billed.quantize(CENT)
        assert line.difference == 0


def test_the_totals_at_the_bills_rates_are_its_sum_to_the_cent(own: Api) -> None:
    two_hundred_jobs(own)
    found = costs(SINCE, UNTIL, by="task")
    with PerianClient(own.server.url, ORGANIZATION, TOKEN) as client:
        bill = client.get_bill(SINCE, UNTIL)
    rates = {item.original_currency: item.exchange_rate for item in bill.items}
    total = sum((line.computed * (rates[line.currency] or 0) for line in found.totals), Decimal(0))
    assert total.quantize(CENT) == bill.total.quantize(CENT)
    assert found.bill is not None
    assert found.bill.amount == bill.total


@pytest.mark.parametrize("by", ["execution", "owner", "day"])
def test_the_bill_agrees_whatever_is_summed_up(own: Api, by: str) -> None:
    two_hundred_jobs(own)
    found = report_costs(SINCE, UNTIL, by)  # type: ignore[arg-type]  # one of them
    assert len(found.lines) > 1
    assert {line.difference for line in found.lines} == {Decimal(0)}


def test_a_job_that_runs_is_counted_until_now_as_on_the_bill(own: Api) -> None:
    began = datetime.now(timezone.utc) - timedelta(minutes=90)
    with running(own.store, began, price("6", billed_by="PER_HOUR")):
        found = costs(began - DAY)
    (line,) = found.lines
    assert (line.running, line.computed, line.difference) == (1, Decimal(12), Decimal(0))


def test_the_month_is_reported_by_default(own: Api) -> None:
    put(own.store, SINCE, SINCE + DAY, price(), origin("vision"))
    found = costs()
    assert (found.since.day, found.since.hour, found.lines) == (1, 0, ())


def test_a_report_can_be_awaited(own: Api) -> None:
    put(own.store, SINCE, SINCE + DAY, price(), origin("vision"))
    assert asyncio.run(costs.aio(SINCE, UNTIL)) == costs(SINCE, UNTIL)


def test_a_report_without_a_bill_says_why(use: Use) -> None:
    listed = {"id": "j", "status": "Done", "started_at": SINCE.isoformat(), "price": price()}
    jobs = {"jobs": [{**listed, "done_at": (SINCE + DAY).isoformat()}]}

    def answer(request: Received) -> Behaviour:
        return reply(body=jobs) if request.path == "/job" else reply(403, {"detail": "not for you"})

    with FaultyServer(by_request(answer)) as server:
        use(server.url)
        found = costs(SINCE, UNTIL, by="day")
    assert (found.bill, found.no_bill.endswith("not for you.")) == (None, True)
    assert [(line.computed, line.billed) for line in found.lines] == [(Decimal(24), None)]


def test_a_job_whose_listing_hides_whose_it_is_is_asked_for(use: Use) -> None:
    times = {"started_at": SINCE.isoformat(), "done_at": (SINCE + DAY).isoformat()}
    listed = {"id": "j", "status": "Done", **times, "price": price(), "docker_metadata": None}
    docker = {"docker_run_parameters": {"env_variables": origin("vision", "x1")}}

    def answer(request: Received) -> Behaviour:
        whole = {**listed, "docker_metadata": docker}
        return reply(body={"jobs": [whole if request.path == "/job/j" else listed]})

    with FaultyServer(by_request(answer)) as server:
        use(server.url)
        (line,) = costs(SINCE, UNTIL).lines
    assert line.group == "vision/production"


def test_jobs_that_cannot_be_listed_are_an_error(use: Use) -> None:
    with FaultyServer(reply(503)) as server:
        use(server.url)
        with pytest.raises(ServerFault):
            costs(SINCE, UNTIL)


@pytest.mark.parametrize(
    ("since", "until", "by"),
    [
        (SINCE.replace(tzinfo=None), UNTIL, "project"),
        (SINCE, UNTIL.replace(tzinfo=None), "project"),
        (UNTIL, SINCE, "project"),
        (SINCE, SINCE, "project"),
        (SINCE, UNTIL, "colour"),
        (datetime.now(timezone.utc) + DAY, None, "project"),
    ],
)
@pytest.mark.usefixtures("own")
def test_an_interval_that_is_none_is_refused(
    since: datetime, until: datetime | None, by: str
) -> None:
    with pytest.raises(ConfigError, match="expected"):
        report_costs(since, until, by)  # type: ignore[arg-type]  # wrong on purpose


def test_the_credit_is_what_the_jobs_have_left_of_it(own: Api) -> None:
    put(own.store, SINCE, SINCE + timedelta(hours=3), price("2"), {})
    found = Credits.get()
    assert (found.amount, found.currency, found.original_amount) == (
        *(Decimal(994), "EUR", Decimal(1000)),
    )
    assert str(found) == "994.00 EUR"
    assert found.to_dict()["amount"] == "994"


def test_an_organization_without_an_account_is_told_so(use: Use) -> None:
    with FaultyServer(reply(400, {"detail": "unlimited plan"})) as server:
        use(server.url)
        with pytest.raises(InvalidRequest, match="unlimited plan"):
            Credits.get()


def test_who_is_not_known_gets_no_credit(use: Use) -> None:
    with FaultyServer(reply(401)) as server:
        use(server.url)
        with pytest.raises(Unauthorized):
            Credits.get()
