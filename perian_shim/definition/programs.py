"""Commands that cannot be what their author means.

A command is an argv: nobody splits a text into words, redirects, or expands variables, unless a
shell is started to do it. And a shell reads whatever stands in its script as shell: a template in
there lets the value of an input become code.
"""

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from flyteidl.core.types_pb2 import LiteralType, SimpleType

from perian_shim.definition.interpreters import Interpreter, interpreter_named
from perian_shim.template.mentions import Mention, mentions
from perian_shim.template.scan import Text, scan
from perian_shim.values.types import parts_of

SHELL_SYNTAX = re.compile(r"[|&;<>`$*]|\A~")
PLAIN = re.compile(r"[\w.,:/@%+=-]*", re.ASCII)
"""Text that no interpreter of code reads as anything but a word."""

HARMLESS = {
    SimpleType.NONE,
    SimpleType.INTEGER,
    SimpleType.FLOAT,
    SimpleType.BOOLEAN,
    SimpleType.DATETIME,
    SimpleType.DURATION,
}

OF_THE_SHELL = "sh"
"""What a script finds as ``$0``."""

TWO_DIGITS = 10


def wrong_program(argv: Sequence[str]) -> str:
    """Return why the first element cannot be a program's name, with the right form; "" if it can.

    A path that begins with a slash may have blanks, if what follows them goes on with the path.
    """
    program, rest = argv[0], list(argv[1:])
    # What a template gives is known only when it runs.
    words = "".join(part.text if isinstance(part, Text) else "x" for part in scan(program))
    if re.match(r"[A-Za-z_]\w*=", words):
        name, _, value = program.partition("=")
        return (
            f"{program!r} would be run as a program of that name; set variables with"
            f" environment={{{name!r}: {value!r}}}, or begin with 'env'"
        )
    if SHELL_SYNTAX.search(words):
        if next(mentions(program, ()), None):
            right = shown(["sh", "-c", 'program "$1" > /var/outputs/x', "sh", "{{.inputs.x}}"])
        else:
            right = shown(["sh", "-c", program, *(["sh", *rest] if rest else [])])
        return (
            f"{program!r} is one element, so it would be run as a program of that name; no shell"
            f" reads it unless one is started: {right}"
        )
    if not re.search(r"\s", words) or path_with_blanks(words):
        return ""
    try:
        split = shlex.split(program) if "{{" not in program else program.split()
    except ValueError:  # an open quote
        split = program.split()
    return (
        f"{program!r} is one element, so it would be run as a program of that name; give each word"
        f" an element of its own: {shown([*split, *rest])}"
    )


def path_with_blanks(words: str) -> bool:
    """Whether a text can be the path of one program, like ``/opt/my tool/run``."""
    first, *more = words.split(" ")
    in_a_bin = posixpath.basename(posixpath.dirname(first)) in {"bin", "sbin"}
    plain = not re.search(r"[\t\r\n]", words)
    return (
        plain
        and words.startswith("/")
        and not in_a_bin
        and "/" in more[-1]
        and not any(word.startswith(("/", "-")) for word in more)
    )


def shown(argv: Sequence[str]) -> str:
    """Write an argv as it would stand in a task's definition."""
    return f"command=[{', '.join(quoted(element) for element in argv)}]"


def quoted(text: str) -> str:
    """Write a text as Python source, in double quotes where it has none itself."""
    return (
        f'"{text}"' if text.isprintable() and '"' not in text and "\\" not in text else repr(text)
    )


def injections(argv: Sequence[str], inputs: Mapping[str, LiteralType]) -> Iterator[str]:
    """Yield a warning for each argument in which the value of an input can become code.

    An argument that is one template and nothing else is left alone: that input is a program.

    Args:
        argv: the command with its templates.
        inputs: the types of the inputs.
    """
    for place, program in enumerate(argv):
        found = interpreter_named(program)
        for index in found.code_places(argv, place) if found else ():
            element = argv[index]
            risky = [
                mention
                for mention in mentions(element, inputs)
                if mention.source != element.strip()
                and any(can_hold_code(inputs[name]) for name in mention.names if name in inputs)
            ]
            if found and risky:
                yield told(argv, place, index, found, risky)


def can_hold_code(literal_type: LiteralType) -> bool:
    """Whether a value's text may have characters that mean something to an interpreter."""
    parts = parts_of(literal_type)
    texts = parts.enum_values or parts.allowed
    if texts is not None:
        return not all(PLAIN.fullmatch(str(text)) for text in texts)
    if parts.variants is not None:
        return any(can_hold_code(variant) for variant in parts.variants)
    return parts.simple not in HARMLESS


def told(
    argv: Sequence[str],
    place: int,
    index: int,
    interpreter: Interpreter,
    risky: Sequence[Mention],
) -> str:
    """Say what is wrong with an argument, and show what is right."""
    program = posixpath.basename(argv[place])
    sources = list(dict.fromkeys(mention.source for mention in risky))
    if interpreter.is_shell:
        right = positional(argv, index, sources)
    else:
        right = f"give it an argument of its own and read it there ({interpreter.arguments})"
    return (
        f"{', '.join(sources)} stands inside the code that {program} is given, so that a value can"
        f" become code: {argv[index]!r}. Hand the value over as an argument: {right}"
    )


def positional(argv: Sequence[str], index: int, sources: Sequence[str]) -> str:
    """Show a shell's command whose script takes its values as ``"$1"``."""
    script, operands = argv[index], list(argv[index + 1 :]) or [OF_THE_SHELL]
    names = {source: parameter(len(operands) + count) for count, source in enumerate(sources)}
    for source in sources:
        script = script.replace(f'"{source}"', source).replace(f"'{source}'", source)
    plain = script
    for source in sources:
        plain = plain.replace(source, "")
    if re.search(r"[\"'\\]|<<", plain):  # in whose quotes it stands is the author's to sort out
        script = f"… {' '.join(sources)} …"
    for source, name in names.items():
        script = script.replace(source, name)
    return shown([*argv[:index], script, *operands, *sources])


def parameter(number: int) -> str:
    """Return how a shell's script names an argument: ``"$1"``, ``"${10}"``."""
    return f'"${number}"' if number < TWO_DIGITS else f'"${{{number}}}"'
