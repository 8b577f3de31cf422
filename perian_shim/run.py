"""One run of one task, from its template to its outputs: the straight line of the product.

template -> ``JobSpec`` -> staging (+ inputs, storage access) -> request (+ secrets) -> job,
followed to its end -> outputs. Every failure is a ``PerianError``; the job is cancelled when the
run fails on our side while it is still going.
"""

from collections.abc import Mapping

from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal, LiteralMap
from flytekit.models.task import TaskTemplate
from flytekit.utils.asyn import loop_manager

from perian_shim import environment
from perian_shim.api import Job, PerianClient, PerianError
from perian_shim.api.wording import Redactor
from perian_shim.container_job import ContainerJob
from perian_shim.context import JobKind, Run
from perian_shim.errors import (
    DefinitionError,
    JobCancelled,
    JobTimedOut,
    PlatformFailed,
    TaskError,
)
from perian_shim.function_job import FunctionJob
from perian_shim.identity import work_key
from perian_shim.launch import LaunchOptions, map_item
from perian_shim.lifecycle import Emit, Lifecycle, ResourceMeta, Watcher
from perian_shim.local import with_remote_blobs
from perian_shim.place import Place
from perian_shim.polling import PollPolicy
from perian_shim.request import Labels, Private, build_request
from perian_shim.secrets import (
    ORGANIZATION_KEY,
    TOKEN_KEY,
    read_secret,
    registry_credentials,
    require_secret,
)
from perian_shim.spec import ContainerWork, JobSpec
from perian_shim.staging import Staging
from perian_shim.status import Phase
from perian_shim.storage import open_store
from perian_shim.storage_access import StorageAccess, storage_access


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
    refuse_inside_a_job(environ)
    spec = JobSpec.from_custom(template.custom)
    place = Place.from_flyte(context, environ)
    group = spec.config.secret_group
    organization = require_secret(group, ORGANIZATION_KEY)
    token = require_secret(group, TOKEN_KEY)
    private = Private(
        {secret: require_secret(secret.group, secret.key) for secret in spec.secrets},
        registry_credentials(group),
    )
    access = StorageAccess()
    if not isinstance(spec.work, ContainerWork):
        access = storage_access(lambda key: read_secret(group, key), group, environ)
    redact = Redactor([token], [*private.confidential(), *access.confidential()])
    literals = {name: fetched(context, value) for name, value in inputs.literals.items()}
    if options.bound is not None:
        literals = map_item(literals, options.bound, environ)
    if place.output_prefix is None:
        literals = with_remote_blobs(context, literals, place.raw_prefix)
    run = Run(
        template=template,
        spec=spec,
        inputs=literals,
        place=place,
        store=open_store(place.raw_prefix, context),
        emit=lambda line: print(redact(line), flush=True),
    )
    kind: JobKind
    if isinstance(spec.work, ContainerWork):
        kind = ContainerJob(run, spec.work)
    else:
        kind = FunctionJob(run, spec.work, access, options.distribution)
    url = environment.text(environment.API_URL, environment.DEFAULT_API_URL, environ)
    policy = PollPolicy.from_environment()
    with PerianClient(url, organization, token) as client:
        return submit_and_wait(run, kind, Lifecycle(client), policy, private, redact)


def submit_and_wait(
    run: Run,
    kind: JobKind,
    lifecycle: Lifecycle,
    policy: PollPolicy,
    private: Private,
    redact: Redactor,
) -> LiteralMap:
    """Submit the job, follow it and return its outputs."""
    staging = kind.stage()
    warn_about_expiry(run)
    key = work_key(run.place.node, run.spec, LiteralMap(dict(run.inputs)))
    labels = Labels(key, run.place.raw_prefix, run.place.handed_on)
    request = build_request(run.spec, staging, labels, private, run.timeout_seconds)
    run.emit(f"[perian-shim] submitting {run.template.id.name}, image {run.spec.image}")
    meta = lifecycle.create(request, key, run.place.raw_prefix)
    watcher = Watcher(lifecycle, policy, run.emit, run.spec.config.max_queued_seconds)
    try:
        job = watcher.follow(meta)
    except BaseException:
        cancel_quietly(lifecycle, meta, run.emit)
        raise
    try:
        return finish(run, kind, staging, meta, job)
    except TaskError as error:
        error.log_tail = redact("\n".join(watcher.tail.last))
        raise


def finish(run: Run, kind: JobKind, staging: Staging, meta: ResourceMeta, job: Job) -> LiteralMap:
    """Return the outputs of a job that has ended, or raise what it ended with."""
    reason = f": {job.errors}" if job.errors else "."
    match Lifecycle.status(job):
        case Phase.PLATFORM_FAILED:
            message = f"Perian could not run job {meta.job_id}{reason}"
            raise PlatformFailed(message, job_id=meta.job_id)
        case Phase.TIMED_OUT:
            limit = job.timeout_seconds or run.timeout_seconds
            message = f"Job {meta.job_id} ran into its limit of {limit} s and was stopped{reason}"
            raise JobTimedOut(message, job_id=meta.job_id)
        case Phase.CANCELLED:
            message = f"Job {meta.job_id} was cancelled, and not by this run{reason}"
            raise JobCancelled(message, job_id=meta.job_id)
    return kind.harvest(staging, meta, job)


def refuse_inside_a_job(environ: Mapping[str, str]) -> None:
    """Refuse to submit from within a job: that would go on for ever, and cost money.

    Raises:
        DefinitionError: this process runs in a job of ours.
    """
    if environ.get(environment.JOB_KEY):
        message = "A Perian job tried to submit another Perian job."
        remedy = "Call the function itself within a task, and tasks only within a workflow."
        raise DefinitionError(message, remedy=remedy)


def cancel_quietly(lifecycle: Lifecycle, meta: ResourceMeta, emit: Emit) -> None:
    """Cancel a job that nobody waits for any more; say so when that fails."""
    try:
        lifecycle.delete(meta)
    except PerianError as error:
        emit(f"[perian-shim] job {meta.job_id} could not be cancelled: {error}")
    else:
        emit(f"[perian-shim] job {meta.job_id}: cancelled, since nobody waits for it any more")


def warn_about_expiry(run: Run) -> None:
    """Say when the job's access ends before the job has to."""
    lifetime = run.store.access_expires_in()
    if lifetime is not None and lifetime < run.access_seconds:
        run.emit(
            f"[perian-shim] the credentials behind the job's access to {run.place.raw_prefix}"
            f" expire in {lifetime / 60:.0f} min: it must have left its outputs by then"
        )


def fetched(context: FlyteContext, literal: Literal) -> Literal:
    """Return a literal with its value, also when Flyte keeps that in an object of its own."""
    if not literal.offloaded_metadata:
        return literal
    whole: Literal = loop_manager.synced(TypeEngine.unwrap_offloaded_literal)(context, literal)
    return whole
