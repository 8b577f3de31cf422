"""What can be wrong with a template in a command."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class TemplateError(ValueError):
    """A template in a command that cannot be rendered."""


def unknown_input(source: str, name: str, known_inputs: Collection[str]) -> TemplateError:
    """The error for a template that names an input the task does not have."""
    known = sorted(known_inputs)
    close = difflib.get_close_matches(name, known, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    listed = f"its inputs are {', '.join(known)}" if known else "it has none"
    return TemplateError(f"{source}: the task has no input {name!r}; {listed}.{suggestion}")


def refuse_nul(text: str, what: str) -> None:
    """Refuse the one character that no argument of a process can hold."""
    if "\0" in text:
        raise TemplateError(f"{what} holds a NUL character, which no command can be given")
