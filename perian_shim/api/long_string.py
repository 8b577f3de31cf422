"""One string of a JSON text that streams by: what is kept of it.

Of a string that is too long for its ``KeepText`` its head and its tail are left, as
``{"head": …, "omitted": …, "tail": …}`` with ``omitted`` counted in characters, or nothing at all
(``null``). Sizes are in bytes of the JSON text, and memory is bounded by what is kept.
"""

import json
import re
from collections import deque
from dataclasses import dataclass, field, replace

from perian_shim.api.excerpt import HEAD, OMITTED, TAIL

_QUOTE, _BACKSLASH = b'"', b"\\"
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
_SHORT, _LONG = 2, 6  # lengths of escapes


@dataclass(frozen=True)
class KeepText:
    """How much of a string is kept.

    Attributes:
        head: how much of its beginning.
        tail: how much of its end; if both are 0, a string that is too long is taken out.
        slack: by how much it may be longer than both and still be left whole.
        after: names of members; once all of them have been read, the rest of the object is worth
            less than the wait for it, and the string may be broken off (``Trimmer.cut``).
    """

    head: int = 0
    tail: int = 0
    slack: int = 0
    after: frozenset[str] | None = None

    @property
    def size(self) -> int:
        """How long a string is left whole."""
        return self.head + self.tail + self.slack

    @property
    def cuts(self) -> bool:
        """Whether something is left of a string that is too long."""
        return bool(self.head or self.tail)

    @property
    def scarce(self) -> "KeepText":
        """What is kept instead when a text has many long strings."""
        head, tail, slack = self.head >> 8, self.tail >> 8, self.slack >> 8
        return replace(self, head=head, tail=tail, slack=slack)


@dataclass
class LongString:
    """What is kept of one string while it streams by.

    No piece may end right after the backslash of an escape.

    Attributes:
        keep: how much is kept.
    """

    keep: KeepText
    _head: bytes | None = field(default=None, init=False)
    # Not one bytearray: growing by megabytes it would leave holes of its size in the heap.
    _rest: deque[bytes] = field(default_factory=deque, init=False)
    _size: int = field(default=0, init=False)
    _omitted: int | None = field(default=None, init=False)
    _sound: bool = field(default=True, init=False)
    _gone: bool = field(default=False, init=False)

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        if self._gone:
            return
        self._rest.append(piece)
        self._size += len(piece)
        if self._head is None and self.keep.cuts:
            if self._size <= self.keep.head:
                return
            self._head = self._shift(self.keep.head)
        if self._size <= self.keep.tail + self.keep.slack:
            return
        if self._head is None:
            self._gone = True
            self._rest.clear()
        else:
            self._count(self._shift(self._size - self.keep.tail))

    def _shift(self, limit: int) -> bytes:
        """Remove the beginning of the rest, up to a limit or a little less, and return it."""
        parts = []
        length = 0
        while self._rest and length <= limit:
            parts.append(self._rest.popleft())
            length += len(parts[-1])
        text = b"".join(parts)
        end = boundary(text, min(limit, length - 1))
        self._rest.appendleft(text[end:])
        self._size -= end
        return text[:end]

    def _count(self, text: bytes) -> None:
        try:
            omitted = len(json.loads(f'"{text.decode("utf-8", "surrogatepass")}"'))
        except ValueError:
            omitted, self._sound = 0, False
        self._omitted = (self._omitted or 0) + omitted

    def close(self) -> list[bytes]:
        """Return the JSON value that stands for the string, in parts."""
        if self._gone:
            return [b"null"]
        if self._omitted is None:
            return [_QUOTE, self._head or b"", *self._rest, _QUOTE]
        number = b"%d" % self._omitted if self._sound else b"?"  # no JSON, as the whole was none
        return [
            b'{"%b":"' % HEAD.encode(),
            self._head or b"",
            b'","%b":%b,"%b":"' % (OMITTED.encode(), number, TAIL.encode()),
            *self._rest,
            b'"}',
        ]

    def cut(self) -> list[bytes]:
        """Return the JSON value that stands for the string if this is all of it, in parts.

        Up to a character that may have come in part is left out.
        """
        text = b"".join(self._rest)
        self._rest = deque([text[: boundary(text, len(text) - 1)]] if text else [])
        return self.close()

    def break_off(self) -> list[bytes]:
        """Return what there is of a string that has no end, which is no JSON, in parts."""
        return [_QUOTE, self._head or b"", *self._rest]


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
        first_half = is_high_surrogate(text, start)
        if limit < ended or (limit == ended and first_half):
            before = start - _LONG
            return before if not first_half and is_high_surrogate(text, before) else start
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
