"""One run of one task, before a job exists: what it is and where in Flyte it happens.

Plain records, which a door to ``pod`` fills.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from flyteidl.core.literals_pb2 import Literal

from perian_shim import settings
from perian_shim.api.job_request import CreateJobRequest
from perian_shim.spec import JobSpec
from perian_shim.storage import ObjectStore, join_uri
from perian_shim.work.backend import FLYTE_PROPELLER, Backend
from perian_shim.work.entry_points import ERROR_NAME
from perian_shim.work.grants import AccessFor, Grants, check_life
from perian_shim.work.idempotency import NodeIdentity
from perian_shim.work.node_path import node_path, sendable
from perian_shim.work.offloading import check_sizes
from perian_shim.work.outputs import Outputs
from perian_shim.work.request import Labels, Private, build_request
from perian_shim.work.staging import Staging
from perian_shim.work.task_record import TaskRecord

StoreOf: TypeAlias = Callable[[str], ObjectStore]

SPARE_ACCESS_SECONDS = 3600
"""Added to a bounded job's time: for starting, for pulling the image, for uploading."""


@dataclass(frozen=True)
class Place:
    """One attempt's place.

    Attributes:
        node: whose piece of work it is.
        raw_prefix: ``{{.rawOutputDataPrefix}}``: a URI prefix that only this attempt and its jobs
            write to.
        output_prefix: ``{{.outputPrefix}}``, None when run without a backend.
        checkpoint: ``{{.checkpointOutputPrefix}}``, None when run without a backend.
        previous_checkpoint: the one of the attempt before, if there is one.
        environ: the resolver container's environment.
        owner: who answers for its jobs, "" if nobody is named.
        backend: the habits of what has started the pod.
    """

    node: NodeIdentity
    raw_prefix: str
    output_prefix: str | None
    checkpoint: str | None = None
    previous_checkpoint: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    owner: str = ""
    backend: Backend = FLYTE_PROPELLER

    @classmethod
    def of_attempt(
        cls,
        raw_prefix: str,
        output_prefix: str,
        checkpoint: str | None,
        previous_checkpoint: str | None,
        environ: Mapping[str, str],
        backend: Backend = FLYTE_PROPELLER,
    ) -> "Place":
        """Return the place of an attempt that the backend has started.

        Args:
            raw_prefix: as the container's arguments have it; so are the three that follow.
            output_prefix: ends in the number of the attempt.
            checkpoint: where this attempt saves checkpoints.
            previous_checkpoint: where the attempt before did.
            environ: the resolver container's environment.
            backend: the habits of what has started the pod.
        """
        node = NodeIdentity.from_output_prefix(
            environ.get(settings.EXECUTION_PROJECT, ""),
            environ.get(settings.EXECUTION_DOMAIN, ""),
            environ.get(settings.EXECUTION_ID, ""),
            output_prefix,
        )
        prefix, owner = raw_prefix.rstrip("/"), settings.text(settings.OWNER, environ=environ)
        return cls(
            node, prefix, output_prefix, checkpoint, previous_checkpoint, environ, owner, backend
        )

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 0; a run without a backend is always the first."""
        number = self.environ.get(settings.ATTEMPT_NUMBER, "")
        return int(number) if number.isdecimal() and self.output_prefix else 0

    @property
    def own_folder(self) -> str:
        """URI of the folder that is the node's and ours alone: no job may write to it."""
        return join_uri(self.node.node_prefix, "_perian")

    def report_of(self, attempt: int) -> str | None:
        """Return where an attempt tells Flyte of its failure, None without a backend."""
        if self.output_prefix is None:
            return None
        number = self.backend.first_attempt + attempt
        return join_uri(self.node.node_prefix, str(number), ERROR_NAME)

    @property
    def records_folder(self) -> str:
        """URI of the folder of this piece of work's launch records."""
        return join_uri(self.own_folder, "attempts")

    def origin(self, task: TaskRecord) -> dict[str, str]:
        """Return the variables that tell whose job this is, for whoever finds it later.

        Nothing depends on them, the key least of all: attempts and pods differ in them. Flyte's own
        are as the backend has set them, so that flytekit finds in a job what it finds in a pod.
        """
        environ, backend = self.environ, self.output_prefix is not None
        told = {
            settings.TASK_NAME: task.name,
            settings.TASK_VERSION: task.version,
            **{name: environ[name] for name in settings.HANDED_ON if name in environ},
            settings.ATTEMPT_NUMBER: str(self.attempt),
            settings.JOB_NODE: node_path(self.node, self.output_prefix or "")
            or environ.get(settings.ACTION_NAME, ""),
            settings.JOB_OWNER: self.owner,
            settings.JOB_POD: environ.get(settings.POD_NAME, "") if backend else "",
            settings.JOB_RECORDS: self.records_folder,
        }
        return {name: shown for name, value in told.items() if (shown := sendable(value))}

    @property
    def per_retry_unique_key(self) -> str:
        """``{{.perRetryUniqueKey}}``, made of the pod's name, in which the raw prefix ends."""
        name = self.raw_prefix.rstrip("/").rpartition("/")[2]
        return re.sub(r"[^a-zA-Z0-9_]+", "_", re.sub(r"^[^a-zA-Z_]+", "a", name))


@dataclass(frozen=True)
class TaskRun:
    """One attempt at a task, before a job exists.

    Attributes:
        task: the task.
        inputs: the input literals.
        place: where in Flyte it happens.
        store: the object store of the raw data prefix.
        grants: what its jobs are given to reach their data.
        store_of: returns the store that holds a URI, and whose outages are ridden out.
        at_once_of: the same for what must not be waited for.
        key: the idempotency key.
        private: what the job is given and nobody may see.
        longest: limit of the run in seconds where the task has none, None for no limit.
    """

    task: TaskRecord
    inputs: Mapping[str, Literal]
    place: Place
    store: ObjectStore
    grants: Grants
    store_of: StoreOf
    at_once_of: StoreOf
    key: str = ""
    private: Private = field(default_factory=Private, repr=False)
    longest: int | None = None

    @property
    def spec(self) -> JobSpec:
        """The task's job."""
        return self.task.spec

    @property
    def timeout_seconds(self) -> int | None:
        """How long the job may run, which Perian enforces."""
        return self.task.timeout_seconds or self.longest

    @property
    def access_seconds(self) -> int | None:
        """How long the job may need access to the object store, None if nothing bounds it."""
        if self.timeout_seconds is None or self.spec.config.max_queued_seconds is None:
            return None
        return self.timeout_seconds + self.spec.config.max_queued_seconds + SPARE_ACCESS_SECONDS

    def given_folder(self, output: str) -> str:
        """Return the URI of the folder for what is written for a job, where it cannot write."""
        digest = hashlib.sha256(output.encode()).hexdigest()[:40]
        return join_uri(self.place.own_folder, "given", digest)

    def with_grant(self, staging: Staging, output: str, access_for: AccessFor) -> Staging:
        """Return a staging whose job has access to its data, before a machine is paid for.

        Raises:
            AccessTooShort: the access would end before the job.
            StorageFailed: the store cannot sign, or has refused us.
        """
        accepted = self.spec.config.allow_short_access
        check_life(self.store.signing(), self.access_seconds, accepted=accepted)
        given = self.grants.give(output, access_for)
        shown = {} if given.seconds is None else {settings.JOB_ACCESS: f"{given.seconds:.0f}"}
        return replace(
            staging,
            variables={**staging.variables, **shown},
            secrets={**staging.secrets, settings.JOB_GRANT: given.url},
        )

    def request(self, staging: Staging, output: str) -> CreateJobRequest:
        """Return the request for a job.

        Args:
            staging: what the job is given.
            output: URI of the prefix below which it is to leave what it produces.
        """
        labels = Labels(self.key, output, self.place.origin(self.task))
        return build_request(self.spec, staging, labels, self.private, self.timeout_seconds)

    def check_sizes(self, outputs: Outputs, job_id: str) -> None:
        """Expect outputs that Flyte will take; a run without a backend has no limit.

        Raises:
            OutputTooLarge: it would not.
        """
        if self.place.output_prefix is not None:
            usual = self.place.backend.max_output_bytes
            check_sizes(outputs, self.place.environ, job_id, usual)
