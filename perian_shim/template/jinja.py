"""The Jinja part of command templating; import it only for a command that has Jinja in it.

Flyte templates and awkward text inside an element become *holes*: references to a list of strings
that are output as they are, so that Jinja never sees them as source.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from flyteidl.core.literals_pb2 import Literal
from jinja2 import StrictUndefined, TemplateAssertionError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from perian_shim.template.errors import TemplateError, refuse_nul, unknown_input
from perian_shim.template.scan import FlyteTemplate, JinjaSource, Segment
from perian_shim.values.decoding import PythonValue, UnreadableLiteral
from perian_shim.values.literals import literal_to_python, python_to_text, to_json_value

HOLES = "__holes__"
NAMESPACE = "inputs"
# No element holds a NUL, so that no text begins a Jinja comment: "${#array[@]}" is a shell's.
NO_COMMENT_START = "\0#"
NO_COMMENT_END = "#\0"


class Inputs:
    """The variable ``inputs``: values by attribute or item, decoded when they are asked for.

    It has no public attributes, so that an input may have any name.
    """

    __slots__ = ("__literals",)

    def __init__(self, literals: Mapping[str, Literal]) -> None:
        self.__literals = literals

    def __getitem__(self, name: str) -> PythonValue:
        try:
            return literal_to_python(self.__literals[name])
        except UnreadableLiteral as error:
            raise TemplateError(f"input {name!r} cannot be used in a command: {error}") from None

    def __contains__(self, name: object) -> bool:
        return name in self.__literals

    def __iter__(self) -> Iterator[str]:
        return iter(self.__literals)

    def __len__(self) -> int:
        return len(self.__literals)


def output_text(value: object) -> object:
    """Write an expression's result as an input file would hold it.

    Raises:
        TemplateError: for None and for what is no plain value, such as a generator.
    """
    match value:
        case str() | StrictUndefined():
            return value
        case bool() | int() | float() | datetime() | timedelta() | list() | dict():
            return python_to_text(value)
        case date() | time():
            return value.isoformat()
        case None:
            raise TemplateError('it gives None; a default helps: {{ inputs.<name> or "none" }}')
    raise TemplateError(
        f"it gives a {type(value).__name__} and not text; the filters list, join, tojson or string "
        "make one of most values"
    )


def to_json(value: PythonValue, indent: int | None = None) -> str:
    """The filter ``tojson``: for programs, so without Jinja's escaping for HTML."""
    return json.dumps(to_json_value(value), ensure_ascii=False, indent=indent)


class Environment(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, in which the fields of a dataclass may have any name.

    Their values are dicts here. ``inputs.o.items`` is the field; where there is none, it is the
    method of the dict, as everywhere in Jinja.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read ``obj.attribute``."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Read ``obj[argument]``, of a dict never a method."""
        if not isinstance(obj, dict):
            return super().getitem(obj, argument)
        try:
            return obj[argument]
        except (KeyError, TypeError):  # not there, or nothing that could be a key
            return self.undefined(obj=obj, name=argument)


@functools.cache
def environment() -> Environment:
    """Make Jinja's environment."""
    made = Environment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        comment_start_string=NO_COMMENT_START,
        comment_end_string=NO_COMMENT_END,
        finalize=output_text,
        cache_size=0,
    )
    made.filters["tojson"] = to_json
    del made.globals["lipsum"]
    return made


def jinja_source(segments: Sequence[Segment]) -> str:
    """Write an element for Jinja, with holes for all that Jinja must not read."""
    parts = []
    for index, segment in enumerate(segments):
        if isinstance(segment, JinjaSource):
            parts.append(segment.source)
        elif isinstance(segment, FlyteTemplate) or is_awkward(segment.text):
            parts.append(f"{{{{ {HOLES}[{index}] }}}}")
        else:
            parts.append(segment.text)
    return "".join(parts)


def is_awkward(text: str) -> bool:
    """Whether Jinja would change the text, or read it and what follows as a template.

    Jinja turns carriage returns into newlines.
    """
    return "\r" in text or "{{" in text or "{%" in text or text.endswith("{")


def check_jinja(element: str, segments: Sequence[Segment], known_inputs: Collection[str]) -> None:
    """Find syntax errors and unknown names.

    Raises:
        TemplateError: naming the element.
    """
    env = environment()
    try:
        tree = env.parse(jinja_source(segments))
        undeclared = meta.find_undeclared_variables(tree) - {HOLES, NAMESPACE}
        loads = any(True for _ in meta.find_referenced_templates(tree))
        names = referenced_inputs(tree)
        env.from_string(tree)
    except TemplateAssertionError as error:
        raise TemplateError(f"{element!r} is not a valid Jinja template: {error.message}") from None
    except TemplateSyntaxError as error:
        raise TemplateError(
            f"{element!r} is not a valid Jinja template: {error.message}. If braces are to reach "
            "the program as they are, put them between {% raw %} and {% endraw %}"
        ) from None
    if loads:
        raise TemplateError(f"{element!r}: a command cannot include or import other templates")
    for name in names:
        if name not in known_inputs:
            raise unknown_input(repr(element), name, known_inputs)
    for name in sorted(undeclared):
        hint = f"; write inputs.{name}" if name in known_inputs else ""
        raise TemplateError(
            f"{element!r}: {name!r} is not defined, a command sees only inputs{hint}"
        )


def referenced_inputs(tree: nodes.Template) -> list[str]:
    """The names of inputs that a template mentions literally, in order."""
    return [
        name
        for node in tree.find_all((nodes.Getattr, nodes.Getitem))
        if (name := referenced_input(node)) is not None
    ]


def referenced_input(node: nodes.Expr) -> str | None:
    """The input that ``inputs.x`` or ``inputs["x"]`` names; None for another expression."""
    if not isinstance(node, nodes.Getattr | nodes.Getitem):
        return None
    if not isinstance(node.node, nodes.Name) or node.node.name != NAMESPACE:
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    constant = node.arg.value if isinstance(node.arg, nodes.Const) else None
    return constant if isinstance(constant, str) else None


def render_jinja(
    element: str,
    segments: Sequence[Segment],
    texts: Sequence[str | None],
    inputs: Mapping[str, Literal],
) -> str:
    """Render an element that has Jinja in it.

    Args:
        element: the whole element, for messages.
        segments: what it consists of.
        texts: the text of each segment that is not Jinja.
        inputs: the input literals.

    Raises:
        TemplateError: naming the element and what failed.
    """
    env = environment()
    try:
        tree = env.parse(jinja_source(segments))
        names = ", ".join(dict.fromkeys(referenced_inputs(tree)))
        rendered = env.from_string(tree).render({NAMESPACE: Inputs(inputs), HOLES: list(texts)})
    except TemplateError as error:
        raise TemplateError(f"{element!r}: {error}") from None
    except Exception as error:  # noqa: BLE001 - an expression can raise anything
        raise TemplateError(f"{element!r}: {type(error).__name__}: {error}") from None
    refuse_nul(rendered, f"what {element!r} makes of its inputs ({names})")
    return rendered
