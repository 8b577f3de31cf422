"""A stand-in for Flyte 2's backend: what it does with an action, on this machine.

It writes ``inputs.pb``, fills the templates in the container's arguments, starts the container's
command as a process with the environment that the backend would inject, and decides by the
backend's rules what became of it and what comes next. A pod's exit code, ``error.pb`` (before
``outputs.pb``) and ``outputs.pb`` tell; nothing enforces a task's time.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from flyteidl.core import literals_pb2, tasks_pb2

from perian_shim.sandbox.flyte.cluster import Attempt, Cluster, NodeError, RunningPod
from perian_shim.sandbox.flyte.failures import Aborted
from perian_shim.sandbox.flyte.places import Pod
from perian_shim.sandbox.flyte2.places import METADATA, ActionPod
from perian_shim.sandbox.flyte2.rules import Budget, Next

OF_FLYTE_1 = ("FLYTE_INTERNAL_TASK_", "FLYTE_INTERNAL_EXECUTION_WORKFLOW")
"""Variables that only Flyte 1 sets."""


@dataclass
class ActionCluster(Cluster):
    """Runs actions as Flyte 2 would.

    Attributes:
        organization: of all runs.
        running: the pods that run.
        aborted: whether the run has been ended.
        changed: guards both, and tells of their changes.
    """

    organization: str = "sandbox"
    running: list[RunningPod] = field(default_factory=list)
    aborted: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def folder(self, run: str, action: str) -> str:
        """Return the URI of an action's metadata folder."""
        return f"s3://{self.bucket}/{METADATA}/{self.project}/{self.domain}/{run}/{action}"

    def act(
        self,
        template: tasks_pb2.TaskTemplate,
        inputs: literals_pb2.LiteralMap,
        run: str,
        action: str,
        *,
        line: Callable[[str], None],
        retrying: Callable[[int, NodeError], None] = lambda _number, _error: None,
    ) -> tuple[list[Attempt], ActionPod]:
        """Run an action to its end.

        Args:
            template: of the task, with its container.
            inputs: of the action.
            run: name of the run.
            action: name of the action.
            line: called with every line that a pod prints.
            retrying: called with the number of a pod that failed and its error, if another follows.

        Returns:
            What became of its pods, of which the last one decides, and the place of that one.

        Raises:
            Aborted: the run was.
        """
        budget, ended = Budget(template.metadata.retries.retries), list[Attempt]()
        while True:
            pod = ActionPod.of(
                self.bucket,
                self.folder(run, action),
                run,
                action,
                pods=len(ended),
                attempt=budget.failures,
            )
            with self.changed:
                if self.aborted:
                    raise Aborted("the run was ended")
                started = self.launch(template, inputs, pod, line)
                self.running.append(started)
            try:
                ended.append(started.wait())
            finally:
                with self.changed:
                    self.running.remove(started)
                    self.changed.notify_all()
            if self.aborted:
                raise Aborted("the run was ended")
            error = ended[-1].error
            step, budget = budget.after(error)
            if step in {Next.SUCCEED, Next.FAIL}:
                return ended, pod
            assert error is not None
            retrying(len(ended) - 1, error)

    def abort(self) -> None:
        """Delete all pods, and start no more."""
        with self.changed:
            self.aborted = True
            for pod in self.running:
                pod.delete()
            self.changed.notify_all()

    def kill(self) -> None:
        """Kill all pods."""
        with self.changed:
            self.aborted = True
            for pod in self.running:
                pod.kill()
            self.changed.notify_all()

    def attend(self, body: "Future[int]") -> None:
        """Wait for the end of what starts actions, or for that of all pods after an abort.

        Nobody can end a user's code that waits for something else than a pod.
        """

        def tell(_body: "Future[int]") -> None:
            with self.changed:
                self.changed.notify_all()

        body.add_done_callback(tell)
        with self.changed:
            self.changed.wait_for(lambda: body.done() or (self.aborted and not self.running))

    def variables(self, template: tasks_pb2.TaskTemplate, pod: Pod, folder: Path) -> dict[str, str]:
        """Return the container's environment."""
        assert isinstance(pod, ActionPod)
        told = super().variables(template, pod, folder)
        return {
            **{name: each for name, each in told.items() if not name.startswith(OF_FLYTE_1)},
            "FLYTE_ATTEMPT_NUMBER": str(pod.flyte_attempt),
            "RUN_NAME": pod.execution,
            "ACTION_NAME": pod.node,
            "_U_ORG_NAME": self.organization,
            "_U_RUN_BASE": pod.data_prefix.rpartition("/")[0],
        }
