"""Printing a growing log once, from an API that returns the whole of it each time.

``LogTail.feed`` takes each answer and returns the finished lines that are new. Pure: no clock, no
output; of the log it keeps a digest and the two ends, not the text. An answer may be stale, cut
short or missing: it brings nothing. It may be a window whose beginning was cut off: the last text
seen is looked for in it, and what follows is new; if it is not found, or in several places, one
marker says that lines may be missing. The unfinished last line is held back until it is finished or
``flush`` is called. A line that a program rewrites with carriage returns, as progress bars do, is
its last state.

A very long log comes as an ``Excerpt``: what was seen last is found by its place, and nothing is
lost unless the log grew by more than the excerpt's end holds. Then a marker, or the excerpt's own
line about what it leaves out, says so. A process that goes on where another has stopped takes that
place on trust, because a digest of what is left out cannot be had.

A window that begins like the whole log did and is shorter than what was seen cannot be told from a
stale answer, and is taken for one: logs have to differ from line to line, as by a time or a number.

Lengths are in characters of the log as the API returns it.
"""

import hashlib
from collections import deque
from dataclasses import dataclass

from perian_shim.api.excerpt import Excerpt

MARKER = "[perian-shim] the log's window moved on: lines may be missing here"

KEPT = 4096
"""How much of each end of what was seen is kept, to recognize a stale answer or a moved window."""

TAIL_LINES = 20
"""How many of the last lines are kept for error messages."""

LONGEST_LINE = 1 << 20
"""A longer line is broken, so that one without an end is not kept whole."""

_PIECE = 1 << 18


@dataclass(frozen=True)
class LogPosition:
    """How far a log has been printed, to go on from in another process.

    Attributes:
        length: how much of the log has been printed.
        digest: of that much of it; of an excerpt, of what is left.
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
        self._unfinished = 0
        self._short = ""
        self._printed = start
        self.last: deque[str] = deque(maxlen=TAIL_LINES)

    def position(self) -> LogPosition:
        """Return how far the log has been printed, unfinished lines not counted."""
        return self._printed

    def feed(self, log: str | None) -> list[str]:
        """Take an answer's whole log, or an excerpt, and return the finished lines that are new."""
        if log is None:
            return []
        lines: list[str] = []
        place = self._continuation(log)
        if place is None:
            if whole_length(log) < self._length and self._may_be_stale(log):
                unknown = self._head is None and not isinstance(log, Excerpt)
                self._short = log if unknown else ""
                return []
            place = self._found_again(log)
        if place is None:
            place = log.resumes if isinstance(log, Excerpt) and self._leaves_out(log) else 0
            lines = [*self._finish(), MARKER]
        finished, newline, rest = log[place:].rpartition("\n")
        if newline:
            lines += [last_state(line) for line in (self._held + finished).split("\n")]
            self._held, self._unfinished = "", 0
        self._hold(rest, lines)
        self._remember(log)
        return self._keep(lines)

    def flush(self) -> list[str]:
        """Return what is left: the log will not grow any more."""
        lines = self._finish()
        if self._short:
            # All that is left of a log of which another process has printed more.
            lines += [MARKER, *map(last_state, self._short.removesuffix("\n").split("\n"))]
            self._short = ""
        return self._keep(lines)

    def _hold(self, text: str, lines: list[str]) -> None:
        """Hold back what a line has so far and will not overwrite; a very long one is broken."""
        self._unfinished += len(text)
        held = self._held + text
        self._held = held[held.rstrip("\r").rfind("\r") + 1 :]
        if len(self._held) > LONGEST_LINE:
            lines += self._finish()

    def _continuation(self, log: str) -> int | None:
        """Return where the new text begins in a log that goes on after what was seen."""
        if whole_length(log) < self._length:
            return None
        if not isinstance(log, Excerpt) or self._length <= log.gap:
            return self._length if digest_of(log, self._length) == self._digest else None
        place = log.locate(self._length)
        if place is None or not self._begins_like(log):
            return None
        anchor = self._anchor[-(place - log.resumes) :] if place > log.resumes else ""
        return place if log.startswith(anchor, place - len(anchor)) else None

    def _found_again(self, log: str) -> int | None:
        """Return where the new text begins in a window that moved, None if that is unknown."""
        if isinstance(log, Excerpt) and self._leaves_out(log):
            return None
        if self._anchor.count("\n") < 2:  # noqa: PLR2004 - less could stand anywhere
            return None
        at = log.find(self._anchor)
        only = at >= 0 and at == log.rfind(self._anchor)
        return at + len(self._anchor) if only else None

    def _leaves_out(self, log: Excerpt) -> bool:
        """Whether the place where what was seen ended is among what an excerpt leaves out."""
        return log.locate(self._length) is None and self._begins_like(log)

    def _begins_like(self, log: Excerpt) -> bool:
        """Whether an excerpt may be one of the log that was seen."""
        return self._head is None or log.startswith(self._head[: log.gap])

    def _may_be_stale(self, log: str) -> bool:
        if isinstance(log, Excerpt):
            return self._begins_like(log)
        if self._head is None:  # what was seen elsewhere is not known: two windows give it away
            return log.startswith(self._short) or self._short.startswith(log)
        return log.startswith(self._head[: len(log)])

    def _finish(self) -> list[str]:
        held, self._held, self._unfinished = self._held, "", 0
        return [last_state(held)] if held else []

    def _remember(self, log: str) -> None:
        head, tail = (log.gap, log.resumes) if isinstance(log, Excerpt) else (KEPT, 0)
        self._length = whole_length(log)
        self._digest = digest_of(log)
        self._head = log[: min(KEPT, head)]
        self._anchor = log[max(tail, len(log) - KEPT) :]
        self._short = ""
        printed = max(0, len(log) - self._unfinished)
        digest = digest_of(log, printed) if self._unfinished else self._digest
        self._printed = LogPosition(self._length - self._unfinished, digest)

    def _keep(self, lines: list[str]) -> list[str]:
        self.last.extend(lines)
        return lines


def whole_length(log: str) -> int:
    """Return how long a log is, what an excerpt leaves out included."""
    return log.whole_length if isinstance(log, Excerpt) else len(log)


def last_state(line: str) -> str:
    """Return what a terminal would show of a line in the end."""
    return line.rstrip("\r").rpartition("\r")[2]


def digest_of(text: str, length: int | None = None) -> str:
    """Return a digest of a text, or of its beginning, lone surrogates included."""
    digest = hashlib.sha256()
    end = len(text) if length is None else length
    for start in range(0, end, _PIECE):
        piece = text[start : min(start + _PIECE, end)]
        digest.update(piece.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
