"""When to look at a job again: a policy as data, and the arithmetic on it. Seconds throughout.

Pauses are short while a phase is young and grow with its age, because a job that has run for an
hour is not about to end in the next two seconds. Each pause is jittered, so that many executors
started together do not ask together. All pauses are longer, if need be beyond the policy's bound,
while the platform refuses some of what is asked because it is too much.
"""

from dataclasses import dataclass

from perian_shim import settings
from perian_shim.errors import ConfigError

LONGEST_LIMITED = 120.0
"""Bound of a pause that is longer because the platform limits the rate of requests."""


@dataclass(frozen=True)
class PollPolicy:
    """How often to ask.

    Attributes:
        shortest: pause while the phase is young.
        longest: pause that is never exceeded, jitter and the platform's rate limit apart.
        share: by this share of the phase's age a pause is longer than the shortest: a job's end
            is noticed late by at most so much of how long it ran, and the shortest pause.
        jitter: a pause is multiplied by something between ``1 - jitter`` and ``1 + jitter``.
        outage: how long no good answer is ridden out.
    """

    shortest: float = 0.8
    longest: float = 20.0
    share: float = 0.05
    jitter: float = 0.2
    outage: float = 1800.0

    def __post_init__(self) -> None:
        if self.longest < self.shortest:
            message = (
                f"{settings.POLL_MAX_SECONDS}: expected at least {self.shortest:g}"
                f" ({settings.POLL_MIN_SECONDS}), got {self.longest:g}"
            )
            raise ConfigError(message)

    @classmethod
    def from_environment(cls) -> "PollPolicy":
        """Return the policy with its bounds taken from the environment.

        Raises:
            ConfigError: a bound is no number of seconds, or they are the wrong way round.
        """
        shortest = settings.seconds(settings.POLL_MIN_SECONDS, cls.shortest)
        return cls(
            shortest=shortest,
            longest=settings.seconds(settings.POLL_MAX_SECONDS, max(cls.longest, shortest)),
            outage=settings.seconds(settings.OUTAGE_SECONDS, cls.outage),
        )

    def pause(self, age: float, chance: float, stretch: float = 1.0) -> float:
        """Return the next pause.

        Args:
            age: seconds since the phase last changed.
            chance: a random number in [0, 1).
            stretch: how much longer than planned pauses have to be, at least 1.
        """
        planned = min(self.longest, self.shortest + self.share * age)
        calm = min(planned * stretch, max(planned, LONGEST_LIMITED))
        return calm * (1 + self.jitter * (2 * chance - 1))
