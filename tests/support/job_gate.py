"""Jobs that wait until the test lets them go."""

import contextlib
import socket
import threading
from collections import Counter
from types import TracebackType

from support.connections import Listener
from support.waiting import LONG_SECONDS

PATIENCE_SECONDS = 600.0
"""Bound of a job's waiting."""


class JobGate:
    """Jobs wait here until their execution is let go."""

    def __init__(self) -> None:
        self.free: set[str] = set()
        self.waiting: Counter[str] = Counter()
        self.closed = False
        self.changed = threading.Condition()
        self.listener = Listener(self.hold)

    @property
    def command(self) -> str:
        """Bash that waits at the gate."""
        say = 'echo "$FLYTE_INTERNAL_EXECUTION_ID" >&3'
        return f"exec 3<>/dev/tcp/127.0.0.1/{self.listener.port}; {say}; read -r _ <&3"

    def open(self, execution: str) -> None:
        """Let go the execution's jobs, those that wait and those that come."""
        with self.changed:
            self.free.add(execution)
            self.changed.notify_all()

    def wait_for(self, execution: str, number: int = 1) -> None:
        """Wait until so many of an execution's jobs have come here and not been let go."""
        with self.changed:
            arrived = self.changed.wait_for(lambda: self.waiting[execution] >= number, LONG_SECONDS)
        assert arrived, f"no job of {execution} came to the gate"

    def hold(self, job: socket.socket) -> None:
        """Keep one job until it may go."""
        with job.makefile("r") as lines:
            execution = lines.readline().strip()
        with self.changed:
            self.waiting[execution] += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.closed or execution in self.free, PATIENCE_SECONDS)
            self.waiting[execution] -= 1
        if not self.closed:
            with contextlib.suppress(OSError):
                job.sendall(b"go\n")

    def __enter__(self) -> "JobGate":  # noqa: PYI034 - Self needs Python 3.11
        self.listener.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        self.listener.__exit__(kind, error, traceback)
