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
    from rich.text import Text

T = TypeVar("T")

NOTHING = "-"
"""Record where there is nothing."""

LEAST = 8
"""To so many characters a cell may be shortened."""

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
        right: whether it is aligned to the right, as numbers are; never shortened.
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
        console().print(table(columns, rows, console().width), soft_wrap=True)
        return
    for line in plain_lines(columns, rows):
        print(line)


def plain_lines(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield a table's lines as they are printed to a file."""
    texts = [tuple(map(shown, cells)) for cells in rows]
    widths = widths_of(columns, texts)
    for cells in [tuple(column.title for column in columns), *texts]:
        yield "  ".join(map(padded, cells, widths, columns)).rstrip()


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]], width: int) -> "Text":
    """Return a table for a terminal: one line for each row.

    Cells are shortened if the table then fits. If it does not even so, nothing is shortened, and
    lines are longer than the terminal is wide: it breaks them, and nothing is lost.
    """
    from rich.text import Text  # noqa: PLC0415 - takes a moment

    texts = [tuple(map(shown, cells)) for cells in rows]
    widths = fitted(columns, widths_of(columns, texts), width)
    drawn = Text(no_wrap=True, overflow="crop")
    titles = [Styled(column.title, "bold") for column in columns]
    for cells in [titles, *rows]:
        drawn.append("\n" if drawn else "")
        for index, (cell, size, column) in enumerate(zip(cells, widths, columns, strict=True)):
            drawn.append("  " if index else "")
            text = cut(shown(cell), size)
            if index < len(columns) - 1 or column.right:
                text = padded(text, size, column)
            drawn.append(text, getattr(cell, "style", ""))
    return drawn


def widths_of(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide columns have to be for what is in them."""
    return [
        max(len(column.title), *(len(cells[index]) for cells in texts), 0)
        for index, column in enumerate(columns)
    ]


def fitted(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Return the widths with which a table fits, the same ones if it cannot."""
    least = [
        size if column.keep or column.right else min(size, max(len(column.title), LEAST))
        for column, size in zip(columns, widths, strict=True)
    ]
    free = width - 2 * (len(columns) - 1)
    if sum(least) > free:
        return list(widths)
    found = list(widths)
    while sum(found) > free:
        index = max(range(len(found)), key=lambda each: found[each] - least[each])
        found[index] -= 1
    return found


def padded(text: str, width: int, column: Column) -> str:
    """Return a cell as wide as its column."""
    return text.rjust(width) if column.right else text.ljust(width)


def cut(text: str, width: int) -> str:
    """Return a text of at most so many characters; what is left out shows."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


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
