"""The statuses of a Perian job, and what each means for the run: a table, no network, no clock.

``phase_of`` is total: a status that nobody has seen is ``Phase.UNKNOWN``, which the loop treats as
"go on" for a bounded time. Several statuses may mean the same phase; the loop knows phases only.
"""

from enum import Enum


class JobStatus(str, Enum):
    """The statuses known today. ``Job.status`` is text: the API may grow others."""

    QUEUED = "Queued"
    INITIALIZING = "Initializing"
    MODEL_LOADING = "ModelLoading"
    RUNNING = "Running"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    DONE = "Done"
    SERVER_ERROR = "ServerError"
    USER_ERROR = "UserError"
    CANCELLED = "Cancelled"
    TIMEOUT = "Timeout"
    UNDEFINED = "Undefined"

    __str__ = str.__str__

    def __format__(self, format_spec: str) -> str:
        # Pythons differ in what format() of an enum with a mixin gives.
        return self.value.__format__(format_spec)


class Phase(Enum):
    """What the loop does next."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PLATFORM_FAILED = "platform failed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the job has ended and will not change any more."""
        return self not in {Phase.QUEUED, Phase.STARTING, Phase.RUNNING, Phase.UNKNOWN}


PHASES: dict[str, Phase] = {
    JobStatus.QUEUED.value: Phase.QUEUED,
    JobStatus.INITIALIZING.value: Phase.STARTING,
    JobStatus.MODEL_LOADING.value: Phase.RUNNING,
    JobStatus.RUNNING.value: Phase.RUNNING,
    JobStatus.PAUSED.value: Phase.RUNNING,
    JobStatus.RESUMED.value: Phase.RUNNING,
    JobStatus.DONE.value: Phase.SUCCEEDED,
    JobStatus.USER_ERROR.value: Phase.FAILED,
    JobStatus.SERVER_ERROR.value: Phase.PLATFORM_FAILED,
    JobStatus.TIMEOUT.value: Phase.TIMED_OUT,
    JobStatus.CANCELLED.value: Phase.CANCELLED,
    JobStatus.UNDEFINED.value: Phase.UNKNOWN,
}


_FOLDED = {status.casefold(): phase for status, phase in PHASES.items()}


def phase_of(status: str) -> Phase:
    """Return the phase of a status, in whatever case the API spells it."""
    return _FOLDED.get(status.casefold(), Phase.UNKNOWN)
