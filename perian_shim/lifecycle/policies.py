"""How often, how long, how many: every policy of a job's life as data. Seconds throughout.

Nothing here waits or asks; the arithmetic on a policy is all that a class has.
"""

from dataclasses import dataclass, replace

from perian_shim import settings
from perian_shim.errors import ConfigError

OUTAGE_SECONDS = 1800.0
"""How long an outage of the platform or of the object store is ridden out by default."""

UNREACHED_SECONDS = 10.0
"""How long somebody who waits at a terminal is left in doubt whether an address is right."""

SUCCESSORS = 3
"""How many jobs a run follows at most when other pods of its node cancel them."""

GIVE_UPS = 3
"""After so many attempts in a row that could not see a job, the next one that cannot ends it: Flyte
starts no more than four attempts for faults of the platform's."""

RECORD_SECONDS = 30.0
"""How often what is seen of the job is recorded at most."""

CHECK_SECONDS = 120.0
"""How often it is looked whether a later pod has taken over, while nothing is to be ended."""

END_SECONDS = 30.0
"""How long a job that must not go on is asked to end when no signal presses."""

KB, MB = 1 << 10, 1 << 20

LONGEST_LIMITED = 120.0
"""Bound of a pause that is longer because the platform limits the rate of requests."""


@dataclass(frozen=True)
class RetryPolicy:
    """How a call is repeated that changes nothing, or may be made twice.

    Attributes:
        outage: how long a call is repeated without one good answer.
        first: longest pause before the second attempt; doubled for each further one.
        longest: bound of the pauses.
        longest_wait: bound of what a server may ask for with ``Retry-After``, and of how long
            those that it refuses are spread out after that.
        unreached: the same as ``outage``, until a request has arrived or an answer has come: what
            has never been reached is more likely to be a wrong address than an outage.
    """

    outage: float = OUTAGE_SECONDS
    first: float = 0.5
    longest: float = 20.0
    longest_wait: float = 120.0
    unreached: float = float("inf")

    @classmethod
    def from_environment(cls) -> "RetryPolicy":
        """Return the policy that rides out as long an outage as the environment says.

        Raises:
            ConfigError: that is not a number of seconds.
        """
        return cls(outage=settings.seconds(settings.OUTAGE_SECONDS, OUTAGE_SECONDS))

    @classmethod
    def attended(cls) -> "RetryPolicy":
        """Return the same for a run that somebody waits for, who can correct a wrong address.

        Raises:
            ConfigError: the environment does not say a number of seconds.
        """
        return replace(cls.from_environment(), unreached=UNREACHED_SECONDS)

    @classmethod
    def hurried(cls, seconds: float) -> "RetryPolicy":
        """Return the policy for cleaning up when so many seconds are left."""
        return cls(outage=seconds, longest=1.0, longest_wait=2.0)

    def pause(
        self, failures: int, chance: float, asked: float | None, stretch: float = 1.0
    ) -> float:
        """Return the pause after a failure.

        Args:
            failures: how many attempts have failed, at least 1.
            chance: a random number in [0, 1).
            asked: what the server asked for.
            stretch: how much longer than planned the client's pauses are.
        """
        least = min(asked or 0.0, self.longest_wait)
        # 2**10 times any sensible pause is beyond the bound; more would overflow one day.
        doubled: float = min(self.first * 2 ** min(failures - 1, 10), self.longest)
        # Clients that were told the same must not come back at the same moment.
        return least + min(max(doubled, least) * stretch, self.longest_wait) * chance


@dataclass(frozen=True)
class PollPolicy:
    """When to look at a job again.

    Pauses are short while a phase is young and grow with its age: a job that has run for an hour
    is not about to end in the next two seconds. Each pause is jittered, so that many executors
    started together do not ask together. All pauses are longer, if need be beyond the bound, while
    the platform refuses some of what is asked because it is too much.

    Attributes:
        shortest: pause while the phase is young.
        longest: pause that is never exceeded, jitter and the platform's rate limit apart.
        share: by this share of the phase's age a pause is longer than the shortest.
        jitter: a pause is multiplied by something between ``1 - jitter`` and ``1 + jitter``.
        unknown: how long a status that nobody knows is waited out.
        settling: how long the log of a job that has failed must stand still to be whole: it may
            come later than the status, and has the reason.
        settled: how long that is waited for at most.
    """

    shortest: float = 0.8
    longest: float = 20.0
    share: float = 0.05
    jitter: float = 0.2
    unknown: float = OUTAGE_SECONDS
    settling: float = 4.0
    settled: float = 15.0

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
            ConfigError: a bound is not a number of seconds, or they are the wrong way round.
        """
        shortest = settings.seconds(settings.POLL_MIN_SECONDS, cls.shortest)
        pace = min(shortest / cls.shortest, 1.0)
        return cls(
            shortest=shortest,
            settling=cls.settling * pace,
            settled=cls.settled * pace,
            longest=settings.seconds(settings.POLL_MAX_SECONDS, max(cls.longest, shortest)),
            unknown=settings.seconds(settings.OUTAGE_SECONDS, cls.unknown),
        )

    def pause(self, age: float, chance: float, stretch: float = 1.0, longest: float = 0.0) -> float:
        """Return the next pause.

        Args:
            age: seconds since the phase last changed.
            chance: a random number in [0, 1).
            stretch: how much longer than planned pauses have to be, at least 1.
            longest: another bound, if it is longer than the usual one.
        """
        planned = min(max(self.longest, longest), self.shortest + self.share * age)
        calm = min(planned * stretch, max(planned, LONGEST_LIMITED))
        return calm * (1 + self.jitter * (2 * chance - 1))


@dataclass(frozen=True)
class TrafficPolicy:
    """How much of a job's log is read how often. The API's answers hold the whole of it each time.

    Answers about a job with a short log are read whole at each look. Of longer ones each look reads
    the head, up to the log, if that tells the status; the log is read at a bounded rate, less often
    the longer the job is followed, and once it is very long, whenever it has grown by a factor. So
    all that is read of it in the end is at most ``share`` times its length, and once more at the
    job's end, beside what the looks and the time before cost.

    Attributes:
        short: answers up to this are read whole, in bytes.
        rate: at which longer ones are read at most, in bytes a second.
        aging: by this share of the time since the first look they are at least apart.
        long: from here on their share counts, in bytes.
        share: what may be read of a very long log while the job runs, in lengths of it.
        longest: bound of the pause between two looks at a job with a very long log.
        blind: the same if such an answer neither begins with the status nor says how long it is.
        patience: how long an outage is ridden out for the log of a job that has ended.
    """

    short: int = 256 * KB
    rate: float = 8.0 * KB
    aging: float = 0.01
    long: int = 8 * MB
    share: float = 1.5
    longest: float = 60.0
    blind: float = 600.0
    patience: float = 60.0


@dataclass(frozen=True)
class Limits:
    """How long a job may take.

    Attributes:
        queued: bound of the time spent waiting for a machine, None for any time.
        running: bound of the run, None for any time; the platform enforces it first.
        slack: how much longer than ``running`` the platform may take to end a job before we do.
    """

    queued: float | None = None
    running: float | None = None
    slack: float = 60.0

    def after(self, waited: float) -> "Limits":
        """Return what is left when a job before this one has waited so long for a machine."""
        queued = None if self.queued is None else max(self.queued - waited, 0.0)
        return replace(self, queued=queued)


@dataclass(frozen=True)
class LookPolicy:
    """How a job is looked for that may exist although nobody has seen it.

    A listing may lag behind, and a submission whose answer was lost may take effect late. So one
    look is not enough, and absence is never proof.

    Attributes:
        first: pauses between the looks before a job is asked for again.
        longest: bound of the pause between two looks while a job is followed; pauses are a quarter
            of the doubt's age.
        doubt: after this time a doubt is over, if the listing has shown a newer job meanwhile.
        settle: how long the end of a run waits for the listing to show what it must show.
        late: how long after it was sent a submission without an answer may still take effect.
        margin: how much older than the followed job one of the same work may be, by the platform's
            stamps; older ones need not be listed.
        scan: how long one look through the listing may take.
        pages: how many pages one look may read.
        insist: how long a job is asked to end that does not.
    """

    first: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    longest: float = 60.0
    doubt: float = 1800.0
    settle: float = 300.0
    late: float = 15.0
    margin: float = 3600.0
    scan: float = 120.0
    pages: int = 200
    insist: float = 600.0

    def pause(self, age: float) -> float:
        """Return the pause before the next look of a doubt of this age."""
        return min(max(age / 4, self.first[0]), self.longest)
