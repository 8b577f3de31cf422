"""Printing a growing log once, from an API that returns the whole of it each time.

``LogTail.feed`` takes each answer and returns the finished lines that are new. Pure: no clock, no
output; of the log it keeps a digest and the two ends, not the text. An answer may be stale, cut
short or missing: it brings nothing. It may be a window whose beginning was cut off: the last text
printed is looked for in it, and what follows is new; if it is not found, or in several places, one
marker says that lines may be missing.

The unfinished last line is held back until it is finished or ``flush`` is called. Until then each
answer may show it otherwise: half a character, which stands there as U+FFFD or as half a surrogate
pair, is whole in the next answer, and an API may rewrite the line as a program wanted it. A last
line that an API ends itself, and rewrites later, is printed again as it has become. A line that a
program rewrites with carriage returns, as progress bars do, is its last state.

A very long log comes as an ``Excerpt``: what was seen last is found by its place, and nothing is
lost unless the log grew by more than the excerpt's end holds. Then a marker, or the excerpt's own
line about what it leaves out, says so. A process that goes on where another has stopped takes that
place on trust, because a digest of what is left out cannot be had.

A window that begins like the whole log did and is shorter than what was printed cannot be told from
a stale answer, and is taken for one: logs have to differ from line to line, as by a time or a
number. Lines that could be taken for the pod's own are quoted (``job_lines``).

Lengths are in characters of the log as the API returns it.
"""

import hashlib
from collections import deque
from dataclasses import dataclass

from perian_shim.api.excerpt import Excerpt
from perian_shim.lifecycle.job_lines import job_line

MARKER = "[perian-shim] the log's window moved on: lines may be missing here"

REWRITTEN = "[perian-shim] the log was rewritten from here on"

KEPT = 4096
"""How much of each end of what was seen is kept, to recognize a stale answer or a moved window."""

TAIL_LINES = 20
"""How many of the last lines are kept for error messages."""

LONGEST_LINE = 1 << 20
"""A longer line is broken, so that one without an end is not kept whole."""

_PIECE = 1 << 18

_HALVES = "\ufffd" + "".join(map(chr, range(0xD800, 0xDC00)))
"""What may stand at the end of an answer in place of a character of which only a part has come."""


@dataclass(frozen=True)
class LogPosition:
    """How far a log has been printed, to go on from in another process.

    Attributes:
        length: how much of the log has been printed.
        digest: of that much of it; of no meaning if some of that was left out.
    """

    length: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Place:
    """Where in an answer the new text begins.

    Attributes:
        at: there.
        unfinished: whether what is held of the unfinished line stands before it.
        said: lines that are to be printed first.
    """

    at: int
    unfinished: bool = False
    said: tuple[str, ...] = ()


class LogTail:
    """The lines of one job's log, each once.

    Args:
        position: how far another process has printed it.

    Attributes:
        last: the last lines returned.
    """

    def __init__(self, position: LogPosition | None = None) -> None:
        self._start = position or LogPosition()
        # What another process has seen is not known here, only how much of it there was.
        self._known = not self._start.length
        self._hash = hashlib.sha256()
        self._printed = self._seen = self._start.length
        self._head = ""
        self._anchor = ""  # what stands before the end of what was printed
        self._seen_anchor = ""  # and before the end of what was seen
        self._rest = ""  # how the unfinished line began when it was seen last
        self._held = ""  # what it shows, and what may be half a character
        self._half = ""
        self._short = ""
        self.last: deque[str] = deque(maxlen=TAIL_LINES)

    def position(self) -> LogPosition:
        """Return how far the log has been printed, unfinished lines not counted."""
        if not self._known:
            return self._start
        return LogPosition(self._printed, self._hash.hexdigest())

    def feed(self, log: str | None) -> list[str]:
        """Take an answer's whole log, or an excerpt, and return the finished lines that are new."""
        if log is None:
            return []
        place = self._continuation(log)
        if place is None and self._is_stale(log):
            return []
        place = place or self._rewritten(log) or self._found_again(log) or self._anew(log)
        lines = list(place.said)
        end = finished_end(log, place.at)
        settled = max(end, settled_end(log, end))
        if end == place.at and not place.said and self._goes_back(log, place, settled):
            return []
        held = self._held if place.unfinished else ""
        if end > place.at:
            lines += lines_between(log, place.at, end, held)
            held = ""
        held = newest_states(held + log[end:settled])
        if len(held) > LONGEST_LINE:
            lines.append(job_line(last_state(held)))
            end, held = settled, ""
        self._held, self._half = held, log[settled:].rstrip("\r\n")
        self._remember(log, place, end, settled)
        return self._keep(lines)

    def flush(self) -> list[str]:
        """Return what is left: the log will not grow any more."""
        lines = self._finish()
        if self._short:
            # All that is left of a log of which another process has printed more.
            rest = self._short.removesuffix("\n").split("\n")
            lines += [MARKER, *(job_line(last_state(line)) for line in rest)]
            self._short = ""
        return self._keep(lines)

    def _continuation(self, log: str) -> Place | None:
        """Return where the new text begins in a log that goes on after what was seen."""
        if whole_length(log) < self._printed:
            return None
        if not isinstance(log, Excerpt) or max(self._printed, self._seen) <= log.gap:
            return Place(self._printed) if self._is_known(log) else None
        if not self._begins_like(log):
            return None
        at = log.locate(self._printed)
        if at is not None and at >= log.resumes:
            return Place(at) if stands_before(self._anchor, log, at) else None
        at = log.locate(self._seen)
        if at is not None and at >= log.resumes and stands_before(self._seen_anchor, log, at):
            return Place(at, unfinished=True)
        return None

    def _is_known(self, log: str) -> bool:
        """Whether a log begins with what was printed."""
        if not self._known:
            return digest_of(log, self._printed) == self._start.digest
        start = self._printed - len(self._anchor)
        return log.startswith(self._head) and log.startswith(self._anchor, start)

    def _is_stale(self, log: str) -> bool:
        """Whether an answer only shows what was printed already."""
        # Half a character may be shown as several, and so seem longer than it is.
        text = log.rstrip(_HALVES) if is_half(log[-1:]) else log
        if whole_length(log) - len(log) + len(text) >= self._printed:
            return False
        if isinstance(log, Excerpt):
            return self._begins_like(log)
        if not self._known:  # what was seen elsewhere is not known: two windows give it away
            stale = text.startswith(self._short) or self._short.startswith(text)
            self._short = text if stale else ""
            return stale
        start = self._printed - len(self._anchor)
        seen = text.startswith(self._head[: len(text)])
        return seen and self._anchor.startswith(text[start:])

    def _rewritten(self, log: str) -> Place | None:
        """Return where the new text begins in a log whose last lines are not what they were."""
        start = self._printed - len(self._anchor)
        if isinstance(log, Excerpt) or not self._known or not log.startswith(self._head[:start]):
            return None
        kept = same_lines(self._anchor, log[start : self._printed])
        if not kept:
            return None
        several = "\n" in self._anchor[kept:-1]
        return Place(start + kept, said=(REWRITTEN,) if several else ())

    def _found_again(self, log: str) -> Place | None:
        """Return where the new text begins in a window that moved, None if that is unknown."""
        if isinstance(log, Excerpt) and self._leaves_out(log):
            return None
        if self._anchor.count("\n") < 2:  # noqa: PLR2004 - less could stand anywhere
            return None
        at = log.find(self._anchor)
        only = at >= 0 and at == log.rfind(self._anchor)
        return Place(at + len(self._anchor)) if only else None

    def _anew(self, log: str) -> Place:
        """Return where to go on when nobody knows where the new text begins."""
        at = log.resumes if isinstance(log, Excerpt) and self._leaves_out(log) else 0
        return Place(at, said=(*self._finish(), MARKER))

    def _leaves_out(self, log: Excerpt) -> bool:
        """Whether the place where what was seen ended is among what an excerpt leaves out."""
        return log.locate(self._seen) is None and self._begins_like(log)

    def _begins_like(self, log: Excerpt) -> bool:
        """Whether an excerpt may be one of the log that was seen."""
        return log.startswith(self._head[: log.gap])

    def _goes_back(self, log: str, place: Place, settled: int) -> bool:
        """Whether an answer shows of the unfinished line only what was seen of it before."""
        shorter = whole_length(log) - len(log) + settled < self._seen
        if place.unfinished or not shorter:
            return False
        return self._rest.startswith(log[place.at : min(settled, place.at + KEPT)])

    def _finish(self) -> list[str]:
        held, self._held, self._half = self._held + self._half, "", ""
        return [job_line(last_state(held))] if held else []

    def _remember(self, log: str, place: Place, end: int, settled: int) -> None:
        head, tail = (log.gap, log.resumes) if isinstance(log, Excerpt) else (len(log), 0)
        goes_on = self._known and place.at == self._printed and not isinstance(log, Excerpt)
        if not goes_on:
            self._hash = hashlib.sha256()
        if end <= head:  # else it is an excerpt's end, of which no digest is ever compared
            add(self._hash, log, place.at if goes_on else 0, end)
        beyond = whole_length(log) - len(log)
        self._known = True
        self._printed = end if end <= head else end + beyond
        self._seen = settled if settled <= head else settled + beyond
        self._head = log[: min(KEPT, head, end)]
        self._anchor = log[max(tail if end > head else 0, end - KEPT) : end]
        self._seen_anchor = log[max(tail, settled - KEPT) : settled]
        if not place.unfinished or end > place.at:
            self._rest = log[end : min(settled, end + KEPT)]
        self._short = ""

    def _keep(self, lines: list[str]) -> list[str]:
        self.last.extend(lines)
        return lines


def same_lines(text: str, other: str) -> int:
    """Return the length of the full lines with which two texts begin alike."""
    length = 0
    for line in text.split("\n")[:-1]:
        if not other.startswith(f"{line}\n", length):
            break
        length += len(line) + 1
    return length


def finished_end(log: str, start: int) -> int:
    """Return where the last finished line ends, ``start`` if there is none after it.

    A line that ends in what may be half a character is not finished, even if the API ends it.
    """
    end = log.rfind("\n", start) + 1
    if end == len(log) > start and is_half(log[-3:-1].rstrip("\r")[-1:]):
        end = log.rfind("\n", start, end - 1) + 1
    return max(end, start)


def is_half(character: str) -> bool:
    """Whether a character may stand for one of which only a part has come."""
    return character != "" and character in _HALVES


def settled_end(log: str, end: int) -> int:
    """Return up to where the unfinished line that begins at ``end`` can be relied on."""
    text = log[:-1].rstrip("\r") if end < len(log) and log[-1] == "\n" else log
    return len(text.rstrip(_HALVES) if is_half(text[-1:]) else text)


def lines_between(log: str, start: int, end: int, held: str) -> list[str]:
    """Return the finished lines between two places, without those of ours in an excerpt quoted."""
    if isinstance(log, Excerpt) and start <= log.gap and end >= log.resumes:
        note = log[log.gap : log.resumes].strip("\n")
        before, after = held + log[start : log.gap], log[log.resumes : end]
        return [*split_lines(before), note, *split_lines(after)]
    return split_lines(held + log[start:end])


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as they are shown."""
    if not text:
        return []
    return [job_line(last_state(line)) for line in text.removesuffix("\n").split("\n")]


def stands_before(anchor: str, log: Excerpt, at: int) -> bool:
    """Whether an excerpt's end has this before a place, as far as it reaches."""
    room = at - log.resumes
    known = anchor[-room:] if room else ""
    return log.startswith(known, at - len(known))


def whole_length(log: str) -> int:
    """Return how long a log is, what an excerpt leaves out included."""
    return log.whole_length if isinstance(log, Excerpt) else len(log)


def newest_states(line: str) -> str:
    """Return an unfinished line without the states that it has overwritten."""
    return line[line.rstrip("\r").rfind("\r") + 1 :]


def last_state(line: str) -> str:
    """Return what a terminal would show of a line in the end."""
    return line.rstrip("\r").rpartition("\r")[2]


def digest_of(text: str, length: int | None = None) -> str:
    """Return a digest of a text, or of its beginning, lone surrogates included."""
    digest = hashlib.sha256()
    add(digest, text, 0, len(text) if length is None else length)
    return digest.hexdigest()


def add(digest: "hashlib._Hash", text: str, start: int, end: int) -> None:
    """Add a part of a text to a digest."""
    for place in range(start, end, _PIECE):
        piece = text[place : min(place + _PIECE, end)]
        digest.update(piece.encode("utf-8", "surrogatepass"))
