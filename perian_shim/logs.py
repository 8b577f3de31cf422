"""Printing a growing log once, from an API that returns the whole of it each time.

``LogTail.feed`` takes each answer and returns the finished lines that are new. Pure: no clock, no
output; of the log it keeps a digest and the two ends, not the text. An answer may be stale, cut
short or missing: it brings nothing. It may be a window whose beginning was cut off: the last text
seen is looked for in it, and what follows is new; if it is not found, or in several places, one
marker says that lines may be missing. The unfinished last line is held back until it is finished or
``flush`` is called. A line that a program rewrites with carriage returns, as progress bars do, is
its last state.

A window that begins like the whole log did and is shorter than what was seen cannot be told from a
stale answer, and is taken for one: logs have to differ from line to line, as by a time or a number.

Lengths are in characters of the log as the API returns it.
"""

import hashlib
from collections import deque
from dataclasses import dataclass

MARKER = "[perian-shim] the log's window moved on: lines may be missing here"

KEPT = 4096
"""How much of each end of what was seen is kept, to recognize a stale answer or a moved window."""

TAIL_LINES = 20
"""How many of the last lines are kept for error messages."""


@dataclass(frozen=True)
class LogPosition:
    """How far a log has been printed, to go on from in another process.

    Attributes:
        length: how much of the log has been printed.
        digest: of that much of it.
    """

    length: int = 0
    digest: str = ""


class LogTail:
    """The lines of one job's log, each once.

    Args:
        position: how far another process has printed it.

    Attributes:
        last: the last lines returned.
    """

    def __init__(self, position: LogPosition | None = None) -> None:
        start = position or LogPosition()
        self._length = start.length
        self._digest = start.digest or digest_of("")
        # What another process has seen is not known here, only how much of it there was.
        self._head: str | None = None if start.length else ""
        self._anchor = ""
        self._held = ""
        self._short = ""
        self._printed = start
        self.last: deque[str] = deque(maxlen=TAIL_LINES)

    def position(self) -> LogPosition:
        """Return how far the log has been printed, unfinished lines not counted."""
        return self._printed

    def feed(self, log: str | None) -> list[str]:
        """Take an answer's whole log and return the finished lines that are new."""
        if log is None:
            return []
        lines: list[str] = []
        if len(log) >= self._length and digest_of(log[: self._length]) == self._digest:
            new = log[self._length :]
        elif len(log) < self._length and self._may_be_stale(log):
            self._short = log if self._head is None else ""
            return []
        elif (at := self._find_anchor(log)) is not None:
            new = log[at:]
        else:
            lines = [*self._finish(), MARKER]
            new = log
        self._remember(log)
        finished, newline, rest = (self._held + new).rpartition("\n")
        self._held = rest
        if newline:
            lines += [last_state(line) for line in finished.split("\n")]
        printed = log[: len(log) - len(rest)]
        self._printed = LogPosition(len(printed), digest_of(printed))
        return self._keep(lines)

    def flush(self) -> list[str]:
        """Return what is left: the log will not grow any more."""
        lines = self._finish()
        if self._short:
            # All that is left of a log of which another process has printed more.
            lines += [MARKER, *map(last_state, self._short.removesuffix("\n").split("\n"))]
            self._short = ""
        return self._keep(lines)

    def _may_be_stale(self, log: str) -> bool:
        if self._head is None:  # what was seen elsewhere is not known: two windows give it away
            return log.startswith(self._short) or self._short.startswith(log)
        return log.startswith(self._head[: len(log)])

    def _finish(self) -> list[str]:
        held, self._held = self._held, ""
        return [last_state(held)] if held else []

    def _remember(self, log: str) -> None:
        self._length = len(log)
        self._digest = digest_of(log)
        self._head = log[:KEPT]
        self._anchor = log[-KEPT:]
        self._short = ""

    def _find_anchor(self, log: str) -> int | None:
        """Return where in a window that moved the new text begins, None if that is unknown."""
        if self._anchor.count("\n") < 2:  # noqa: PLR2004 - less could stand anywhere
            return None
        at = log.find(self._anchor)
        only = at >= 0 and at == log.rfind(self._anchor)
        return at + len(self._anchor) if only else None

    def _keep(self, lines: list[str]) -> list[str]:
        self.last.extend(lines)
        return lines


def last_state(line: str) -> str:
    """Return what a terminal would show of a line in the end."""
    return line.rstrip("\r").rpartition("\r")[2]


def digest_of(text: str) -> str:
    """Return a digest of text, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
