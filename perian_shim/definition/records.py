"""What an environment takes, in Flyte 2's terms: resources, time limits, retries.

Each is validated when it is made and says what it cannot be. Errors are ``ConfigError``, for a
wrong type ``WrongConfigType``, which is a ``TypeError`` as well.
"""

import math
from dataclasses import dataclass
from datetime import timedelta

from perian_shim.config import WrongConfigType
from perian_shim.definition.gpus import Gpus, parse_gpu
from perian_shim.definition.quantities import GIGABYTE, in_units, parse_quantity
from perian_shim.definition.reasons import NO_BACKOFF, NO_DEADLINE, NO_RANGE, NO_SHM
from perian_shim.errors import ConfigError
from perian_shim.pyflyte import explained_when_made


def wrong_type(where: str, expected: str, given: object) -> WrongConfigType:
    """Return the error for a setting of a wrong type."""
    return WrongConfigType(f"{where}: expected {expected}, got {type(given).__name__}")


MEBIBYTE = 1024**2


@explained_when_made
@dataclass(frozen=True)
class Resources:
    """What a job's machine must have, at least; rounded up to what can be rented.

    Attributes:
        cpu: cores: ``4``, ``0.5``, ``"500m"``.
        mem: memory: ``"16Gi"``; a plain number is bytes.
        gpu: ``"A100:8"``, ``"A100"`` for one, or a number of GPUs of any kind.
        disk: disk: ``"100Gi"``.
        shm: refused.

    Raises:
        ConfigError: a quantity cannot be read, or cannot be rented.
    """

    cpu: int | float | str | None = None
    mem: int | str | None = None
    gpu: int | str | None = None
    disk: int | str | None = None
    shm: None = None

    def __post_init__(self) -> None:
        if self.shm is not None:
            raise ConfigError(f"Resources.shm: cannot be honoured: {NO_SHM}")
        for name in ("cpu", "mem", "disk"):
            value = getattr(self, name)
            if isinstance(value, tuple | list):
                raise ConfigError(f"Resources.{name}: cannot be honoured: {NO_RANGE}")
            if isinstance(value, bool) or not isinstance(value, int | float | str | None):
                raise wrong_type(f"Resources.{name}", "a quantity like 2 or '16Gi'", value)
        try:
            amounts = (self.cores, self.memory, self.os_storage_size)
            _ = self.gpus
        except TypeError as error:
            raise WrongConfigType(f"Resources.{error}") from error
        except ValueError as error:
            raise ConfigError(f"Resources.{error}") from error
        for name, amount in zip(("cpu", "mem", "disk"), amounts, strict=True):
            if amount is not None and amount < 1:
                raise ConfigError(
                    f"Resources.{name}: expected more than nothing, got {getattr(self, name)!r}"
                )
        expect_no_bytes("mem", self.mem)
        expect_no_bytes("disk", self.disk)

    @property
    def cores(self) -> int | None:
        """Whole cores."""
        return None if self.cpu is None else in_units(parse_quantity("cpu", self.cpu), 1)

    @property
    def memory(self) -> int | None:
        """Whole gigabytes of memory."""
        return None if self.mem is None else in_units(parse_quantity("mem", self.mem), GIGABYTE)

    @property
    def os_storage_size(self) -> int | None:
        """Whole gigabytes of disk."""
        return None if self.disk is None else in_units(parse_quantity("disk", self.disk), GIGABYTE)

    @property
    def gpus(self) -> Gpus | None:
        """The GPUs, by Perian's name."""
        return None if self.gpu is None or self.gpu == 0 else parse_gpu(self.gpu)


def expect_no_bytes(name: str, value: float | str | None) -> None:
    """Refuse what is bytes where gigabytes must have been meant: nobody rents 16 bytes."""
    if value is not None and parse_quantity(name, value) < MEBIBYTE:
        raise ConfigError(
            f"Resources.{name}: {value!r} is in bytes; for gigabytes write '{value}Gi'"
        )


@explained_when_made
@dataclass(frozen=True)
class Timeout:
    """Limits of an attempt's time; a whole number is seconds.

    Attributes:
        max_runtime: how long the job may run.
        max_queued_time: how long it may wait for a machine.
        deadline: refused.

    Raises:
        ConfigError: a limit is none.
    """

    max_runtime: int | timedelta | None = None
    max_queued_time: int | timedelta | None = None
    deadline: None = None

    def __post_init__(self) -> None:
        if self.deadline is not None:
            raise ConfigError(f"Timeout.deadline: cannot be honoured: {NO_DEADLINE}")
        for name in ("max_runtime", "max_queued_time"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | timedelta | None):
                raise wrong_type(f"Timeout.{name}", "whole seconds or a timedelta", value)
            if value is not None and seconds(value) <= 0:
                raise ConfigError(f"Timeout.{name}: expected a time above 0, got {value!r}")


def seconds(value: int | timedelta) -> int:
    """Return a time in whole seconds, rounded up."""
    return math.ceil(value.total_seconds()) if isinstance(value, timedelta) else value


@explained_when_made
@dataclass(frozen=True)
class RetryStrategy:
    """How often a failed job is repeated.

    Attributes:
        count: so often.
        backoff: refused.
        backoff_factor: refused.

    Raises:
        ConfigError: it cannot be honoured.
    """

    count: int
    backoff: None = None
    backoff_factor: None = None

    def __post_init__(self) -> None:
        if self.backoff is not None or self.backoff_factor is not None:
            raise ConfigError(f"RetryStrategy.backoff: cannot be honoured: {NO_BACKOFF}")
        if isinstance(self.count, bool) or not isinstance(self.count, int):
            raise wrong_type("RetryStrategy.count", "a whole number", self.count)
        if self.count < 0:
            raise ConfigError(f"RetryStrategy.count: expected 0 or more, got {self.count}")
