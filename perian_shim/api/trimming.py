"""Taking the middle out of long strings of a JSON text while it streams by.

An answer may carry logs of hundreds of megabytes, and parsing multiplies that. A ``Trimmer`` is fed
the answer's bytes in any pieces and returns what is left: of a string member that a ``Keep`` names
at most its head and its tail, as ``{"head": …, "omitted": …, "tail": …}`` with ``omitted`` counted
in characters, or nothing at all (``null``). Everything else passes unchanged. Time is linear, and
memory is bounded by what is kept.

Sizes are in bytes of the JSON text. Text that is no JSON stays none, except for faults within
strings that are not kept at all. A name spelled with escapes, or a text that is not UTF-8, is not
recognized: then nothing is taken out.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from perian_shim.api.excerpt import HEAD, OMITTED, TAIL

SLACK = 1 << 20
"""By how much a string may be longer than what is kept of it; also, how much is decoded at once."""

PLENTY = 8 << 20
"""How much of long strings is kept in all before of further ones less is."""

_PIECE = 1 << 18
_LONGEST_NAME = 64
_STRUCTURE = re.compile(rb'["{}\[\]]')
_WHITE = b" \t\r\n"
_QUOTE, _BACKSLASH = b'"', b"\\"
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
_SHORT, _LONG = 2, 6  # lengths of escapes


@dataclass(frozen=True)
class Keep:
    """How much of one string member is kept.

    Attributes:
        name: of the member, as the JSON text spells it.
        depth: how many objects and lists are open around it.
        head: how much of its beginning is kept.
        tail: how much of its end is kept; with ``head`` 0, nothing is.
        slack: by how much it may be longer and still be left whole.
    """

    name: bytes
    depth: int
    head: int = 0
    tail: int = 0
    slack: int = SLACK

    @property
    def scarce(self) -> "Keep":
        """What is kept instead when a text has many long strings."""
        head, tail, slack = self.head >> 8, self.tail >> 8, self.slack >> 8
        return replace(self, head=head, tail=tail, slack=slack)

    @property
    def nothing(self) -> bool:
        """Whether the string is taken out altogether."""
        return not self.head and not self.tail


@dataclass
class LongString:
    """What is kept of one string while it streams by; all pieces end between two escapes.

    Attributes:
        keep: how much is kept.
    """

    keep: Keep
    _head: bytes | None = field(default=None, init=False)
    _rest: bytearray = field(default_factory=bytearray, init=False)
    _omitted: int = field(default=0, init=False)
    _sound: bool = field(default=True, init=False)

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        if self.keep.nothing:
            return
        self._rest += piece
        kept = self.keep.tail if self._head is not None else self.keep.head + self.keep.tail
        if len(self._rest) <= kept + self.keep.slack:
            return
        if self._head is None:
            end = boundary(self._rest, self.keep.head)
            self._head = bytes(self._rest[:end])
            del self._rest[:end]
        end = boundary(self._rest, len(self._rest) - self.keep.tail)
        self._count(bytes(self._rest[:end]))
        del self._rest[:end]

    def _count(self, text: bytes) -> None:
        try:
            self._omitted += len(json.loads(f'"{text.decode("utf-8", "surrogatepass")}"'))
        except ValueError:
            self._sound = False

    def close(self) -> bytes:
        """Return the JSON value that stands for the string."""
        if self.keep.nothing:
            return b"null"
        if self._head is None:
            return b'"%b"' % bytes(self._rest)
        number = b"%d" % self._omitted if self._sound else b"?"  # no JSON, as the whole was none
        return b'{"%b":"%b","%b":%b,"%b":"%b"}' % (
            HEAD.encode(),
            self._head,
            OMITTED.encode(),
            number,
            TAIL.encode(),
            bytes(self._rest),
        )

    def break_off(self) -> bytes:
        """Return what there is of a string that has no end."""
        return _QUOTE + (self._head or b"") + self._rest


class Trimmer:
    """Copies a JSON text and takes out what is too long.

    Args:
        keeps: what is shortened.
        plenty: how much of long strings may be kept in all before ``Keep.scarce`` applies to more.
    """

    def __init__(self, keeps: Iterable[Keep], plenty: int = PLENTY) -> None:
        self._plenty = plenty
        self._keeps = {(keep.name, keep.depth): keep for keep in keeps}
        self._held = b""
        self._depth = 0
        self._in_string = False
        self._long: LongString | None = None
        self._name = b""
        self._gap = b""  # what stands between the last string and here

    def feed(self, chunk: bytes) -> bytes:
        """Take the next piece of the text and return what is ready."""
        if not self._keeps:
            return chunk
        starts = range(0, len(chunk), _PIECE)
        return b"".join(self._scan(chunk[start : start + _PIECE]) for start in starts)

    def close(self) -> bytes:
        """Return what is left of a text that has ended."""
        rest = self._held
        if self._long is not None:
            rest = self._long.break_off() + rest
        self._long, self._held = None, b""
        return rest

    def _scan(self, chunk: bytes) -> bytes:
        text = self._held + chunk
        # Backslashes are taken in pairs from the left, as a parser does; none is left half read.
        blind = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        self._held = b""
        if blind.endswith(_BACKSLASH):
            self._held, text, blind = text[-1:], text[:-1], blind[:-1]
        ready: list[bytes] = []
        place = 0
        while place < len(text):
            step = self._string if self._in_string else self._structure
            place = step(text, blind, place, ready)
        return b"".join(ready)

    def _structure(self, text: bytes, blind: bytes, start: int, ready: list[bytes]) -> int:
        found = _STRUCTURE.search(blind, start)
        end = found.start() if found else len(text)
        # A colon is all that matters: what is longer is none.
        self._gap = (self._gap + text[start:end].strip(_WHITE)[:2])[:2]
        ready.append(text[start:end])
        if found is None:
            return end
        token = found[0]
        if token == _QUOTE:
            keep = self._keeps.get((self._name, self._depth)) if self._gap == b":" else None
            if keep is not None:
                self._long = LongString(keep if self._plenty > 0 else keep.scarce)
            self._in_string = True
        else:
            self._depth += 1 if token in b"{[" else -1
        if self._long is None:
            ready.append(token)
        self._name = self._gap = b""
        return end + 1

    def _string(self, text: bytes, blind: bytes, start: int, ready: list[bytes]) -> int:
        end = blind.find(_QUOTE, start)
        piece = text[start : end if end >= 0 else len(text)]
        if self._long is not None:
            self._long.feed(piece)
        else:
            ready.append(piece)
            self._name = (self._name + piece[:_LONGEST_NAME])[:_LONGEST_NAME]
        if end < 0:
            return len(text)
        ready.append(_QUOTE if self._long is None else self._long.close())
        if self._long is not None:
            self._plenty -= len(ready[-1])
        self._long, self._in_string = None, False
        return end + 1


def boundary(text: bytes | bytearray, limit: int) -> int:
    """Return the last place up to ``limit`` where the content of a JSON string may be cut in two.

    Args:
        text: the content, from a place where it may be cut.
        limit: less than the content's length.

    Returns:
        A place that is not within an escape, between two escapes that are one character, or within
        the bytes of one. It may be 0.
    """
    start = text.rfind(_BACKSLASH, 0, limit)
    ended = 0
    if start >= 0 and begins_escape(text, start):
        ended = start + (_LONG if text[start + 1 : start + 2] == b"u" else _SHORT)
        if limit < ended or (limit == ended and is_high_surrogate(text, start)):
            before = start - _LONG
            return before if is_high_surrogate(text, before) else start
    while limit > ended and is_continuation(text[limit]):
        limit -= 1
    return limit


def begins_escape(text: bytes | bytearray, place: int) -> bool:
    """Whether the backslash at a place is not itself escaped."""
    width = 64
    while True:
        window = text[max(0, place + 1 - width) : place + 1]
        run = len(window) - len(window.rstrip(_BACKSLASH))
        if run < len(window) or width > place:
            return run % 2 == 1
        width *= 16


def is_high_surrogate(text: bytes | bytearray, place: int) -> bool:
    """Whether at a place stands an escape that may be the first half of a character."""
    if place < 0 or not _HIGH_SURROGATE.match(text, place):
        return False
    return begins_escape(text, place)


def is_continuation(byte: int) -> bool:
    """Whether a byte is not the first one of a character in UTF-8."""
    return 0x80 <= byte < 0xC0  # noqa: PLR2004 - as UTF-8 has it
