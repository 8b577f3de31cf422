"""What a job's machine is and what it costs: said once, by the platform's own stamps."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from support.answers import reply
from support.api_front import FaultyServer
from support.front import Behaviour, Exchange
from support.waiting import LONG_SECONDS

from perian_shim.api.catalogue import InstanceType, Price
from perian_shim.api.client import PerianClient
from perian_shim.api.job_request import Requirements
from perian_shim.api.jobs import Job
from perian_shim.errors import WrongMachine
from perian_shim.lifecycle.bill import Bill, described, duration
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.rental import Rental
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.lifecycle.rules import Rules
from perian_shim.settings import JOB_RULES

MACHINE = {
    "id": "it-1",
    "name": "g4",
    "provider": {"name_short": "OTC"},
    "region": {"location": "DE"},
    "cpu": {"cores": 8},
    "ram": {"size": "64.0", "unit": "Gb"},
    "accelerator": {"no": 1, "accelerator_types": [{"name": "NVIDIA_A100_80"}]},
}
SHOWN = "g4 (8 cores, 64 GB, 1 x NVIDIA_A100_80) at OTC, DE, for 1.25 EUR per hour"
PRICE = Price(Decimal("1.2500"), "EUR", "PER_HOUR", "PER_MINUTE")
STARTED = datetime(2025, 1, 1, tzinfo=timezone.utc)
ENDED = STARTED + timedelta(minutes=12, seconds=3)
RUNNING = Job("j", "Running", price=PRICE, instance_type_id="it-1", started_at=STARTED)
DONE = Job("j", "Done", price=PRICE, instance_type_id="it-1", started_at=STARTED, done_at=ENDED)


@dataclass
class Desk:
    """A catalogue that answers as told, and what is said with it."""

    server: FaultyServer
    bill: Bill
    said: list[str] = field(default_factory=list)


Desks = Callable[..., Desk]


def at_once(act: Callable[[], object]) -> None:
    """Do something and wait for it."""
    act()


@pytest.fixture
def desks() -> Iterator[Desks]:
    """Return a function that opens a desk."""
    opened: list[FaultyServer] = []

    def make(
        *answers: Behaviour,
        rental: Rental | None = None,
        beside: Callable[[Callable[[], object]], None] = at_once,
    ) -> Desk:
        server = FaultyServer(*(answers or (reply(200, {"instance_types": [MACHINE]}),)))
        opened.append(server.__enter__())

        def jobs() -> Jobs:
            connect = lambda: PerianClient(server.url, "org", "token-value")  # noqa: E731 - short
            return Jobs(connect, Retrier(RetryPolicy()))

        said: list[str] = []
        bill = Bill(rental or Rental(), jobs(), jobs(), said.append, beside)
        return Desk(server, bill, said)

    yield make
    for server in opened:
        server.__exit__(None, None, None)


def test_a_job_that_starts_is_said_to_run_on_its_machine(desks: Desks) -> None:
    desk = desks()
    desk.bill.open(RUNNING)
    assert desk.said == [f"job j runs on {SHOWN}"]


def test_a_job_that_has_ended_is_said_to_have_run_and_cost(desks: Desks) -> None:
    desk = desks()
    desk.bill.open(RUNNING)
    desk.bill.close(DONE)
    assert desk.said[1:] == ["job j ran for 12 min 3 s and cost 0.27 EUR"]


def test_a_job_that_nobody_has_seen_run_is_named_with_its_machine_at_its_end(desks: Desks) -> None:
    desk = desks()
    desk.bill.close(DONE)
    assert desk.said == [f"job j ran for 12 min 3 s on {SHOWN}, and cost 0.27 EUR"]


def test_an_error_gets_one_sentence_with_both(desks: Desks) -> None:
    desk = desks()
    desk.bill.open(RUNNING)
    desk.bill.close(DONE)
    assert desk.bill.added_to("It failed.") == (
        f"It failed. The job ran for 12 min 3 s on {SHOWN}, and cost 0.27 EUR."
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [("It failed.", "It failed. The"), ("exit 3", "exit 3. The"), ("a\nb\n", "a\nb\n The")],
)
def test_the_sentence_follows_a_whole_one(desks: Desks, message: str, expected: str) -> None:
    desk = desks()
    desk.bill.close(DONE)
    assert desk.bill.added_to(message).startswith(expected)


@pytest.mark.parametrize(
    "answer",
    [
        reply(500, {}),
        reply(404, {}),
        reply(429, {}),
        reply(401, {}),
        reply(200, {"instance_types": []}),
    ],
)
def test_what_the_catalogue_does_not_tell_is_not_said(answer: Behaviour, desks: Desks) -> None:
    desk = desks(answer)
    desk.bill.open(RUNNING)
    desk.bill.close(DONE)
    ran = "job j ran for 12 min 3 s and cost 0.27 EUR"
    assert desk.said == ["job j runs at 1.25 EUR per hour", ran]


def test_the_catalogue_is_asked_once_for_a_job(desks: Desks) -> None:
    desk = desks(reply(500, {}))
    desk.bill.open(RUNNING)
    desk.bill.open(RUNNING)
    desk.bill.close(DONE)
    assert len(desk.server.requests) == 1


def test_a_catalogue_that_is_needed_to_judge_the_machine_is_asked_once_as_well(
    desks: Desks,
) -> None:
    desk = desks(rental=Rental(Requirements(country_code="DE")))
    desk.bill.open(RUNNING)
    assert (len(desk.server.requests), desk.said) == (1, [f"job j runs on {SHOWN}"])


def test_a_machine_that_was_not_asked_for_is_named_before_it_is_refused(desks: Desks) -> None:
    desk = desks(rental=Rental(Requirements(country_code="FR")))
    with pytest.raises(WrongMachine, match="its country is DE, FR was asked"):
        desk.bill.open(RUNNING)
    assert desk.said == [f"job j runs on {SHOWN}"]


def test_a_machine_that_the_platforms_rules_forbid_is_refused_however_slow_the_catalogue_is(
    desks: Desks,
) -> None:
    desk = desks(beside=lambda _: None)  # what is asked for a moment only is never told
    rules = {JOB_RULES: Rules(countries=("FR",)).to_text()}
    with pytest.raises(WrongMachine, match="its country is DE"):
        desk.bill.open(replace(RUNNING, env_variables=rules))


def test_of_a_job_that_does_not_name_its_machine_only_the_price_is_said(desks: Desks) -> None:
    desk = desks()
    desk.bill.open(Job("j", "Running", price=PRICE))
    said = ["job j runs at 1.25 EUR per hour"]
    assert (list(desk.server.requests), desk.said) == ([], said)


def test_a_job_whose_price_is_not_known_either_says_nothing(desks: Desks) -> None:
    desk = desks()
    desk.bill.open(Job("j", "Running"))
    assert desk.said == []


def test_an_error_names_the_price_of_a_machine_that_is_not_named(desks: Desks) -> None:
    desk = desks()
    desk.bill.close(Job("j", "Done", price=PRICE, started_at=STARTED, done_at=ENDED))
    said = "It failed. The job ran for 12 min 3 s at 1.25 EUR per hour and cost 0.27 EUR."
    assert desk.bill.added_to("It failed.") == said


def test_a_catalogue_that_hangs_holds_nothing_up(desks: Desks) -> None:
    go_on = threading.Event()
    started: list[threading.Thread] = []

    def hanging(exchange: Exchange) -> None:  # noqa: ARG001 - as any answer
        go_on.wait(LONG_SECONDS)

    def beside(act: Callable[[], object]) -> None:
        started.append(threading.Thread(target=act))
        started[0].start()

    desk = desks(hanging, beside=beside)
    desk.bill.open(RUNNING)
    said = ["job j runs at 1.25 EUR per hour"]
    assert desk.said == said
    go_on.set()
    started[0].join(LONG_SECONDS)
    assert desk.said == said


@pytest.mark.parametrize(
    "job",
    [
        Job("j", "Cancelled", price=PRICE, instance_type_id="it-1", done_at=ENDED),
        RUNNING,
    ],
    ids=["never ran", "still runs"],
)
def test_a_job_that_did_not_run_to_an_end_costs_nothing_that_is_said(
    job: Job, desks: Desks
) -> None:
    desk = desks()
    desk.bill.close(job)
    assert (desk.said, desk.bill.added_to("It failed.")) == ([], "It failed.")


def test_a_price_that_the_end_no_longer_shows_is_the_one_seen_before(desks: Desks) -> None:
    desk = desks()
    desk.bill.open(RUNNING)
    desk.bill.close(Job("j", "Done", started_at=STARTED, done_at=ENDED))
    assert desk.said[1:] == ["job j ran for 12 min 3 s and cost 0.27 EUR"]


def test_a_price_that_nobody_can_mean_fails_no_run(desks: Desks) -> None:
    desk = desks()
    price = Price(Decimal("1e999999"), "EUR", "PER_HOUR")
    job = Job("j", "Done", price=price, started_at=STARTED, done_at=ENDED)
    desk.bill.open(Job("j", "Running", price=price, instance_type_id="it-1"))
    desk.bill.close(job)
    assert max(map(len, desk.said)) < 200


@pytest.mark.parametrize(
    ("machine", "price", "expected"),
    [
        ({}, None, "it-1"),
        ({"name": "g4", "cores": 1}, None, "g4 (1 core)"),
        ({"name": "g4", "accelerators": 2}, None, "g4 (2 x accelerator)"),
        ({"provider": "OTC"}, PRICE, "it-1 at OTC, for 1.25 EUR per hour"),
        ({"country_code": "DE"}, None, "it-1 at DE"),
        ({"ram_gb": Decimal("0.5")}, None, "it-1 (0.5 GB)"),
        ({}, Price(Decimal(60), "Undefined", "PER_HOUR"), "it-1, for 60 per hour"),
        ({}, Price(Decimal("0.02"), "EUR", "PER_MINUTE"), "it-1, for 1.2 EUR per hour"),
        ({}, Price(Decimal(0), "EUR", "PER_HOUR"), "it-1"),
        ({"name": "g4\n[perian-shim] \x1b[2J"}, None, "g4 [perian-shim] [2J"),
    ],
)
def test_a_machine_is_described_by_what_is_known_of_it(
    machine: dict[str, Any], price: Price | None, expected: str
) -> None:
    assert described(InstanceType("it-1", **machine), price) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ("0.2", "0 s"),
        ("3", "3 s"),
        ("59.7", "1 min"),
        ("723", "12 min 3 s"),
        ("7200", "2 h"),
        ("90123.4", "25 h 2 min 3 s"),
    ],
)
def test_a_duration_is_told_in_hours_minutes_and_seconds(seconds: str, expected: str) -> None:
    assert duration(Decimal(seconds)) == expected
