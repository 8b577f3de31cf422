"""A sandbox's API without its storage, driven by the official client."""

import base64
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from perian.api.accelerator_type_api import AcceleratorTypeApi
from perian.api.billing_api import BillingApi
from perian.api.instance_type_api import InstanceTypeApi
from perian.api.job_api import JobApi
from perian.api.organization_api import OrganizationApi
from perian.api_client import ApiClient
from perian.configuration import Configuration
from perian.models.container_file import ContainerFile
from perian.models.create_job_request import CreateJobRequest
from perian.models.docker_run_parameters import DockerRunParameters
from perian.models.instance_type_query_input import InstanceTypeQueryInput
from perian.models.job_view import JobView
from perian.models.workload_status import WorkloadStatus
from support.waiting import wait_until

from perian_shim.sandbox.server.account import START_CREDITS, Account, utc_now
from perian_shim.sandbox.server.application import Application, Credentials
from perian_shim.sandbox.server.http import ApiServer
from perian_shim.sandbox.server.images import ImageCatalogue
from perian_shim.sandbox.server.job_request import JobPolicy
from perian_shim.sandbox.server.store import JobStore
from perian_shim.sandbox.supervisor.isolation import Isolation, choose_isolation, try_overlay

ORGANIZATION = "acme"
TOKEN = "sandbox-test-token"
PATIENCE_SECONDS = 60.0

FINAL = {
    WorkloadStatus.DONE,
    WorkloadStatus.USERERROR,
    WorkloadStatus.SERVERERROR,
    WorkloadStatus.TIMEOUT,
    WorkloadStatus.CANCELLED,
}


@functools.cache
def why_no_overlay() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        return try_overlay(Path(folder)).obstacle


def require(isolation: Isolation) -> None:
    """Skip the calling test where the machine does not allow the isolation."""
    if isolation is Isolation.OVERLAY and (obstacle := why_no_overlay()) is not None:
        pytest.skip(f"no overlay isolation here: {obstacle}")


def official_client(url: str, organization: str = ORGANIZATION, token: str = TOKEN) -> ApiClient:
    client = ApiClient(Configuration(host=url))
    client.default_headers["X-PERIAN-AUTH-ORG"] = organization
    client.default_headers["Authorization"] = f"Bearer {token}"
    return client


@dataclass
class Api:
    """A running API server and the official client's view of it."""

    server: ApiServer
    store: JobStore
    client: ApiClient

    @property
    def jobs(self) -> JobApi:
        return JobApi(self.client)

    @property
    def instance_types(self) -> InstanceTypeApi:
        return InstanceTypeApi(self.client)

    @property
    def accelerator_types(self) -> AcceleratorTypeApi:
        return AcceleratorTypeApi(self.client)

    @property
    def billing(self) -> BillingApi:
        return BillingApi(self.client)

    @property
    def organization(self) -> OrganizationApi:
        return OrganizationApi(self.client)

    def submit(
        self,
        command: str | None,
        *,
        instance_type: str | None = None,
        image: str = "debian",
        tag: str | None = None,
        environment: Mapping[str, object] | None = None,
        secrets: Mapping[str, object] | None = None,
        files: Mapping[str, bytes] | None = None,
        timeout_seconds: int | None = None,
    ) -> str:
        request = CreateJobRequest(
            requirements=InstanceTypeQueryInput(),
            instance_type_id=instance_type,
            timeout_seconds=timeout_seconds,
            docker_run_parameters=DockerRunParameters(
                image_name=image,
                image_tag=tag,
                command=command,
                env_variables=dict(environment or {}),
                secrets=dict(secrets or {}),
                container_files=[
                    ContainerFile(path=path, base64_content=base64.b64encode(content).decode())
                    for path, content in (files or {}).items()
                ],
            ),
        )
        return self.jobs.create_job(request).id

    def view(self, job_id: str) -> JobView:
        found = self.jobs.get_job_by_id(job_id).jobs
        assert found is not None
        assert len(found) == 1
        return found[0]

    def finished(self, job_id: str) -> JobView:
        wait_until(
            lambda: self.view(job_id).status in FINAL,
            PATIENCE_SECONDS,
            lambda: f"the job ends: {self.view(job_id)}",
        )
        return self.view(job_id)

    def running(self, job_id: str, output: str = "") -> JobView:
        """Wait until the job runs and has printed a text."""
        wait_until(
            lambda: (
                self.view(job_id).status == WorkloadStatus.RUNNING
                and output in (self.view(job_id).logs or "")
            ),
            PATIENCE_SECONDS,
            lambda: f"the job runs and prints {output!r}: {self.view(job_id)}",
        )
        return self.view(job_id)

    def run(self, command: str | None, **options: object) -> JobView:
        """Submit a job with the options of `submit` and wait for its end."""
        return self.finished(self.submit(command, **options))  # type: ignore[arg-type] # passed on


@contextmanager
def running_api(
    directory: Path,
    *,
    isolation: Isolation | None = None,
    queued_seconds: float = 0.0,
    initializing_seconds: float = 0.0,
    grace_seconds: float = 0.5,
    images: Mapping[str, Path] | None = None,
    host_images: tuple[str, ...] = (),
    start_credits: Decimal = START_CREDITS,
    clock: Callable[[], datetime] = utc_now,
) -> Iterator[Api]:
    """Serve the API on a state directory; at the end nothing of it is left running."""
    directory.mkdir(parents=True, exist_ok=True)
    if isolation is not None:
        require(isolation)
    policy = JobPolicy(
        isolation=choose_isolation(directory, isolation),
        images=ImageCatalogue(images, host_images),
        queued_seconds=queued_seconds,
        initializing_seconds=initializing_seconds,
        grace_seconds=grace_seconds,
    )
    store = JobStore(directory / "jobs")
    account = Account(store, ORGANIZATION, start_credits, clock)
    server = ApiServer(Application(store, policy, Credentials(ORGANIZATION, TOKEN), account))
    server.start()
    client = official_client(server.url)
    try:
        yield Api(server, store, client)
    finally:
        client.rest_client.pool_manager.clear()
        server.stop()
        store.cancel_all(PATIENCE_SECONDS)
