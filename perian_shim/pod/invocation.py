"""The container's command, read: ``pyflyte-execute`` with the arguments of a task of ours.

Its options are flytekit's (``flytekit.bin.entrypoint``), which reads them with click; so either
``--name value`` or ``--name=value``, in any order.
"""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perian_shim.storage import needs_flytekit

PYFLYTE_EXECUTE = "pyflyte-execute"
RESOLVER = "perian_shim.executor.template_resolver"
EXECUTOR = "perian_shim.executor.PerianExecutor"

_REQUIRED = {"--inputs", "--output-prefix", "--raw-output-data-prefix", "--resolver"}
_OPTIONAL = {"--checkpoint-path", "--prev-checkpoint"}

_NOTHING = {"", '""'}
"""What Flyte's backend puts where there is no previous checkpoint."""


@dataclass(frozen=True)
class Invocation:
    """One task's command. All are URIs, as Flyte's backend fills them in.

    Attributes:
        inputs: ``inputs.pb``.
        output_prefix: where the attempt leaves ``outputs.pb`` or ``error.pb``.
        raw_prefix: where its data go.
        template: ``task.pb``.
        checkpoint: where it saves checkpoints.
        previous_checkpoint: where the attempt before did.
        options: what else our resolver is told, see ``perian_shim.resolver_options``.
    """

    inputs: str
    output_prefix: str
    raw_prefix: str
    template: str
    checkpoint: str | None = None
    previous_checkpoint: str | None = None
    options: tuple[str, ...] = ()

    @property
    def needs_no_other_store(self) -> bool:
        """Whether all that it names is where we can reach it without flytekit."""
        uris = (self.inputs, self.output_prefix, self.raw_prefix, self.template)
        return not any(needs_flytekit(uri) for uri in uris)

    @classmethod
    def from_command(cls, command: Sequence[str]) -> "Invocation | None":
        """Read a command; None if it is another one than ours, or not quite ours.

        Args:
            command: the program and its arguments.
        """
        if not command or posixpath.basename(command[0]) != PYFLYTE_EXECUTE:
            return None
        arguments = list(command[1:])
        if "--" not in arguments:
            return None
        end = arguments.index("--")
        loader = arguments[end + 1 :]
        try:
            options = dict(pairs(arguments[:end]))
        except ValueError:
            return None
        known = _REQUIRED <= set(options) <= _REQUIRED | _OPTIONAL
        if not known or options["--resolver"] != RESOLVER or loader[1:2] != [EXECUTOR]:
            return None
        if any("{{" in value for value in options.values()):  # what no backend has filled in
            return None
        return cls(
            inputs=options["--inputs"],
            output_prefix=options["--output-prefix"],
            raw_prefix=options["--raw-output-data-prefix"],
            template=loader[0],
            checkpoint=given(options.get("--checkpoint-path")),
            previous_checkpoint=given(options.get("--prev-checkpoint")),
            options=tuple(loader[2:]),
        )


def pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield options and their values.

    Raises:
        ValueError: there is anything else among them.
    """
    rest = iter(arguments)
    for argument in rest:
        name, assigned, value = argument.partition("=")
        if not name.startswith("--"):
            raise ValueError(argument)
        if not assigned:
            following = next(rest, None)
            if following is None:
                raise ValueError(argument)
            value = following
        yield name, value


def given(value: str | None) -> str | None:
    """Return an option's value, None if it stands for nothing."""
    return None if value is None or value in _NOTHING else value
