"""How records are shown: exact in JSON, legible to people."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from rich.pretty import pretty_repr

from perian_shim.remote.records import Amount, Record, price


@dataclass(frozen=True)
class Example(Record):
    amount: Decimal
    when: datetime
    parts: tuple[Amount, ...] = ()
    nothing: str | None = None
    hidden: str = field(default="secret", repr=False)


EXAMPLE = Example(
    Decimal("1E-12"), datetime(2026, 1, 1, tzinfo=timezone.utc), (Amount(Decimal(2), "EUR"),)
)


def test_numbers_are_exact_and_times_have_an_offset() -> None:
    assert json.loads(EXAMPLE.to_json()) == {
        "amount": "0.000000000001",
        "when": "2026-01-01T00:00:00+00:00",
        "parts": [{"amount": "2", "currency": "EUR"}],
        "nothing": None,
    }


def test_what_is_hidden_or_nothing_is_not_shown_to_people() -> None:
    shown = pretty_repr(EXAMPLE)
    assert "parts=" in shown
    assert "nothing" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("1.4", "1.40 EUR"),
        ("1.400", "1.40 EUR"),
        ("0.028", "0.028 EUR"),
        ("44.96", "44.96 EUR"),
        ("1200", "1200.00 EUR"),
        ("0.00015", "0.0002 EUR"),
        ("0.00001", "<0.0001 EUR"),
        ("0", "0.00 EUR"),
    ],
)
def test_a_price_has_cents_and_what_is_behind_them(amount: str, shown: str) -> None:
    assert price(Decimal(amount), "EUR") == shown


def test_an_unknown_price_is_none() -> None:
    assert price(None, "EUR") is None
