"""Our image's door: runs a task as ``pyflyte-execute`` would, without loading flytekit."""

from collections.abc import Mapping

from flyteidl.core.literals_pb2 import LiteralMap
from flyteidl.core.tasks_pb2 import TaskTemplate
from google.protobuf.message import DecodeError

from perian_shim.api.errors import PerianError
from perian_shim.errors import InvalidInput, InvalidTemplate, StorageFailed
from perian_shim.pod.invocation import Invocation
from perian_shim.pod.report import report
from perian_shim.pod.run import Finished, run_task
from perian_shim.pod.run_context import OpenStore, RunContext, opened_once
from perian_shim.pod.secrets import mounted_secrets
from perian_shim.storage import open_store
from perian_shim.work.task_run import Place

MAX_DOCUMENT_BYTES = 2 * 1024**3
"""More than protobuf can hold in one message."""


def execute(invocation: Invocation, environ: Mapping[str, str]) -> None:
    """Run one task and report to Flyte what it came to.

    Args:
        invocation: the container's command.
        environ: its environment.

    Raises:
        PerianError: Flyte could not be told; the process must fail.
    """
    context = RunContext(
        raw_prefix=invocation.raw_prefix.rstrip("/"),
        place=Place.of_attempt(
            invocation.raw_prefix,
            invocation.output_prefix,
            invocation.checkpoint,
            invocation.previous_checkpoint,
            environ,
        ),
        environ=environ,
        read_secret=mounted_secrets(environ),
        open_store=opened_once(lambda uri: open_store(uri, environ)),
    )
    template = TaskTemplate()
    try:
        template = read_template(context.open_store, invocation.template)
        inputs = read_inputs(context.open_store, invocation.inputs)
    except PerianError as error:
        finished = Finished(error=error)
    else:
        finished = run_task(context, template, inputs.literals, invocation.options)
    report(context, finished, template.interface.outputs.variables)


def read_template(open_store: OpenStore, uri: str) -> TaskTemplate:
    """Read ``task.pb``.

    Raises:
        InvalidTemplate: it is damaged.
        StorageFailed: it is not there, or cannot be read.
    """
    try:
        return TaskTemplate.FromString(read(open_store, uri))
    except DecodeError as error:
        raise InvalidTemplate(f"What is at {uri} is not a task template.") from error


def read_inputs(open_store: OpenStore, uri: str) -> LiteralMap:
    """Read ``inputs.pb``.

    Raises:
        InvalidInput: it is damaged.
        StorageFailed: it is not there, or cannot be read.
    """
    try:
        return LiteralMap.FromString(read(open_store, uri))
    except DecodeError as error:
        raise InvalidInput(f"What is at {uri} are not a task's inputs.") from error


def read(open_store: OpenStore, uri: str) -> bytes:
    """Return an object that Flyte has written."""
    content = open_store(uri).read(uri, MAX_DOCUMENT_BYTES)
    if content is None:
        message = f"There is no object {uri}, which Flyte writes before it starts a task's pod."
        raise StorageFailed(message)
    return content
