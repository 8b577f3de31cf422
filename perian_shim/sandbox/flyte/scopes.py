"""What is ended together: the pods of a workflow, and of the workflows within it."""

import contextlib
import threading
from collections.abc import Iterator

from perian_shim.sandbox.flyte.cluster import RunningPod
from perian_shim.sandbox.flyte.failures import Aborted


class Scope:
    """A run, or a part of one, that can be aborted at any moment from any thread.

    Args:
        grace_seconds: what a pod has between SIGTERM and SIGKILL.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.grace_seconds = grace_seconds
        self.aborted = False
        self._lock = threading.RLock()
        self._pods: list[RunningPod] = []
        self._inner: list[Scope] = []

    def inner(self) -> "Scope":
        """Return a scope that ends with this one, and can end before it."""
        scope = Scope(self.grace_seconds)
        with self._lock:
            self._inner.append(scope)
            scope.aborted = self.aborted
        return scope

    def check(self) -> None:
        """Let nothing new begin once it has been aborted.

        Raises:
            Aborted: it has been.
        """
        if self.aborted:
            raise Aborted("the run was ended")

    @contextlib.contextmanager
    def holding(self, pod: RunningPod) -> Iterator[None]:
        """Delete this pod too, if the scope is aborted meanwhile or was just before."""
        with self._lock:
            self._pods.append(pod)
            if self.aborted:
                pod.delete(self.grace_seconds)
        try:
            yield
        finally:
            with self._lock:
                self._pods.remove(pod)

    def abort(self) -> None:
        """Delete all pods: SIGTERM, and SIGKILL to those that stay."""
        with self._lock:
            if not self.aborted:
                self.aborted = True
                for pod in self._pods:
                    pod.delete(self.grace_seconds)
            for scope in self._inner:
                scope.abort()

    def kill(self) -> None:
        """Kill all pods at once."""
        with self._lock:
            self.aborted = True
            for pod in self._pods:
                pod.kill()
            for scope in self._inner:
                scope.kill()
