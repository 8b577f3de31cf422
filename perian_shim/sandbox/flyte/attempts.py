"""One task to its end: attempts within Flyte's budgets, each in a pod, each with a time limit."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flyteidl.core import literals_pb2, tasks_pb2, workflow_pb2

from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.cluster import Attempt, Cluster, NodeError, may_retry
from perian_shim.sandbox.flyte.failures import Aborted, NodeFailed, verdict
from perian_shim.sandbox.flyte.places import Pod
from perian_shim.sandbox.flyte.reporting import Reporter, Step
from perian_shim.sandbox.flyte.scopes import Scope

NOTICED_SECONDS = 1.0
"""FlytePropeller notices that a task's time is over at its next round."""


@dataclass(frozen=True)
class TaskRun:
    """A task at a node, or at one item of a map task.

    Attributes:
        node: where it is in the workflow.
        template: of the task, as its pods get it.
        inputs: as its pods get them.
        pod: gives the paths of an attempt.
        retries: the user's.
        timeout: of each attempt, in seconds; None for none.
    """

    node: str
    template: tasks_pb2.TaskTemplate
    inputs: Literals
    pod: Callable[[int], Pod]
    retries: int
    timeout: float | None


@dataclass
class Runner:
    """Runs tasks on a cluster, so many at a time.

    Attributes:
        cluster: starts the pods.
        reporter: hears of it.
        slots: one for each pod that may run at once.
    """

    cluster: Cluster
    reporter: Reporter
    slots: threading.Semaphore
    _noted: set[str] = field(default_factory=set)

    def run(self, task: TaskRun, scope: Scope) -> Attempt:
        """Run a task to its end and return the attempt that has succeeded.

        Raises:
            NodeFailed: none has.
            Aborted: the scope was.
        """
        started = time.monotonic()
        errors: list[NodeError] = []
        if task.template.metadata.discoverable:
            self.note_once("caches are off: a cached task runs again")

        def step(outputs: Literals | None, error: NodeError | None) -> Step:
            count, seconds = number + 1, time.monotonic() - started
            return Step(task.node, task.template.id.name, count, seconds, outputs, error)

        while True:
            number = len(errors)
            attempt = self.attempt(task, number, scope)
            if attempt.outputs is not None:
                if attempt.futures is None:
                    self.reporter.ended(step(literals_of(attempt), None))
                return attempt
            if scope.aborted:
                self.reporter.ended(step(None, None))
            scope.check()
            assert attempt.error is not None
            errors.append(attempt.error)
            if not may_retry(errors, task.retries):
                error = verdict(errors, task.retries)
                self.reporter.ended(step(None, error))
                raise NodeFailed(task.node, error)
            self.reporter.retrying(task.node, number, attempt.error)

    def attempt(self, task: TaskRun, number: int, scope: Scope) -> Attempt:
        """Run one attempt to its end."""
        inputs = literals_pb2.LiteralMap(literals=task.inputs)
        with self.slots:
            scope.check()
            running = self.cluster.launch(
                task.template,
                inputs,
                task.pod(number),
                lambda line: self.reporter.line(task.node, line),
            )
            late = threading.Event()

            def end_late() -> None:
                late.set()
                running.delete(scope.grace_seconds)

            timer = threading.Timer((task.timeout or 0) + NOTICED_SECONDS, end_late)
            with scope.holding(running):
                if task.timeout:
                    timer.daemon = True
                    timer.start()
                try:
                    attempt = running.wait()
                finally:
                    timer.cancel()
        if late.is_set() and attempt.error is not None:
            message = f"task execution timeout [{task.timeout:g}s] expired"
            error = NodeError("TimeoutExpired", message, "USER", recoverable=True)
            return Attempt(number, attempt.exit_code, None, error, attempt.log)
        return attempt

    def note_once(self, text: str) -> None:
        """Tell something that is worth to be told once."""
        if text not in self._noted:
            self._noted.add(text)
            self.reporter.note(text)


def literals_of(attempt: Attempt) -> Literals:
    """Return the outputs of an attempt that has succeeded."""
    if attempt.outputs is None:
        raise Aborted("the attempt has no outputs")
    message: literals_pb2.LiteralMap = attempt.outputs.to_flyte_idl()
    return dict(message.literals)


def retries_of(node: workflow_pb2.Node, template: tasks_pb2.TaskTemplate) -> int:
    """Return a node's retries: its own where it has some, else its task's."""
    return node.metadata.retries.retries or template.metadata.retries.retries


def timeout_of(node: workflow_pb2.Node) -> float | None:
    """Return how long an attempt may take, in seconds; None for ever."""
    duration = node.metadata.timeout
    return duration.seconds + duration.nanos / 1e9 or None
