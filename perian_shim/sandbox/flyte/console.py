"""What a run prints: the pods' lines as they come, and what became of each node."""

import sys
import threading
from collections.abc import Callable, Iterable
from typing import TextIO

from flyteidl.core.literals_pb2 import Literal

from perian_shim.sandbox.flyte.cluster import NodeError
from perian_shim.sandbox.flyte.reporting import Step
from perian_shim.values.literals import literal_to_text

SHORTEST_SECRET = 4
"""Characters: what is shorter would hide half the text and nothing of worth."""

HIDDEN = "[hidden]"

LONGEST_VALUE = 300
"""Characters of a node's output that are shown."""


class Console:
    """Prints what happens; called from several threads.

    Args:
        secrets: gives the values that must not be shown.
        out: where to print.
    """

    def __init__(
        self, secrets: Callable[[], Iterable[str]] = lambda: (), out: TextIO | None = None
    ) -> None:
        self._secrets = secrets
        self._out = out
        self._lock = threading.Lock()

    def print(self, text: str) -> None:
        """Print whole lines, without anything secret."""
        shown = hidden(text, self._secrets())
        with self._lock:
            print(shown, file=self._out or sys.stdout, flush=True)

    def line(self, node: str, text: str) -> None:
        """Print a line of a pod, unless it is empty."""
        if text.strip():
            self.print(f"    {node} | {text}")

    def note(self, text: str) -> None:
        """Print something that concerns the whole run."""
        self.print(f"  {text}")

    def retrying(self, node: str, attempt: int, error: NodeError) -> None:
        """Print that an attempt has failed."""
        self.print(f"  {node} attempt {attempt} failed, another one follows{indented(error)}")

    def ended(self, step: Step) -> None:
        """Print what became of a node."""
        outcome = "succeeded" if step.outputs is not None else "failed"
        if step.outputs is None and step.error is None:
            outcome = "ended before it was done"
        tries = f", {step.attempts} attempts" if step.attempts > 1 else ""
        text = f"  {step.node} {step.name}: {outcome} in {step.seconds:.1f} s{tries}"
        if step.error is not None:
            text += indented(step.error)
        for name, literal in sorted((step.outputs or {}).items()):
            value = plain(literal)
            more = " …" if len(value) > LONGEST_VALUE else ""
            text += f"\n      {name} = {value[:LONGEST_VALUE]}{more}"
        self.print(text)


def indented(error: NodeError) -> str:
    """Return an error as Flyte shows it, below the line that it belongs to."""
    code = f"{error.code}: " if error.code else ""
    text = f"[{error.kind}] {code}{error.message}"
    return "".join(f"\n      {line}" for line in text.rstrip().splitlines())


def plain(literal: Literal) -> str:
    """Return a value as text; a file is its URI."""
    try:
        return literal_to_text(literal) or "None"
    except ValueError as error:
        return f"({error})"


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return a text without secrets, nor the single lines of one."""
    for secret in secrets:
        for part in (secret, *secret.splitlines()):
            if len(part.strip()) >= SHORTEST_SECRET:
                text = text.replace(part.strip(), HIDDEN)
    return text
