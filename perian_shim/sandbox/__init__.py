"""An embedded Perian-compatible server for demos and tests; it really runs jobs.

It is a server of its own right and imports nothing of what runs in production. `Sandbox` is the
whole of it: the API, an S3 (moto, from the ``sandbox`` extra, needed only when a sandbox starts)
and a state directory. It executes what it is sent; see `perian_shim.sandbox.sandbox`.
"""

from perian_shim.sandbox.errors import (
    IsolationUnavailable,
    SandboxDependencyError,
    SandboxError,
)
from perian_shim.sandbox.sandbox import Sandbox
from perian_shim.sandbox.supervisor.isolation import Isolation, IsolationChoice

__all__ = [
    "Isolation",
    "IsolationChoice",
    "IsolationUnavailable",
    "Sandbox",
    "SandboxDependencyError",
    "SandboxError",
]
