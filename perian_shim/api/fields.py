"""Reading JSON from outside: tolerant of what is missing or unknown, strict about shapes.

``Fields`` wraps one JSON object and knows where in the answer it is. A key that is missing or null
reads as None (or as empty); a value of another type raises ``MalformedResponse`` naming the field
and the types, never the value, which may be a secret. What nothing depends on is read through
``optional``, which makes None of such a value. Times without an offset are UTC.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from perian_shim.api.errors import MalformedResponse

T = TypeVar("T")

# datetime.fromisoformat of Python 3.10 knows neither "Z" nor fractions of other than 3 or 6 digits.
_TIME = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[T ](?P<time>\d{2}:\d{2}:\d{2})(?:[.,](?P<fraction>\d+))?\s*"
    r"(?P<offset>Z|z|[+-]\d{2}(?::?\d{2})?)?"
)
_MICROSECOND_DIGITS = 6

YEARS = range(2, 9999)
"""In which a stamp may lie."""

MAX_MAGNITUDE = 100
"""A number with more digits, before or behind the point, is none that anybody can mean."""

JSON_NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def malformed(where: str, expected: str, value: object) -> MalformedResponse:
    """Return the error for one field: its place, what was expected, what is there instead."""
    found = JSON_NAMES.get(type(value), type(value).__name__)
    return MalformedResponse(f"The answer's field {where} should be {expected} but is {found}.")


class Fields:
    """One JSON object of an answer.

    Args:
        value: what should be the object.
        where: its place in the answer, for messages.

    Raises:
        MalformedResponse: ``value`` is no object.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise malformed(where, "an object", value)
        self.values: Mapping[str, object] = value
        self.where = where

    def place(self, key: str) -> str:
        """Return a key's place in the answer."""
        return f"{self.where}.{key}"

    def text(self, key: str) -> str | None:
        """Return text."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise malformed(self.place(key), "text", value)

    def words(self, key: str) -> str | None:
        """Return text; what is of another shape as it is in JSON."""
        value = self.values.get(key)
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def required_text(self, key: str) -> str:
        """Return text that must be there and not be empty."""
        return self._required(key, self.text(key) or None)

    def count(self, key: str) -> int | None:
        """Return a whole number."""
        value = self.values.get(key)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise malformed(self.place(key), "a whole number", value)

    def flag(self, key: str) -> bool | None:
        """Return a boolean."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise malformed(self.place(key), "a boolean", value)

    def number(self, key: str) -> Decimal | None:
        """Return a finite number, given as such or as text; it can be reckoned with."""
        value = self.values.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            try:
                number = Decimal(str(value).strip())
            except InvalidOperation:
                number = Decimal("NaN")
            if number.is_finite() and abs(number.adjusted()) <= MAX_MAGNITUDE:
                return number
        raise malformed(self.place(key), "a finite number", value)

    def required_number(self, key: str) -> Decimal:
        """Return a finite number that must be there."""
        return self._required(key, self.number(key))

    def moment(self, key: str) -> datetime | None:
        """Return an ISO 8601 time, with its offset or else in UTC."""
        value = self.text(key)
        if not value:
            return None
        try:
            return parse_time(value)
        except ValueError:
            raise malformed(self.place(key), "an ISO 8601 time", value) from None

    def required_moment(self, key: str) -> datetime:
        """Return a time that must be there."""
        return self._required(key, self.moment(key))

    def _required(self, key: str, value: T | None) -> T:
        if value is None:
            raise MalformedResponse(f"The answer's field {self.place(key)} is missing or empty.")
        return value

    def child(self, key: str) -> "Fields":
        """Return an object, empty if it is missing."""
        value = self.values.get(key)
        return Fields({} if value is None else value, self.place(key))

    def optional_child(self, key: str) -> "Fields":
        """Return an object, empty if it is missing or of another shape."""
        value = self.values.get(key)
        return Fields(value if isinstance(value, Mapping) else {}, self.place(key))

    def items(self, key: str) -> list[object]:
        """Return a list, empty if it is missing."""
        value = self.values.get(key)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise malformed(self.place(key), "a list", value)


def optional(read: Callable[[str], T | None], key: str) -> T | None:
    """Return what ``read`` makes of a key, None if that is malformed."""
    try:
        return read(key)
    except MalformedResponse:
        return None


def parse_time(text: str) -> datetime:
    """Return the time that ISO 8601 text means, always aware; digits beyond microseconds are cut.

    Raises:
        ValueError: the text is no such time, or one that no computer can have stamped. Many write
            the first moment of the year 1 for none; one cannot even reckon with it.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        message = f"not an ISO 8601 time: {text!r}"
        raise ValueError(message)
    fraction = (match["fraction"] or "")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0")
    offset = match["offset"] or "Z"
    if offset in "Zz":
        offset = "+00:00"
    digits = offset[1:].replace(":", "").ljust(4, "0")
    moment = datetime.fromisoformat(
        f"{match['day']}T{match['time']}.{fraction}{offset[0]}{digits[:2]}:{digits[2:]}"
    )
    if moment.year not in YEARS:
        message = f"not a time of these days: {text!r}"
        raise ValueError(message)
    return moment
