"""Who is told how a job fares: facts only, and nothing that a witness does disturbs the run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from perian_shim.api.jobs import Job


@dataclass(frozen=True)
class Sighting:
    """How a job was seen.

    Attributes:
        job: as the API showed it.
        queued: seconds for which all attempts have seen it waiting for a machine.
        running: seconds for which they have seen it running.
        lines: the last lines of its log, as it printed them: what is confidential is in them.
    """

    job: Job
    queued: float = 0.0
    running: float = 0.0
    lines: tuple[str, ...] = field(default=(), repr=False)


class Witness(Protocol):
    """Is told of each look."""

    def seen(self, sighting: Sighting) -> None:
        """Take note of a look. It must not take long, and what it raises is said once."""
        ...


class Nobody:
    """The witness of a run that has none."""

    def seen(self, sighting: Sighting) -> None:
        """Take no note."""


@dataclass
class Discreet:
    """Keeps a witness from disturbing the run.

    Attributes:
        witness: is told.
        warn: prints a line of ours.
    """

    witness: Witness = field(default_factory=Nobody)
    warn: Callable[[str], None] = lambda _: None
    _failed: bool = field(default=False, init=False)

    def seen(self, sighting: Sighting) -> None:
        """Tell of a look; a fault is said the first time, and never raised."""
        try:
            self.witness.seen(sighting)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job is paid for
            if not self._failed:
                self._failed = True
                self.warn(f"what was seen could not be shown: {type(error).__name__}")
