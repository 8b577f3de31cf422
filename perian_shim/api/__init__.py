"""The Perian REST API: client, records and errors. Knows nothing of Flyte.

``PerianClient`` makes one call per method; ``CreateJobRequest`` and its parts are what it sends,
``Job``, ``InstanceType``, ``AcceleratorType`` and ``Page`` what it returns; every failure is one of
the errors drawn in ``perian_shim.api.errors``. ``Pager`` is the way through a listing in pages.
"""

from perian_shim.api.catalogue import AcceleratorType, InstanceType, Price
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import (
    ApiError,
    ApiTimeout,
    ClientConfigError,
    InstanceTypeNotFound,
    InsufficientCredit,
    InvalidRequest,
    JobAlreadyDone,
    JobNotFound,
    MalformedResponse,
    PerianError,
    RateLimited,
    Redirected,
    ServerFault,
    TlsFailure,
    TransportError,
    Unauthorized,
)
from perian_shim.api.job_request import (
    ContainerFile,
    CreateJobRequest,
    DockerRun,
    RegistryCredentials,
    Requirements,
)
from perian_shim.api.jobs import Job
from perian_shim.api.pages import Page
from perian_shim.api.paging import Pager
from perian_shim.api.phases import JobStatus, Phase, phase_of

__all__ = [
    "AcceleratorType",
    "ApiError",
    "ApiTimeout",
    "ClientConfigError",
    "ContainerFile",
    "CreateJobRequest",
    "DockerRun",
    "InstanceType",
    "InstanceTypeNotFound",
    "InsufficientCredit",
    "InvalidRequest",
    "Job",
    "JobAlreadyDone",
    "JobNotFound",
    "JobStatus",
    "MalformedResponse",
    "Page",
    "Pager",
    "PerianClient",
    "PerianError",
    "Phase",
    "Price",
    "RateLimited",
    "Redirected",
    "RegistryCredentials",
    "Requirements",
    "ServerFault",
    "TlsFailure",
    "TransportError",
    "Unauthorized",
    "phase_of",
]
