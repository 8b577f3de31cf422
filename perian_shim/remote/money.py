"""What an organization has and what it has spent: asked for at Perian."""

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from perian_shim.api import billing
from perian_shim.api.errors import ApiError
from perian_shim.errors import ConfigError
from perian_shim.lifecycle.clock import Clock
from perian_shim.remote import twins
from perian_shim.remote.asking import ask
from perian_shim.remote.connection import Connection, connection
from perian_shim.remote.listing import Listing
from perian_shim.remote.records import Amount, Record
from perian_shim.remote.spending import GROUPS, By, CostReport, needs_origin, report


@dataclass(frozen=True)
class Credits(billing.Credits, Record):
    """What an organization can still spend; attributes as in ``api.billing.Credits``."""

    def __str__(self) -> str:
        return str(Amount(self.amount, self.currency))

    @twins.class_method
    def get(cls: Any) -> "Credits":  # noqa: N805 - its decorator makes it one
        """Ask for the credit.

        Raises:
            InvalidRequest: the organization has none to keep account of: its plan is unlimited.
            ApiError: any other failure.
        """
        del cls
        found = ask(connection(), lambda client: client.get_credits())
        return Credits(found.amount, found.currency, found.last_calculated, found.original_amount)


def report_costs(
    since: datetime | None = None, until: datetime | None = None, by: By = "project"
) -> CostReport:
    """Report what jobs cost.

    All jobs of the organization are looked through, whenever they were submitted: a job of any age
    may have run within the interval.

    Args:
        since: the start of the interval, with an offset; None: the first of the month, in UTC.
        until: its end, with an offset; None, or later than now: now.
        by: what is summed up: by ``"project"`` (with its domain), ``"execution"``, ``"task"``,
            ``"owner"`` or ``"day"``, in UTC, on which a job began to run.

    Raises:
        ConfigError: an argument is wrong.
        ApiError: the jobs cannot be had. That there is no bill is told in the report.
    """
    now = datetime.now(timezone.utc)
    start = since or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = min(until or now, now) if until is None or until.tzinfo else until
    check(start, end, by)
    who = connection()
    listing = Listing(who, Clock())
    jobs = [listing.whole(job) if needs_origin(by) else job for job in listing.all()]
    bill, no_bill = bill_of(who, start, end)
    return report(jobs, bill, start, end, by, no_bill)


costs = twins.Call(report_costs)


def check(since: datetime, until: datetime, by: str) -> None:
    """Expect arguments that make sense.

    Raises:
        ConfigError: they do not.
    """
    for name, moment in (("since", since), ("until", until)):
        if moment.tzinfo is None:
            message = f"{name}: expected a time with an offset, got {moment.isoformat()!r}"
            raise ConfigError(message)
    if since >= until:
        message = (
            f"since: expected a time before {until.isoformat(timespec='seconds')}, got"
            f" {since.isoformat(timespec='seconds')}"
        )
        raise ConfigError(message)
    if by not in GROUPS:
        message = f"by: expected one of {', '.join(GROUPS)}, got {by!r}"
        raise ConfigError(message)


def bill_of(who: Connection, since: datetime, until: datetime) -> tuple[billing.Bill | None, str]:
    """Return the bill, or why there is none."""
    try:
        return ask(who, lambda client: client.get_bill(since, until)), ""
    except ApiError as error:
        return None, error.message
