"""A text whose middle was left out because the whole is too long to be held in memory.

An ``Excerpt`` is the text to show: the whole's beginning, one line that says how much is missing,
the whole's end. It also knows where in the whole its parts stand, so that whoever has seen a part
of the whole finds the place to go on. Lengths and places are in characters. Both parts consist of
full lines, unless a part is a single line. Of a line that is rewritten with carriage returns, as a
progress bar is, and that the cut goes through, the end shows the last states.
"""

import re
from collections.abc import Mapping

HEAD, OMITTED, TAIL = "head", "omitted", "tail"
"""Members of the JSON object that stands for a cut string, see ``perian_shim.api.long_string``."""


_FULL_FROM = re.compile(r"\n|\r(?=[^\r\n])")
"""After what a line, or a new state of one, begins."""


class Excerpt(str):
    """The beginning and the end of a longer text, and between them a line about the rest.

    Attributes:
        gap: where in the whole, and here, the beginning ends.
        omitted: how much of the whole is left out after that.
        resumes: where in this text the whole's end begins.
    """

    __slots__ = ("gap", "omitted", "resumes")

    gap: int
    omitted: int
    resumes: int

    @classmethod
    def of(cls, head: str, omitted: int, tail: str, what: str = "log") -> "Excerpt":
        """Put an excerpt of ``what`` together; pieces of lines at the cut are left out too."""
        # A state of a rewritten line is stale once there are later ones.
        gap = head.rfind("\n") + 1 or (0 if "\r" in head else len(head))
        full = _FULL_FROM.search(tail)
        start = full.end() if full is not None else 0
        omitted += len(head) - gap + start
        end = "\n" if gap and head[gap - 1] != "\n" else ""
        note = f"{end}[perian-shim] {omitted} characters of the {what} are left out here\n"
        whole = cls("".join((head[:gap], note, tail[start:])))
        whole.gap, whole.omitted, whole.resumes = gap, omitted, gap + len(note)
        return whole

    @classmethod
    def from_json(cls, value: object, what: str = "log") -> "Excerpt | None":
        """Read the object that stands for a cut string; None if it is something else."""
        if not isinstance(value, Mapping):
            return None
        head, omitted, tail = value.get(HEAD), value.get(OMITTED), value.get(TAIL)
        if isinstance(head, str) and isinstance(omitted, int) and isinstance(tail, str):
            return cls.of(head, omitted, tail, what)
        return None

    @property
    def whole_length(self) -> int:
        """How long the whole text is."""
        return self.gap + self.omitted + len(self) - self.resumes

    def locate(self, place: int) -> int | None:
        """Return where a place in the whole is here, None if it is left out."""
        if place <= self.gap:
            return place
        after = place - self.gap - self.omitted
        return self.resumes + after if after >= 0 else None
