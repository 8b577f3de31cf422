"""The container's command in Flyte 2, read: ``a0`` with the arguments of a task of ours.

Its options are those of ``flyte``'s entry point, which reads them with click, and one of our own
that holds the task (``perian_shim.task_argument``). What is said to the user's task, and not to us,
is kept for its job.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from flyteidl.core.tasks_pb2 import TaskTemplate

from perian_shim import task_argument
from perian_shim.pod.command import AttemptPaths, given, pairs
from perian_shim.resolver_options import ActionCall, LaunchOptions

A0 = "a0"

RESOLVER = "--resolver"
"""What follows its value is for the resolver, to the command's end; the task's record has both."""

SHORT = {"-i": "--inputs", "-o": "--outputs-path", "-v": "--version", "-r": "--raw-data-path"}
SHORT |= {"-c": "--checkpoint-path", "-p": "--prev-checkpoint"}

_REQUIRED = {"--inputs", "--outputs-path", "--raw-data-path", task_argument.OPTION}
_OURS = {*_REQUIRED, "--checkpoint-path", "--prev-checkpoint", RESOLVER}


@dataclass(frozen=True, kw_only=True)
class ActionInvocation(AttemptPaths):
    """One action's command.

    Attributes:
        task: the task, as text.
        call: what its job's ``a0`` is to be told as well.
    """

    task: str = field(repr=False)
    call: ActionCall = field(default_factory=ActionCall)

    @property
    def template(self) -> TaskTemplate:
        """The task.

        Raises:
            InvalidTemplate: there is none in the argument.
        """
        return task_argument.decode(self.task)

    @property
    def options(self) -> LaunchOptions:
        """What the arguments say beside the task."""
        return LaunchOptions(call=self.call)

    @classmethod
    def from_command(cls, command: Sequence[str]) -> "ActionInvocation | None":
        """Read a command; None if it is another one than ours.

        Args:
            command: the program and its arguments.
        """
        if not command or posixpath.basename(command[0]) != A0:
            return None
        try:
            options = dict(pairs(command[1:], SHORT, last=RESOLVER))
        except ValueError:
            return None
        if not set(options) >= _REQUIRED:
            return None
        return cls(
            task=options[task_argument.OPTION],
            inputs=options["--inputs"],
            output_prefix=options["--outputs-path"],
            raw_prefix=options["--raw-data-path"],
            checkpoint=given(options.get("--checkpoint-path")),
            previous_checkpoint=given(options.get("--prev-checkpoint")),
            call=ActionCall({k: v for k, v in options.items() if k not in _OURS}),
        )
