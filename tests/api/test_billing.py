"""Credits, bills and the audit log: what is asked for, and how the answers are read."""

from collections.abc import Callable
from datetime import timedelta, timezone
from decimal import Decimal

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.front import Behaviour, Received
from support.official import MORNING, official_bill, official_credits, official_log, wire

from perian_shim.api.billing import AuditEntry, Bill, BillItem, Credits
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import InvalidRequest, MalformedResponse, Unauthorized

EVENING = MORNING.replace(tzinfo=timezone(timedelta(hours=2)))
BILL = wire(official_bill().to_dict())
CREDITS = wire(official_credits().to_dict())
LOG = wire(official_log().to_dict())


def client_for(server: FaultyServer) -> PerianClient:
    return PerianClient(server.url, "acme & co", "token-123")


def test_every_field_of_the_official_credits_is_read() -> None:
    assert Credits.from_json(CREDITS) == Credits(Decimal("12.345"), "EUR", MORNING, Decimal(100))


def test_every_field_of_an_official_bill_is_read() -> None:
    assert Bill.from_json(BILL) == Bill(
        start=MORNING,
        end=MORNING + timedelta(days=1),
        total=Decimal("1.20"),
        currency="EUR",
        margin_multiplier=Decimal("1.075"),
        items=(
            BillItem(
                job_id="j-1",
                price=Decimal("1.20"),
                currency="EUR",
                original_price=Decimal("1.50"),
                original_currency="USD",
                exchange_rate=Decimal("0.8"),
                granularity="PER_10_MINUTES",
            ),
        ),
    )


def test_an_item_names_its_job_in_the_older_way_or_the_newer() -> None:
    assert BillItem.from_json({"job_id": "a", "price": "1"}) == BillItem("a", Decimal(1))
    assert BillItem.from_json({"workload_id": "b", "price": 1.5}) == BillItem("b", Decimal("1.5"))


def test_what_was_sent_and_answered_is_not_read_from_the_audit_log() -> None:
    entry = AuditEntry.from_json(LOG)
    assert entry == AuditEntry(
        timestamp=MORNING,
        outcome="Success",
        method="POST",
        url="https://api.example/job",
        status_code=200,
        user_agent="agent/1",
        ip="192.0.2.1",
    )
    assert "HIDDEN" not in repr(entry)


def test_undefined_currencies_are_none() -> None:
    assert Credits.from_json({"current_amount": "1", "currency": "Undefined"}).currency is None


@pytest.mark.parametrize(
    "document",
    [
        {"start_time": "yesterday"},
        {"total_price": None},
        {"total_price": "much"},
        {"margin_multiplier": ""},
        {"items": [{"job_id": "j"}]},
        {"items": [{"price": "1"}]},
        {"items": [{"job_id": "j", "price": "1", "original_price": []}]},
        {"items": {}},
        {"items": [7]},
        {"end_time": ""},
    ],
    ids=str,
)
def test_a_bill_that_cannot_be_read_to_the_last_item_is_none(document: dict[str, object]) -> None:
    (field,) = document
    assert isinstance(BILL, dict)
    with (
        FaultyServer(reply(body={**BILL, **document})) as server,
        client_for(server) as client,
        pytest.raises(MalformedResponse, match=f"GET /billing/generate: .*{field}"),
    ):
        client.get_bill(MORNING, EVENING)


def test_credits_without_an_amount_are_none() -> None:
    with pytest.raises(MalformedResponse, match="current_amount"):
        Credits.from_json({"currency": "EUR"})


def test_credits_are_asked_for() -> None:
    with FaultyServer(reply(body=CREDITS)) as server, client_for(server) as client:
        assert client.get_credits().amount == Decimal("12.345")
    assert server.requests[0].line == "GET /billing/remaining-credits"


def test_an_organization_without_an_account_is_told_so_in_the_platforms_words() -> None:
    unlimited = reply(400, {"detail": "This organization is on an unlimited plan"})
    with (
        FaultyServer(unlimited) as server,
        client_for(server) as client,
        pytest.raises(InvalidRequest, match="on an unlimited plan"),
    ):
        client.get_credits()


def test_a_bill_is_asked_for_by_organization_currency_and_interval() -> None:
    with FaultyServer(reply(body=BILL)) as server, client_for(server) as client:
        client.get_bill(MORNING, EVENING, "USD")
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("GET", "/billing/generate")
    assert sent.query == {
        "organization": "acme & co",
        "currency": "USD",
        "start_time": "2026-01-02T03:04:05.678900+00:00",
        "end_time": "2026-01-02T03:04:05.678900+02:00",
    }


def test_the_currency_is_the_platforms_choice_if_none_is_named() -> None:
    with FaultyServer(reply(body=BILL)) as server, client_for(server) as client:
        client.get_bill(MORNING, EVENING)
    assert "currency" not in server.requests[0].query


def test_an_interval_needs_to_be_the_same_everywhere_in_the_world() -> None:
    naive = MORNING.replace(tzinfo=None)
    with FaultyServer(reply(body=BILL)) as server, client_for(server) as client:
        with pytest.raises(ValueError, match="start: expected a time with an offset"):
            client.get_bill(naive, EVENING)
        with pytest.raises(ValueError, match="end: expected a time with an offset"):
            client.get_bill(MORNING, naive)
    assert not server.requests


def test_the_audit_log_comes_in_pages() -> None:
    full = reply(body={"audit_logs": [LOG, LOG]})
    last = reply(body={"audit_logs": [LOG]})
    with FaultyServer(full, last) as server, client_for(server) as client:
        pages = [client.list_audit_log(number, page_size=2) for number in (1, 2)]
    assert [(len(page.items), page.has_next) for page in pages] == [(2, True), (1, False)]
    assert server.requests[1].line == "GET /organization/logs?page=2&page_size=2"


def test_payloads_of_the_audit_log_are_never_held_however_long_they_are() -> None:
    assert isinstance(LOG, dict)
    long = {**LOG, "request_payload": "x" * (40 << 20), "response_body": ["y" * (1 << 20)]}
    with (
        FaultyServer(reply(body={"audit_logs": [long]})) as server,
        client_for(server) as client,
    ):
        assert client.list_audit_log().items == (AuditEntry.from_json(LOG),)


def test_an_odd_entry_of_the_audit_log_hides_no_other() -> None:
    odd = {"timestamp": 7, "response_status_code": "many", "request_url": {}}
    with (
        FaultyServer(reply(body={"audit_logs": [odd, LOG]})) as server,
        client_for(server) as client,
    ):
        assert client.list_audit_log().items == (AuditEntry(None), AuditEntry.from_json(LOG))


@pytest.mark.parametrize(("page", "page_size"), [(0, 10), (1, 0), (1, 51)])
def test_pages_of_the_audit_log_are_as_the_contract_has_them(page: int, page_size: int) -> None:
    with (
        PerianClient("http://localhost", "acme", "tok") as client,
        pytest.raises(ValueError, match="expected a number"),
    ):
        client.list_audit_log(page, page_size)


def offers(request: Received, total: int) -> Behaviour:
    """A well-behaved listing of instance types."""
    page, limit = int(request.query["page"]), int(request.query["limit"])
    found = [{"id": f"it-{number}"} for number in range(total)][(page - 1) * limit : page * limit]
    pagination = {"current_page": page, "total_pages": -(-total // limit)}
    return reply(body={"instance_types": found, "pagination": pagination})


@pytest.mark.parametrize(("total", "calls"), [(0, 1), (2, 1), (3, 2), (6, 3)])
def test_all_instance_types_are_iterated_page_by_page(total: int, calls: int) -> None:
    server = FaultyServer(by_request(lambda request: offers(request, total)))
    with server, client_for(server) as client:
        found = [offer.id for offer in client.iter_instance_types(limit=2)]
    assert found == [f"it-{number}" for number in range(total)]
    assert len(server.requests) == calls


def test_a_catalogue_that_keeps_showing_the_same_has_no_end() -> None:
    again = reply(
        body={"instance_types": [{"id": "it"}], "pagination": {"next_page": 9, "total_pages": 9}}
    )
    with FaultyServer(again) as server, client_for(server) as client:
        found = client.iter_instance_types()
        assert next(found).id == "it"
        with pytest.raises(MalformedResponse, match="instance types has no end"):
            list(found)
    assert len(server.requests) == 2


def test_all_accelerator_types_are_iterated() -> None:
    kinds = [{"id": "1", "name": "A"}, {"id": "2", "name": "B"}, {"id": "1", "name": "A"}]
    with (
        FaultyServer(reply(body={"accelerator_types": kinds})) as server,
        client_for(server) as client,
    ):
        assert [kind.name for kind in client.iter_accelerator_types()] == ["A", "B"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get_credits(),
        lambda client: client.get_bill(MORNING, EVENING),
        lambda client: client.list_audit_log(),
    ],
)
def test_who_may_not_see_money_is_told(ask: Callable[[PerianClient], object]) -> None:
    with (
        FaultyServer(reply(403, {"detail": "no"})) as server,
        client_for(server) as client,
        pytest.raises(Unauthorized),
    ):
        ask(client)
