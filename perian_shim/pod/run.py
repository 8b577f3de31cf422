"""One run of one task, from its template to its outputs: the straight line of the product.

template -> ``JobSpec`` -> (+ inputs, secrets, storage access) -> ``Attempt``: staging, request,
job, followed to its end -> outputs. Here everything is put together; every failure is a
``PerianError``, with all secrets taken out of its text.
"""

import gc
from collections.abc import Callable, Mapping

from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal, LiteralMap
from flytekit.models.task import TaskTemplate
from flytekit.utils.asyn import loop_manager

from perian_shim import settings
from perian_shim.api import PerianClient, PerianError
from perian_shim.api.server_text import Redactor
from perian_shim.errors import DefinitionError, InternalError, TaskError, Terminating
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.console import Console, confidential_forms
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.previous_attempt import cancel_earlier, is_final
from perian_shim.lifecycle.retrying import RetryingClient, RetryPolicy
from perian_shim.lifecycle.signals import TERMINATION, Terminated
from perian_shim.pod.credentials import (
    ORGANIZATION_KEY,
    TOKEN_KEY,
    read_secret,
    registry_credentials,
    require_secret,
)
from perian_shim.pod.inputs import with_remote_blobs
from perian_shim.resolver_options import LaunchOptions, map_item
from perian_shim.spec import ContainerWork, JobSpec
from perian_shim.storage import open_store
from perian_shim.work.container_job import ContainerJob
from perian_shim.work.function_job import FunctionJob
from perian_shim.work.job_credentials import StorageAccess, storage_access
from perian_shim.work.place import Place
from perian_shim.work.request import Private
from perian_shim.work.task_run import JobKind, Run

HURRIED = RetryPolicy(attempts=1)
"""For cleaning up after a signal, when seconds count: what is worth repeating is, until a deadline
between two calls. So the last one may begin just before it, and must not take long.
"""

HURRIED_TIMEOUT = 4.0


def run_task(
    context: FlyteContext,
    template: TaskTemplate,
    inputs: LiteralMap,
    environ: Mapping[str, str],
    options: LaunchOptions,
) -> LiteralMap:
    """Run one task on Perian and return its outputs.

    Args:
        context: flytekit's context.
        template: the task's template.
        inputs: the input literals.
        environ: the resolver container's environment.
        options: what the container's arguments say.

    Raises:
        PerianError: the run failed; see ``perian_shim.errors`` for what each class means.
    """
    console = Console()
    try:
        with TERMINATION.handled(at_once=False):
            try:
                attempt = prepare(context, template, inputs, environ, options, console)
            except PerianError as error:
                if is_final(error):
                    release_earlier(context, template, environ, console)
                raise
            return attempt.outputs()
    except Terminated as signal:
        raise Terminating(f"The run was {signal}, before any job was submitted.") from None
    except PerianError as error:
        raise redacted(error, console.redact) from None
    except Exception as error:  # noqa: BLE001 - a bug of ours must not become a retry that pays twice
        raise redacted(InternalError.of(error), console.redact) from None


def prepare(
    context: FlyteContext,
    template: TaskTemplate,
    inputs: LiteralMap,
    environ: Mapping[str, str],
    options: LaunchOptions,
    console: Console,
) -> Attempt:
    """Put together what an attempt needs; the console learns what it must not print."""
    refuse_inside_a_job(environ)
    spec = JobSpec.from_custom(template.custom)
    place = Place.from_flyte(context, environ)
    group = spec.config.secret_group
    require_secret(group, ORGANIZATION_KEY)
    token = require_secret(group, TOKEN_KEY)
    private = Private(
        {secret: require_secret(secret.group, secret.key) for secret in spec.secrets},
        registry_credentials(group),
    )
    access = StorageAccess()
    if not isinstance(spec.work, ContainerWork):
        access = storage_access(lambda key: read_secret(group, key), group, environ)
    hidden = confidential_forms([*private.confidential(), *access.confidential()])
    console.redact = Redactor([token], hidden)
    literals = {name: fetched(context, value) for name, value in inputs.literals.items()}
    if options.bound is not None:
        literals = map_item(literals, options.bound, environ)
    store = open_store(place.raw_prefix, context)
    if place.output_prefix is None:
        literals = with_remote_blobs(context, literals, place.raw_prefix)
    run = Run(template, spec, literals, place, store)
    kind: JobKind
    if isinstance(spec.work, ContainerWork):
        kind = ContainerJob(run, spec.work)
    else:
        kind = FunctionJob(run, spec.work, access, options.distribution)
    connect = connector(group, environ)
    if place.output_prefix is not None:
        # The pod ends with this run: what is loaded by now need never be looked through.
        gc.freeze()
        gc.enable()
    return Attempt(
        run=run,
        kind=kind,
        client=RetryingClient(connect, sleep=TERMINATION.sleep),
        hurried=RetryingClient(lambda: connect(HURRIED_TIMEOUT, HURRIED_TIMEOUT), HURRIED),
        policy=PollPolicy.from_environment(),
        private=private,
        console=console,
        sleep=TERMINATION.sleep,
        ready=TERMINATION.release,
    )


def release_earlier(
    context: FlyteContext, template: TaskTemplate, environ: Mapping[str, str], console: Console
) -> None:
    """Cancel what the attempt before may have left running; never fails."""
    place = Place.from_flyte(context, environ)

    def connect() -> RetryingClient:
        group = JobSpec.from_custom(template.custom).config.secret_group
        return RetryingClient(connector(group, environ), RetryPolicy())

    cancel_earlier(
        place.previous_prefix,
        lambda prefix: open_store(prefix, context),
        connect,
        lambda text: console(f"[perian-shim] {text}"),
    )


def connector(group: str, environ: Mapping[str, str]) -> Callable[..., PerianClient]:
    """Return what makes a client of the API, with the credentials as they are when it is called.

    Args:
        group: the secret group that holds them.
        environ: the resolver container's environment.
    """
    url = settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ)
    patience = settings.seconds(settings.READ_TIMEOUT_SECONDS, 30.0, environ)

    def connect(connect_timeout: float = 10.0, read_timeout: float = patience) -> PerianClient:
        return PerianClient(
            url,
            require_secret(group, ORGANIZATION_KEY),
            require_secret(group, TOKEN_KEY),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
        )

    return connect


def redacted(error: PerianError, redact: Redactor) -> PerianError:
    """Take secrets out of an error's text; a function's own error document is left alone."""
    error.message = redact(error.message)
    error.args = (error.message,)
    if isinstance(error, TaskError):
        error.log_tail = redact(error.log_tail)
    return error


def refuse_inside_a_job(environ: Mapping[str, str]) -> None:
    """Refuse to submit from within a job: that would go on for ever, and cost money.

    Raises:
        DefinitionError: this process runs in a job of ours.
    """
    if environ.get(settings.JOB_KEY):
        message = "A Perian job tried to submit another Perian job."
        remedy = "Call the function itself within a task, and tasks only within a workflow."
        raise DefinitionError(message, remedy=remedy)


def fetched(context: FlyteContext, literal: Literal) -> Literal:
    """Return a literal with its value, also when Flyte keeps that in an object of its own."""
    if not literal.offloaded_metadata:
        return literal
    whole: Literal = loop_manager.synced(TypeEngine.unwrap_offloaded_literal)(context, literal)
    return whole
