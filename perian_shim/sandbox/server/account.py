"""The organization's account: its credits, its bills, and who did what in its name.

Credits begin with an amount and shrink by what jobs cost; they may fall below nothing, for no job
is refused because of them. The log of requests is kept in memory, the newest ``AUDITED`` of them,
without what was sent or answered.
"""

import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from urllib.parse import urlencode

from perian_shim.sandbox.records import Json
from perian_shim.sandbox.server.billing import UnknownCurrency, Usage, amount, bill_view, spent
from perian_shim.sandbox.server.catalogue import stable_id
from perian_shim.sandbox.server.store import JobStore
from perian_shim.sandbox.server.validation import InvalidRequest, Problem

CURRENCY = "EUR"
"""Of the credits, and of bills unless they are asked for in another."""

START_CREDITS = Decimal(1000)
AUDITED = 10_000
PAGE_SIZE, LONGEST_PAGE = 10, 50
FAILED = 400

OFFSET = re.compile(r"(:\d\d(?:\.\d+)?)(?P<sign>[ +-])(\d\d):?(\d\d)\Z")
"""At a time's end; a plus sign that was not quoted arrives as a space."""

WRONG_ORDER = "Start date must be before end date"
NO_ORGANIZATION = "The given organization could not be found."
NO_CURRENCY = "Unknown currency"

Query = Mapping[str, Sequence[str]]


def utc_now() -> datetime:
    """Give the time."""
    return datetime.now(timezone.utc)


class AccountRefusal(Exception):
    """A question about the account that the platform turns down; the text has its words."""


class Account:
    """One organization's account.

    Args:
        store: the jobs that are paid for.
        organization: its name.
        start_credits: what it had before any job, in ``CURRENCY``.
        clock: tells the time.
    """

    def __init__(
        self,
        store: JobStore,
        organization: str,
        start_credits: Decimal = START_CREDITS,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.store = store
        self.organization = organization
        self.start_credits = Fraction(start_credits)
        self.clock = clock
        self.entries: deque[dict[str, Json]] = deque(maxlen=AUDITED)
        self.lock = threading.Lock()

    @property
    def id(self) -> str:
        """The organization's identifier."""
        return stable_id("organization", self.organization)

    def usages(self) -> list[Usage]:
        """Give what all jobs have used, the newest first."""
        found = (Usage.of(record, state) for record, state in self.store.states())
        return [usage for usage in found if usage is not None]

    def credits(self) -> dict[str, Json]:
        """Give what is left, as the API shows it."""
        now = self.clock()
        left = self.start_credits - spent(self.usages(), CURRENCY, now)
        return {
            "current_amount": amount(left),
            "currency": CURRENCY,
            "original_amount": amount(self.start_credits),
            "last_calculated": now.isoformat(),
        }

    def bill(self, query: Query) -> dict[str, Json]:
        """Give the bill that a request's query asks for; of the last month by default.

        Raises:
            InvalidRequest: the query breaks the contract.
            AccountRefusal: it asks for what there is not.
        """
        problems: list[Problem] = []
        organization = query.get("organization", ("",))[-1]
        if not organization:
            problems.append(Problem(("query", "organization"), "Field required", "missing"))
        now = self.clock()
        this_month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        last_month = (this_month - timedelta(days=1)).replace(day=1)
        start = moment(query, "start_time", last_month, problems)
        end = moment(query, "end_time", this_month, problems)
        if problems:
            raise InvalidRequest(problems)
        if organization != self.organization:
            raise AccountRefusal(NO_ORGANIZATION)
        if start > end:
            raise AccountRefusal(WRONG_ORDER)
        currency = query.get("currency", (CURRENCY,))[-1]
        try:
            bill = bill_view(self.usages(), start, end, currency, now)
        except UnknownCurrency as error:
            raise AccountRefusal(f"{NO_CURRENCY}: {error}") from error
        return {"organization_id": self.id, **bill}

    def note(
        self, method: str, path: str, query: Query, headers: Mapping[str, str], client: str
    ) -> Callable[[int], None]:
        """Begin an entry of the log; what is returned ends it with the answer's status."""
        target = urlencode(query, doseq=True)
        entry: dict[str, Json] = {
            "id": str(uuid.uuid4()),
            "organization_id": self.id,
            "timestamp": self.clock().isoformat(),
            "ip": client or None,
            "user_agent": headers.get("user-agent"),
            "request_url": f"http://{headers.get('host', '')}{path}{'?' if target else ''}{target}",
            "request_method": method,
            "request_payload": None,
            "response_body": None,
        }

        def end(status: int) -> None:
            outcome = "Success" if status < FAILED else "Error"
            with self.lock:
                self.entries.appendleft(
                    {**entry, "outcome": outcome, "response_status_code": status}
                )

        return end

    def audit_log(self, query: Query) -> list[Json]:
        """Give the page of the log that a request's query asks for, the newest first.

        Raises:
            InvalidRequest: the query breaks the contract.
        """
        problems: list[Problem] = []
        page = count(query, "page", 1, None, problems)
        size = count(query, "page_size", PAGE_SIZE, LONGEST_PAGE, problems)
        if problems:
            raise InvalidRequest(problems)
        with self.lock:
            return list[Json](self.entries)[(page - 1) * size : page * size]


def moment(query: Query, name: str, default: datetime, problems: list[Problem]) -> datetime:
    """Read a time of a query; one without an offset is in UTC."""
    given = query.get(name, ("",))[-1]
    if not given:
        return default
    text = re.sub("[Zz]\\Z", "+00:00", given)
    text = OFFSET.sub(lambda at: f"{at[1]}{at['sign'].replace(' ', '+')}{at[3]}:{at[4]}", text)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        complaint = "Input should be a valid datetime"
        problems.append(Problem(("query", name), complaint, "datetime_parsing"))
        return default
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def count(query: Query, name: str, default: int, most: int | None, problems: list[Problem]) -> int:
    """Read a whole number from 1 to ``most`` of a query."""
    given = query.get(name, (str(default),))[-1]
    number = int(given) if given.isascii() and given.isdigit() else 0
    if number < 1 or (most is not None and number > most):
        message = "Input should be a valid integer greater than 0" + (
            "" if most is None else f" and at most {most}"
        )
        problems.append(Problem(("query", name), message, "int_parsing"))
    return number
