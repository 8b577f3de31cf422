"""When to look at a job again: a policy as data, and the arithmetic on it. Seconds throughout.

Pauses are short while a phase is young and grow with its age, because a job that has run for an
hour is not about to end in the next two seconds. Each pause is jittered, so that many executors
started together do not ask together.
"""

from dataclasses import dataclass

from perian_shim import environment
from perian_shim.errors import ConfigError


@dataclass(frozen=True)
class PollPolicy:
    """How often to ask.

    Attributes:
        shortest: pause while the phase is young.
        longest: pause that is never exceeded, jitter apart.
        share: a pause is this share of the phase's age, between the two bounds: what a job's
            end may be noticed late, relative to how long it ran.
        jitter: a pause is multiplied by something between ``1 - jitter`` and ``1 + jitter``.
        outage: how long no good answer is ridden out.
    """

    shortest: float = 2.0
    longest: float = 20.0
    share: float = 0.05
    jitter: float = 0.2
    outage: float = 1800.0

    def __post_init__(self) -> None:
        if self.longest < self.shortest:
            message = (
                f"{environment.POLL_MAX_SECONDS}: expected at least {self.shortest:g}"
                f" ({environment.POLL_MIN_SECONDS}), got {self.longest:g}"
            )
            raise ConfigError(message)

    @classmethod
    def from_environment(cls) -> "PollPolicy":
        """Return the policy with its bounds taken from the environment.

        Raises:
            ConfigError: a bound is no number of seconds, or they are the wrong way round.
        """
        shortest = environment.seconds(environment.POLL_MIN_SECONDS, cls.shortest)
        return cls(
            shortest=shortest,
            longest=environment.seconds(environment.POLL_MAX_SECONDS, max(cls.longest, shortest)),
            outage=environment.seconds(environment.OUTAGE_SECONDS, cls.outage),
        )

    def pause(self, age: float, chance: float) -> float:
        """Return the next pause.

        Args:
            age: seconds since the phase last changed.
            chance: a random number in [0, 1).
        """
        calm = min(self.longest, max(self.shortest, self.share * age))
        return calm * (1 + self.jitter * (2 * chance - 1))
