"""Programs that take code as an argument, and which of their arguments that is."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CODE_HERE, CODE_NEXT, OPERAND, ELSEWHERE, NOTHING = range(5)
"""What an option says of where code is."""


@dataclass(frozen=True)
class Interpreter:
    """A program that takes code as an argument.

    Attributes:
        name: pattern of its name, without what stands for a version.
        code: short options whose value is code.
        valued: other short options that take a value.
        elsewhere: short options after which the code is not among the arguments.
        long: long options whose value is code.
        is_shell: whether ``code`` only says that the first operand behind the options is code.
        operand: whether without such an option the first operand is code.
        arguments: how the code gets at its arguments.
    """

    name: str
    code: str = ""
    valued: str = ""
    elsewhere: str = ""
    long: tuple[str, ...] = ()
    is_shell: bool = False
    operand: bool = False
    arguments: str = "the program's own arguments"

    def code_places(self, argv: Sequence[str], place: int) -> list[int]:
        """Return at which indexes its arguments hold code.

        Args:
            argv: the command.
            place: the index of the interpreter.
        """
        found: list[int] = []
        operand = self.operand
        index = place + 1
        while index < len(argv) and re.match(r"[-+].", argv[index]):
            if argv[index] == "--":
                index += 1
                break
            meaning, values = self.option(argv[index])
            if meaning == ELSEWHERE:
                return found
            if meaning in {CODE_HERE, CODE_NEXT}:
                found.append(index + (meaning == CODE_NEXT))
            operand = operand or meaning == OPERAND
            index += 1 + values
        if operand and not found:
            found.append(index)
        return [position for position in found if position < len(argv)]

    def option(self, option: str) -> tuple[int, int]:
        """Return what an option says of where code is, and how many values follow it."""
        if option.startswith("--"):
            name, equals, _ = option.partition("=")
            if name in self.long:
                return (CODE_HERE, 0) if equals else (CODE_NEXT, 1)
            return NOTHING, int(self.is_shell and name in {"--rcfile", "--init-file"})
        letters = option[1:]
        if self.is_shell:
            values = sum(letter in self.valued for letter in letters)
            return (OPERAND if self.code in letters else NOTHING), values
        return next(self.meanings(letters), (NOTHING, 0))

    def meanings(self, letters: str) -> Iterator[tuple[int, int]]:
        """Yield what short options in one argument mean; the first with a value takes the rest."""
        for position, letter in enumerate(letters, 1):
            rest = letters[position:]
            if letter in self.code:
                yield (CODE_HERE, 0) if rest else (CODE_NEXT, 1)
            elif letter in self.elsewhere:
                yield ELSEWHERE, 0
            elif letter in self.valued:
                yield NOTHING, int(not rest)


INTERPRETERS = (
    Interpreter(
        "(?:ba|da|a|z|k|mk|pdk|c|tc|fi|r)?sh", "c", "oO", long=("--command",), is_shell=True
    ),
    Interpreter("python|pypy", "c", "WX", "m", arguments="sys.argv[1]"),
    Interpreter("perl", "eE", "IMmx", arguments="$ARGV[0]"),
    Interpreter("ruby", "e", "ICr", arguments="ARGV[0]"),
    Interpreter(
        "node|nodejs|bun", "ep", "r", long=("--eval", "--print"), arguments="process.argv[1]"
    ),
    Interpreter("php", "rBRE", "dc", "fF", ("--run",), arguments="$argv[1]"),
    Interpreter("R|Rscript", "e", elsewhere="f"),
    Interpreter("julia", "eE", "LpC", long=("--eval", "--print"), arguments="ARGS[1]"),
    Interpreter("lua|luajit", "e", "l", arguments="arg[1]"),
    Interpreter(
        "[gmn]?awk", "e", "Fv", "f", ("--source",), operand=True, arguments="ENVIRON or ARGV[1]"
    ),
    Interpreter("sed|gsed", "e", "El", "f", ("--expression",), operand=True),
    Interpreter("su", "c", long=("--command",)),
    Interpreter("env", "S", "uC", long=("--split-string",)),
)


def interpreter_named(program: str) -> Interpreter | None:
    """Return the interpreter that a program's name or path means."""
    name = posixpath.basename(program).removesuffix(".exe")
    for interpreter in INTERPRETERS:
        if re.fullmatch(rf"(?:{interpreter.name})[\d.]*", name):
            return interpreter
    return None
