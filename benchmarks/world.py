"""What all contenders share: one sandbox, one S3 behind a recording front."""

import contextlib
import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flyteidl.core.tasks_pb2 import TaskTemplate

from benchmarks.fronts import ApiFront, StorageFront
from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.flyte.cluster import Cluster
from perian_shim.sandbox.flyte.places import Pod

IMAGE = "python:3"
"""Known to every sandbox; has sh, sleep and python3."""

ANSWER_FILE = "/var/outputs/word"


class TimedCluster(Cluster):
    """A cluster stand-in that knows when it started its last container (seconds, epoch)."""

    started: float = 0.0

    def variables(self, template: TaskTemplate, pod: Pod, folder: Path) -> dict[str, str]:
        """Return the container's environment; it is the last thing asked for before the start."""
        variables = super().variables(template, pod, folder)
        self.started = time.time()
        return variables


@dataclass
class World:
    """The shared surroundings.

    Attributes:
        sandbox: Perian and S3.
        storage: the front that pods use.
    """

    sandbox: Sandbox
    storage: StorageFront

    def api(self) -> ApiFront:
        """Return a further, recorded address of the API."""
        assert self.sandbox.server is not None
        return ApiFront(self.sandbox.server.application)

    def credentials(self) -> dict[str, str]:
        """Return the variables that hold Perian's credentials."""
        variables = self.sandbox.environment()
        return {name: variables[name] for name in ("PERIAN_ORGANIZATION", "PERIAN_TOKEN")}

    def cluster(self, api: ApiFront, bin_dir: Path) -> TimedCluster:
        """Return a cluster whose pods run from an environment."""
        variables = self.sandbox.environment()
        storage = {name: value for name, value in variables.items() if "AWS" in name}
        credentials = self.credentials()
        return TimedCluster(
            bucket=self.sandbox.bucket,
            environment={
                **storage,
                "FLYTE_AWS_ENDPOINT": self.storage.url,
                "AWS_ENDPOINT_URL_S3": self.storage.url,
                "PERIAN_API_URL": api.url,
                **credentials,
            },
            secrets={("perian", name.lower()): value for name, value in credentials.items()},
            bin_dir=bin_dir,
        )

    def job_end(self, job_id: str) -> float:
        """Return when a job ended, in seconds since the epoch.

        Raises:
            RuntimeError: it has not ended well.
        """
        assert self.sandbox.store is not None
        snapshot = self.sandbox.store.get(job_id)
        if snapshot is None or snapshot.state.status != "Done" or snapshot.state.done_at is None:
            raise RuntimeError(f"job {job_id}: {snapshot.state if snapshot else 'not known'}")
        return datetime.datetime.fromisoformat(snapshot.state.done_at).timestamp()


@contextlib.contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Start what the contenders share; its state is kept in ``folder``."""
    with Sandbox(folder / "sandbox") as sandbox, StorageFront(sandbox.s3_endpoint) as storage:
        yield World(sandbox, storage)
