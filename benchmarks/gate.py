"""Jobs that end when they are told to: so that many executors wait at the same time."""

import contextlib
import socket
import threading
import time

from benchmarks.fronts import hang_up

PATIENCE_SECONDS = 3600


class Gate:
    """Holds jobs until it is opened; leaving its context opens it too."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.changed = threading.Condition()
        self.held: list[socket.socket] = []
        self.thread = threading.Thread(target=self.accept, name="gate")

    @property
    def command(self) -> str:
        """A shell command that waits here."""
        host, port = self.listener.getsockname()[:2]
        connect = f"socket.create_connection(({host!r}, {port}), {PATIENCE_SECONDS}).recv(1)"
        return f'python3 -c "import socket; {connect}"'

    def wait_for(self, number: int, seconds: float) -> None:
        """Wait until so many jobs are held.

        Raises:
            TimeoutError: they did not come in so many seconds.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.held) >= number, seconds):
                raise TimeoutError(f"{len(self.held)} of {number} jobs came within {seconds:g} s")

    def open(self) -> float:
        """Let the jobs that are held end; return when, in seconds since the epoch."""
        with self.changed:
            opened = time.time()
            for job in self.held:
                job.close()
            self.held.clear()
        return opened

    def accept(self) -> None:
        """Accept jobs until closed."""
        while True:
            try:
                job, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.held.append(job)
                self.changed.notify_all()

    def __enter__(self) -> "Gate":  # noqa: PYI034 - Self needs Python 3.11
        self.thread.start()
        return self

    def __exit__(self, *_exit: object) -> None:
        hang_up(self.listener)
        self.thread.join()
        self.listener.close()
        with contextlib.suppress(OSError):
            self.open()
