"""Taking what nobody reads, and what is too long, out of a JSON text while it streams by.

An answer may carry logs, commands and files of hundreds of megabytes, and parsing multiplies that.
A ``Trimmer`` is fed the answer's bytes in any pieces and returns what is left of them: the text
with some values replaced, by ``null`` or by what ``KeepText`` leaves of a string, and all else
unchanged. What is kept is a tree of ``Keep``, laid over the text. Time is linear, and memory is
bounded by what is kept.

Sizes are in bytes of the JSON text. Numbers, ``true``, ``false``, ``null`` and the names of members
always stay. Text that is no JSON stays none, except for faults within values that are taken out. A
text that is not UTF-8 is not recognized: then nothing is taken out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from perian_shim.api.long_string import KeepText, LongString

PLENTY = 8 << 20
"""How much of long strings is kept in all before of further ones less is."""

_PIECE = 1 << 18
_LONGEST_NAME = 64
_STRUCTURE = re.compile(rb'["{}\[\]]')
_WHITE = b" \t\r\n"
_QUOTE, _BACKSLASH = b'"', b"\\"
_CLOSERS = {b"{": b"}", b"[": b"]"}


@dataclass(frozen=True)
class Keep:
    """What is kept of one value.

    Attributes:
        text: how much of it if it is a string; None: all.
        limit: how long it may be if it is an object or a list, or else it is taken out; None: as
            long as it likes. Within a value that has a limit only limits of 0 are looked at.
        members: what is kept of the members with these names if it is an object.
        others: what is kept of other members, and of the elements if it is a list; None: all.
        gone: JSON that stands for an object or a list that is taken out.
    """

    text: KeepText | None = None
    limit: int | None = None
    members: Mapping[str, "Keep"] = field(default_factory=dict)
    others: "Keep | None" = None
    gone: bytes = b"null"


NOTHING = Keep(KeepText(), limit=0)


@dataclass
class Container:
    """An object or a list of which not all is kept, while it is open.

    Attributes:
        keep: what is.
        depth: how many objects and lists are open within the text, this one included.
        closer: how it ends.
        names: the members that have been met, of those that ``keep`` names.
    """

    keep: Keep
    depth: int
    closer: bytes = b""
    names: set[str] = field(default_factory=set)

    def keep_of(self, name: str | None) -> Keep | None:
        """Return what is kept of a value in it: an element, or the member of this name."""
        if name is None or name not in self.keep.members:
            return self.keep.others
        self.names.add(name)
        return self.keep.members[name]


@dataclass
class Limited:
    """A value that is held back until it has ended, or has become too long."""

    limit: int
    depth: int
    gone: bytes
    parts: list[bytes] = field(default_factory=list)
    size: int = 0


class Trimmer:
    """Copies a JSON text and takes out what is not kept.

    Args:
        keep: what is kept; None: everything.
        plenty: how much of long strings may be kept in all before ``KeepText.scarce`` applies.
        small: a text that is no longer than this is not looked into, and returned as it is.
    """

    def __init__(self, keep: Keep | None, plenty: int = PLENTY, small: int = 0) -> None:
        self._keep = keep
        self._small = small
        self._unseen = bytearray()
        self._plenty = plenty
        self._ready: list[bytes] = []
        self._held = b""
        self._depth = 0
        self._containers = [Container(Keep(others=keep), 0)]
        self._limited: Limited | None = None
        self._skipped: int | None = None  # the depth around a value that is being taken out
        self._gone = b""  # what stands for it
        self._in_string = False
        self._long: LongString | None = None
        self._name = b""
        self._gap = b""  # what stands between the last string and here

    def feed(self, chunk: bytes) -> bytes:
        """Take the next piece of the text and return what is ready."""
        if self._keep is None:
            return chunk
        if self._small:
            self._unseen += chunk
            if len(self._unseen) <= self._small:
                return b""
            chunk = self._seen()
        for start in range(0, len(chunk), _PIECE):
            self._scan(chunk[start : start + _PIECE])
        return self._take()

    def close(self) -> bytes:
        """Return what is left of a text that has ended."""
        if self._unseen:
            return self._seen()
        if self._long is not None:
            self._emit(*self._long.break_off())
        self._emit(self._held)
        if self._limited is not None:  # it has no end
            self._ready += self._limited.parts
        self._long, self._limited, self._held = None, None, b""
        return self._take()

    @property
    def is_in_expendable(self) -> bool:
        """Whether the text has come to a string that may be broken off, now or some day."""
        if self._unseen:
            self._scan(self._seen())
        return self._long is not None and self._long.keep.after is not None

    def cut(self) -> bytes | None:
        """End the text here, as JSON, if only a string that is expendable stands in the way.

        Returns:
            What is left of the text; None if it has to be read on.
        """
        if self._unseen:
            self._scan(self._seen())
        around = self._containers[-1]
        wanted = self._long.keep.after if self._long is not None else None
        if self._long is None or wanted is None or self._limited is not None:
            return None
        if not wanted <= around.names:
            return None
        self._emit(*self._long.cut())
        for container in reversed(self._containers[1:]):
            self._emit(container.closer)
        self._long, self._held = None, b""
        return self._take()

    def _seen(self) -> bytes:
        """Return what has not been looked into; from now on all is."""
        unseen, self._unseen, self._small = bytes(self._unseen), bytearray(), 0
        return unseen

    def _take(self) -> bytes:
        ready, self._ready = b"".join(self._ready), []
        return ready

    def _emit(self, *parts: bytes) -> None:
        if self._skipped is not None:
            return
        limited = self._limited
        if limited is None:
            self._ready += parts
            return
        limited.parts += parts
        limited.size += sum(map(len, parts))
        if limited.size > limited.limit:
            self._skipped, self._gone, self._limited = limited.depth, limited.gone, None

    def _scan(self, chunk: bytes) -> None:
        text = self._held + chunk
        # Backslashes are taken in pairs from the left, as a parser does; none is left half read.
        blind = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        self._held = b""
        if blind.endswith(_BACKSLASH):
            self._held, text, blind = text[-1:], text[:-1], blind[:-1]
        place = 0
        while place < len(text):
            step = self._string if self._in_string else self._structure
            place = step(text, blind, place)

    def _structure(self, text: bytes, blind: bytes, start: int) -> int:
        found = _STRUCTURE.search(blind, start)
        end = found.start() if found else len(text)
        # A colon is all that matters: what is longer is none.
        self._gap = (self._gap + text[start:end].strip(_WHITE)[:2])[:2]
        self._emit(text[start:end])
        if found is None:
            return end
        token = found[0]
        if token == _QUOTE:
            self._begin_string()
        elif token in _CLOSERS:
            self._open(token)
        else:
            self._close(token)
        self._name = self._gap = b""
        return end + 1

    def _begin_string(self) -> None:
        self._in_string = True
        keep = self._keep_here()
        if keep is None or keep.text is None:
            self._emit(_QUOTE)
            return
        scarce = keep.text.cuts and self._plenty <= 0
        self._long = LongString(keep.text.scarce if scarce else keep.text)

    def _string(self, text: bytes, blind: bytes, start: int) -> int:
        end = blind.find(_QUOTE, start)
        piece = text[start : end if end >= 0 else len(text)]
        if self._long is not None:
            self._long.feed(piece)
        else:
            self._emit(piece)
            self._name = (self._name + piece[:_LONGEST_NAME])[:_LONGEST_NAME]
        if end < 0:
            return len(text)
        if self._long is None:
            self._emit(_QUOTE)
        else:
            parts = self._long.close()
            self._plenty -= sum(map(len, parts)) if self._long.keep.cuts else 0
            self._emit(*parts)
        self._long, self._in_string = None, False
        return end + 1

    def _open(self, bracket: bytes) -> None:
        keep = self._keep_here()
        self._depth += 1
        if keep is None:
            self._emit(bracket)
            return
        outside = self._depth - 1
        if keep.limit == 0:
            self._skipped, self._gone = outside, keep.gone
        elif keep.limit is not None and self._limited is None:
            self._limited = Limited(keep.limit, outside, keep.gone)
        self._emit(bracket)
        if self._skipped is None:
            self._containers.append(Container(keep, self._depth, _CLOSERS[bracket]))

    def _close(self, bracket: bytes) -> None:
        self._emit(bracket)
        self._depth -= 1
        if len(self._containers) > 1 and self._containers[-1].depth > self._depth:
            self._containers.pop()
        if self._skipped is not None and self._skipped >= self._depth:
            self._skipped = None
            self._emit(self._gone)
        elif self._limited is not None and self._limited.depth >= self._depth:
            self._ready += self._limited.parts
            self._limited = None

    def _keep_here(self) -> Keep | None:
        """Return what is kept of the value that begins here; of a name, everything is."""
        around = self._containers[-1]
        if self._skipped is not None or around.depth != self._depth:
            return None
        if around.closer == b"}":
            return around.keep_of(self._spelled()) if self._gap == b":" else None
        return around.keep_of(None)

    def _spelled(self) -> str:
        """Return the name of the member at hand."""
        if _BACKSLASH not in self._name:
            return self._name.decode("utf-8", "replace")
        try:
            return str(json.loads(b'"%b"' % self._name))
        except ValueError:
            return ""
