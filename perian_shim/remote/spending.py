"""What jobs cost, by groups: from their times and prices, and from the bill. Pure.

A report covers an interval. A job counts with what was paid within it: the steps of its billing
that began before the end, less those that had begun at the start. So the reports of adjacent
intervals are together that of both. Nothing is converted: each group has a line for each currency,
and the bill is compared in the currency of the machine, which it names beside its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Literal, TypeAlias

from perian_shim.api.billing import Bill, BillItem
from perian_shim.api.costs import Cost, currency_of, price_for
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.owners import JobOrigin
from perian_shim.remote.records import Amount, Record

By: TypeAlias = Literal["project", "execution", "task", "day", "owner"]

GROUPS: tuple[By, ...] = ("project", "execution", "task", "day", "owner")

NOT_OURS = "(not from Flyte)"
"""Jobs that perian-shim has not submitted."""

LOCAL = "(local runs)"
"""Jobs of runs on somebody's own machine, which have no project and no execution."""

NOT_SAID = "(not said)"

NOT_LISTED = "(only on the bill)"
"""What is paid for although no job of this id is listed."""

MICROSECOND = timedelta(microseconds=1)

DUST = Decimal("0.000001")
"""To what differences are rounded: a bill rounds, far below a cent."""


@dataclass(frozen=True)
class CostLine(Record):
    """What a group's jobs cost in one currency.

    Attributes:
        group: its name.
        currency: of the machines' prices; None if the API does not say.
        jobs: how many jobs ran within the interval.
        running: how many of them had not ended at its end.
        unpriced: how many of them have a cost that cannot be told: it is not in ``computed``.
        seconds: how long their machines ran within the interval.
        computed: what they cost by times and prices.
        billed: what the bill says of them; None if there is no bill.
        difference: ``billed`` less ``computed``; None if there is no bill.
    """

    group: str
    currency: str | None
    jobs: int = 0
    running: int = 0
    unpriced: int = 0
    seconds: Decimal = Decimal(0)
    computed: Decimal = Decimal(0)
    billed: Decimal | None = None
    difference: Decimal | None = None


@dataclass(frozen=True)
class CostReport(Record):
    """What an interval cost.

    Attributes:
        since: its start.
        until: its end.
        by: what the groups are.
        lines: the groups, the dearest first or by day, with a line for each currency.
        totals: of all groups, a line for each currency.
        bill: what the organization pays for the interval; None if there is no bill.
        margin_multiplier: what Perian multiplies the providers' prices by, as the bill says.
        no_bill: why there is no bill; empty if there is one.
    """

    since: datetime
    until: datetime
    by: By
    lines: tuple[CostLine, ...] = ()
    totals: tuple[CostLine, ...] = ()
    bill: Amount | None = None
    margin_multiplier: Decimal | None = None
    no_bill: str = ""


@dataclass
class Sum:
    """A line in the making."""

    jobs: int = 0
    running: int = 0
    unpriced: int = 0
    seconds: Decimal = Decimal(0)
    computed: Decimal = Decimal(0)
    billed: Decimal = Decimal(0)

    def add(self, cost: Cost | None) -> None:
        """Count a job."""
        self.jobs += 1
        if cost is None:
            self.unpriced += 1
            return
        self.running += not cost.final
        self.seconds += cost.seconds
        self.computed += cost.amount

    def merge(self, other: "Sum") -> None:
        """Count all jobs of another line."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def line(self, group: str, currency: str | None, *, billed: bool) -> CostLine:
        """Return the line."""
        paid = self.billed if billed else None
        return CostLine(
            group,
            currency,
            self.jobs,
            self.running,
            self.unpriced,
            self.seconds,
            self.computed,
            paid,
            None if paid is None else (paid - self.computed).quantize(DUST) + 0,  # no -0
        )


@dataclass
class Sums:
    """The lines of a report in the making, by group and currency."""

    lines: dict[tuple[str, str | None], Sum] = field(default_factory=dict)

    def of(self, group: str, currency: str | None) -> Sum:
        """Return a line, a new one if there is none."""
        return self.lines.setdefault((group, currency), Sum())

    def totals(self) -> "Sums":
        """Return the sums of all groups."""
        totals = Sums()
        for (_, currency), line in self.lines.items():
            totals.of("", currency).merge(line)
        return totals

    def ordered(self, by: By) -> list[tuple[str, str | None]]:
        """Return the keys of the lines in the order in which they are shown.

        Amounts are compared within one currency only: by the first one that two groups differ in.
        """
        currencies = sorted({key[1] for key in self.lines}, key=lambda name: (name is None, name))

        def rank(key: tuple[str, str | None]) -> tuple[object, ...]:
            group, currency = key
            amounts = [
                -max(line.computed, line.billed) if (line := self.lines.get((group, each))) else 0
                for each in currencies
            ]
            return (*([] if by == "day" else amounts), group, currencies.index(currency))

        return sorted(self.lines, key=rank)


def report(
    jobs: Iterable[Job],
    bill: Bill | None,
    since: datetime,
    until: datetime,
    by: By,
    no_bill: str = "",
) -> CostReport:
    """Return what jobs cost within an interval.

    Args:
        jobs: of the organization, with their environments.
        bill: of the same interval, if there is one.
        since: the start of the interval.
        until: its end, not after now.
        by: how the jobs are grouped.
        no_bill: why there is no bill.
    """
    sums, names = Sums(), dict[str, str]()
    for job in jobs:
        group = names[job.id] = group_of(job, by, since)
        if ran_within(job, since, until):
            sums.of(group, currency_of(job.price)).add(cost_within(job, since, until))
    for item in bill.items if bill else ():
        amount = original(item)
        sums.of(names.get(item.job_id, NOT_LISTED), amount.currency).billed += amount.amount
    lines, totals = (
        tuple(each.lines[key].line(*key, billed=bill is not None) for key in each.ordered(by))
        for each in (sums, sums.totals())
    )
    return CostReport(
        since,
        until,
        by,
        lines,
        totals,
        bill=Amount(bill.total, bill.currency) if bill else None,
        margin_multiplier=bill.margin_multiplier if bill else None,
        no_bill=no_bill,
    )


def original(item: BillItem) -> Amount:
    """Return what a bill says in the machine's currency, else in its own."""
    if item.original_price is None or item.original_currency is None:
        return Amount(item.price, item.currency)
    return Amount(item.original_price, item.original_currency)


def ran_within(job: Job, since: datetime, until: datetime) -> bool:
    """Whether a job's machine ran within an interval, as far as can be told."""
    began = job.started_at
    if began is None:
        # A job that never ran costs nothing; one that did, nobody knows what.
        if job.phase not in {Phase.RUNNING, Phase.SUCCEEDED}:
            return False
        began = job.created_at or since
    end = end_of(job)
    return began < until and (end is None or end > since)


def end_of(job: Job) -> datetime | None:
    """Return when a job ended; None if it runs, or if that is not known."""
    return (job.done_at or job.updated_at) if job.phase.terminal else None


def cost_within(job: Job, since: datetime, until: datetime) -> Cost | None:
    """Return what a job that has run cost within an interval; None if that cannot be told."""
    end = end_of(job)
    if job.started_at is None or (end is None and job.phase.terminal):
        return None
    final = end is not None and end <= until
    last = until if end is None else min(end, until)
    before, after = (
        Decimal(max(0, (moment - job.started_at) // MICROSECOND)) / 1_000_000
        for moment in (min(since, last), last)
    )
    paid_before, paid = price_for(job.price, before), price_for(job.price, after)
    if paid_before is None or paid is None:
        return None
    return Cost(paid - paid_before, currency_of(job.price), after - before, final)


def group_of(job: Job, by: By, since: datetime) -> str:
    """Return the group that a job belongs to."""
    if by == "day":
        began = max(job.started_at or since, since)
        return began.astimezone(timezone.utc).date().isoformat()
    origin = JobOrigin.of(job)
    if origin is None:
        return NOT_OURS
    if by == "owner":
        return origin.owner or NOT_SAID
    if by == "task":
        return origin.task or NOT_SAID
    if not origin.execution:
        return LOCAL
    place = "/".join(part for part in (origin.project, origin.domain) if part)
    return "/".join((place, origin.execution) if by == "execution" else (place or NOT_SAID,))


def needs_origin(by: By) -> bool:
    """Whether jobs are grouped by whose they are."""
    return by != "day"
