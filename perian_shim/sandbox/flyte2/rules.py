"""What Flyte 2's backend does after a pod of an action has ended: pure."""

from dataclasses import dataclass, replace
from enum import Enum

from perian_shim.sandbox.flyte.cluster import NodeError

SYSTEM_RESTARTS = 3
"""How often a pod is started again within its attempt."""


class Next(Enum):
    """What comes next."""

    SUCCEED = "succeed"
    FAIL = "fail"
    RESTART = "restart"
    """Another pod of the same attempt, in its place."""
    RETRY = "retry"
    """Another attempt, in a place of its own."""


@dataclass(frozen=True)
class Budget:
    """What an action has left.

    Attributes:
        retries: the user's.
        failures: how many attempts have failed.
        restarts: how many pods were started again within their attempts.
    """

    retries: int
    failures: int = 0
    restarts: int = 0

    def after(self, error: NodeError | None) -> tuple[Next, "Budget"]:
        """Return what comes after a pod, and what is left then."""
        if error is None:
            return Next.SUCCEED, self
        if not error.recoverable:
            return Next.FAIL, self
        if error.kind == "SYSTEM":
            left = replace(self, restarts=self.restarts + 1)
            return (Next.RESTART if left.restarts <= SYSTEM_RESTARTS else Next.FAIL), left
        left = replace(self, failures=self.failures + 1)
        return (Next.RETRY if left.failures <= self.retries else Next.FAIL), left
