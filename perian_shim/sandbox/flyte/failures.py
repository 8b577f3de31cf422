"""How a run on the cluster stand-in can end other than well."""

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.flyte.cluster import SYSTEM_RETRIES, NodeError


class NotSupported(SandboxError):
    """The workflow needs something of Flyte's that this stand-in does not have."""


class Aborted(SandboxError):
    """The run was ended before it had come to an end itself."""


class NodeFault(SandboxError):
    """What a node asks for cannot be done; FlytePropeller's own errors about nodes.

    Args:
        code: error code.
        message: what is wrong.
        kind: ``"USER"`` or ``"SYSTEM"``.
    """

    def __init__(self, code: str, message: str, kind: str = "USER") -> None:
        super().__init__(message)
        self.error = NodeError(code, message, kind, recoverable=False)


class NodeFailed(SandboxError):
    """A node failed for good.

    Args:
        node: where it is in the workflow, e.g. ``n0`` or ``n1/dn0``.
        error: why, as Flyte shows it.
    """

    def __init__(self, node: str, error: NodeError) -> None:
        super().__init__(f"{node} failed: [{error.code}] {error.message}")
        self.node = node
        self.error = error


def verdict(errors: list[NodeError], retries: int) -> NodeError:
    """Return the error that Flyte shows of a node none of whose attempts has succeeded.

    Args:
        errors: of all attempts; no further one is made.
        retries: the user's ``retries``.
    """
    last = errors[-1]
    if not last.recoverable:
        return last
    system = sum(error.kind == "SYSTEM" for error in errors)
    done, allowed = len(errors) - system, retries + 1
    if last.kind == "SYSTEM":
        done, allowed = system - 1, SYSTEM_RETRIES
    return NodeError(
        f"RetriesExhausted|{last.code}",
        f"[{done}/{allowed}] currentAttempt done. Last Error: {last.kind}::{last.message}",
        "USER",
        recoverable=False,
    )
