"""What a job costs, from its times and its price: pure.

A machine is paid for from the moment at which the job begins to run, in full steps of its billing
granularity, each begun one counting. That is what the API's fields say; its bill is what is paid in
the end. Amounts are exact decimals in the price's own currency and are never converted.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from perian_shim.api.catalogue import Price, defined
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Cost:
    """What has been paid for, or is to be.

    Attributes:
        amount: in ``currency``, not rounded.
        currency: e.g. ``"EUR"``; None if the API does not say.
        seconds: for how long the machine ran.
        final: whether it has stopped running.
    """

    amount: Decimal
    currency: str | None
    seconds: Decimal
    final: bool = True

    def __str__(self) -> str:
        return money(self.amount, self.currency)


def cost_of(job: Job, now: datetime | None = None) -> Cost | None:
    """Return what a job has cost so far.

    Args:
        job: as the API shows it.
        now: the time, for a job that has not ended; None: only ended jobs have a cost.

    Returns:
        The cost, 0 for a job that never ran, or not yet; None if it cannot be told: its price, its
        start or its end is not known.
    """
    final = job.phase.terminal
    if job.started_at is None:
        waits = job.phase in {Phase.QUEUED, Phase.STARTING} and now is not None
        if not waits and (not final or job.phase is Phase.SUCCEEDED):
            return None
        return Cost(Decimal(0), currency_of(job.price), Decimal(0), final)
    end = (job.done_at or job.updated_at) if final else now
    if end is None:
        return None
    seconds = max(Decimal(0), Decimal(str((end - job.started_at).total_seconds())))
    amount = price_for(job.price, seconds)
    return None if amount is None else Cost(amount, currency_of(job.price), seconds, final)


def price_for(price: Price | None, seconds: Decimal | float) -> Decimal | None:
    """Return what so many seconds of a machine cost; None if the price is not known."""
    if price is None or price.per_hour is None or price.unit_price is None:
        return None
    unit, step = price.seconds, price.billed_seconds
    if unit is None or step is None:
        return None
    steps = (Decimal(str(seconds)) / step).to_integral_value(ROUND_CEILING)
    return price.unit_price * steps * step / unit


def currency_of(price: Price | None) -> str | None:
    """Return the currency of a price; None if it has none, or says that it is undefined."""
    return defined(price.currency) if price else None


def money(amount: Decimal, currency: str | None = None) -> str:
    """Return an amount as it is shown: cents, and more digits only where cents say nothing."""
    shown = f"{amount:.2f}"
    if amount and abs(amount) < CENT:
        shown = f"{amount:.2g}" if abs(amount) >= Decimal("0.0001") else "<0.0001"
    return f"{shown} {currency}" if currency else shown
