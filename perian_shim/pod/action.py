"""Our image's door for Flyte 2: runs a task as ``a0`` would, without loading the SDK.

Flyte 2 starts a pod again within its attempt when the platform has failed, and reads an error
before outputs. So what a pod before this one has left is taken away first.
"""

from collections.abc import Mapping
from dataclasses import replace

from perian_shim import settings
from perian_shim.pod.action_invocation import ActionInvocation
from perian_shim.pod.execute import Kind, Loaded, context_of, read, run
from perian_shim.pod.report import forget_error
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.resolver_options import LaunchOptions
from perian_shim.values.serialized import beside_map
from perian_shim.work.backend import MEBIBYTE, Backend
from perian_shim.work.stored_inputs import StoredInputs

HABITS = Backend(
    deck_name="report.html",
    first_attempt=1,
    restarts=True,
    max_output_bytes=10 * MEBIBYTE,  # flyte.models.MAX_INLINE_IO_BYTES
)

INPUTS = Kind("flyteidl2.task.Inputs", lambda content: (StoredInputs.of_document(content), content))


def execute_action(invocation: ActionInvocation, environ: Mapping[str, str]) -> None:
    """Run one task of Flyte 2 and report to Flyte what it came to.

    Args:
        invocation: the container's command.
        environ: its environment.

    Raises:
        PerianError: Flyte could not be told; the process must fail.
    """
    environ = as_told(environ, invocation.output_prefix)
    context = context_of(invocation, environ, FlyteSecrets.of_action(environ), HABITS)
    forget_error(context)

    def load() -> Loaded:
        inputs, document = read(context.open_store, invocation.inputs, INPUTS)
        call = replace(invocation.call, context=beside_map(document))
        return Loaded(inputs, LaunchOptions(call=call))

    run(context, lambda: invocation.template, load)


def as_told(environ: Mapping[str, str], output_prefix: str) -> dict[str, str]:
    """Return a pod's environment with the variables that every backend's pods have.

    Args:
        environ: as it is.
        output_prefix: ends in the attempt, counted from 1.
    """
    told = dict(environ)
    if not told.get(settings.EXECUTION_ID):
        told[settings.EXECUTION_ID] = told.get(settings.RUN_NAME, "")
    number = output_prefix.rstrip("/").rpartition("/")[2]
    if not told.get(settings.ATTEMPT_NUMBER) and number.isdecimal():
        told[settings.ATTEMPT_NUMBER] = str(max(int(number) - HABITS.first_attempt, 0))
    return told
