"""One run of one task, from its template to its outputs: the straight line of the product.

template -> ``JobSpec`` -> staging (+ inputs, storage access) -> request (+ secrets) -> job,
followed to its end -> outputs. Every failure is a ``PerianError``; the job is cancelled when the
run fails on our side while it is still going.
"""

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal, LiteralMap
from flytekit.models.task import TaskTemplate
from flytekit.utils.asyn import loop_manager

from perian_shim import environment
from perian_shim.api import Job, PerianClient, PerianError
from perian_shim.api.wording import Redactor
from perian_shim.errors import (
    InvalidCommand,
    JobCancelled,
    JobFailed,
    JobTimedOut,
    PlatformFailed,
    ResultMissing,
    TaskError,
)
from perian_shim.identity import work_key
from perian_shim.lifecycle import Emit, Lifecycle, ResourceMeta, Watcher
from perian_shim.outputs import Harvest
from perian_shim.place import Place
from perian_shim.polling import PollPolicy
from perian_shim.request import Labels, build_request
from perian_shim.secrets import ORGANIZATION_KEY, TOKEN_KEY, require_secret
from perian_shim.spec import ForwardedSecret, JobSpec
from perian_shim.staging import Stager, Staging
from perian_shim.status import Phase
from perian_shim.storage import ObjectStore, open_store
from perian_shim.template import TemplateError, render_command

LONGEST_ACCESS_SECONDS = 7 * 24 * 3600
"""How long a job may use its presigned URLs when nothing bounds it: the longest S3 allows."""

SPARE_ACCESS_SECONDS = 3600
"""Added to a bounded job's time: for starting, for pulling the image, for uploading."""


@dataclass(frozen=True)
class Run:
    """What one run works with.

    Attributes:
        template: the task's template.
        spec: its job.
        inputs: the input literals.
        place: where in Flyte it happens.
        store: the object store of the raw data prefix.
        emit: prints a line.
        upload_local: copies a local file or directory to a URI.
    """

    template: TaskTemplate
    spec: JobSpec
    inputs: Mapping[str, Literal]
    place: Place
    store: ObjectStore
    emit: Emit
    upload_local: Callable[[str, str], None]

    @property
    def timeout_seconds(self) -> int | None:
        """The task's timeout, which Perian enforces."""
        timeout = self.template.metadata.timeout
        return math.ceil(timeout.total_seconds()) if timeout else None

    @property
    def access_seconds(self) -> int:
        """How long the job needs access to the object store."""
        if self.timeout_seconds is None or self.spec.config.max_queued_seconds is None:
            return LONGEST_ACCESS_SECONDS
        bounded = self.timeout_seconds + self.spec.config.max_queued_seconds
        return min(bounded + SPARE_ACCESS_SECONDS, LONGEST_ACCESS_SECONDS)

    def stage(self) -> Staging:
        """Render the command and put together what the job is given.

        Raises:
            InvalidCommand: the command cannot be rendered with these inputs.
        """
        try:
            argv = render_command(
                self.spec.command,
                self.inputs,
                raw_output_data_prefix=self.place.raw_prefix,
                per_retry_unique_key=self.place.per_retry_unique_key,
            )
        except TemplateError as error:
            message = f"The command cannot be rendered: {error}"
            raise InvalidCommand(message) from error
        stager = Stager(
            self.spec,
            self.store,
            self.place.raw_prefix,
            self.access_seconds,
            self.upload_local if self.place.output_prefix is None else None,
        )
        return stager.stage(argv, self.inputs, list(self.template.interface.outputs))


def run_task(
    context: FlyteContext, template: TaskTemplate, inputs: LiteralMap, environ: Mapping[str, str]
) -> LiteralMap:
    """Run one task on Perian and return its outputs.

    Raises:
        PerianError: the run failed; see ``perian_shim.errors`` for what each class means.
    """
    spec = JobSpec.from_custom(template.custom)
    place = Place.from_flyte(context, environ)
    group = spec.config.secret_group
    organization = require_secret(group, ORGANIZATION_KEY)
    token = require_secret(group, TOKEN_KEY)
    secrets = {secret: require_secret(secret.group, secret.key) for secret in spec.secrets}
    redact = Redactor([token], secrets.values())
    url = environment.text(environment.API_URL, environment.DEFAULT_API_URL, environ)
    run = Run(
        template=template,
        spec=spec,
        inputs={name: fetched(context, value) for name, value in inputs.literals.items()},
        place=place,
        store=open_store(place.raw_prefix),
        emit=lambda line: print(redact(line), flush=True),
        upload_local=lambda path, uri: upload(context, path, uri),
    )
    policy = PollPolicy.from_environment()
    with PerianClient(url, organization, token) as client:
        return submit_and_wait(run, Lifecycle(client), policy, secrets, redact)


def submit_and_wait(
    run: Run,
    lifecycle: Lifecycle,
    policy: PollPolicy,
    secrets: Mapping[ForwardedSecret, str],
    redact: Redactor,
) -> LiteralMap:
    """Submit the job, follow it and return its outputs."""
    staging = run.stage()
    warn_about_expiry(run)
    key = work_key(run.place.node, run.spec, LiteralMap(dict(run.inputs)))
    labels = Labels(key, run.place.raw_prefix, run.place.handed_on)
    request = build_request(run.spec, staging, labels, secrets, run.timeout_seconds)
    # The command as declared: rendered it would put inputs into the log.
    command = shorten(" ".join(shlex.join(run.spec.command).split()))
    run.emit(f"[perian-shim] image {run.spec.image}, command: {command}")
    meta = lifecycle.create(request, key, run.place.raw_prefix)
    watcher = Watcher(lifecycle, policy, run.emit, run.spec.config.max_queued_seconds)
    try:
        job = watcher.follow(meta)
    except BaseException:
        cancel_quietly(lifecycle, meta, run.emit)
        raise
    try:
        return harvest(run, staging, meta, job)
    except TaskError as error:
        error.log_tail = redact("\n".join(watcher.tail.last))
        raise


def harvest(run: Run, staging: Staging, meta: ResourceMeta, job: Job) -> LiteralMap:
    """Return the outputs of a job that has ended, or raise what it ended with."""
    place = Harvest(run.store, meta.output, run.spec.output_data_dir, meta.job_id)
    phase = Lifecycle.status(job)
    reason = f": {job.errors}" if job.errors else "."
    match phase:
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
    result = place.result() if staging.wrapped else None
    if result is not None:
        place.check(result)
    if phase is Phase.FAILED:
        raise JobFailed(f"Job {meta.job_id} failed{reason}", job_id=meta.job_id)
    if not staging.wrapped:
        return LiteralMap({})
    if result is None:
        message = f"Job {meta.job_id} is Done, but left no result below {meta.output}."
        raise ResultMissing(message, job_id=meta.job_id)
    return place.collect(result, run.template.interface.outputs)


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


def upload(context: FlyteContext, path: str, uri: str) -> None:
    """Copy a local file or directory to the object store."""
    context.file_access.put_data(path, uri, is_multipart=Path(path).is_dir())


def fetched(context: FlyteContext, literal: Literal) -> Literal:
    """Return a literal with its value, also when Flyte keeps that in an object of its own."""
    if not literal.offloaded_metadata:
        return literal
    whole: Literal = loop_manager.synced(TypeEngine.unwrap_offloaded_literal)(context, literal)
    return whole


def shorten(text: str, limit: int = 160) -> str:
    """Cut a long text."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
