"""Which inputs reach the text of a command's element, by the templates in it.

Only looks: what is wrong with a template is ``check_command``'s to say. Jinja is read by patterns,
so that Jinja itself need not be imported when a task is defined.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from perian_shim.template.commands import input_name
from perian_shim.template.scan import FlyteTemplate, JinjaSource, scan

INPUTS = re.compile(
    r"\binputs\b(?:\s*\.\s*(?P<name>\w+)|\s*\[\s*(?P<quote>[\"'])(?P<item>[^\"']+)(?P=quote)\s*\])?"
)
ONLY_ASKS = re.compile(r"\{%[-+]?\s*(?:if|elif)\b")
"""Tags that look at a value and write nothing of it."""

GIVES_NUMBER = re.compile(r"\|\s*(?:int|float|length|count|wordcount)\s*(?:\([^()]*\))?\s*-?\}\}\Z")


@dataclass(frozen=True)
class Mention:
    """A template that writes inputs into an element.

    Attributes:
        source: the template.
        names: the inputs that it names.
    """

    source: str
    names: tuple[str, ...]


def mentions(element: str, known_inputs: Collection[str]) -> Iterator[Mention]:
    """Yield the templates of an element that write inputs into it, in order.

    Args:
        element: text with templates.
        known_inputs: all inputs: what an expression like ``inputs[name]`` may mean.
    """
    for segment in scan(element):
        if isinstance(segment, FlyteTemplate):
            name = input_name(segment)
            if name is not None:
                yield Mention(segment.source, (name,))
        elif isinstance(segment, JinjaSource):
            names = jinja_names(segment.source, known_inputs)
            if names:
                yield Mention(segment.source, names)


def jinja_names(source: str, known_inputs: Collection[str]) -> tuple[str, ...]:
    """The inputs that one Jinja expression or tag may write."""
    if ONLY_ASKS.match(source) or GIVES_NUMBER.search(source):
        return ()
    found: dict[str, None] = {}
    for match in INPUTS.finditer(source):
        name = match["name"] or match["item"]
        found |= dict.fromkeys([name] if name else known_inputs)
    return tuple(found)
