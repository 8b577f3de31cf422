"""The pages of the documentation, as what they show: files, programs, commands, answers.

On pages that have no test module of their own, a Python block with a title, as in
``python title="train.py"``, is a file. One after ``<!-- syntax only: reason -->`` needs what is not
here, and is only compiled. Any other is run by itself. A line of a ``bash`` block that begins with
``perian-shim run`` is run where the page's files are; if a ``text`` block follows, its lines are
among what the command prints, with ``…`` for what differs each time.
"""

import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

_BLOCK = re.compile(
    r"(?:<!-- syntax only: (?P<reason>[^>]+) -->\n+)?"
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: its page.
        number: its place among the page's blocks, from 0.
        language: ``python``, ``bash``, ``yaml``, …
        text: without its indentation.
        title: the name of its file, empty if it is none.
        reason: why it cannot be run, empty if it can.
    """

    page: Path
    number: int
    language: str
    text: str
    title: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """What it is called in a test's report."""
        return f"{self.page.relative_to(ROOT).with_suffix('')}-{self.title or self.number}"


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page."""
    found = []
    for number, match in enumerate(_BLOCK.finditer(page.read_text())):
        text = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        titles = (match["title"] or "", match["reason"] or "")
        found.append(Block(page, number, match["language"], text, *titles))
    return found


@dataclass(frozen=True)
class Example:
    """A command of a page, and what it prints.

    Attributes:
        page: where it is shown.
        command: one line.
        answer: lines that are among what it prints.
    """

    page: Path
    command: str
    answer: tuple[str, ...] = ()


def examples_of(page: Path, begin: str = "perian-shim run ") -> list[Example]:
    """Return the commands of a page that begin so, each with its answer."""
    blocks = blocks_of(page)
    found = []
    for block, after in zip_longest(blocks, blocks[1:]):
        if block.language != "bash":
            continue
        lines = [line for line in block.text.splitlines() if line.startswith(begin)]
        shown = after.text.splitlines() if after and after.language == "text" else []
        answer = tuple(line for line in shown if line.strip() and line.strip() != "…")
        found += [Example(page, line, answer if line == lines[-1] else ()) for line in lines]
    return found


def shown(line: str) -> re.Pattern[str]:
    """Return what a line of an answer means: ``…`` is anything."""
    return re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
