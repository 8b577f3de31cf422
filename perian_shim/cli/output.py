"""How commands print: tables for people, JSON for programs, names for shells.

Colours, spinners and what is drawn again and again are for terminals only; elsewhere a table is
plain lines whose columns are two spaces or more apart, none cut. Nothing that a server or a job
says is obeyed by a terminal: every text goes through ``shown``.

    @click.command()
    @output_option
    def things(output: str) -> None:
        show(output, found, columns=(Column("THING", keep=True), Column("PRICE", right=True)),
             row=lambda thing: (thing.name, thing.price), name=lambda thing: thing.name)
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from perian_shim.api.server_text import inert, printable, tidy

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

T = TypeVar("T")

NOTHING = "-"
"""Record where there is nothing."""

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "name"]),
    default="table",
    show_default=True,
    help="A table for people, JSON for programs, or names alone, one a line.",
)
"""``-o table|json|name``, the parameter ``output``."""


class Described(Protocol):
    """What can be shown as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        ...


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its headline, in capitals.
        right: whether it is aligned to the right, as numbers are.
        keep: whether it is never shortened, however narrow the terminal is: what people copy.
    """

    title: str
    right: bool = False
    keep: bool = False


@dataclass(frozen=True)
class Styled:
    """A cell with a style.

    Attributes:
        text: what it says.
        style: as rich spells it, e.g. ``"bold red"``; on terminals only.
    """

    text: str
    style: str = ""


def shown(value: object) -> str:
    """Return a value as one line that a terminal does not obey, ``-`` if it is nothing."""
    text = value.text if isinstance(value, Styled) else value
    return NOTHING if text is None else tidy(inert(printable(str(text)))) or NOTHING


@cache
def console(*, errors: bool = False) -> "Console":
    """Return where is printed: standard output, or standard error for what is said beside it."""
    from rich.console import Console  # noqa: PLC0415 - takes a moment

    return Console(stderr=errors, highlight=False, markup=False, emoji=False)


def on_terminal(*, errors: bool = False) -> bool:
    """Whether it is a terminal to which is printed, not a file or another program."""
    return (sys.stderr if errors else sys.stdout).isatty()


def show(
    output: str,
    items: Iterable[T],
    *,
    columns: Sequence[Column],
    row: Callable[[T], Sequence[object]],
    name: Callable[[T], str],
    value: Callable[[T], object] | None = None,
) -> None:
    """Print items.

    Args:
        output: ``"table"``, ``"json"`` or ``"name"``.
        items: what is shown.
        columns: of the table.
        row: returns an item's cells: texts, ``Styled`` ones, None for nothing.
        name: returns what tells an item from others.
        value: returns an item as JSON values; None: its ``to_dict``.
    """
    if output == "json":
        show_json([value(each) if value else as_json(each) for each in items])
    elif output == "name":
        for each in items:
            print(shown(name(each)))
    else:
        show_table(columns, [row(each) for each in items])


def as_json(item: object) -> object:
    """Return an item's ``to_dict``, itself if it has none."""
    describe: Callable[[], object] | None = getattr(item, "to_dict", None)
    return item if describe is None else describe()


def show_json(value: object) -> None:
    """Print JSON, all of it ASCII: other characters are escaped, those that steer too."""
    print(json.dumps(value, indent=2, default=str))


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
    """Print a table."""
    if on_terminal():
        console().print(table(columns, rows))
        return
    for line in plain_lines(columns, rows):
        print(line)


def plain_lines(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield a table's lines as they are printed to a file."""
    texts = [tuple(map(shown, cells)) for cells in rows]
    widths = [
        max(len(column.title), *(len(cells[index]) for cells in texts), 0)
        for index, column in enumerate(columns)
    ]
    for cells in [tuple(column.title for column in columns), *texts]:
        padded = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        )
        yield "  ".join(padded).rstrip()


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> "Table":
    """Return a table for a terminal: one line for each row, in its width."""
    from rich.table import Table  # noqa: PLC0415 - takes a moment
    from rich.text import Text  # noqa: PLC0415 - the same

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        drawn.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="fold" if column.keep else "ellipsis",
            min_width=None if not column.keep else width_of(columns, rows, column),
        )
    for cells in rows:
        drawn.add_row(*(Text(shown(cell), getattr(cell, "style", "")) for cell in cells))
    return drawn


def width_of(columns: Sequence[Column], rows: Sequence[Sequence[object]], column: Column) -> int:
    """Return how wide a column has to be for what is in it."""
    index = columns.index(column)
    return max([len(column.title), *(len(shown(cells[index])) for cells in rows)])


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line; what is None is left out."""
    told = [(name, value) for name, value in facts if value is not None]
    width = max((len(name) for name, _ in told), default=0)
    for name, value in told:
        style = getattr(value, "style", "")
        text = f"{name.ljust(width)}  "
        if on_terminal():
            from rich.text import Text  # noqa: PLC0415 - takes a moment

            line = Text.assemble((text, "dim"), (shown(value), style))
            console().print(line, soft_wrap=True)
        else:
            print(f"{text}{shown(value)}")


def note(text: str) -> None:
    """Say something beside the output: on standard error."""
    print(shown(text), file=sys.stderr, flush=True)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show a spinner while something takes its time, on a terminal only."""
    if not on_terminal(errors=True):
        yield
        return
    with console(errors=True).status(shown(text)):
        yield


def can_ask() -> bool:
    """Whether somebody sits at a terminal who can be asked."""
    return sys.stdin.isatty() and on_terminal(errors=True)


def confirmed(question: str) -> bool:
    """Ask, with no as the default; only where ``can_ask``."""
    return click.confirm(shown(question), default=False, err=True)
