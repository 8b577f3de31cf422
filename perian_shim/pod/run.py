"""One run of one task, from its template to its outputs: the straight line of the product.

template → ``TaskRecord`` → ``TaskRun`` (with inputs, credentials and place) → ``Attempt`` → outputs
or an error. Here everything is put together. A run never raises: what it comes to is a
``Finished``, which ``report`` tells Flyte.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flyteidl.core.literals_pb2 import Literal
from flyteidl.core.tasks_pb2 import TaskTemplate

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import PerianError
from perian_shim.api.redaction import Redactor
from perian_shim.api.server_text import inert
from perian_shim.config import DETACH
from perian_shim.errors import (
    DefinitionError,
    InternalError,
    MissingSecret,
    TaskError,
    Terminating,
)
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.launch_record import LaunchRecord, LaunchRecords, Owner
from perian_shim.lifecycle.policies import Limits, PollPolicy, RetryPolicy
from perian_shim.lifecycle.rental import Rental
from perian_shim.lifecycle.retrying import PatientStore, Retrier
from perian_shim.lifecycle.shutdown import Shutdown
from perian_shim.lifecycle.signals import TERMINATION, Terminated
from perian_shim.lifecycle.strays import Strays
from perian_shim.lifecycle.terms import Terms, Work
from perian_shim.pod.credentials import Credentials, SecretReader, connector
from perian_shim.pod.inputs import fetched, map_item
from perian_shim.pod.local_files import with_remote_files
from perian_shim.pod.local_run import local_place
from perian_shim.pod.run_context import RunContext, opened_once
from perian_shim.resolver_options import LaunchOptions
from perian_shim.spec import DECK, ActionWork, ContainerWork, FunctionWork, JobSpec
from perian_shim.storage import ObjectStore, join_uri, signing_store
from perian_shim.work.container_job import ContainerJob
from perian_shim.work.entry_points import A0, EntryPoint, Pyflyte
from perian_shim.work.function_job import FunctionJob
from perian_shim.work.grants import Grants
from perian_shim.work.idempotency import NodeIdentity, work_key
from perian_shim.work.offloading import max_output_bytes
from perian_shim.work.outputs import Outputs
from perian_shim.work.request import requirements_of
from perian_shim.work.stored_inputs import StoredInputs
from perian_shim.work.task_record import TaskRecord, custom_of
from perian_shim.work.task_run import Place, TaskRun

if TYPE_CHECKING:
    from perian_shim.pod.deck import Deck
    from perian_shim.pod.ruling import Ruling

HURRIED_TIMEOUT = 4.0
"""How long one call may take when a signal leaves seconds."""

LAST_SECONDS = 5.0
"""What of the time between SIGTERM and SIGKILL is kept for reporting to Flyte."""

LOCAL_TIMEOUT_SECONDS = 12 * 3600.0


@dataclass(frozen=True)
class Finished:
    """What a run came to: outputs, or an error.

    Attributes:
        outputs: the outputs of a run that succeeded.
        error: why it failed; no secret is in its text.
        reported: to be called once Flyte, or the caller, has been told.
        deck: what shows the run in Flyte's console, if it is shown.
        order: the outputs' names in the order in which they are to be, if that counts.
    """

    outputs: Outputs | None = None
    error: PerianError | None = None
    reported: Callable[[], None] = lambda: None
    deck: "Deck | None" = None
    order: tuple[str, ...] = ()


def run_task(
    context: RunContext,
    template: TaskTemplate,
    inputs: Mapping[str, Literal],
    options: LaunchOptions,
) -> Finished:
    """Run one task on Perian.

    Args:
        context: what the door hands in.
        template: the task's template.
        inputs: the input literals.
        options: what the container's arguments say beside the template.
    """
    console = Console()
    reported: Callable[[], None] = lambda: None  # noqa: E731 - replaced once there is an attempt
    deck = deck_of(context, template, console)
    attempt: Attempt[Outputs] | None = None
    finished: Finished | None = None
    try:
        with TERMINATION.handled(at_once=False), contextlib.ExitStack() as stack:
            try:
                preparing = prepared(context, template, inputs, options, console)
                attempt = stack.enter_context(preparing)
            except PerianError as error:
                if is_final(error):
                    release_previous(context, template, console)
                raise
            reported = attempt.reported
            if deck is not None:
                deck.follow(attempt)
            order = JobSpec.from_custom(custom_of(template)).output_order
            finished = Finished(attempt.run(), reported=reported, deck=deck, order=order)
    except Terminated as signal:
        if finished is None:  # else there is nothing left to end
            message = f"The run was {signal}, before any job was submitted."
            ended = Terminating(message) if attempt is None else attempt.interrupted(signal)
            finished = Finished(error=redacted(ended, console.redact), reported=reported, deck=deck)
    except PerianError as error:
        return Finished(error=redacted(error, console.redact), reported=reported, deck=deck)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not become a retry that pays twice
        fault = redacted(InternalError.of(error), console.redact)
        return Finished(error=fault, reported=reported, deck=deck)
    return finished


def deck_of(context: RunContext, template: TaskTemplate, console: Console) -> "Deck | None":
    """Return the deck of a run whose task asks for one; never fails."""
    asked = template.custom.fields
    if context.place is None or DECK not in asked or not asked[DECK].bool_value:
        return None
    from perian_shim.pod.deck import Deck  # noqa: PLC0415 - most runs have none
    from perian_shim.pod.deck_known import Setting  # noqa: PLC0415 - as above

    declared = template.interface.outputs.variables
    return Deck(context, Setting(context.place, template.id.name, declared), console)


@contextmanager
def prepared(
    context: RunContext,
    template: TaskTemplate,
    inputs: Mapping[str, Literal],
    options: LaunchOptions,
    console: Console,
) -> Iterator[Attempt[Outputs]]:
    """Put together what an attempt needs; the console learns what it must not print."""
    environ = context.environ
    refuse_inside_a_job(environ)
    max_output_bytes(environ)  # a wrong setting is told before a job is paid for
    task = TaskRecord.from_template(template)
    secrets = SecretReader(context.secrets, environ)
    local = context.place is None
    ruling = ruling_of(environ)
    spec = ruling.spec_of(task.spec) if ruling else task.spec
    try:
        credentials = Credentials.read(spec, secrets, context.raw_prefix, local=local)
    except MissingSecret:
        if ruling and ruling.fault:  # it may name the group that has them
            raise ruling.fault from None
        raise
    console.redact = credentials.redactor()
    literals = taken(context, inputs, options)
    clock = Clock(sleep=TERMINATION.sleep)
    with contextlib.ExitStack() as stack:
        place, policy = context.place, RetryPolicy.from_environment()
        longest = ruling.policy.usual_timeout if ruling else None
        store = context.open_store(context.raw_prefix)
        if place is None:
            raw_prefix = context.raw_prefix
            if context.upload is not None:
                folder = join_uri(raw_prefix, "_perian/inputs")
                remote = with_remote_files(context.upload, literals, folder)
                literals = StoredInputs.of(remote)

            def key_of(node: NodeIdentity) -> str:
                return work_key(node, task.spec, literals)

            # Other code is other work; in a cluster it is another version of the task.
            what = f"{task.name} {options.code}".strip()
            place = stack.enter_context(local_place(raw_prefix, what, environ, key_of))
            longest = longest or local_limit(task, environ, console)
            policy = RetryPolicy.attended()
        # Each of its own: that one of them has been reached says nothing of the others.
        patient = PatientStore(store, Retrier(policy, clock))
        signed = opened_once(
            lambda uri: signing_store(context.open_store(uri), uri, environ, credentials.signing)
        )

        def signed_patiently(uri: str) -> ObjectStore:
            return PatientStore(signed(uri), Retrier(policy, clock))

        folder = join_uri(place.own_folder, "grants")
        grants = Grants(signed_patiently(folder), signed(folder), folder, clock.monotonic)
        key = work_key(place.node, task.spec, literals)
        run = TaskRun(
            task,
            literals,
            place,
            patient,
            grants,
            signed_patiently,
            signed,
            key,
            credentials.private,
            longest,
        )
        connect = connector(spec.config.secret_group, secrets)
        retrier = Retrier(policy, clock)
        attempt = composed(run, credentials, options, console, retrier, store, connect)
        yield ruling.applied(attempt, run, credentials.organization) if ruling else attempt


def ruling_of(environ: Mapping[str, str]) -> "Ruling | None":
    """Return the platform's rules, None if there are none."""
    if not settings.text(settings.POLICY, environ=environ):
        return None
    from perian_shim.pod.ruling import Ruling  # noqa: PLC0415 - only where there are rules

    return Ruling.read(environ)


def taken(
    context: RunContext, inputs: Mapping[str, Literal], options: LaunchOptions
) -> StoredInputs:
    """Return the inputs that the task is to have: whole, and this item's."""
    whole = StoredInputs.read(
        inputs, lambda name, literal: fetched(context.open_store, name, literal)
    )
    if options.bound is None:
        return whole
    return StoredInputs.of(map_item(whole, options.bound, context.environ))


def composed(
    run: TaskRun,
    credentials: Credentials,
    options: LaunchOptions,
    console: Console,
    retrier: Retrier,
    store: ObjectStore,
    connect: Callable[..., PerianClient],
) -> Attempt[Outputs]:
    """Return the attempt for a run."""
    config, environ = run.spec.config, run.place.environ
    work: Work[Outputs]
    if isinstance(run.spec.work, ContainerWork):
        work = ContainerJob(run, run.spec.work)
    else:
        entry = entry_point(run.spec.work, options, environ)
        work = FunctionJob(run, entry, credentials.access, console.ours)
    if run.place.output_prefix is not None:
        # The pod ends with this run: what is loaded by now need never be looked through.
        gc.freeze()
        gc.enable()
    grace = settings.seconds(settings.GRACE_SECONDS, 30.0, environ)
    return Attempt(
        work=work,
        records=records_of(run.place, run.key, run.store, store),
        jobs=Jobs(connect, retrier),
        hurried=Jobs(lambda: connect(HURRIED_TIMEOUT, HURRIED_TIMEOUT), Retrier(RetryPolicy())),
        policy=PollPolicy.from_environment(),
        terms=Terms(
            Limits(config.max_queued_seconds, run.timeout_seconds),
            detach=config.on_terminate == DETACH,
            grace=max(grace - LAST_SECONDS, 1.0),
            rental=Rental(requirements_of(config), config.instance_type_id),
        ),
        prefix=run.place.raw_prefix,
        console=console,
        ready=TERMINATION.release,
        logs=join_uri(run.place.own_folder, "logs"),
    )


def entry_point(
    work: FunctionWork | ActionWork, options: LaunchOptions, environ: Mapping[str, str]
) -> EntryPoint:
    """Return what runs in a function task's job."""
    if isinstance(work, FunctionWork):
        return Pyflyte(work, options.distribution)
    return A0(work, options.call, environ)


def records_of(place: Place, key: str, patient: ObjectStore, store: ObjectStore) -> LaunchRecords:
    """Return the launch records of a piece of work."""
    return LaunchRecords(
        patient,
        place.records_folder,
        Owner(place.attempt),
        LaunchRecord(key, output=place.raw_prefix),
        place.report_of,
        at_once=store,
    )


def local_limit(task: TaskRecord, environ: Mapping[str, str], console: Console) -> int | None:
    """Return the limit of a local run's job, None if the task has one of its own.

    A process on somebody's own machine can end in ways that nobody hears of. So its job ends by
    itself at some time.

    Raises:
        ConfigError: the setting is not a number of seconds.
    """
    if task.timeout_seconds:
        return None
    limit = int(settings.seconds(settings.LOCAL_TIMEOUT_SECONDS, LOCAL_TIMEOUT_SECONDS, environ))
    console(
        "[perian-shim] the task has no timeout: its job may run for"
        f" {limit / 3600:.3g} h in a local run ({settings.LOCAL_TIMEOUT_SECONDS})"
    )
    return limit


def is_final(error: PerianError) -> bool:
    """Whether Flyte will not try again after this."""
    return not (isinstance(error, TaskError) and error.outcome.recoverable)


def release_previous(context: RunContext, template: TaskTemplate, console: Console) -> None:
    """End the job that an attempt before may have left, since no further attempt will; never fails.

    A secret that has gone, an input that cannot be read: nothing will be tried again, and a job
    that goes on (a lost node, ``on_terminate="detach"``) would be nobody's.
    """

    def warn(text: str) -> None:
        console(f"[perian-shim] {text}")

    try:
        place = context.place
        if place is None:
            return
        spec, ruling = JobSpec.from_custom(custom_of(template)), ruling_of(context.environ)
        group = (ruling.spec_of(spec) if ruling else spec).config.secret_group
        store = context.open_store(place.raw_prefix)
        seconds = settings.seconds(settings.GRACE_SECONDS, 30.0, context.environ)
        records = replace(records_of(place, "", store, store), warn=warn)
        connect = connector(group, SecretReader(context.secrets, context.environ))
        jobs = Jobs(connect, Retrier(RetryPolicy.hurried(seconds), warn=warn))
        left = Shutdown(Strays(jobs, records), seconds).cancel()
        if left.phases or left.unseen:
            warn(f"nobody will wait for the job of an attempt before: {left}. {left.remedy or ''}")
    except PerianError as error:
        warn(f"the job of an attempt before may go on, and could not be looked for: {error}")


def redacted(error: PerianError, redact: Redactor) -> PerianError:
    """Take secrets out of an error's text; a function's own error document is left alone."""
    # Once more as it is shown: what colours stood within is whole only then.
    error.message = redact(inert(redact(error.message)))
    error.args = (error.message,)
    if isinstance(error, TaskError):
        error.log_tail = redact(inert(redact(error.log_tail)))
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
