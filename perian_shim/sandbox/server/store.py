"""The jobs of a state directory: accept, look up, list, cancel.

The store keeps nothing that is not on disk, besides a cache of what never changes; a server killed
at any moment and started again on the same directory finds every job, running ones included. A job
whose supervisor is gone without a final status is given ServerError when it is next looked at.
All methods may be called from several threads.
"""

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.folder import JobFolder
from perian_shim.sandbox.records import (
    Execution,
    JobRecord,
    JobState,
    Json,
    Status,
    timestamp,
)
from perian_shim.sandbox.spawn import script_command, spawn_detached
from perian_shim.sandbox.supervisor.runner import discard

LOG_WINDOW_BYTES = 8 << 20
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class JobSnapshot:
    """A job at one moment.

    Attributes:
        record: what was asked for.
        state: where it stood.
        log: what it had printed; of a very long log the last 8 MiB.
    """

    record: JobRecord
    state: JobState
    log: str


class JobStore:
    """Jobs in a directory.

    Args:
        directory: made if missing; one folder per job.
        clock: seconds, monotonic; bounds waiting.
        sleep: pauses for so many seconds.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self.clock = clock
        self.sleep = sleep
        self.lock = threading.Lock()
        self.records: dict[str, JobRecord] = {}
        self.last_order = max((record.order for record in self.load()), default=0)

    def load(self) -> list[JobRecord]:
        """Give all jobs, the newest first."""
        for entry in os.scandir(self.directory):
            if entry.name not in self.records and is_job_id(entry.name):
                # Another process may be removing it.
                with contextlib.suppress(FileNotFoundError):
                    self.records[entry.name] = self.folder(entry.name).read_record()
        return sorted(self.records.values(), key=lambda record: record.order, reverse=True)

    def folder(self, job_id: str) -> JobFolder:
        """Give the folder of a job."""
        return JobFolder(self.directory / job_id)

    def create(self, view: Mapping[str, Json], execution: Execution) -> str:
        """Accept a job and start its supervisor.

        Returns:
            The job's new id.

        Raises:
            OSError: the directory cannot be written or no process started; there is no job then.
        """
        job_id = str(uuid.uuid4())
        with self.lock:
            self.last_order = max(self.last_order + 1, time.time_ns())
            record = JobRecord(job_id, timestamp(), self.last_order, view, execution)
        draft = self.directory / f"new-{job_id}"
        try:
            state = JobState(Status.QUEUED, record.created_at)
            # The lock is taken before anybody can see the job, and inherited by the supervisor:
            # at no moment does the job look abandoned.
            lock = JobFolder.create(draft, record, state).lock()
            try:
                draft.rename(self.directory / job_id)
                folder = self.folder(job_id)
                spawn_detached(
                    script_command("supervisor", str(folder.path), str(lock)),
                    folder.supervisor_log,
                    inherit=(lock,),
                )
            finally:
                os.close(lock)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(self.directory / job_id, ignore_errors=True)
            raise
        with self.lock:
            self.records[job_id] = record
        return job_id

    def get(self, job_id: str) -> JobSnapshot | None:
        """Give a job, None if there is none of that id."""
        if not is_job_id(job_id):
            return None
        with self.lock:
            record = self.records.get(job_id)
        if record is None:
            try:
                record = self.folder(job_id).read_record()
            except FileNotFoundError:
                return None
            with self.lock:
                self.records[job_id] = record
        return self.snapshot(record)

    def page(self, page: int, limit: int) -> tuple[Sequence[JobSnapshot], int]:
        """Give one page of jobs, the newest first, and how many jobs there are.

        Args:
            page: from 1.
            limit: jobs per page.
        """
        with self.lock:
            records = self.load()
        start = (page - 1) * limit
        return [self.snapshot(record) for record in records[start : start + limit]], len(records)

    def states(self) -> list[tuple[JobRecord, JobState]]:
        """Give all jobs and where they stand, the newest first, without what they printed."""
        with self.lock:
            records = self.load()
        return [
            (record, self.current_state(self.folder(record.job_id), record)) for record in records
        ]

    def snapshot(self, record: JobRecord) -> JobSnapshot:
        """Look at a job."""
        folder = self.folder(record.job_id)
        state = self.current_state(folder, record)
        # After the state: the log of an ended job is then complete.
        return JobSnapshot(record, state, folder.read_log(LOG_WINDOW_BYTES))

    def current_state(self, folder: JobFolder, record: JobRecord) -> JobState:
        """Give a job's state, and end the job if its supervisor is gone."""
        state = folder.read_state()
        if state.final or folder.supervised():
            return state
        # It may have written the end between the two looks.
        state = folder.read_state()
        if state.final:
            return state
        state = state.moved_to(
            Status.SERVER_ERROR, "the job's supervisor died; the machine may have been restarted"
        )
        folder.write_state(state)
        discard(folder, record.job_id, record.execution)
        return state

    def cancel(self, job_id: str) -> bool:
        """Ask a job to end; it ends soon after.

        Returns:
            False if it has ended already.

        Raises:
            KeyError: there is no such job.
        """
        snapshot = self.get(job_id)
        if snapshot is None:
            raise KeyError(job_id)
        if snapshot.state.final:
            return False
        self.folder(job_id).request_cancel()
        return True

    def unfinished(self) -> list[JobRecord]:
        """Give the jobs that have not ended."""
        return [record for record, state in self.states() if not state.final]

    def cancel_all(self, patience: float = 10.0) -> None:
        """Cancel every job and wait until no process of any is left, supervisors included.

        Args:
            patience: seconds to wait beyond the longest grace period.

        Raises:
            SandboxError: some are still there; names them.
        """
        pending = self.unfinished()
        grace = max((record.execution.grace_seconds for record in pending), default=0.0)
        for record in pending:
            self.folder(record.job_id).request_cancel()
        deadline = self.clock() + grace + patience
        while (left := self.living()) and self.clock() < deadline:
            self.sleep(POLL_SECONDS)
        if left:
            names = ", ".join(record.job_id for record in left)
            raise SandboxError(f"jobs did not end after cancellation: {names}")

    def living(self) -> list[JobRecord]:
        """Give the jobs whose supervisor lives, ended or not."""
        with self.lock:
            records = self.load()
        return [record for record in records if self.folder(record.job_id).supervised()]


def is_job_id(text: str) -> bool:
    """Tell whether a text is a job id as this store makes them."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
