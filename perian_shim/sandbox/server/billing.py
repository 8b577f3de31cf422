"""What the sandbox's jobs cost: pure, and written anew.

This is not the formula of ``perian_shim.api.costs``, which tests compare with it, but a second
reading of the same rule: a machine is paid for from the moment at which its job runs, in full steps
of its provider's granularity, each begun one counting. Here whole steps and exact fractions count.

A bill of an interval has what was paid within it: the steps that began until its end, less those
that had begun at its start. So the bills of adjacent intervals are together that of both, a job
that ran wholly within one is on it with its whole cost, and a past bill never changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from perian_shim.sandbox.records import JobRecord, JobState, Json, mapping, optional_text

SECOND = timedelta(seconds=1)

STEPS = {
    "PER_SECOND": SECOND,
    "PER_MINUTE": timedelta(minutes=1),
    "PER_10_MINUTES": timedelta(minutes=10),
    "PER_HOUR": timedelta(hours=1),
}

EUROS = {"EUR": Fraction(1), "USD": Fraction(4, 5), "CHF": Fraction(5, 4)}
"""What a unit of a currency is worth: invented, always the same, and easy to reckon with."""

DIGITS = Decimal("1e-10")
"""To what amounts are rounded: far below a cent, for items are added up."""


class UnknownCurrency(LookupError):
    """There is no rate for a currency; the text names it."""


@dataclass(frozen=True)
class Usage:
    """A machine that was rented.

    Attributes:
        job_id: for which job.
        started: when it began to run.
        ended: when it ended; None while it runs.
        unit_price: of one ``granularity``.
        currency: of the price.
        granularity: a key of ``STEPS``.
        billed_by: in what is counted, a key of ``STEPS``.
    """

    job_id: str
    started: datetime
    ended: datetime | None
    unit_price: Fraction
    currency: str
    granularity: str
    billed_by: str

    @classmethod
    def of(cls, record: JobRecord, state: JobState) -> "Usage | None":
        """Give what a job used; None if it has not run.

        Raises:
            ValueError: the job's files are not ours.
        """
        if state.started_at is None:
            return None
        price = mapping(record.view["price"])
        granularity = optional_text(price, "granularity") or "PER_HOUR"
        return cls(
            job_id=record.job_id,
            started=datetime.fromisoformat(state.started_at),
            ended=None if state.done_at is None else datetime.fromisoformat(state.done_at),
            unit_price=Fraction(optional_text(price, "unit_price") or "0"),
            currency=optional_text(price, "currency") or "EUR",
            granularity=granularity,
            billed_by=optional_text(price, "provider_billing_granularity") or granularity,
        )

    def paid(self, until: datetime) -> Fraction:
        """Give what had been paid at a moment, in its own currency."""
        end = until if self.ended is None else min(until, self.ended)
        step = STEPS[self.billed_by]
        steps = -(-max(end - self.started, timedelta(0)) // step)
        return self.unit_price * steps * Fraction(step // SECOND, self.unit // SECOND)

    @property
    def unit(self) -> timedelta:
        """For how long one unit price pays."""
        return STEPS[self.granularity]

    def ran_within(self, start: datetime, end: datetime) -> bool:
        """Tell whether the machine ran at any time of an interval."""
        return start < end and self.started < end and (self.ended is None or self.ended > start)


def rate(source: str, target: str) -> Fraction:
    """Give what a unit of one currency is worth in another.

    Raises:
        UnknownCurrency: there is no rate for one of them.
    """
    for name in (source, target):
        if name not in EUROS:
            raise UnknownCurrency(name)
    return EUROS[source] / EUROS[target]


def amount(value: Fraction) -> str:
    """Give an amount as the API shows it."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{exact.quantize(DIGITS).normalize():f}"


def item_view(usage: Usage, start: datetime, end: datetime, currency: str) -> dict[str, Json]:
    """Give the item of a bill, with the names of older and newer versions of the API."""
    original = usage.paid(end) - usage.paid(start)
    exchange = rate(usage.currency, currency)
    until = end if usage.ended is None else min(end, usage.ended)
    return {
        "job_id": usage.job_id,
        "workload_id": usage.job_id,
        "workload_type": "Job",
        "started_at": max(start, usage.started).isoformat(),
        "done_at": until.isoformat(),
        "price": amount(original * exchange),
        "currency": currency,
        "original_price": amount(original),
        "original_currency": usage.currency,
        "exchange_rate": amount(exchange),
        "granularity": usage.billed_by,
    }


def bill_view(
    usages: Iterable[Usage], start: datetime, end: datetime, currency: str, now: datetime
) -> dict[str, Json]:
    """Give the bill of an interval.

    Args:
        usages: of all jobs.
        start: of the interval.
        end: of the interval, not before its start.
        currency: of the bill.
        now: nothing has been paid after it.

    Raises:
        UnknownCurrency: there is no rate for the currency.
    """
    rate(currency, currency)
    until = min(end, now)
    items = [
        item_view(usage, start, until, currency)
        for usage in usages
        if usage.ran_within(start, until)
    ]
    # What is shown adds up.
    total = sum((Fraction(str(item["price"])) for item in items), Fraction(0))
    return {
        "start_time": start.isoformat(),
        "end_time": end.isoformat(),
        "total_price": amount(total),
        "currency": currency,
        "margin_multiplier": "1",
        "items": list[Json](items),
    }


def spent(usages: Iterable[Usage], currency: str, now: datetime) -> Fraction:
    """Give what all jobs have cost by now."""
    return sum((usage.paid(now) * rate(usage.currency, currency) for usage in usages), Fraction(0))
