"""What one run works with, and what it asks of a kind of job.

A ``Run`` is everything known about one attempt before a job exists. A ``JobKind`` turns it into
what the job is given, and turns what the job left into outputs; there is one for each kind of task.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from flytekit.models.literals import Literal, LiteralMap
from flytekit.models.task import TaskTemplate

from perian_shim.api import Job
from perian_shim.lifecycle.jobs import ResourceMeta
from perian_shim.spec import JobSpec
from perian_shim.storage import ObjectStore
from perian_shim.work.place import Place
from perian_shim.work.staging import Staging

LONGEST_ACCESS_SECONDS = 7 * 24 * 3600
"""How long a job may use its presigned URLs when nothing bounds it: the longest S3 allows."""

SPARE_ACCESS_SECONDS = 3600
"""Added to a bounded job's time: for starting, for pulling the image, for uploading."""


@dataclass(frozen=True)
class Run:
    """One attempt, before a job exists.

    Attributes:
        template: the task's template.
        spec: its job.
        inputs: the input literals.
        place: where in Flyte it happens.
        store: the object store of the raw data prefix.
    """

    template: TaskTemplate
    spec: JobSpec
    inputs: Mapping[str, Literal]
    place: Place
    store: ObjectStore

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


class JobKind(Protocol):
    """What differs between kinds of tasks."""

    def stage(self, output: str) -> Staging:
        """Put together what the job is given.

        Args:
            output: URI of the prefix below which the job is to leave what it produces.

        Raises:
            TaskError: it cannot be put together.
        """
        ...

    def harvest(self, meta: ResourceMeta, job: Job) -> LiteralMap:
        """Return the outputs of a job whose container has ended, well or badly.

        Raises:
            TaskError: what it ended with.
        """
        ...
