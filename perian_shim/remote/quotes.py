"""What a task would cost: the machine that it would get, and the worst case by its timeout."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from perian_shim.config import PerianConfig
from perian_shim.errors import ConfigError
from perian_shim.lifecycle import shortage
from perian_shim.remote import twins
from perian_shim.remote.catalogue import Offer, cheapest, offered
from perian_shim.remote.connection import connection
from perian_shim.remote.records import Amount, Record

NOT_OF_PERIAN = "expected a PerianConfig or a task that has one as its task_config"


@dataclass(frozen=True)
class Option(Record):
    """A machine, and what it would cost.

    Attributes:
        offer: the machine.
        worst_case: what one attempt costs that takes as long as it may; None if nothing bounds it,
            or if the price is not known.
        worst_case_of_all: the same for all attempts that the task's ``retries`` allow.
    """

    offer: Offer
    worst_case: Amount | None = None
    worst_case_of_all: Amount | None = None


@dataclass(frozen=True)
class Quote(Record):
    """What a task asks for, gets and may cost.

    Attributes:
        task: its name; empty for a mere config.
        asks: what it asks for, as ``PerianConfig`` has it.
        timeout_seconds: how long an attempt may take; None if nothing bounds it.
        attempts: how many there may be, by the task's ``retries``. What Flyte repeats because of
            faults of the platform comes on top.
        options: the cheapest machine in each currency: which of several Perian takes hangs on rates
            that it does not tell. None at all: no such machine can be had.
        reasons: why there is none: sentences.
    """

    task: str
    asks: str
    timeout_seconds: Decimal | None = None
    attempts: int = 1
    options: tuple[Option, ...] = ()
    reasons: tuple[str, ...] = ()

    @twins.class_method
    def of(
        cls: Any,  # noqa: N805 - its decorator makes it one
        task_or_config: Any,
        timeout: float | timedelta | None = None,
    ) -> "Quote":
        """Ask what a task would cost.

        Args:
            task_or_config: a task whose ``task_config`` is a ``PerianConfig``, or the config.
            timeout: of an attempt, in seconds or as a timedelta; None: the task's own.

        Raises:
            ConfigError: it is neither, or the timeout is not above 0.
            ApiError: the catalogue cannot be had.
        """
        del cls
        asked = Asked.of(task_or_config, timeout)
        machines, reasons = offered(connection(), asked.config)
        # Without any price there is still a machine to name.
        return quoted(asked, cheapest(machines) or machines[:1], reasons)

    @property
    def offer(self) -> Offer | None:
        """The machine that it would get; None if there is none, or several compete."""
        return self.options[0].offer if len(self.options) == 1 else None

    @property
    def price_per_hour(self) -> Amount | None:
        """Its price per hour; None as with ``offer``, or if it is not known."""
        offer = self.offer
        if offer is None or offer.price_per_hour is None:
            return None
        return Amount(offer.price_per_hour, offer.currency)

    @property
    def worst_case(self) -> Amount | None:
        """What one attempt costs at most; None as with ``offer``, or if nothing bounds it."""
        return self.options[0].worst_case if len(self.options) == 1 else None


@dataclass(frozen=True)
class Asked:
    """What is to be quoted.

    Attributes:
        task: its name.
        config: the requirements.
        timeout: seconds, None for no limit.
        attempts: how many there may be.
    """

    task: str
    config: PerianConfig
    timeout: Decimal | None = None
    attempts: int = 1

    @classmethod
    def of(cls, what: Any, timeout: float | timedelta | None = None) -> "Asked":
        """Read a task or a config.

        Raises:
            ConfigError: it is neither, or the timeout is not above 0.
        """
        if isinstance(what, PerianConfig):
            return cls("", what, seconds_of(timeout))
        config = getattr(what, "task_config", None)
        if not isinstance(config, PerianConfig):
            message = f"Quote: {NOT_OF_PERIAN}, got {type(what).__name__}"
            raise ConfigError(message)
        # A function task's other arguments fill what its config leaves open.
        complete = getattr(what, "job_config", None)
        metadata = what.metadata
        return cls(
            str(what.name),
            config if complete is None else complete(config),
            seconds_of(metadata.timeout or None if timeout is None else timeout),
            1 + (metadata.retries or 0),
        )


def seconds_of(timeout: float | timedelta | None) -> Decimal | None:
    """Return a timeout in seconds.

    Raises:
        ConfigError: it is not above 0.
    """
    if timeout is None:
        return None
    value = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    seconds = Decimal(str(value))
    if not (seconds.is_finite() and seconds > 0):
        message = f"timeout: expected seconds or a timedelta above 0, got {timeout!r}"
        raise ConfigError(message)
    return seconds


def quoted(asked: Asked, offers: list[Offer], reasons: tuple[str, ...] = ()) -> Quote:
    """Return the quote for some offers."""
    options = tuple(option(offer, asked) for offer in offers)
    return Quote(asked.task, asks(asked.config), asked.timeout, asked.attempts, options, reasons)


def option(offer: Offer, asked: Asked) -> Option:
    """Return what an offer would cost: each attempt rents a machine anew."""
    worst = None if asked.timeout is None else offer.cost(asked.timeout)
    if worst is None:
        return Option(offer)
    return Option(offer, worst, Amount(worst.amount * asked.attempts, worst.currency))


def asks(config: PerianConfig) -> str:
    """Return what a config asks for, as it is written."""
    return shortage.spelled(config.requirements, config.instance_type_id)
