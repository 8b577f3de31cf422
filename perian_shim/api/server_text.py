"""Turning what a server says into a short, safe piece of an error message.

Redacted first, then cleaned (no control characters, one line), then cut: a secret must not survive
as the piece before a cut. HTML pages shrink to their visible head. A validation error's list shows
where and what, never the input that it echoes.
"""

import json
import re
from collections.abc import Mapping

from perian_shim.api.redaction import Redactor

__all__ = [
    "MAX_FOREIGN_TEXT",
    "MAX_TEXT",
    "NOT_STARTED",
    "Redactor",
    "detail_text",
    "foreign_text",
    "inert",
    "server_words",
    "tidy",
    "validation_text",
]

MAX_TEXT = 1000
"""Longest text of a server in a message, in characters."""

MAX_FOREIGN_TEXT = 300
"""The same for pages and other text that the API itself would not send."""

NOT_STARTED = re.compile(
    r"\bexec:? [^\n]{0,200}\b(no such file or directory|executable file not found"
    r"|permission denied|exec format error)|\bexec user process caused\b",
    re.IGNORECASE,
)
"""What container runtimes say when an image does not have, or cannot run, a command's program."""

_INVISIBLE_HTML = re.compile(
    r"<(script|style)\b.*?(</\1\s*>|\Z)|<!--.*?(-->|\Z)", re.DOTALL | re.IGNORECASE
)
_TAG = re.compile(r"<[^>]*(>|\Z)")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


def tidy(text: str, limit: int = MAX_TEXT) -> str:
    """Return text as one line without control characters, at most ``limit`` characters long."""
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def foreign_text(body: bytes, redact: Redactor) -> str:
    """Return the head of a body that is no JSON."""
    text = body.decode("utf-8", "replace")
    if text.lstrip()[:1] == "<":
        from html import unescape  # noqa: PLC0415 - has a table of two thousand names

        text = unescape(_TAG.sub(" ", _INVISIBLE_HTML.sub(" ", text)))
    return tidy(redact(text), MAX_FOREIGN_TEXT)


def detail_text(detail: object) -> str:
    """Return what a ``detail`` field says; of a list of validation errors the places and causes."""
    if detail is None:
        return ""
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and all(isinstance(entry, Mapping) for entry in detail):
        return "; ".join(validation_text(entry) for entry in detail)
    return json.dumps(detail, ensure_ascii=False)


def validation_text(entry: Mapping[str, object]) -> str:
    """Return ``body.timeout_seconds: Input should be …`` from one validation error."""
    loc = entry.get("loc")
    place = ".".join(str(part) for part in loc) if isinstance(loc, list) else ""
    cause = str(entry.get("msg") or entry.get("type") or "invalid")
    return f"{place}: {cause}" if place else cause


def server_words(document: Mapping[str, object], redact: Redactor) -> tuple[str, str]:
    """Return what an error body says: its detail alone (else its message), and both together."""
    message = document.get("message")
    general = tidy(redact(message), MAX_FOREIGN_TEXT) if isinstance(message, str) else ""
    detail = tidy(redact(detail_text(document.get("detail"))), MAX_TEXT - MAX_FOREIGN_TEXT)
    if not general and not detail:
        foreign = tidy(redact(json.dumps(document, ensure_ascii=False)), MAX_FOREIGN_TEXT)
        return foreign, foreign
    parts = [part for part in (general, detail) if part]
    if general in detail:
        parts = [detail]
    return detail or general, ": ".join(parts)


def printable(text: str) -> str:
    """Return text that can be encoded: lone surrogates, which JSON may hold, are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def inert(text: str) -> str:
    """Return text in which a terminal finds nothing to obey; newlines and tabs stay.

    Colours are left out, other control characters and those that turn the direction of writing are
    shown as escapes.
    """
    without = _COLOUR.sub("", text)
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), without)
