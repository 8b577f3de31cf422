"""What is known of a run for its deck: records, filled by what a witness sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flyteidl.core.interface_pb2 import Variable

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.errors import PerianError
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.lifecycle.witness import Sighting
from perian_shim.settings import ATTEMPT_NUMBER
from perian_shim.work.outputs import Outputs
from perian_shim.work.task_run import Place


@dataclass(frozen=True)
class Setting:
    """What does not change of a run.

    Attributes:
        place: where in Flyte it happens.
        task: the task's name.
        declared: the task's outputs.
    """

    place: Place
    task: str
    declared: Mapping[str, Variable] = field(default_factory=dict)


@dataclass
class Known:
    """What is known of the job that is followed.

    Attributes:
        job: as it was seen last, without its log, its environment and its command.
        queued: seconds seen waiting for a machine, by all attempts.
        running: seconds seen running, by all attempts.
        initializing: seconds seen getting ready, by this pod.
        lines: the last lines of its log; what is confidential is in them.
        submitted_by: which attempt has submitted it, None if that is not known.
        earlier: the jobs before it: id and status.
        machine: what it runs on, None as long as that is not known.
        at: when it was seen, in seconds since some moment.
        lookups: how often the machine has been looked up.
    """

    job: Job | None = None
    queued: float = 0.0
    running: float = 0.0
    initializing: float = 0.0
    lines: tuple[str, ...] = field(default=(), repr=False)
    submitted_by: int | None = None
    earlier: tuple[tuple[str, str], ...] = ()
    machine: InstanceType | None = None
    at: float = 0.0
    lookups: int = 0

    def note(self, sighting: Sighting, now: float) -> None:
        """Take note of a look."""
        job, before = sighting.job, self.job
        if before is not None and before.id != job.id:
            earlier = (*self.earlier, (before.id, before.status))
            self.__dict__.update(vars(Known(earlier=earlier)))  # nothing is known of the other yet
        elif before is not None and before.phase is Phase.STARTING:
            self.initializing += max(now - self.at, 0.0)
        submitted_by = job.env_variables.get(ATTEMPT_NUMBER, "")
        if submitted_by.isdecimal():
            self.submitted_by = int(submitted_by)
        self.job = replace(job, logs=None, errors=None, command=None, env_variables={})
        self.queued, self.running, self.lines = sighting.queued, sighting.running, sighting.lines
        self.at = now


@dataclass(frozen=True)
class End:
    """What a run came to.

    Attributes:
        outputs: what it has left, if it succeeded.
        error: why it failed, if it did.
    """

    outputs: Outputs | None = None
    error: PerianError | None = None
