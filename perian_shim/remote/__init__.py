"""Jobs, prices and costs at Perian, for scripts and notebooks."""

from perian_shim.api.phases import Phase
from perian_shim.owners import JobOrigin
from perian_shim.remote.connection import init
from perian_shim.remote.jobs import Job

__all__ = ["Job", "JobOrigin", "Phase", "init"]
