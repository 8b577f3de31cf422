"""Reading request bodies, with complaints in the shape that the platform's framework gives them.

A `Reader` walks one JSON object and collects every problem instead of stopping at the first; what
could not be read is None until `check` raises them all. Unknown fields are ignored, null means
absent.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from perian_shim.sandbox.records import Json

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One complaint: where, what, and the framework's word for it."""

    location: Location
    message: str
    kind: str

    def to_json(self) -> dict[str, Json]:
        """Give the entry of the response's ``detail``."""
        return {"loc": list(self.location), "msg": self.message, "type": self.kind}


class InvalidRequest(Exception):
    """The request is not what the contract says.

    Args:
        problems: at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            "; ".join(f"{problem.location}: {problem.message}" for problem in problems)
        )
        self.problems = tuple(problems)

    def to_json(self) -> dict[str, Json]:
        """Give the response body."""
        return {"detail": [problem.to_json() for problem in self.problems]}


class Reader:
    """Reads the fields of one JSON object.

    Args:
        value: what should be an object.
        location: where it is in the request.
        problems: complaints are added here.
    """

    def __init__(self, value: Json, location: Location, problems: list[Problem]) -> None:
        self.location = location
        self.problems = problems
        self.fields: dict[str, Json] = {}
        if isinstance(value, dict):
            self.fields = value
        else:
            self.complain((), "Input should be a valid dictionary or object", "model_type")

    def complain(self, path: Location, message: str, kind: str) -> None:
        """Add a problem at a place below this object."""
        self.problems.append(Problem((*self.location, *path), message, kind))

    def check(self) -> None:
        """Raise what was found, if anything.

        Raises:
            InvalidRequest: there are problems.
        """
        if self.problems:
            raise InvalidRequest(self.problems)

    def has(self, name: str) -> bool:
        """Tell whether a field is there and not null."""
        return self.fields.get(name) is not None

    def child(self, name: str) -> "Reader":
        """Read a field that is an object; absent counts as empty."""
        value = self.fields.get(name)
        return Reader({} if value is None else value, (*self.location, name), self.problems)

    def text(self, name: str) -> str | None:
        """Read a field that is text."""
        value = self.fields.get(name)
        if value is None or isinstance(value, str):
            return value
        self.complain((name,), "Input should be a valid string", "string_type")
        return None

    def identifier(self, name: str) -> str | None:
        """Read a field that is a UUID."""
        value = self.text(name)
        if value is None:
            return None
        parsed = parse_uuid(value)
        if parsed is None:
            self.complain((name,), "Input should be a valid UUID", "uuid_parsing")
        return parsed

    def boolean(self, name: str) -> bool | None:
        """Read a field that is true or false."""
        value = self.fields.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.complain((name,), "Input should be a valid boolean", "bool_type")
        return None

    def integer(self, name: str, at_least: int | None = None) -> int | None:
        """Read a field that is a whole number."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.complain((name,), "Input should be a valid integer", "int_type")
            return None
        if at_least is not None and value < at_least:
            self.complain(
                (name,),
                f"Input should be greater than or equal to {at_least}",
                "greater_than_equal",
            )
            return None
        return value

    def number(self, name: str) -> float | None:
        """Read a field that is a number, or text that says one."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                return float(value)
            except ValueError:
                pass
        self.complain((name,), "Input should be a valid number", "float_parsing")
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Read a field that is text or an array of texts."""
        value = self.fields.get(name)
        if value is None:
            return None
        found = value if isinstance(value, list) else [value]
        names = tuple(item for item in found if isinstance(item, str))
        if len(names) < len(found):
            self.complain((name,), "Input should be a valid string or list", "string_type")
        return names

    def variables(self, name: str) -> dict[str, str]:
        """Read a field that maps names to simple values, as environment variables."""
        found: dict[str, str] = {}
        reader = self.child(name)
        for key, value in reader.fields.items():
            if not key or "=" in key or "\0" in key:
                reader.complain((key,), "Not a name of an environment variable", "value_error")
            elif isinstance(value, (dict, list)) or "\0" in str(value):
                reader.complain((key,), "Input should be a valid string", "string_type")
            else:
                found[key] = "" if value is None else str(value)
        return found

    def items(self, name: str) -> list["Reader"]:
        """Read a field that is an array of objects."""
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.complain((name,), "Input should be a valid list", "list_type")
            return []
        place = (*self.location, name)
        return [Reader(item, (*place, index), self.problems) for index, item in enumerate(value)]

    def content(self, name: str) -> bytes:
        """Read a required field that is base64."""
        value = self.text(name)
        if value is None:
            if not self.has(name):
                self.complain((name,), "Field required", "missing")
            return b""
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            self.complain((name,), "Value error, not valid base64", "value_error")
            return b""


def parse_uuid(text: str) -> str | None:
    """Give a UUID in its usual form, None if the text is none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def parse_body(body: bytes) -> Json:
    """Parse a JSON body.

    Raises:
        InvalidRequest: it is missing or no JSON.
    """
    if not body:
        raise InvalidRequest([Problem(("body",), "Field required", "missing")])
    try:
        value: Json = json.loads(body)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        position = error.pos if isinstance(error, json.JSONDecodeError) else error.start
        raise InvalidRequest(
            [Problem(("body", position), "JSON decode error", "json_invalid")]
        ) from error
    return value
