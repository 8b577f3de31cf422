"""What a user asks of Perian for one task: size, place, price and patience.

Units: ``cores`` and ``accelerators`` are counts, ``memory`` and ``os_storage_size`` are gigabytes,
``max_price_per_hour`` is in the currency of the offers, ``max_queued_time`` is in seconds or a
timedelta. ``None`` leaves a point open: Perian then takes the cheapest machine that fits the rest.

The first seven fields are those of flytekitplugins-perian-job, with their meaning and order.
Everything is checked when a ``PerianConfig`` is constructed; a wrong value raises ``ConfigError``
naming the field, what was expected and what was given.
"""

import datetime
import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from perian_shim.api.job_request import Requirements, plain_number
from perian_shim.errors import ConfigError
from perian_shim.image_reference import ImageReference
from perian_shim.pyflyte import explained_when_made

CANCEL = "cancel"
DETACH = "detach"

AUTO = "auto"
SCOPED = "scoped"

DEFAULT_SECRET_GROUP = "perian"  # noqa: S105 - the name of a group

MAX_TEXT = 255
PRODUCT = re.compile(r"(?=.{1,255}\Z)[A-Za-z0-9](?:[\w .+/()-]*[\w+)])?", re.ASCII)
"""Names of things for rent: ``OTC``, ``RTX A6000``, ``NVIDIA_A100_80``."""

GROUP = re.compile(r"(?=.{1,255}\Z)(?!.*\.\.)[\w./:+=@-]+", re.ASCII)
"""Secret groups of every kind that Flyte has: Kubernetes names, ARNs, paths in Vault."""

PREFIX = re.compile(r"(?:s3|gs|gcs)://[^/\s]+/(?:[^\x00-\x1f]*/)?")

MAX_PRICE = 1_000_000

# Cloud machines are sold in binary gigabytes, whatever the unit is called: 64, "64G", "64GB",
# "64Gi" and "64GiB" ask for the same machine.
_MEMORY = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*(?:(?P<unit>[MGT])i?B?)?", re.IGNORECASE | re.ASCII
)
_GIGABYTES = {"M": Decimal(1) / 1024, "G": Decimal(1), "T": Decimal(1024)}


@explained_when_made
@dataclass(frozen=True)
class PerianConfig:
    """The requirements of a task's Perian job.

    Attributes:
        cores: number of CPU cores, at least.
        memory: gigabytes of memory, at least: ``64``, ``"64"``, ``"64Gi"``, ``"512Mi"``.
        accelerators: number of accelerators (GPUs).
        accelerator_type: e.g. ``"A100"`` or ``"NVIDIA_A100_80"``; may be given without a number
            and the other way round.
        os_storage_size: gigabytes of disk. Perian's own default is 50.
        country_code: two letters (ISO 3166), e.g. ``"DE"``.
        provider: short name of the cloud provider, e.g. ``"OTC"``.
        max_price_per_hour: the highest price per hour to accept.
        instance_type_id: one exact instance type of Perian's catalogue (a UUID).
        max_queued_time: how long the job may wait for a machine; a whole number is seconds.
        on_terminate: what becomes of the job when the task's own pod is ended: ``"cancel"`` it, or
            ``"detach"``: it goes on and the next attempt rejoins it, which suits pods on
            preemptible nodes; bound it with the task's ``timeout``.
        secret_group: Flyte secret group that holds ``perian_organization`` and ``perian_token``.
        storage_access: what a function task's job gets to reach the object store: ``"auto"``:
            temporary credentials for what it needs where they can be had, else the keys of the
            secret group; ``"scoped"``: temporary credentials, or the run is refused.
        reads: further URIs below which a function task's code reads, each ending in ``/``: what is
            named in no input.
        writes: the same for what it also writes.
        allow_short_access: accept that what a job holds may end before the job, so that its
            outputs could not be left: for credentials that nothing renews.
        executor_image: image of the task's own pod, which waits for the job; default
            ``PERIAN_SHIM_IMAGE``. It says nothing about the job and is no part of its record.

    Raises:
        ConfigError: a field has a wrong value, or a wrong type, which is a ``TypeError`` as well.
    """

    cores: int | None = None
    memory: int | float | str | None = None
    accelerators: int | None = None
    accelerator_type: str | None = None
    os_storage_size: int | None = None
    country_code: str | None = None
    provider: str | None = None
    max_price_per_hour: int | float | str | Decimal | None = None
    instance_type_id: str | None = None
    max_queued_time: int | datetime.timedelta | None = None
    on_terminate: str = CANCEL
    secret_group: str = DEFAULT_SECRET_GROUP
    executor_image: str | None = None
    storage_access: str = AUTO
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    allow_short_access: bool = False

    def __post_init__(self) -> None:
        for name in ("cores", "accelerators", "os_storage_size"):
            check_count(name, getattr(self, name))
        parse_memory(self.memory)
        if self.on_terminate not in (CANCEL, DETACH):  # a list cannot be in a set
            raise wrong("on_terminate", f"{CANCEL!r} or {DETACH!r}", self.on_terminate)
        for name in ("accelerator_type", "provider"):
            check_text(name, getattr(self, name), PRODUCT, "letters, digits and any of ' ._+/()-'")
        check_text(
            "secret_group", self.secret_group, GROUP, "letters, digits and any of '._/:+=@-'"
        )
        check_image("executor_image", self.executor_image)
        if self.storage_access not in (AUTO, SCOPED):
            raise wrong("storage_access", f"{AUTO!r} or {SCOPED!r}", self.storage_access)
        if not isinstance(self.allow_short_access, bool):
            raise wrong("allow_short_access", "True or False", self.allow_short_access)
        for name in ("reads", "writes"):
            self._set(name, parse_prefixes(name, getattr(self, name)))
        self._set("country_code", parse_country(self.country_code))
        self._set("max_price_per_hour", parse_price(self.max_price_per_hour))
        self._set("instance_type_id", parse_instance_type(self.instance_type_id))
        self._set("max_queued_time", parse_queued_time(self.max_queued_time))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for others, not while being made

    @property
    def asks_for_nothing(self) -> bool:
        """Whether no requirement at all is given; Perian wants at least one."""
        return all(getattr(self, name) is None for name in REQUIREMENTS)

    @property
    def memory_gb(self) -> Decimal | None:
        """``memory`` as a number of gigabytes."""
        return parse_memory(self.memory)

    @property
    def price_limit(self) -> Decimal | None:
        """``max_price_per_hour`` as a number."""
        return parse_price(self.max_price_per_hour)

    @property
    def max_queued_seconds(self) -> int | None:
        """``max_queued_time`` in whole seconds."""
        value = self.max_queued_time
        return math.ceil(value.total_seconds()) if isinstance(value, datetime.timedelta) else value

    @property
    def requirements(self) -> Requirements:
        """What the machine must have, as the API takes it."""
        return Requirements(
            cores=self.cores,
            memory_gb=self.memory_gb,
            accelerators=self.accelerators,
            accelerator_type=self.accelerator_type,
            country_code=self.country_code,
            provider=self.provider,
            max_price_per_hour=self.price_limit,
        )

    def to_json(self) -> dict[str, object]:
        """Return the job's fields that are set, as JSON values; numbers with a fraction as text."""
        values: dict[str, object] = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) is not None and field.name != "executor_image"
        }
        for name, usual in (("storage_access", AUTO), ("allow_short_access", False)):
            if values[name] == usual:
                del values[name]
        for name in ("reads", "writes"):
            values[name] = list(getattr(self, name))
            if not values[name]:
                del values[name]
        if self.memory_gb is not None:
            values["memory"] = plain_number(self.memory_gb)
        if self.price_limit is not None:
            values["max_price_per_hour"] = plain_number(self.price_limit)
        if self.max_queued_time is not None:
            values["max_queued_time"] = self.max_queued_seconds
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "PerianConfig":
        """Read what ``to_json`` wrote, also after a protobuf Struct made its integers floats.

        Raises:
            ConfigError: a value is wrong. Fields of newer versions are ignored.
        """
        known = {field.name for field in fields(cls)}
        return cls(**{name: whole(v) for name, v in values.items() if name in known})  # type: ignore[arg-type]  # checked by __post_init__


class WrongConfigType(ConfigError, TypeError):
    """A field has another type than it may have."""


ACCEPTED: Mapping[str, Any] = {
    "memory": int | float | str | Decimal,
    "instance_type_id": str | uuid.UUID,
    "reads": str | list | tuple,
    "writes": str | list | tuple,
}
"""Types that some fields take beside the declared one."""

# Else the constructor shows what ``object`` says of its own.
PerianConfig.__init__.__doc__ = PerianConfig.__doc__

REQUIREMENTS = (
    "cores",
    "memory",
    "accelerators",
    "accelerator_type",
    "country_code",
    "provider",
    "max_price_per_hour",
    "instance_type_id",
)


def wrong(name: str, expected: str, given: object) -> ConfigError:
    """Return the error for one field: its name, what was expected and what was given."""
    message = f"PerianConfig.{name}: expected {expected}, got {given!r} ({type(given).__name__})"
    declared = next(field.type for field in fields(PerianConfig) if field.name == name)
    of_its_type = isinstance(given, ACCEPTED.get(name, declared))
    if not of_its_type or (isinstance(given, bool) and declared is not bool):
        return WrongConfigType(message)
    return ConfigError(message)


def check_count(name: str, value: object) -> None:
    """Accept ``None`` or a positive whole number."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise wrong(name, "a whole number of at least 1", value)


def check_text(name: str, value: object, pattern: re.Pattern[str], characters: str) -> None:
    """Accept ``None``, but not as the secret group, or text of some characters."""
    if value is None and name != "secret_group":
        return
    if not isinstance(value, str) or not value.strip():
        raise wrong(name, "text that is not empty", value)
    if not pattern.fullmatch(value):
        raise wrong(name, f"at most {MAX_TEXT} of {characters}, no blanks around them", value)


def check_image(name: str, value: object) -> None:
    """Accept ``None`` or an image reference."""
    if value is None:
        return
    try:
        ImageReference.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong(name, 'an image reference like "registry.example.org/x:1"', value) from None


def parse_prefixes(name: str, value: object) -> tuple[str, ...]:
    """Accept URIs of folders in an object store."""
    uris = value if isinstance(value, tuple | list) else (value,)
    for uri in uris:
        if not (isinstance(uri, str) and PREFIX.fullmatch(uri)):
            raise wrong(name, 'URIs of folders like "s3://bucket/models/"', value)
    return tuple(uris)


def parse_memory(value: object) -> Decimal | None:
    """Return gigabytes from a number or text like ``"64"``, ``"64Gi"``, ``"512Mi"``."""
    if value is None:
        return None
    match = None if isinstance(value, bool) else _MEMORY.fullmatch(str(value).strip())
    unit = _GIGABYTES[(match["unit"] or "G").upper()] if match else Decimal(0)
    gigabytes = Decimal(match["number"]) * unit if match else Decimal(0)
    if gigabytes <= 0:
        raise wrong("memory", 'gigabytes above 0, as a number or text like "64" or "64Gi"', value)
    return gigabytes


def parse_country(value: object) -> str | None:
    """Return the code in capitals."""
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]{2}", value):
        raise wrong("country_code", 'two letters like "DE"', value)
    return value.upper()


def parse_price(value: object) -> Decimal | None:
    """Return a positive price of at most ``MAX_PRICE``."""
    if value is None:
        return None
    try:
        price = Decimal(0) if isinstance(value, bool) else Decimal(str(value))
    except ArithmeticError:
        price = Decimal(0)
    if not (price.is_finite() and 0 < price <= MAX_PRICE):
        raise wrong("max_price_per_hour", f"a price above 0 and up to {MAX_PRICE}", value)
    return price


def parse_instance_type(value: object) -> str | None:
    """Return the id in its usual spelling."""
    if value is None:
        return None
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        expected = "the UUID of an instance type in Perian's catalogue"
        raise wrong("instance_type_id", expected, value) from None


def parse_queued_time(value: object) -> int | datetime.timedelta | None:
    """Accept ``None``, whole seconds or a timedelta, above zero."""
    if value is None:
        return None
    if isinstance(value, datetime.timedelta) and value > datetime.timedelta(0):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise wrong("max_queued_time", "whole seconds or a timedelta, above 0", value)


def whole(value: object) -> object:
    """Undo what a protobuf Struct does to integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
