"""Telling the lines of a job from those of the pod that prints them: pure.

Lines of the pod's own begin with ``[perian-shim]``. A line of the job's that begins so, or that a
terminal or a reader might take for one, is quoted: it stands after ``| ``, and nothing in it is
obeyed. What the wrapper in the job says is quoted too, for the job could say the same.
"""

import re
import unicodedata

from perian_shim.api.server_text import inert

QUOTE = "| "

_OURS, _LETTERS = "[perian-shim]", "perianshim"
_STEERING = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)
_NO_LETTERS = re.compile(r"[\W_]+")


def job_line(line: str) -> str:
    """Return a line of a job's log as it is shown among ours."""
    return QUOTE + inert(line) if is_like_ours(line) else line


def is_like_ours(line: str) -> bool:
    """Whether a line might be taken for one of the pod's own.

    White space and what cannot be seen before it do not matter, nor do letters of another shape. If
    a line steers the terminal, ours may stand anywhere in it.
    """
    if line.isascii() and line.isprintable():
        return line.lstrip().casefold().startswith(_OURS)
    bare = _STEERING.sub("", line)
    shown = unicodedata.normalize("NFKC", bare)
    letters = _NO_LETTERS.sub("", shown).casefold()
    if bare != line:
        return _LETTERS in letters
    first = _NO_LETTERS.match(shown)
    bracket = first is not None and any(c.isprintable() and not c.isspace() for c in first[0])
    return bracket and letters.startswith(_LETTERS)
