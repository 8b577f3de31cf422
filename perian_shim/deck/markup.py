"""From any text to HTML that shows it: cleaned, cut, escaped. Pure."""

import re

_STEERING = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
"""What a terminal would obey: colours, moves of the cursor, titles."""

_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    r"\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""What a page must not hold, or what turns the direction of writing."""

_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}
_ESCAPES[ord("'")] = "&#x27;"
"""What html.escape does; its module has a table of two thousand names."""

ELLIPSIS = "\u2026"

REPLACED = "\ufffd"


def plain(text: str) -> str:
    """Return a text as people read it: nothing in it is obeyed. Newlines and tabs stay.

    What a terminal would obey is left out, for other control characters U+FFFD is shown. The same
    text comes of a text that is plain already.
    """
    return _UNSEEN.sub(REPLACED, _STEERING.sub("", text))


def escaped(text: str) -> str:
    """Return a text as HTML shows it, also within an attribute's quotes."""
    return text.translate(_ESCAPES)


def shown(text: str, limit: int) -> str:
    """Return the HTML for a text: plain, at most so many characters of it, escaped."""
    # A text of megabytes is not cleaned for the sake of its first words.
    text = plain(text[: 8 * limit])
    return escaped(text if len(text) <= limit else text[: limit - 1] + ELLIPSIS)


def ends_shown(text: str, limit: int) -> str:
    """Return the same, of a longer text both ends: an error's last words may be the best."""
    if len(text) > limit:
        half = limit // 2 - 2
        text = f"{plain(text[:half])}\n{ELLIPSIS}\n{plain(text[-half:])}"
    return escaped(plain(text))
