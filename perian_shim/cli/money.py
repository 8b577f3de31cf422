"""The commands about money: ``credits`` and ``cost``."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import click

from perian_shim.api.costs import money
from perian_shim.cli.examples import examples
from perian_shim.cli.moments import Moment
from perian_shim.cli.output import (
    Column,
    busy,
    note,
    output_option,
    show,
    show_facts,
    show_json,
)
from perian_shim.remote.connection import init
from perian_shim.remote.money import Credits, costs
from perian_shim.remote.spending import GROUPS, CostLine, CostReport


@click.command("credits", epilog=examples("credits", "credits -o json"))
@output_option
def credit(output: str) -> None:
    """Show what the organization can still spend."""
    who = init()
    found = Credits.get()
    if output == "json":
        show_json(found.to_dict())
    elif output == "name":
        print(found)
    else:
        first = found.original_amount
        show_facts(
            (
                ("organization", who.organization),
                ("credit", found),
                ("of", None if first is None else money(first, found.currency)),
                ("as of", found.last_calculated and f"{found.last_calculated:%Y-%m-%d %H:%M:%SZ}"),
            )
        )


@click.command(
    epilog=examples(
        "cost",
        "cost --since 7d --by task",
        "cost --since 2026-01-01 --until 2026-02-01 --by day -o json",
    )
)
@click.option(
    "--since",
    type=Moment(),
    metavar="TIME",
    help="The start; the first of this month by default.",
)
@click.option("--until", type=Moment(), metavar="TIME", help="The end; now by default.")
@click.option(
    "--by",
    type=click.Choice(GROUPS),
    default="project",
    show_default=True,
    help="What is summed up.",
)
@output_option
def cost(since: datetime | None, until: datetime | None, by: Any, output: str) -> None:
    """Show what jobs cost, by their times and prices and by the bill.

    A time is a date (2026-01-31), a time (2026-01-31T12:00:00+01:00), or how long ago (12h, 7d,
    4w); without an offset it is in UTC. Nothing is converted: what was paid in several currencies
    has several lines. DIFFERENCE is what the bill says more.
    """
    init()
    with busy("Asking for jobs"):
        found = costs(since, until, by)
    if output == "json":
        show_json(found.to_dict())
        return
    show(
        output,
        (*found.lines, *(found.totals if output == "table" else ())),
        columns=(
            Column(by.upper(), keep=True),
            Column("JOBS", right=True, keep=True),
            Column("HOURS", right=True, keep=True),
            Column("COST", right=True, keep=True),
            Column("BILL", right=True, keep=True),
            Column("DIFFERENCE", right=True, keep=True),
        ),
        row=cost_row,
        name=lambda line: line.group,
    )
    for text in remarks(found):
        note(text)


def cost_row(line: CostLine) -> Sequence[object]:
    """Return what is shown of a group; the totals have no name."""
    amounts = (line.computed, line.billed, line.difference)
    return (
        line.group or "total",
        line.jobs,
        f"{line.seconds / 3600:.2f}",
        *(None if amount is None else money(amount, line.currency) for amount in amounts),
    )


def remarks(found: CostReport) -> Iterator[str]:
    """Yield what is to be said beside a report."""
    times = (
        f"{each.astimezone(timezone.utc):%Y-%m-%d %H:%MZ}" for each in (found.since, found.until)
    )
    yield f"From {' until '.join(times)}."
    unpriced = sum(line.unpriced for line in found.totals)
    running = sum(line.running for line in found.totals)
    if running:
        yield f"{running} of the jobs still ran at the end."
    if unpriced:
        yield f"The API does not tell what {unpriced} of the jobs cost: COST is without them."
    if found.bill is not None:
        margin = found.margin_multiplier
        more = f", with a margin of {margin:f} on prices" if margin not in {None, 1} else ""
        yield f"The bill is {found.bill} in all{more}."
    else:
        yield f"There is no bill to compare with: {found.no_bill}"
