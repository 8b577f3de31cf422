"""A job's folder: the only thing that server and supervisor share.

::

    request.json   the JobRecord; mode 0600, for it holds secrets and file contents
    state.json     the JobState; replaced atomically
    output.log     what the job printed, standard output and error as they came
    cancel         exists once somebody asked for cancellation
    control        FIFO that wakes the supervisor
    alive.lock     held with flock by the living supervisor
    supervisor.log what the supervisor itself complained about
    run/           the job's root or overlay; removed when it ends

Liveness is the lock, not a process number: the kernel gives the lock back however the supervisor
dies, and no other process can be mistaken for it.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
from pathlib import Path

from perian_shim.sandbox.records import JobRecord, JobState


class JobFolder:
    """Reads and writes one job's folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "output.log"
        self.control = path / "control"
        self.supervisor_log = path / "supervisor.log"
        self.workspace = path / "run"
        self.request_file = path / "request.json"
        self.state_file = path / "state.json"
        self.cancel_file = path / "cancel"
        self.lock_file = path / "alive.lock"

    @classmethod
    def create(cls, path: Path, record: JobRecord, state: JobState) -> "JobFolder":
        """Make the folder of a new job, complete but without a supervisor.

        Raises:
            OSError: it cannot be written, or exists.
        """
        path.mkdir(mode=0o700)
        folder = cls(path)
        write_private(folder.request_file, json.dumps(record.to_json()))
        folder.write_state(state)
        folder.log.touch(mode=0o600)
        os.mkfifo(folder.control, 0o600)
        return folder

    def read_record(self) -> JobRecord:
        """Give what was asked for.

        Raises:
            OSError: there is no such job.
            ValueError: the file is not ours.
        """
        return JobRecord.from_json(json.loads(self.request_file.read_text("utf-8")))

    def read_state(self) -> JobState:
        """Give where the job stands, as last written."""
        return JobState.from_json(json.loads(self.state_file.read_text("utf-8")))

    def write_state(self, state: JobState) -> None:
        """Replace the state; a reader sees the old or the new one, never a mixture."""
        draft = self.path / f"state.{os.getpid()}.tmp"
        write_private(draft, json.dumps(state.to_json()))
        draft.replace(self.state_file)

    def read_log(self, limit: int) -> str:
        """Give what the job has printed so far.

        Args:
            limit: bytes; of a longer log only the last whole lines within it.
        """
        with self.log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - limit))
            content = stream.read(limit)
        if size > limit:
            content = content.partition(b"\n")[2]
        return content.decode("utf-8", errors="replace")

    def lock(self) -> int:
        """Take the lock that says "a supervisor lives".

        Returns:
            The descriptor, to be inherited by the supervisor and closed here.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor

    def supervised(self) -> bool:
        """Tell whether the job's supervisor is alive."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # Shared, so that two observers at once do not take each other for the supervisor.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def request_cancel(self) -> None:
        """Ask the supervisor to end the job; it may have ended meanwhile."""
        self.cancel_file.touch(mode=0o600)
        try:
            descriptor = os.open(self.control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            # Nobody reads yet: the supervisor looks for the file once it does.
            return
        try:
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(descriptor, b"c")
        finally:
            os.close(descriptor)

    def cancel_requested(self) -> bool:
        """Tell whether somebody asked for cancellation."""
        return self.cancel_file.exists()

    def open_control(self) -> int:
        """Open the FIFO for reading, without blocking and without ever seeing its end."""
        return os.open(self.control, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def clear_workspace(self) -> None:
        """Remove the job's root, with everything that it wrote there."""
        shutil.rmtree(self.workspace, ignore_errors=True)
        if self.workspace.exists():
            # Without privileges, an overlay's own folders are closed even to their owner.
            for folder, inner, _ in os.walk(self.workspace):
                for path in (Path(folder, name) for name in inner):
                    if not path.is_symlink():
                        with contextlib.suppress(OSError):
                            path.chmod(0o700)
            shutil.rmtree(self.workspace, ignore_errors=True)


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
