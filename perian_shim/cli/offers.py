"""The commands about what can be rented: ``gpus`` and ``offers``."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import click

from perian_shim.cli.examples import examples
from perian_shim.cli.output import Column, busy, note, output_option, show
from perian_shim.config import PerianConfig
from perian_shim.remote.catalogue import Accelerator, Catalogue, Offer
from perian_shim.remote.connection import init
from perian_shim.remote.records import price

STEPS = {1: "second", 60: "minute", 600: "10 minutes", 3600: "hour"}
"""How billing steps are called, by their seconds."""

CURRENCIES = (
    "Prices are in several currencies and are not converted: they are sorted within each of them."
)


@click.command(epilog=examples("gpus", "gpus -o json"))
@output_option
def gpus(output: str) -> None:
    """List the kinds of accelerators, with the cheapest machine that has each."""
    init()
    with busy("Asking for the catalogue"):
        found = Catalogue.accelerators()
    show(
        output,
        found,
        columns=(
            Column("ACCELERATOR", keep=True),
            Column("VENDOR"),
            Column("MEMORY", right=True, keep=True),
            Column("MACHINES", right=True),
            Column("MOST", right=True),
            Column("FROM/HOUR", right=True, keep=True),
        ),
        row=accelerator_row,
        name=lambda each: each.name,
    )


def accelerator_row(kind: Accelerator) -> Sequence[object]:
    """Return what is shown of a kind of accelerator."""
    prices = " or ".join(str(price(each.amount, each.currency)) for each in kind.cheapest)
    memory = None if kind.memory_gb is None else gigabytes(kind.memory_gb)
    return (kind.name, kind.vendor, memory, kind.machines, kind.most or None, prices or None)


def requirements(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the requirements of ``PerianConfig`` as options; together they are checked by it."""
    options = (
        click.option("--cores", type=int, metavar="N", help="CPU cores, at least."),
        click.option("--memory", metavar="SIZE", help="Memory, at least: 64 or 64Gi."),
        click.option("--accelerators", type=int, metavar="N", help="Accelerators, at least."),
        click.option("--accelerator-type", metavar="NAME", help="Their kind, e.g. A100."),
        click.option("--country-code", metavar="CC", help="Two letters, e.g. DE."),
        click.option("--provider", metavar="NAME", help="Short name, e.g. OTC."),
        click.option("--max-price-per-hour", metavar="PRICE", help="In an offer's currency."),
        click.option("--instance-type-id", metavar="ID", help="One exact machine."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "offers --accelerator-type A100",
        "offers --accelerators 2 --country-code DE --max-price-per-hour 5",
        "offers --cores 16 --memory 64Gi -o json",
    )
)
@requirements
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    metavar="N",
    help="How many of each currency at most.",
)
@output_option
def offers(output: str, limit: int, **asked: Any) -> int:
    """List machines that can be rented now, the cheapest first.

    The options are those of PerianConfig. The machines' ids, which its instance_type_id takes, are
    shown by -o name and -o json.
    """
    config = PerianConfig(**asked)
    init()
    with busy("Asking for offers"):
        found = Catalogue.offers(config, limit)
    show(
        output,
        found,
        columns=(
            Column("MACHINE", keep=True),
            Column("PROVIDER", keep=True),
            Column("COUNTRY", keep=True),
            Column("CORES", right=True, keep=True),
            Column("MEMORY", right=True, keep=True),
            Column("ACCELERATORS"),
            Column("PRICE/HOUR", right=True, keep=True),
            Column("BILLED BY", keep=True),
        ),
        row=offer_row,
        name=lambda each: each.id,
    )
    if not found:
        no_machine(found.reasons)
        return 1
    if len(found.currencies) > 1:
        note(CURRENCIES)
    if found.total > len(found):
        note(f"{found.total - len(found)} more: raise --limit, or narrow it down.")
    return 0


def offer_row(offer: Offer) -> Sequence[object]:
    """Return what is shown of an offer."""
    memory = None if offer.memory_gb is None else gigabytes(offer.memory_gb)
    return (
        offer.name or offer.id,
        offer.provider,
        offer.country_code,
        offer.cores,
        memory,
        accelerators_of(offer),
        price(offer.price_per_hour, offer.currency),
        step(offer.billed_seconds),
    )


def accelerators_of(offer: Offer) -> str | None:
    """Return an offer's accelerators in words."""
    if not offer.accelerators:
        return None
    return f"{offer.accelerators} x {offer.accelerator_type or '?'}"


def step(seconds: int | None) -> str | None:
    """Return a step of the billing in words."""
    return None if seconds is None else STEPS.get(seconds, f"{seconds} s")


def gigabytes(size: Decimal) -> str:
    """Return a size of memory as it is shown."""
    return f"{size.normalize():f} GB"


def no_machine(reasons: Sequence[str], task: str = "") -> None:
    """Say why there is nothing to show."""
    for sentence in reasons or ("No machine can be had now that meets this.",):
        note(f"{task}: {sentence}" if task else sentence)
