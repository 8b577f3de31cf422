"""Our image's doors: run a task as its SDK's entry point would, without loading the SDK."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from flyteidl.core.literals_pb2 import Literal
from flyteidl.core.tasks_pb2 import TaskTemplate
from google.protobuf.message import DecodeError

from perian_shim.api.errors import PerianError
from perian_shim.errors import InvalidTemplate, StorageFailed
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import PatientStore, Retrier
from perian_shim.pod.command import AttemptPaths
from perian_shim.pod.inputs import MAX_MESSAGE_BYTES
from perian_shim.pod.invocation import Invocation
from perian_shim.pod.report import report
from perian_shim.pod.run import Finished, run_task
from perian_shim.pod.run_context import OpenStore, RunContext, opened_once
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.resolver_options import LaunchOptions
from perian_shim.storage import open_store
from perian_shim.work.backend import FLYTE_PROPELLER, Backend
from perian_shim.work.stored_inputs import StoredInputs
from perian_shim.work.task_run import Place

DAMAGED = "Flyte writes it for each execution: run it again, and look at the store if it stays so."

Document = TypeVar("Document")


@dataclass(frozen=True)
class Kind(Generic[Document]):
    """A kind of document.

    Attributes:
        name: the message's name in flyteidl.
        parse: reads one; may raise ``DecodeError`` or ``ValueError``.
    """

    name: str
    parse: Callable[[bytes], Document]


TEMPLATE = Kind("flyteidl.core.TaskTemplate", TaskTemplate.FromString)
INPUTS = Kind("flyteidl.core.LiteralMap", StoredInputs.of_document)


@dataclass(frozen=True)
class Loaded:
    """What a pod's arguments name, read.

    Attributes:
        inputs: the input literals.
        options: what the arguments say beside the template.
    """

    inputs: Mapping[str, Literal]
    options: LaunchOptions


def execute(invocation: Invocation, environ: Mapping[str, str]) -> None:
    """Run one task of flytekit and report to Flyte what it came to.

    Args:
        invocation: the container's command.
        environ: its environment.

    Raises:
        PerianError: Flyte could not be told; the process must fail.
    """
    context = context_of(invocation, environ, FlyteSecrets.of_container(environ))

    def load() -> Loaded:
        options = LaunchOptions.from_arguments(invocation.options)
        inputs = read(context.open_store, invocation.inputs, INPUTS)
        return Loaded(inputs, options)

    run(context, lambda: read(context.open_store, invocation.template, TEMPLATE), load)


def context_of(
    paths: AttemptPaths,
    environ: Mapping[str, str],
    secrets: FlyteSecrets,
    backend: Backend = FLYTE_PROPELLER,
) -> RunContext:
    """Return where an attempt is run that a backend has started.

    Args:
        paths: the attempt's, of the container's command.
        environ: the container's environment.
        secrets: reads Flyte secrets.
        backend: the habits of what has started the pod.
    """
    place = Place.of_attempt(
        paths.raw_prefix,
        paths.output_prefix,
        paths.checkpoint,
        paths.previous_checkpoint,
        environ,
        backend,
    )
    opened = opened_once(lambda uri: open_store(uri, environ))
    return RunContext(place.raw_prefix, place, environ, secrets, opened)


def run(
    context: RunContext, template_of: Callable[[], TaskTemplate], load: Callable[[], Loaded]
) -> None:
    """Read a task, run it and report to Flyte what it came to.

    Args:
        context: where it is run.
        template_of: reads the task.
        load: reads what it is given.

    Raises:
        PerianError: Flyte could not be told; the process must fail.
    """
    template = TaskTemplate()
    try:
        template = template_of()
        loaded = load()
    except PerianError as error:
        finished = Finished(error=error)
    else:
        finished = run_task(context, template, loaded.inputs, loaded.options)
    report(context, finished, template.interface.outputs.variables, finished.order)


def read(open_store: OpenStore, uri: str, kind: Kind[Document]) -> Document:
    """Read what Flyte has written for the pod; an outage of the store is ridden out.

    Args:
        open_store: opens the store that has it.
        uri: where it is.
        kind: what it is.

    Raises:
        InvalidTemplate: it is damaged.
        StorageFailed: it is not there, or cannot be read.
    """
    console = Console()
    retrier = Retrier(
        RetryPolicy.from_environment(), warn=lambda text: console(f"[perian-shim] {text}")
    )
    content = PatientStore(open_store(uri), retrier).read(uri, MAX_MESSAGE_BYTES)
    if content is None:
        message = f"There is no object {uri}, which Flyte writes before it starts a task's pod."
        raise StorageFailed(message)
    try:
        return kind.parse(content)
    except (DecodeError, ValueError) as error:
        message = f"What is at {uri} is not a {kind.name}."
        raise InvalidTemplate(message, remedy=DAMAGED) from error
