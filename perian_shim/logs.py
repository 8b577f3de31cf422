"""Printing a growing log once, from an API that returns the whole of it each time.

``LogTail.feed`` takes each answer and returns the lines that are new. Pure: no clock, no output.
An answer may be stale (shorter than one seen before, or missing): it brings nothing. It may be a
window whose beginning was cut off: the last lines seen are found in it again, and what follows them
is new; if they cannot be found, one marker says that lines may be missing. The unfinished last line
is held back until it is finished or ``flush`` is called.
"""

from collections import deque

MARKER = "[perian-shim] the log's window moved on: lines may be missing here"

ANCHOR_BYTES = 4096
"""How much of what was seen last is searched for in a window that moved."""

TAIL_LINES = 20
"""How many of the last lines are kept for error messages."""


class LogTail:
    """The lines of one job's log, each once.

    Attributes:
        last: the last lines returned.
    """

    def __init__(self) -> None:
        self._seen = ""
        self._returned = 0  # how much of _seen has been returned as lines
        self.last: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, log: str | None) -> list[str]:
        """Take an answer's whole log and return the finished lines that are new."""
        if log is None or (len(log) < len(self._seen) and self._seen.startswith(log)):
            return []
        marker: list[str] = []
        if not log.startswith(self._seen):
            start = self._overlap(log)
            if start is None:
                if len(log) < len(self._seen) and log in self._seen:
                    return []
                marker, self._returned = [*self._rest(), MARKER], 0
            else:
                self._returned -= len(self._seen) - start
        self._seen = log
        end = log.rfind("\n") + 1
        if end <= self._returned:
            return self._keep(marker)
        lines = log[max(self._returned, 0) : end - 1].split("\n")
        self._returned = end
        return self._keep([*marker, *lines])

    def flush(self) -> list[str]:
        """Return the unfinished last line, if there is one: the log will not grow any more."""
        rest = self._rest()
        self._returned = len(self._seen)
        return self._keep(rest)

    def _rest(self) -> list[str]:
        rest = self._seen[self._returned :]
        return rest.removesuffix("\n").split("\n") if rest else []

    def _overlap(self, log: str) -> int | None:
        """Return how much of ``log``'s beginning was seen before, None if that is unknown."""
        anchor = self._seen[-ANCHOR_BYTES:]
        at = log.find(anchor) if "\n" in anchor[:-1] else -1
        return at + len(anchor) if at >= 0 else None

    def _keep(self, lines: list[str]) -> list[str]:
        self.last.extend(lines)
        return lines
