"""What an organization has, owes and has done, as the Perian API answers: frozen records.

Amounts are exact decimals in the currency that stands beside them, times are aware. What money is
counted by is read strictly: a bill with an item that cannot be read is no bill, and raises
``MalformedResponse`` naming the field. Unknown fields are ignored. Of the audit log neither what
was sent nor what was answered is read: both may be confidential.

The calls are made by ``client.PerianClient``, which loads this when it is asked for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from perian_shim.api.catalogue import defined
from perian_shim.api.fields import Fields, optional
from perian_shim.api.jobs import SHORT, only
from perian_shim.api.pages import Page
from perian_shim.api.responses import Call
from perian_shim.api.trimming import Keep

LONGEST_AUDIT_PAGE = 50
"""How many entries of the audit log the API shows at a time, at most."""

_AUDITED = (
    *("timestamp", "outcome", "request_method", "request_url", "response_status_code"),
    *("user_agent", "ip"),
)

CREDITS = Call("GET", "/billing/remaining-credits")


@dataclass(frozen=True)
class Credits:
    """What an organization can still spend.

    Attributes:
        amount: what is left.
        currency: e.g. ``"EUR"``; None if the API does not say.
        last_calculated: when that was so; None if the API does not say.
        original_amount: what there was at first; None if the API does not say.
    """

    amount: Decimal
    currency: str | None = None
    last_calculated: datetime | None = None
    original_amount: Decimal | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "answer") -> "Credits":
        """Read the API's ``RemainingCreditsResponse``."""
        fields = Fields(obj, where)
        return cls(
            amount=fields.required_number("current_amount"),
            currency=defined(fields.text("currency")),
            last_calculated=optional(fields.moment, "last_calculated"),
            original_amount=fields.number("original_amount"),
        )


@dataclass(frozen=True)
class BillItem:
    """What one job costs.

    Attributes:
        job_id: of the job.
        price: in ``currency``, that of the bill.
        currency: e.g. ``"EUR"``; None if the API does not say.
        original_price: in ``original_currency``, that of the machine; None if it is not told.
        original_currency: e.g. ``"USD"``; None if the API does not say.
        exchange_rate: what the price is of the original price; None if it is not told.
        granularity: in what the provider counts, e.g. ``"PER_MINUTE"``; None if it is not told.
    """

    job_id: str
    price: Decimal
    currency: str | None = None
    original_price: Decimal | None = None
    original_currency: str | None = None
    exchange_rate: Decimal | None = None
    granularity: str | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "item") -> "BillItem":
        """Read the API's ``BillItem``; newer ones name the job as a workload."""
        fields = Fields(obj, where)
        return cls(
            job_id=fields.text("job_id") or fields.required_text("workload_id"),
            price=fields.required_number("price"),
            currency=defined(fields.text("currency")),
            original_price=fields.number("original_price"),
            original_currency=defined(fields.text("original_currency")),
            exchange_rate=fields.number("exchange_rate"),
            granularity=defined(fields.text("granularity")),
        )


@dataclass(frozen=True)
class Bill:
    """What an organization pays for an interval.

    Attributes:
        start: of the interval.
        end: of the interval.
        total: of all, in ``currency``.
        currency: e.g. ``"EUR"``; None if the API does not say.
        margin_multiplier: what Perian multiplies the providers' prices by.
        items: what is paid for.
    """

    start: datetime
    end: datetime
    total: Decimal
    currency: str | None
    margin_multiplier: Decimal
    items: tuple[BillItem, ...] = ()

    @classmethod
    def from_json(cls, obj: object, where: str = "bill") -> "Bill":
        """Read the API's ``Bill``."""
        fields = Fields(obj, where)
        return cls(
            start=fields.required_moment("start_time"),
            end=fields.required_moment("end_time"),
            total=fields.required_number("total_price"),
            currency=defined(fields.text("currency")),
            margin_multiplier=fields.required_number("margin_multiplier"),
            items=tuple(
                BillItem.from_json(item, f"{fields.place('items')}[{index}]")
                for index, item in enumerate(fields.items("items"))
            ),
        )


@dataclass(frozen=True)
class AuditEntry:
    """A request that was made in an organization's name.

    What cannot be read of it is None: an odd entry does not hide the others.

    Attributes:
        timestamp: when.
        outcome: how it ended, in the API's words.
        method: HTTP method.
        url: what was requested.
        status_code: HTTP status of the answer.
        user_agent: what the program that made it calls itself.
        ip: where it came from.
    """

    timestamp: datetime | None
    outcome: str | None = None
    method: str | None = None
    url: str | None = None
    status_code: int | None = None
    user_agent: str | None = None
    ip: str | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "entry") -> "AuditEntry":
        """Read the API's ``RequestLog``."""
        fields = Fields(obj, where)
        return cls(
            timestamp=optional(fields.moment, "timestamp"),
            outcome=optional(fields.text, "outcome"),
            method=optional(fields.text, "request_method"),
            url=optional(fields.text, "request_url"),
            status_code=optional(fields.count, "response_status_code"),
            user_agent=optional(fields.text, "user_agent"),
            ip=optional(fields.text, "ip"),
        )


def bill_call(organization: str, start: datetime, end: datetime, currency: str | None) -> Call:
    """Return the call for a bill.

    Raises:
        ValueError: a time has no offset: of which day's beginning would it be?
    """
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            message = f"{name}: expected a time with an offset, got {moment.isoformat()!r}"
            raise ValueError(message)
    query = {
        "organization": organization,
        **({"currency": currency} if currency else {}),
        "start_time": start.isoformat(),
        "end_time": end.isoformat(),
    }
    return Call("GET", "/billing/generate", query=query)


def audit_call(page: int, page_size: int) -> Call:
    """Return the call for a page of the audit log.

    Raises:
        ValueError: a number is out of bounds.
    """
    if page < 1:
        message = f"page: expected a number of at least 1, got {page!r}"
        raise ValueError(message)
    if not 1 <= page_size <= LONGEST_AUDIT_PAGE:
        message = f"page_size: expected a number from 1 to {LONGEST_AUDIT_PAGE}, got {page_size!r}"
        raise ValueError(message)
    entry = only(dict.fromkeys(_AUDITED, SHORT))
    return Call(
        "GET",
        "/organization/logs",
        query={"page": page, "page_size": page_size},
        keep=Keep(members={"audit_logs": Keep(others=entry)}),
    )


def read_audit_page(document: Mapping[str, object], page: int, page_size: int) -> Page[AuditEntry]:
    """Read a page of the audit log; the API does not say how many there are."""
    read = AuditEntry.from_json
    return Page.from_json(document, "audit_logs", read, page=page, limit=page_size)
