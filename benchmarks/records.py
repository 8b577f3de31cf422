"""What one measurement holds. Times are seconds, memory is MiB, see ``Memory``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.process import Memory

OURS = "ours"
OURS_FLYTEKIT = "ours-flytekit"
FLOOR = "floor"
OFFICIAL = "official"
CONTENDERS = (OURS, OURS_FLYTEKIT, FLOOR, OFFICIAL)
"""Names of all, in the order of the table's columns: perian-shim through its image's entry point
without flytekit, perian-shim as an executor of flytekit's ``pyflyte-execute``, and its peers."""


@dataclass(frozen=True)
class Run:
    """One job, start to end, of one contender.

    Attributes:
        contender: its name.
        length: how long the job sleeps.
        start_to_post: from the start of the process to the arrival of ``POST /job``; for the
            official connector from the call of ``CreateTask``.
        end_to_outputs: from the job's end to the storage of ``outputs.pb``; for the official
            connector to ``GetTask``'s answer that the job has succeeded.
        cpu_to_post: CPU time of the process until its submission arrived.
        outputs_to_exit: from there to the end of the process, which Flyte waits for; None where no
            process ends.
        api_calls: calls of Perian's API, by name.
        storage_calls: requests of the process to the object store, by method.
        cpu: CPU time of the process; of the service between call and success.
        waiting_cpu: CPU time while waiting, per hour; None if the job was too short to tell.
        memory: in the middle of the wait; None if the job was too short.
    """

    contender: str
    length: float
    start_to_post: float
    end_to_outputs: float
    cpu_to_post: float
    outputs_to_exit: float | None
    api_calls: Mapping[str, int]
    storage_calls: Mapping[str, int]
    cpu: float
    waiting_cpu: float | None = None
    memory: Memory | None = None


@dataclass(frozen=True)
class Crowd:
    """Many jobs of one contender at once; each pod is a process, the official service is one.

    Attributes:
        contender: its name.
        number: how many.
        start_to_last_post: from the start of the first process to the last ``POST /job``.
        cpu: CPU time of all processes until the last of them waited.
        waiting_cpu: CPU time of all while waiting, per hour.
        memory: of all processes, while all of them wait.
        end_to_last_outputs: from the jobs' end to the last ``outputs.pb``, or success.
    """

    contender: str
    number: int
    start_to_last_post: float
    cpu: float
    waiting_cpu: float
    memory: Memory
    end_to_last_outputs: float


@dataclass
class Results:
    """All measurements.

    Attributes:
        runs: the single jobs.
        crowds: many at once.
        imports: CPU seconds of the imports of a task's definition, by contender's name.
        image_sizes: MB (1e6 bytes) of each image that was measured elsewhere, by contender's name;
            ``naive`` is flytekit and perian-shim installed upon the same base.
        conditions: what they were measured on and with.
    """

    runs: list[Run] = field(default_factory=list)
    crowds: list[Crowd] = field(default_factory=list)
    imports: Mapping[str, list[float]] = field(default_factory=dict)
    image_sizes: Mapping[str, float] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)
