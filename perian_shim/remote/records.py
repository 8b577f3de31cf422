"""How records are shown: as plain values, as JSON, by rich, and amounts as people read them."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from perian_shim.api.costs import CENT, money

PLACES = Decimal("0.0001")
"""To what prices per hour are rounded when they are shown."""


class Record:
    """Mixin of frozen dataclasses. Fields without a ``repr`` are shown nowhere."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values: exact numbers as text, times in ISO 8601."""
        return {name: plain(value) for name, value in fields_of(self)}

    def to_json(self, indent: int | None = 2) -> str:
        """Return ``to_dict`` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent)

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        for name, value in fields_of(self):
            if value is not None and value != ():
                yield name, value


@dataclass(frozen=True)
class Amount(Record):
    """An amount of money.

    Attributes:
        amount: exact.
        currency: e.g. ``"EUR"``; None if the API does not say.
    """

    amount: Decimal
    currency: str | None = None

    def __str__(self) -> str:
        return money(self.amount, self.currency)


def fields_of(record: object) -> Iterator[tuple[str, object]]:
    """Yield names and values of a record's fields."""
    assert dataclasses.is_dataclass(record)
    for field in dataclasses.fields(record):
        if field.repr:
            yield field.name, getattr(record, field.name)


def plain(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


def price(amount: Decimal | None, currency: str | None = None) -> str | None:
    """Return a price as it is shown: cents at least, and what is behind them; None if unknown."""
    if amount is None:
        return None
    rounded = amount.quantize(PLACES)
    if rounded == 0 and amount:
        return money(amount, currency)
    short = rounded.normalize()
    text = f"{short:f}" if short.as_tuple().exponent < -2 else f"{rounded.quantize(CENT)}"  # type: ignore[operator]  # finite: a number  # noqa: PLR2004 - as cents have
    return f"{text} {currency}" if currency else text
