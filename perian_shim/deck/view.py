"""What a deck shows, as texts and numbers: nothing confidential, nothing of which HTML is made yet.

Any text may be of any length and hold anything: it is cut, cleaned and escaped when it is shown.
"""

from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    """How a run stands; the value is what people read."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ended, its outputs are being collected"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"

    @property
    def final(self) -> bool:
        """Whether nothing more comes."""
        return self in {State.SUCCEEDED, State.FAILED, State.ABORTED}


@dataclass(frozen=True)
class Span:
    """A part of a job's life.

    Attributes:
        name: ``"queued"``, ``"initializing"`` or ``"running"``.
        seconds: how long it took, or has taken so far; at least 0.
    """

    name: str
    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < float("inf"):
            message = f"a span takes a time of at least 0, not {self.seconds}"
            raise ValueError(message)


@dataclass(frozen=True)
class OutputLine:
    """An output that a run has left; its value is not shown.

    Attributes:
        name: the output's.
        kind: its type, as people call it.
        uri: where it is, if it is an object of its own.
    """

    name: str
    kind: str = ""
    uri: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a run failed.

    Attributes:
        code: e.g. ``"PERIAN:JobFailed"``.
        message: what happened.
        remedy: what to do.
    """

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class DeckView:
    """What a deck shows. An empty text is left out.

    Attributes:
        task: the task's name.
        state: how the run stands.
        job_id: the job's id.
        status: Perian's word for how the job was seen last.
        spans: the parts of its life so far, the first one first.
        machine: facts of the machine: label and text.
        money: the same of price and cost.
        run: the same of attempts and times.
        flyte: the same of the place in Flyte.
        console: address of the execution in Flyte's console; shown if it is http or https.
        log: the job's last log lines.
        outputs: what was left; None as long as nobody knows.
        failure: why the run failed.
        seen: when all this was written, for people.
    """

    task: str
    state: State
    job_id: str = ""
    status: str = ""
    spans: tuple[Span, ...] = ()
    machine: tuple[tuple[str, str], ...] = ()
    money: tuple[tuple[str, str], ...] = ()
    run: tuple[tuple[str, str], ...] = ()
    flyte: tuple[tuple[str, str], ...] = ()
    console: str = ""
    log: tuple[str, ...] = field(default=(), repr=False)
    outputs: tuple[OutputLine, ...] | None = None
    failure: Failure | None = None
    seen: str = ""
