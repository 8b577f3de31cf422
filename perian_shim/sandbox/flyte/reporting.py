"""What the engine tells while it runs."""

from dataclasses import dataclass
from typing import Protocol

from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.cluster import NodeError


@dataclass(frozen=True)
class Step:
    """A node that has come to its end.

    Attributes:
        node: where it is in the workflow, e.g. ``n0``, ``n1/dn0`` or ``n2[3]``.
        name: of its task, workflow or launch plan.
        attempts: how many pods were started for it; 0 for a node without pods of its own.
        seconds: how long it took.
        outputs: what it produced, None if it did not succeed.
        error: why it failed, None if it succeeded or was ended from outside.
    """

    node: str
    name: str
    attempts: int
    seconds: float
    outputs: Literals | None
    error: NodeError | None


class Reporter(Protocol):
    """Hears what happens; called from several threads."""

    def line(self, node: str, text: str) -> None:
        """Hear a line that a pod has printed."""

    def note(self, text: str) -> None:
        """Hear something that concerns the whole run."""

    def retrying(self, node: str, attempt: int, error: NodeError) -> None:
        """Hear that an attempt, counted from 0, has failed and another one follows."""

    def ended(self, step: Step) -> None:
        """Hear that a node has ended."""
