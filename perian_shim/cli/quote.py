"""``perian-shim quote``: what the Perian tasks of a Python file would cost."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from perian_shim.api.errors import PerianError
from perian_shim.cli.examples import examples
from perian_shim.cli.offers import accelerators_of, no_machine, step
from perian_shim.cli.output import Column, busy, note, output_option, show, show_json
from perian_shim.config import PerianConfig
from perian_shim.remote.connection import init
from perian_shim.remote.quotes import Option, Quote
from perian_shim.remote.records import price


@click.command(
    epilog=examples("quote train.py", "quote train.py train evaluate", "quote train.py -o json")
)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("tasks", nargs=-1, metavar="[TASK ...]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=1e9),
    metavar="SECONDS",
    help="How long an attempt may take, in place of the tasks' own timeout.",
)
@output_option
def quote(file: Path, tasks: tuple[str, ...], timeout: float | None, output: str) -> int:
    """Say what the Perian tasks of a Python file would cost.

    For each: the machine that it would get, its price per hour, and the worst case by its timeout.
    The file is loaded as `perian-shim run` does it; nothing is rented.
    """
    found = perian_tasks(file, tasks)
    init()
    with busy("Asking for offers"):
        quotes = [Quote.of(task, timeout) for task in found]
    if output == "json":
        show_json([each.to_dict() for each in quotes])
    elif output == "name":
        show("name", quotes, columns=(), row=lambda _: (), name=lambda each: each.task)
    else:
        show_quotes(quotes)
    for each in quotes:
        if not each.options:
            no_machine(each.reasons, f"{each.task} ({each.asks})")
    if any(len(each.options) > 1 for each in quotes):
        note(
            "Where there are machines in several currencies, which one is the cheapest, and is"
            " taken, hangs on rates that Perian does not tell."
        )
    return 0 if all(each.options for each in quotes) else 1


def show_quotes(quotes: Sequence[Quote]) -> None:
    """Print quotes as a table, a line for each machine."""
    rows = [(each, option) for each in quotes for option in each.options or (None,)]
    show(
        "table",
        rows,
        columns=(
            Column("TASK", keep=True),
            Column("MACHINE"),
            Column("PROVIDER"),
            Column("ACCELERATORS"),
            Column("PRICE/HOUR", right=True, keep=True),
            Column("BILLED BY"),
            Column("TIMEOUT", right=True, keep=True),
            Column("WORST CASE", right=True, keep=True),
            Column("WITH RETRIES", right=True, keep=True),
        ),
        row=lambda row: quote_row(*row),
        name=lambda row: row[0].task,
    )


def quote_row(found: Quote, option: Option | None) -> Sequence[object]:
    """Return what is shown of a machine that a task may get."""
    limit = found.timeout_seconds
    timeout = "none" if limit is None else str(timedelta(seconds=float(limit)))
    if option is None:
        return (found.task, "no machine", None, None, None, None, timeout, None, None)
    offer = option.offer
    unbounded = "unbounded" if limit is None else None
    return (
        found.task,
        offer.name or offer.id,
        offer.provider,
        accelerators_of(offer),
        price(offer.price_per_hour, offer.currency),
        step(offer.billed_seconds),
        timeout,
        option.worst_case or unbounded,
        option.worst_case_of_all or unbounded,
    )


def perian_tasks(file: Path, names: Sequence[str]) -> list[Any]:
    """Return the Perian tasks of a file, and the variants that its workflows made of them.

    Raises:
        click.ClickException: there is none, or none of a name.
    """
    from perian_shim.sandbox.flyte.source import Source  # noqa: PLC0415 - takes seconds

    source = Source.load(file)
    compiled(source.entities())
    found = {
        name: each
        for name, each in source.entities().items()
        if isinstance(getattr(each, "task_config", None), PerianConfig)
    }
    unknown = [name for name in names if name not in found]
    if unknown or not found:
        there = f"it has {', '.join(found)}" if found else "it has none"
        asked = f"no Perian task {', '.join(map(repr, unknown))}" if unknown else "no Perian task"
        message = f"{file.name}: {asked} in it; {there}"
        raise click.ClickException(message)
    return list(with_variants(found[name] for name in dict.fromkeys(names or found)))


def compiled(entities: Mapping[str, Any]) -> None:
    """Have workflows compiled: only then their nodes have made the variants of their tasks."""
    from perian_shim.sandbox.flyte.source import kind_of  # noqa: PLC0415 - takes seconds

    for name, each in entities.items():
        if kind_of(each) != "workflow" or not hasattr(each, "compile"):
            continue  # a task's method of this name is another one
        try:
            each.compile()
        except PerianError:
            raise
        except Exception as error:  # noqa: BLE001 - the user's code; the tasks are there all the same
            note(f"{name} cannot be compiled, its nodes' own task_config is left out: {error}")


def with_variants(tasks: Iterator[Any]) -> Iterator[Any]:
    """Yield tasks, each followed by what its nodes' own ``task_config`` made of it."""
    for task in tasks:
        yield task
        yield from getattr(task, "variants", ())
