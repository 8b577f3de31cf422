"""The harness for function tasks: the job's image has the user's code, the executor's has nothing.

No pod can import the user's modules (``support.flyte`` sees to that), so that what the executor
image does not have is proven not to be needed. The job, on the other hand, gets the variables that
its image would have set.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flyteidl.core import errors_pb2
from flytekit.models.literals import Literal
from flytekit.models.task import TaskTemplate
from support.doors import BIN
from support.flyte import Harness

from perian_shim.sandbox.flyte.cluster import AnyTask, Attempt, Cluster, RunningPod
from perian_shim.sandbox.server.store import JobSnapshot

TESTS = Path(__file__).parent.parent
IMAGE_ENVIRONMENT = {
    "PATH": os.pathsep.join([str(BIN), os.defpath]),
    "PYTHONPATH": str(TESTS),
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""What an image with the user's code, flytekit and perian-shim would set."""

Secrets = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Ran:
    """One attempt that has ended.

    Attributes:
        attempt: what the cluster made of it.
        document: its ``error.pb``, None if there is none.
        output_prefix: ``{{.outputPrefix}}``.
        raw_prefix: ``{{.rawOutputDataPrefix}}``.
        jobs: the jobs of its execution, the newest first.
    """

    attempt: Attempt
    document: errors_pb2.ErrorDocument | None
    output_prefix: str
    raw_prefix: str
    jobs: list[JobSnapshot]

    @property
    def literals(self) -> dict[str, Literal]:
        """The outputs of an attempt that is expected to have succeeded."""
        assert self.attempt.outputs is not None, f"{self.attempt.error}\n{self.attempt.log}"
        return dict(self.attempt.outputs.literals)

    @property
    def error(self) -> errors_pb2.ContainerError:
        """The error of an attempt that is expected to have failed."""
        assert self.document is not None, self.attempt.log
        return self.document.error

    @property
    def job(self) -> JobSnapshot:
        """The one job."""
        (job,) = self.jobs
        return job


@dataclass
class FunctionHarness:
    """Runs function tasks.

    Attributes:
        harness: sandbox and cluster stand-in.
    """

    harness: Harness

    def of(self, secrets: Secrets, environment: Mapping[str, str]) -> Harness:
        """Return a harness with the keys of the object store among its secrets."""
        keys = self.harness.sandbox.environment()
        given = self.harness.cluster
        cluster = ImageCluster(
            bucket=given.bucket,
            environment={**given.environment, **environment},
            secrets={
                **given.secrets,
                ("perian", "aws_access_key_id"): keys["AWS_ACCESS_KEY_ID"],
                ("perian", "aws_secret_access_key"): keys["AWS_SECRET_ACCESS_KEY"],
                **secrets,
            },
            bin_dir=given.bin_dir,
        )
        return replace(self.harness, cluster=cluster)

    def start(
        self,
        task: AnyTask,
        inputs: Mapping[str, object] | None = None,
        *,
        template: TaskTemplate | None = None,
        execution: str | None = None,
        node: str = "n0",
        secrets: Secrets | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> RunningPod:
        """Start one attempt; ``environment`` is the cluster's, beside what it always has."""
        harness = self.of(secrets or {}, environment or {})
        return harness.cluster.start(
            template or harness.cluster.serialize(task),
            harness.literals(task, inputs or {}),
            execution or harness.execution(),
            node,
        )

    def run(self, task: AnyTask, inputs: Mapping[str, object] | None = None, **options: Any) -> Ran:
        """Run one attempt to its end; options as for ``start``."""
        return self.ended(self.start(task, inputs, **options))

    def ended(self, running: RunningPod) -> Ran:
        """Wait for an attempt's end."""
        attempt = running.wait()
        content = running.store.read(f"{running.pod.output_prefix}/error.pb")
        return Ran(
            attempt=attempt,
            document=None if content is None else errors_pb2.ErrorDocument.FromString(content),
            output_prefix=running.pod.output_prefix,
            raw_prefix=running.pod.raw_prefix,
            jobs=self.harness.jobs(running.pod.execution),
        )


class ImageCluster(Cluster):
    """A cluster whose tasks name an image that has the user's code."""

    def serialize(self, task: AnyTask) -> TaskTemplate:
        """Return the task's template; its job has the variables of the image."""
        return in_image(super().serialize(task))


def in_image(template: TaskTemplate) -> TaskTemplate:
    """Give a template's job the variables of the image; the task's own win."""
    environment = template.custom["environment"]
    template.custom["environment"] = {**IMAGE_ENVIRONMENT, **environment}
    return template


def requested(job: JobSnapshot) -> dict[str, Any]:
    """Return the ``docker_run_parameters`` that the API shows of a job."""
    metadata: Any = job.record.view["docker_metadata"]
    parameters: dict[str, Any] = metadata["docker_run_parameters"]
    return parameters
