"""``perian-shim gpus``, ``offers``, ``quote``, ``credits`` and ``cost``: what is printed where."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.command import Printed, Use
from support.front import Behaviour, Received
from support.past_jobs import origin, price, put
from support.sandbox_api import ORGANIZATION, Api, running_api

from perian_shim.cli import main
from perian_shim.cli.app import COMMANDS

SINCE = datetime(2026, 3, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
MARCH = ["--since", "2026-03-01", "--until", "2026-04-01"]
MINE = ("gpus", "offers", "quote", "credits", "cost", "doctor")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        store = running.store
        put(store, SINCE, SINCE + 2 * HOUR, price("3"), origin("vision", "x1", "train", "ann"))
        put(store, SINCE, SINCE + HOUR, price("5", "USD"), origin("vision", "x2", "score", "bob"))
        put(store, SINCE + 24 * HOUR, SINCE + 25 * HOUR, price("1"), {})
        yield running


def rows(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


@pytest.mark.parametrize("command", MINE)
def test_help_has_examples_that_name_the_command(command: str, capsys: Printed) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"Examples:\n +perian-shim {command}\b", shown)
    assert COMMANDS[command].summary


# --- gpus ---


@pytest.mark.usefixtures("api")
def test_gpus_are_listed_with_the_cheapest_machine(capsys: Printed) -> None:
    assert main(["gpus"]) == 0
    head, *found = rows(capsys.readouterr().out)
    assert head == ["ACCELERATOR", "VENDOR", "MEMORY", "MACHINES", "MOST", "FROM/HOUR"]
    assert ["NVIDIA_H100_80", "NVIDIA", "80 GB", "2", "8", "2.80 EUR or 18.32 USD"] in found
    assert ["NVIDIA_L40_48", "NVIDIA", "48 GB", "0", "-", "-"] in found


@pytest.mark.usefixtures("api")
def test_gpus_by_name_are_what_a_config_takes(capsys: Printed) -> None:
    assert main(["gpus", "-o", "name"]) == 0
    assert "NVIDIA_L4_24" in capsys.readouterr().out.splitlines()


# --- offers ---


@pytest.mark.usefixtures("api")
def test_offers_are_listed_by_price_within_a_currency_and_it_is_said(capsys: Printed) -> None:
    assert main(["offers", "--accelerator-type", "T4"]) == 0
    printed = capsys.readouterr()
    _, *found = rows(printed.out)
    assert [row[0] for row in found] == ["pi2.2xlarge.4", "n1-standard-8-t4"]
    assert [row[-2:] for row in found] == [["1.187 EUR", "hour"], ["0.812 USD", "second"]]
    assert "several currencies" in printed.err


@pytest.mark.usefixtures("api")
def test_offers_are_filtered_as_a_config_is(capsys: Printed) -> None:
    asked = ["--cores", "8", "--memory", "32Gi", "--country-code", "fr", "--provider", "ovh"]
    assert main(["offers", *asked, "--max-price-per-hour", "1", "-o", "json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert [each["name"] for each in found] == ["b3-32", "l4-90"]
    assert found[0]["price_per_hour"] == "0.203"
    assert not printed.err


@pytest.mark.usefixtures("api")
def test_what_is_left_out_is_said(capsys: Printed) -> None:
    assert main(["offers", "--limit", "1", "-o", "name"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert "16 more" in printed.err


@pytest.mark.usefixtures("api")
def test_no_offers_fail_and_say_what_there_is_instead(capsys: Printed) -> None:
    assert main(["offers", "--accelerator-type", "A1000"]) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    assert "No machine at all has accelerator_type='A1000'" in printed.err
    assert "nearest by name: NVIDIA_A100_80" in printed.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--country-code", "DEU"), ("--memory", "much"), ("--cores", "0"), ("--provider", "\x1b[2J")],
)
def test_a_wrong_requirement_asks_for_nothing(
    use: Use, option: str, value: str, capsys: Printed
) -> None:
    with FaultyServer(reply(500)) as server:
        use(server.url)
        assert main(["offers", option, value]) == 1
        assert not server.requests
    printed = capsys.readouterr().err
    assert option.strip("-").replace("-", "_") in printed
    assert "\x1b" not in printed


def test_what_a_catalogue_says_cannot_move_the_cursor(use: Use, capsys: Printed) -> None:
    odd = {"id": "i\x9b1A", "name": "\x1b[2Jbig\nfake  line", "provider": {"name_short": "\u202eX"}}
    with FaultyServer(reply(body={"instance_types": [odd]})) as server:
        use(server.url)
        assert main(["offers"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2
    assert all(character.isprintable() for character in printed.replace("\n", ""))


# --- quote ---

SOURCE = """
from datetime import timedelta
from flytekit import task, workflow
from perian_shim import PerianConfig

@task(task_config=PerianConfig(accelerator_type="A100"), container_image="x:1",
      timeout=timedelta(minutes=95), retries=2)
def train(n: int) -> int:
    return n

@task(task_config=PerianConfig(cores=8, country_code="FR"), container_image="x:1")
def score(n: int) -> int:
    return n

@task
def plain(n: int) -> int:
    return n

@workflow
def whole(n: int = 1) -> int:
    big = train(n=n).with_overrides(task_config=PerianConfig(accelerator_type="V100"))
    return plain(n=score(n=big))
"""


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    # A name of its own: modules that have been imported stay.
    name = re.sub(r"\W", "_", request.node.name)
    file = tmp_path / f"quoted_{name}.py"
    file.write_text(SOURCE)
    return file


@pytest.mark.usefixtures("api")
def test_each_perian_task_of_a_file_is_quoted(source: Path, capsys: Printed) -> None:
    assert main(["quote", str(source)]) == 0
    printed = capsys.readouterr()
    assert "cannot be compiled" not in printed.err
    head, train, variant, score = rows(printed.out)
    assert head[-3:] == ["TIMEOUT", "WORST CASE", "WITH RETRIES"]
    assert train[0] == f"{source.stem}.train"
    assert train[1:3] == ["1A100.22V", "DC"]
    assert train[-5:] == ["1.29 USD", "10 minutes", "1:35:00", "2.15 USD", "6.45 USD"]
    assert variant[0].startswith(f"{source.stem}.train_")
    assert variant[-5:] == ["9.42 EUR", "hour", "1:35:00", "18.84 EUR", "56.52 EUR"]
    assert score[-3:] == ["none", "unbounded", "unbounded"]


@pytest.mark.usefixtures("api")
def test_named_tasks_are_quoted_alone(source: Path, capsys: Printed) -> None:
    assert main(["quote", str(source), "score", "--timeout", "3600", "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["asks"] == "cores=8, country_code='FR'"
    (option,) = found["options"]
    assert option["worst_case"] == {"amount": "0.203", "currency": "EUR"}


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("name", ["plain", "whole", "nothing"])
def test_what_is_no_perian_task_is_refused(source: Path, name: str, capsys: Printed) -> None:
    assert main(["quote", str(source), name]) == 1
    assert f"no Perian task '{name}' in it; it has train, score" in capsys.readouterr().err


@pytest.mark.usefixtures("api")
def test_a_task_that_gets_no_machine_fails_and_says_why(tmp_path: Path, capsys: Printed) -> None:
    file = tmp_path / "quoted_without_machine.py"
    file.write_text(SOURCE.replace("V100", "A1000"))
    assert main(["quote", str(file), "train"]) == 1
    printed = capsys.readouterr()
    assert "no machine" in printed.out
    assert "No machine at all has accelerator_type='A1000'" in printed.err


def test_a_file_that_cannot_be_imported_is_an_error(tmp_path: Path, capsys: Printed) -> None:
    file = tmp_path / "quoted_broken.py"
    file.write_text("import no_such_module_anywhere")
    assert main(["quote", str(file)]) == 1
    assert "cannot be imported" in capsys.readouterr().err


# --- credits ---


@pytest.mark.usefixtures("api")
def test_the_credit_is_shown(capsys: Printed) -> None:
    assert main(["credits"]) == 0
    shown = dict(rows(capsys.readouterr().out))
    assert (shown["organization"], shown["credit"], shown["of"]) == (
        *(ORGANIZATION, "989.00 EUR", "1000.00 EUR"),
    )


@pytest.mark.usefixtures("api")
def test_the_credit_is_a_number_for_programs(capsys: Printed) -> None:
    assert main(["credits", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["amount"], found["currency"]) == ("989", "EUR")


# --- cost ---


@pytest.mark.usefixtures("api")
def test_costs_are_shown_beside_the_bill(capsys: Printed) -> None:
    assert main(["cost", *MARCH]) == 0
    printed = capsys.readouterr()
    assert rows(printed.out) == [
        ["PROJECT", "JOBS", "HOURS", "COST", "BILL", "DIFFERENCE"],
        ["vision/production", "1", "2.00", "6.00 EUR", "6.00 EUR", "0.00 EUR"],
        ["vision/production", "1", "1.00", "5.00 USD", "5.00 USD", "0.00 USD"],
        ["(not from Flyte)", "1", "1.00", "1.00 EUR", "1.00 EUR", "0.00 EUR"],
        ["total", "2", "3.00", "7.00 EUR", "7.00 EUR", "0.00 EUR"],
        ["total", "1", "1.00", "5.00 USD", "5.00 USD", "0.00 USD"],
    ]
    assert "From 2026-03-01 00:00Z until 2026-04-01 00:00Z." in printed.err
    assert "The bill is 11.00 EUR in all." in printed.err


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("execution", {"vision/production/x1", "vision/production/x2", "(not from Flyte)"}),
        ("task", {"train", "score", "(not from Flyte)"}),
        ("owner", {"ann", "bob", "(not from Flyte)"}),
        ("day", {"2026-03-01", "2026-03-02"}),
    ],
)
def test_costs_are_summed_up_by_what_is_asked(by: str, groups: set[str], capsys: Printed) -> None:
    assert main(["cost", *MARCH, "--by", by, "-o", "name"]) == 0
    assert set(capsys.readouterr().out.splitlines()) == groups


@pytest.mark.usefixtures("api")
def test_costs_for_programs_are_exact(capsys: Printed) -> None:
    assert main(["cost", *MARCH, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bill"] == {"amount": "11", "currency": "EUR"}
    assert [(each["currency"], each["computed"]) for each in found["totals"]] == [
        ("EUR", "7"),
        ("USD", "5"),
    ]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    "since", ["90m", "12h", "7d", "4w", "2026-03-01T12:00:00+01:00", "2026-03-01T11:00Z"]
)
def test_times_are_dates_moments_and_spans(since: str) -> None:
    assert main(["cost", "--since", since]) == 0


@pytest.mark.parametrize("since", ["yesterday", "7", "d", "2026-13-01", "\x1b[2J", ""])
def test_what_is_no_time_is_refused(use: Use, since: str) -> None:
    with FaultyServer(reply(500)) as server:
        use(server.url)
        assert main(["cost", "--since", since]) == 2
        assert not server.requests


def test_that_there_is_no_bill_is_said(use: Use, capsys: Printed) -> None:
    def answer(request: Received) -> Behaviour:
        return reply(body={"jobs": []}) if request.path == "/job" else reply(404)

    with FaultyServer(by_request(answer)) as server:
        use(server.url)
        assert main(["cost"]) == 0
    assert "There is no bill to compare with: GET /billing/generate" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["gpus"], ["offers"], ["credits"], ["cost"]], ids=lambda words: words[0]
)
def test_a_server_that_fails_is_one_line(use: Use, arguments: list[Any], capsys: Printed) -> None:
    with FaultyServer(reply(503, {"detail": "maintenance"})) as server:
        use(server.url)
        assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"perian-shim {arguments[0]}: ")
    assert "maintenance" in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
