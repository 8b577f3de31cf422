"""What runs in a function task's job: its SDK's own entry point, as it would run in a pod.

Everything else about such a job is the same for all SDKs: it finds its inputs in one document,
leaves its outputs or its error in others, and may leave a page of decks beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from perian_shim.resolver_options import ActionCall, Distribution
from perian_shim.spec import ActionWork, FunctionWork

OUTPUTS_NAME = "outputs.pb"
ERROR_NAME = "error.pb"


@dataclass(frozen=True)
class JobPaths:
    """Where a job finds and leaves things; all are URIs.

    Attributes:
        inputs: its inputs.
        documents: the folder of what it leaves for us: outputs, error, decks.
        data: the prefix below which it may leave data.
        checkpoint: where it saves checkpoints, None if nowhere.
        previous_checkpoint: where the attempt before did.
    """

    inputs: str
    documents: str
    data: str
    checkpoint: str | None = None
    previous_checkpoint: str | None = None


class EntryPoint(Protocol):
    """An SDK's entry point."""

    @property
    def deck_name(self) -> str:
        """What it calls the page of a function's decks."""
        ...

    @property
    def context(self) -> bytes:
        """What the document of inputs holds after the inputs, as serialized fields."""
        ...

    @property
    def code(self) -> str | None:
        """URI of the user's code, which the job fetches; None if its image has that."""
        ...

    def command(self, paths: JobPaths) -> list[str]:
        """Return the job's command."""
        ...


@dataclass(frozen=True)
class Pyflyte:
    """flytekit's ``pyflyte-execute``, and ``pyflyte-fast-execute`` where the code comes apart.

    Attributes:
        work: what it is to load.
        distribution: the user's code, None when the image has it.
    """

    work: FunctionWork
    distribution: Distribution | None = None

    deck_name = "deck.html"
    context = b""

    @property
    def code(self) -> str | None:
        """URI of the archive of the user's code."""
        return self.distribution.location if self.distribution else None

    def command(self, paths: JobPaths) -> list[str]:
        """Return the job's command."""
        command = ["pyflyte-execute"]
        command += ["--inputs", paths.inputs]
        command += ["--output-prefix", paths.documents]
        command += ["--raw-output-data-prefix", paths.data]
        if paths.checkpoint:
            command += ["--checkpoint-path", paths.checkpoint]
        if paths.previous_checkpoint:
            command += ["--prev-checkpoint", paths.previous_checkpoint]
        command += ["--resolver", self.work.resolver, "--", *self.work.loader_args]
        if self.distribution is None:
            return command
        fast = ["pyflyte-fast-execute"]
        fast += ["--additional-distribution", self.distribution.location]
        fast += ["--dest-dir", self.distribution.destination]
        return [*fast, "--", *command]


@dataclass(frozen=True)
class A0:
    """Flyte 2's ``a0``, with the arguments that the pod has got.

    What of the run is named in the pod's environment is named in the job's arguments, so that a job
    needs none of Flyte's variables.

    Attributes:
        work: what it is to load.
        call: the pod's arguments.
        environ: the pod's environment.
    """

    work: ActionWork
    call: ActionCall
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    deck_name = "report.html"

    VARIABLES = {  # noqa: RUF012 - a constant
        "--org": "_U_ORG_NAME",
        "--project": "FLYTE_INTERNAL_EXECUTION_PROJECT",
        "--domain": "FLYTE_INTERNAL_EXECUTION_DOMAIN",
        "--run-name": "RUN_NAME",
        "--name": "ACTION_NAME",
    }
    """Options of ``a0`` and the variables that it takes their values from in a pod."""

    @property
    def context(self) -> bytes:
        """The run's custom context."""
        return self.call.context

    @property
    def code(self) -> str | None:
        """URI of the code bundle."""
        return self.call.code

    def command(self, paths: JobPaths) -> list[str]:
        """Return the job's command.

        What the job's own tasks would leave (``--run-base-dir``) would be the job's data; it can
        start none, since it reaches no control plane.
        """
        options = {
            "--inputs": paths.inputs,
            "--outputs-path": paths.documents,
            "--raw-data-path": paths.data,
            "--run-base-dir": paths.data,
            "--checkpoint-path": paths.checkpoint or "",
            "--prev-checkpoint": paths.previous_checkpoint or "",
            **self.call.options,
        }
        for name, variable in self.VARIABLES.items():
            if "{{" in options.get(name, "{{"):  # the backend knows no such template, or has none
                options[name] = self.environ.get(variable, "")
        command = ["a0"]
        for name, value in options.items():
            command += [name, value] if value else []
        if self.work.resolver:
            command += ["--resolver", self.work.resolver, *self.work.loader_args]
        return command
