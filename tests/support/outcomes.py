"""Ways for a run to end badly that need the API, or something else around the pod, to play a part.

A ``Stage`` is one run of one task: a pod on a cluster stand-in, a front of its own to the
sandbox's jobs that may answer something else, and what became of both.
"""

import json
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from flyteidl.core import errors_pb2
from flytekit.models.task import TaskTemplate
from support.faults import Call, FaultyApi, Rest
from support.flyte import Harness

from perian_shim import PerianContainerTask
from perian_shim.sandbox.flyte.cluster import NodeError, RunningPod
from perian_shim.sandbox.server.application import Response
from perian_shim.sandbox.server.http import Exchange
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.settings import EXECUTION_ID

IMPATIENT = Path(__file__).parent / "impatient"

RAW_PREFIX = "{{.rawOutputDataPrefix}}"


@dataclass(frozen=True)
class Ended:
    """A run that has ended badly.

    Attributes:
        error: what Flyte made of its ``error.pb``.
        size: of ``error.pb``, in bytes; 0 if there is none.
        log: what the pod printed.
        exit_code: of the pod's process.
        jobs: the run's jobs, the newest first.
    """

    error: NodeError
    size: int
    log: str
    exit_code: int
    jobs: list[JobSnapshot]


@dataclass
class Stage:
    """One run.

    Attributes:
        harness: sandbox and cluster stand-in.
        api: what the pod takes for Perian.
        execution: the execution's name.
        environment: variables of the pod beside what it always has.
        secrets: Flyte secrets beside those of Perian.
        pod: the pod, once it has been started.
    """

    harness: Harness
    api: FaultyApi
    execution: str
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    change: Callable[[TaskTemplate], None] = lambda _: None
    pod: RunningPod | None = None
    started: threading.Event = field(default_factory=threading.Event)

    def run(self, task: PerianContainerTask) -> Ended:
        """Run one attempt, which is expected to fail, to its end."""
        cluster = replace(
            self.harness.cluster,
            environment={
                **self.harness.cluster.environment,
                **self.api.environment,
                "PERIAN_POLL_MAX_SECONDS": "0.3",
                **self.environment,
            },
            secrets={**self.harness.cluster.secrets, **self.secrets},
        )
        template = cluster.serialize(task)
        self.change(template)
        inputs = self.harness.literals(task, dict.fromkeys(task.python_interface.inputs, 1))
        self.pod = cluster.start(template, inputs, self.execution)
        self.started.set()
        attempt = self.pod.wait()
        assert attempt.error is not None, attempt.log
        report = self.harness.store.read(f"{self.pod.pod.output_prefix}/error.pb")
        if report is not None:
            told = errors_pb2.ErrorDocument.FromString(report).error
            assert (told.code, told.message) == (attempt.error.code, attempt.error.message)
        size = len(report or b"")
        return Ended(attempt.error, size, attempt.log, attempt.exit_code, self.jobs())

    def jobs(self) -> list[JobSnapshot]:
        """Return the run's jobs, the newest first."""
        store = self.harness.sandbox.store
        assert store is not None
        jobs, _total = store.page(1, sys.maxsize)
        return [job for job in jobs if self.execution == variables(job).get(EXECUTION_ID)]

    def cancel_jobs(self) -> None:
        """Cancel the run's jobs behind its back."""
        store = self.harness.sandbox.store
        assert store is not None
        for job in self.jobs():
            store.cancel(job.record.job_id)

    def terminate(self) -> None:
        """Do what deleting the pod does first."""
        assert self.started.wait(60)
        assert self.pod is not None
        self.pod.delete()

    def answer_reads(self, **fields: object) -> None:
        """Let the API tell something else of the job than what is so, once the job has a log."""

        def intercept(call: Call, _exchange: Exchange, proceed: Rest) -> Response | None:
            response = proceed()
            if call is not Call.READ or response is None:
                return response
            document = json.loads(response.body)
            if document["jobs"][0]["logs"]:
                document["jobs"][0].update(fields)
            return Response.of(response.status, document)

        self.api.intercept = intercept

    def when_logged(self, act: Callable[[], None]) -> None:
        """Do something once, when the pod has got the job's first words."""
        told, done = threading.Event(), threading.Lock()

        def intercept(call: Call, _exchange: Exchange, proceed: Rest) -> Response | None:
            # Whoever asks again has taken in the answer before.
            if call is Call.READ and told.is_set() and done.acquire(blocking=False):
                act()
            response = proceed()
            if call is Call.READ and response is not None:
                (job,) = json.loads(response.body)["jobs"]
                if job["logs"]:
                    told.set()
            return response

        self.api.intercept = intercept

    def forget_jobs(self) -> None:
        """Let the API no longer know the job once it has told of its log."""
        told = threading.Event()

        def intercept(call: Call, exchange: Exchange, proceed: Rest) -> Response | None:
            if call in {Call.READ, Call.CANCEL} and told.is_set():
                path = exchange.request.path.split("/")
                path[2] = str(uuid.uuid4())
                return self.api.application(replace(exchange.request, path="/".join(path)))
            response = proceed()
            if call is Call.READ and response is not None:
                (job,) = json.loads(response.body)["jobs"]
                if job["logs"]:
                    told.set()
            return response

        self.api.intercept = intercept


def variables(job: JobSnapshot) -> Mapping[str, str]:
    """Return a job's environment."""
    return job.record.execution.environment or {}


@contextmanager
def staged(harness: Harness, queued_seconds: float = 0.0) -> Iterator[Stage]:
    """Set up one run; afterwards none of its jobs lives on."""
    with FaultyApi(harness.sandbox, queued_seconds=queued_seconds) as api:
        stage = Stage(harness, api, harness.execution())
        try:
            yield stage
        finally:
            stage.cancel_jobs()


def impatient(**settings: str) -> dict[str, str]:
    """Return the variables of a pod that ``impatient/sitecustomize.py`` changes."""
    return {"PYTHONPATH": str(IMPATIENT), **settings}
