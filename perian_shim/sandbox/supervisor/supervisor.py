"""One job's supervisor: ``python -m perian_shim.sandbox.supervisor.supervisor <job folder>``.

It runs the job that the folder describes and writes down what becomes of it: Queued, Initializing,
Running, then one of Done (exit code 0), UserError (another exit code, or a command or an image that
cannot be run), Timeout (``timeout_seconds`` after Running began), Cancelled, ServerError (the
sandbox failed, or the supervisor itself was told to end by a signal). The final status is written
last: by then no process of the job is left and its root is gone.

It needs the standard library only, outlives the server, and holds the folder's lock while it lives.
"""

import fcntl
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from perian_shim.sandbox.folder import JobFolder
from perian_shim.sandbox.records import Execution, JobRecord, Status
from perian_shim.sandbox.supervisor import linux
from perian_shim.sandbox.supervisor.exec import CommandError, SetupError
from perian_shim.sandbox.supervisor.runner import Runner, make_runner, reap

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CHUNK_BYTES = 1 << 16


class Events:
    """Everything that the supervisor waits for.

    Args:
        folder: where cancellation is asked for.
        sink: descriptor of the log.

    Attributes:
        cancelled: cancellation was asked for.
        stopped: number of the signal that told the supervisor to end, else None.
    """

    def __init__(self, folder: JobFolder, sink: int) -> None:
        self.sink = sink
        self.source: int | None = None
        self.stopped: int | None = None
        self.control = folder.open_control()
        self.wakeup, sender = pipe()
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in STOP_SIGNALS:
            signal.signal(number, self.stop)
        # Only now, with the FIFO open, no request can be missed between looking and waiting.
        self.cancelled = folder.cancel_requested()

    def stop(self, number: int, _frame: object) -> None:
        """Note a signal."""
        self.stopped = number

    @property
    def interrupted(self) -> bool:
        """Whether the job shall not go on."""
        return self.cancelled or self.stopped is not None

    def follow(self, source: int) -> None:
        """Copy from now on what the job prints."""
        os.set_blocking(source, False)
        self.source = source

    def wait(self, seconds: float | None) -> None:
        """Sleep until something happened, at most so many seconds."""
        sources = [self.control, self.wakeup]
        if self.source is not None:
            sources.append(self.source)
        timeout = None if seconds is None else max(0.0, seconds)
        readable, _, _ = select.select(sources, [], [], timeout)
        if self.control in readable:
            os.read(self.control, CHUNK_BYTES)
            self.cancelled = True
        if self.wakeup in readable:
            os.read(self.wakeup, CHUNK_BYTES)
        if self.source in readable:
            self.copy()

    def copy(self) -> bool:
        """Copy one piece of output; tell whether there may be more."""
        if self.source is None:
            return False
        try:
            piece = os.read(self.source, CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not piece:
            os.close(self.source)
            self.source = None
            return False
        self.write(piece)
        return True

    def write(self, piece: bytes) -> None:
        """Append to the log."""
        while piece:
            piece = piece[os.write(self.sink, piece) :]

    def drain(self) -> None:
        """Copy what is left in the pipe."""
        while self.copy():
            pass


def pipe() -> tuple[int, int]:
    """Make a pipe of which neither end blocks."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


class Supervisor:
    """Takes one job from Queued to its end.

    Args:
        folder: the job's folder; its lock is held.
        record: what was asked for.
        events: what to wait for.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        folder: JobFolder,
        record: JobRecord,
        events: Events,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.record = record
        self.events = events
        self.clock = clock
        self.state = folder.read_state()

    @property
    def execution(self) -> Execution:
        """What to run and how."""
        return self.record.execution

    def move(self, status: Status, errors: str | None = None) -> None:
        """Write down a change of status."""
        self.state = self.state.moved_to(status, errors)
        self.folder.write_state(self.state)

    def run(self) -> None:
        """Run the job to its end; whatever happens, a final status is written."""
        try:
            status, errors = self.outcome()
        except CommandError as error:
            status, errors = Status.USER_ERROR, error.message
            if error.exit_code is not None:
                errors = f"container exited with code {error.exit_code}: {error.message}"
                self.events.write(f"{error.message}\n".encode())
        except SetupError as error:
            status, errors = Status.SERVER_ERROR, f"the sandbox could not run the job: {error}"
        except Exception as error:  # noqa: BLE001 - a job without a final status is never over
            traceback.print_exc()
            status, errors = Status.SERVER_ERROR, f"the sandbox failed: {type(error).__name__}"
        self.folder.clear_workspace()
        self.move(status, errors)

    def outcome(self) -> tuple[Status, str | None]:
        """Go through the job's life and tell how it ended."""
        if self.sleep(self.execution.queued_seconds):
            return self.interruption()
        self.move(Status.INITIALIZING)
        if self.sleep(self.execution.initializing_seconds):
            return self.interruption()
        if self.execution.notice:
            self.events.write(f"{self.execution.notice}\n".encode())
        runner = make_runner(self.folder, self.record.job_id, self.execution)
        source, output = os.pipe()
        try:
            child = runner.start(output)
        finally:
            os.close(output)
            self.events.follow(source)
        try:
            self.move(Status.RUNNING)
            return self.watch(runner, child)
        finally:
            runner.destroy(child)
            self.events.drain()

    def sleep(self, seconds: float) -> bool:
        """Wait; tell whether the job was interrupted."""
        deadline = self.clock() + seconds
        while not self.events.interrupted and (left := deadline - self.clock()) > 0:
            self.events.wait(left)
        return self.events.interrupted

    def interruption(self) -> tuple[Status, str | None]:
        """Give the end of a job that was interrupted."""
        if self.events.cancelled:
            return Status.CANCELLED, None
        return Status.SERVER_ERROR, f"the job's supervisor got signal {self.events.stopped}"

    def watch(self, runner: Runner, child: int) -> tuple[Status, str | None]:
        """Wait for the command's end, or bring it about."""
        limit = self.execution.timeout_seconds
        deadline = None if limit is None else self.clock() + limit
        while (code := self.exit_code(child)) is None:
            late = deadline is not None and self.clock() >= deadline
            if late or self.events.interrupted:
                self.end(runner, child)
                if self.events.interrupted:
                    return self.interruption()
                return Status.TIMEOUT, f"the job ran longer than timeout_seconds={limit:g}"
            self.events.wait(None if deadline is None else deadline - self.clock())
        if code == 0:
            return Status.DONE, None
        return Status.USER_ERROR, f"container exited with code {code}"

    def end(self, runner: Runner, child: int) -> None:
        """Give the job its grace period to end by itself."""
        deadline = self.clock() + self.execution.grace_seconds
        runner.terminate(child)
        while self.exit_code(child) is None and (left := deadline - self.clock()) > 0:
            self.events.wait(left)

    def exit_code(self, child: int) -> int | None:
        """Give the command's exit code as a shell does, None while it runs."""
        status = reap().get(child)
        if status is None:
            return None
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Supervise the job in the folder named first.

    Args:
        arguments: the folder; then, optionally, the inherited descriptor that holds its lock.

    Returns:
        0 once a final status is written.
    """
    folder = JobFolder(Path(arguments[0]).resolve())
    lock = int(arguments[1]) if len(arguments) > 1 else folder.lock()
    fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    linux.become_subreaper()
    sink = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    Supervisor(folder, folder.read_record(), Events(folder, sink)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
