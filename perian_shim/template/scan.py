"""A command element cut into text, Flyte templates and Jinja source.

The cut is made once, before anything has a value, so that what a template is replaced with is never
read as a template itself. Jinja is marked by ``{{ … }}`` and ``{% … %}`` alone: ``{#`` and
everything else is text, JSON and shell included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FLYTE_TEMPLATE = re.compile(r"\{\{\s*[.$](?P<path>[^}\s]+)\s*\}\}")
RAW_BLOCK = re.compile(r"\{%\s*raw\s*%\}(?P<body>.*?)\{%\s*endraw\s*%\}", re.DOTALL)
TRIMMED_RAW_BLOCK = re.compile(r"\{%[-+]?\s*raw\s*-?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}", re.DOTALL)
OPENING = re.compile(r"(?P<braces>\{{2,})|\{%")
IN_JINJA = re.compile(
    r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?P<open>[{(\[])|(?P<close>[)\]])|(?P<brace>\}\}?)|%\}""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Text:
    """Characters that stand for themselves."""

    text: str


@dataclass(frozen=True)
class FlyteTemplate:
    """A template of Flyte's syntax.

    Attributes:
        source: the whole of it.
        path: what stands between the dot and the end: ``inputs.x``.
    """

    source: str
    path: str


@dataclass(frozen=True)
class JinjaSource:
    """One Jinja expression or tag, delimiters included, possibly without its end."""

    source: str


Segment = Text | FlyteTemplate | JinjaSource


def scan(element: str) -> Iterator[Segment]:
    """Cut an element of a command; the segments' sources joined give the element.

    The body of ``{% raw %}`` is text.
    """
    position = 0
    while opening := OPENING.search(element, position):
        start = opening.start()
        # Of several braces the last two begin a Flyte template: {{{.inputs.x}}} is JSON around one.
        flyte = FLYTE_TEMPLATE.match(element, opening.end() - 2) if opening["braces"] else None
        if flyte is not None:
            start = flyte.start()
        if start > position:
            yield Text(element[position:start])
        if flyte is not None:
            yield FlyteTemplate(flyte.group(), flyte["path"])
            position = flyte.end()
        elif raw := RAW_BLOCK.match(element, start):
            yield Text(raw["body"])
            position = raw.end()
        else:
            trimmed = TRIMMED_RAW_BLOCK.match(element, start)
            position = trimmed.end() if trimmed else end_of_jinja(element, start)
            yield JinjaSource(element[start:position])
    if position < len(element):
        yield Text(element[position:])


def end_of_jinja(element: str, start: int) -> int:
    """Find where a Jinja expression or tag ends, as Jinja does: strings and brackets are skipped.

    Returns:
        The position after the closing delimiter; the element's end where there is none.
    """
    closing = "}}" if element.startswith("{{", start) else "%}"
    depth = 0
    position = start + 2
    while token := IN_JINJA.search(element, position):
        position = token.end()
        if token["open"]:
            depth += 1
        elif token.group() == closing and not depth:
            return position
        elif token["close"] or token["brace"]:
            depth = max(depth - 1, 0)
            # Of "}}" only the first closes a bracket; the second is looked at again.
            position = token.start() + 1
    return len(element)
