"""The container's command, read: ``pyflyte-execute`` with the arguments of a task of ours.

Its options are flytekit's (``flytekit.bin.entrypoint``), which reads them with click; so either
``--name value`` or ``--name=value``, in any order.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from perian_shim.pod.command import AttemptPaths, given, pairs

PYFLYTE_EXECUTE = "pyflyte-execute"
RESOLVER = "perian_shim.executor.template_resolver"
EXECUTOR = "perian_shim.executor.PerianExecutor"

_REQUIRED = {"--inputs", "--output-prefix", "--raw-output-data-prefix", "--resolver"}
_OPTIONAL = {"--checkpoint-path", "--prev-checkpoint"}


@dataclass(frozen=True, kw_only=True)
class Invocation(AttemptPaths):
    """One task's command.

    Attributes:
        template: URI of ``task.pb``.
        options: what else our resolver is told, see ``perian_shim.resolver_options``.
    """

    template: str
    options: tuple[str, ...] = ()

    @property
    def read_or_written(self) -> tuple[str, ...]:
        """What we read or write ourselves."""
        return (*super().read_or_written, self.template)

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
