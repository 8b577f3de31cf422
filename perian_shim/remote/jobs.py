"""A handle of a job at Perian, in the manner of ``flyte.remote``.

    from perian_shim.remote import Job

    for job in Job.listall(in_phase="running", owner="vision"):
        print(job.id, job.origin, job.cost)
    job = Job.get("0b9e…")
    job.wait()
    job.raise_for_status()
    print(job.outputs())

Every method that asks has a twin to be awaited: ``await job.wait.aio()``. What a handle shows is
what was seen last; ``sync`` looks again. Nothing of it is secret: of a job's environment only what
perian-shim itself set is kept.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.errors import InstanceTypeNotFound
from perian_shim.api.jobs import Job as Seen
from perian_shim.api.phases import Phase
from perian_shim.errors import JobCancelled, JobFailed, ResultMissing, TaskError
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.verdicts import verdict
from perian_shim.remote import twins
from perian_shim.remote.asking import ask
from perian_shim.remote.connection import Connection, connection
from perian_shim.remote.ending import ENDING_SECONDS, end
from perian_shim.remote.following import Following, lines_of
from perian_shim.remote.listing import Listing, Phases, wanted
from perian_shim.remote.progress import progress
from perian_shim.remote.shown import Shown

log = logging.getLogger("perian_shim.remote")

ENTRY_POINTS = ("pyflyte-", "a0 --")
"""What the commands of function tasks' jobs run: flytekit's entry points, and Flyte 2's."""

LOG_TAIL = 20
"""Lines of the log that an error carries."""


class Job(Shown):
    """A job, as it was seen last.

    Args:
        seen: what the API showed.
        asks: who asks; None: the process's connection (``perian_shim.remote.init``).
        clock: time and chance.
    """

    def __init__(
        self, seen: Seen, asks: Connection | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(seen, clock or Clock())
        self._asks = asks or connection()

    @twins.class_method
    def get(cls, id: str) -> "Job":  # noqa: A002, N805 - its decorator makes it a class method
        """Return a job.

        Raises:
            JobNotFound: there is none of this id in the organization.
            ApiError: any other failure.
            ConfigError: the organization or its token are nowhere to be found.
        """
        asks = connection()
        return Job(ask(asks, lambda client: client.get_job(id)), asks)

    @twins.class_stream
    def listall(
        cls,  # noqa: N805 - its decorator makes it a class method
        *,
        project: str | None = None,
        domain: str | None = None,
        execution: str | None = None,
        task: str | None = None,
        owner: str | None = None,
        in_phase: Phases | None = None,
        since: datetime | timedelta | None = None,
        key: str | None = None,
        ours: bool = False,
        limit: int | None = 100,
    ) -> Iterator["Job"]:
        """Yield the organization's newest jobs, the newest first; without their logs.

        Args:
            project: Flyte project of the execution.
            domain: Flyte domain of the execution.
            execution: name of the execution.
            task: name of the task.
            owner: who answers for it.
            in_phase: a phase or several, or their names, as ``"running"``.
            since: submitted at this moment or later, or no longer ago than this.
            key: the idempotency key, which all jobs of one piece of work share.
            ours: leave out jobs that are not of Flyte tasks, as each filter by whose it is does.
            limit: how many at most; None for all, which are held together.

        Raises:
            ValueError: a phase has no such name, or the limit is below 1.
            ApiError: the listing cannot be had.
        """
        if limit is not None and limit < 1:
            message = f"limit: expected at least 1, got {limit}"
            raise ValueError(message)
        which = wanted(
            in_phase=in_phase,
            since=since,
            ours=ours,
            project=project,
            domain=domain,
            execution=execution,
            task=task,
            owner=owner,
            key=key,
        )
        asks = connection()
        for seen in Listing(asks).newest(which, limit):
            yield Job(seen, asks)

    @twins.method
    def sync(self) -> "Job":
        """Look again, and return the handle itself.

        Raises:
            JobNotFound: Perian does not know it any more.
            ApiError: any other failure.
        """
        self._seen = ask(self._asks, lambda client: client.get_job(self.id), clock=self._clock)
        return self

    @twins.method
    def instance_type(self) -> InstanceType | None:
        """Return the machine that it runs on; None if that is not known."""
        named = self.machine
        if named is None:
            return None
        try:
            return ask(
                self._asks, lambda client: client.get_instance_type(named), clock=self._clock
            )
        except InstanceTypeNotFound:
            return None

    @twins.method
    def wait(
        self,
        quiet: bool = False,
        wait_for: Literal["terminal", "running"] = "terminal",
        timeout: float | None = None,
    ) -> "Job":
        """Wait until it has ended, or runs, and return the handle itself.

        Args:
            quiet: show nothing; else a spinner on a terminal, lines elsewhere, on standard error.
            wait_for: what is waited for; a job that has ended is not waited for any longer.
            timeout: how many seconds at most.

        Raises:
            TimeoutError: they have passed.
            PerianError: it could not be looked at for minutes.
        """
        with progress(quiet=quiet) as tell:
            for seen in self._following(timeout).looks():
                self._seen = seen
                tell(seen)
                if wait_for == "running" and seen.phase is Phase.RUNNING:
                    break
        return self

    @twins.stream
    def watch(self) -> Iterator["Job"]:
        """Yield it as it is now, and again whenever its status has changed, until it has ended.

        What is yielded stays as it was; the handle itself moves on.

        Raises:
            PerianError: it could not be looked at for minutes.
        """
        before = None
        for seen in self._following(None).looks():
            self._seen = seen
            if seen.status != before:
                before = seen.status
                yield Job(seen, self._asks, self._clock)

    @twins.stream
    def logs(self, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of its log, each once.

        Signatures that give access to an object store are left out; all else is as the job printed
        it, control characters too.

        Args:
            follow: go on with what it prints, until it has ended.
            tail: how many of the lines that are there already, None for all.

        Raises:
            ValueError: the number is below 0.
            PerianError: it cannot be looked at.
        """
        if tail is not None and tail < 0:
            message = f"tail: expected a number of lines, got {tail}"
            raise ValueError(message)
        if follow:
            yield from self._following(None, words=True).lines(tail)
            return
        self.sync()
        yield from lines_of(self._seen, tail)

    @twins.method
    def abort(self, reason: str = "", timeout: float = ENDING_SECONDS) -> bool:
        """Ask it to end until it is seen ended. It is no fault if it had, or if there is none.

        Args:
            reason: goes to the logger ``perian_shim.remote``; Perian keeps none.
            timeout: for how many seconds it is asked.

        Returns:
            Whether it has ended. If not, it may still end.

        Raises:
            ApiError: it could be neither asked nor seen.
        """
        log.info("aborting job %s%s", self.id, f": {reason}" if reason else "")
        ended = end(self._asks, self.id, seconds=timeout, known=True, clock=self._clock)
        if ended.job is not None:
            self._seen = ended.job
        if ended.error is not None:
            raise ended.error
        return ended.over

    @twins.method
    def outputs(self) -> dict[str, Any]:
        """Return what a task's job left, by name: URIs of a container task, values of a function.

        Raises:
            ResultMissing: it has not ended, is not of a Flyte task, or left nothing.
            TaskError: it failed, or what it left cannot be read from here; the message says why.
        """
        if not self.done():
            self.sync()
        if not self.done():
            message = f"Job {self.id} is {self.phase.value}: it has no outputs yet."
            raise ResultMissing(message, job_id=self.id, remedy="Wait for its end.")
        origin = self.origin
        if origin is None:
            message = f"Job {self.id} is not of a Flyte task: nobody knows what it leaves."
            raise ResultMissing(message, job_id=self.id, remedy="")
        self.raise_for_status()
        from perian_shim.remote.outputs import outputs_of  # noqa: PLC0415 - needs protobuf

        return outputs_of(self.id, origin)

    @twins.method
    def raise_for_status(self) -> None:
        """Raise what it ended with; nothing if it ended well or has not ended.

        For Perian a function task's job is Done although its function raised: flytekit's entry
        point ends well and leaves the error in the object store. So it is looked for there.

        Raises:
            TaskError: ``JobFailed``, ``JobCancelled``, ``JobTimedOut``, ``PlatformFailed`` and its
                kinds, with the last lines of the log as ``log_tail``; ``FunctionFailed``.
            StorageFailed: this machine may not read whether the function raised.
        """
        if not self.done():
            return
        if self.phase is Phase.SUCCEEDED:
            self._raise_functions_error()
            return
        if self._seen.logs is None:
            self.sync()
        error = failure(self._seen)
        if error is not None:
            error.log_tail = "\n".join(lines_of(self._seen, LOG_TAIL))
            raise error

    def _raise_functions_error(self) -> None:
        from perian_shim.remote.outputs import function_error  # noqa: PLC0415 - loads protobufs

        origin = self.origin
        if origin is None or not origin.output:
            return
        if self._seen.command is None:  # as in listings
            self.sync()
        raised = None
        if any(name in (self._seen.command or "") for name in ENTRY_POINTS):
            raised = function_error(self.id, origin)
        if raised is not None:
            raise raised

    def _following(self, seconds: float | None, *, words: bool = False) -> Following:
        return Following(self._asks, self.id, self._clock, seconds, words)


def failure(job: Seen) -> TaskError | None:
    """Return what a job that has ended ended with, None if that was well."""
    reason = f": {job.errors}" if job.errors else "."
    if job.phase is Phase.FAILED:
        return JobFailed(f"Job {job.id} failed{reason}", job_id=job.id)
    if job.phase is Phase.CANCELLED:
        return JobCancelled(f"Job {job.id} was cancelled{reason}", job_id=job.id)
    return verdict(job, None)
