"""What the Perian API answers: frozen records of the fields that perian-shim uses.

Units: memory is in gigabytes, times are aware datetimes, prices are per ``granularity`` (e.g.
``"PER_HOUR"``) in ``currency``. ``from_json`` ignores unknown fields and keeps unknown statuses and
other names as they are spelled; what is missing reads as None; a value of a wrong shape raises
``MalformedResponse`` naming the field. Of a job only what tells it from others and how it fares is
read so strictly: id, status and environment; the rest is None then. Secrets, registry credentials
and container files, which the API echoes in a job's ``docker_metadata``, are not kept.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Generic, TypeVar

from perian_shim.api.errors import MalformedResponse
from perian_shim.api.excerpt import Excerpt
from perian_shim.api.fields import Fields, malformed, optional

T = TypeVar("T")

GIGABYTES: dict[str, Decimal] = {
    "gb": Decimal(1),
    "mb": Decimal(1) / 1024,
    "kb": Decimal(1) / (1024 * 1024),
}


class JobStatus(str, Enum):
    """The statuses known today. ``Job.status`` is text: the API may grow others."""

    QUEUED = "Queued"
    INITIALIZING = "Initializing"
    MODEL_LOADING = "ModelLoading"
    RUNNING = "Running"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    DONE = "Done"
    SERVER_ERROR = "ServerError"
    USER_ERROR = "UserError"
    CANCELLED = "Cancelled"
    TIMEOUT = "Timeout"
    UNDEFINED = "Undefined"

    __str__ = str.__str__

    def __format__(self, format_spec: str) -> str:
        # Pythons differ in what format() of an enum with a mixin gives.
        return self.value.__format__(format_spec)


@dataclass(frozen=True)
class Price:
    """What an instance costs.

    Attributes:
        unit_price: price of one ``granularity``, None if unknown.
        currency: e.g. ``"EUR"``.
        granularity: e.g. ``"PER_HOUR"``.
    """

    unit_price: Decimal | None
    currency: str | None = None
    granularity: str | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "price") -> "Price":
        """Read the API's ``PriceData``."""
        fields = Fields(obj, where)
        return cls(
            unit_price=fields.number("unit_price"),
            currency=fields.text("currency"),
            granularity=fields.text("granularity"),
        )

    @classmethod
    def from_field(cls, fields: Fields) -> "Price | None":
        """Read the field ``price`` of an object, None if it is missing."""
        value = fields.values.get("price")
        return None if value is None else cls.from_json(value, fields.place("price"))


@dataclass(frozen=True)
class Job:
    """A job as the API shows it.

    Attributes:
        id: the job's id.
        status: verbatim, e.g. ``"Running"``; see ``JobStatus`` for those known.
        created_at: when it was submitted.
        started_at: when it began to run.
        done_at: when it ended.
        updated_at: when it last changed.
        logs: everything the container printed so far, as the API returns it; an ``Excerpt`` if that
            is very long. None in listings.
        errors: the platform's explanation of a failure; one that is not text as JSON.
        price: of the machine chosen.
        image: ``name`` or ``name:tag``.
        command: the command string.
        env_variables: the container's environment; values that are not text as JSON. Not in repr.
        instance_type_id: of the machine asked for.
        timeout_seconds: limit of the run, None if there is none.
    """

    id: str
    status: str
    created_at: datetime | None = None
    started_at: datetime | None = None
    done_at: datetime | None = None
    updated_at: datetime | None = None
    logs: str | None = field(default=None, repr=False)
    errors: str | None = None
    price: Price | None = None
    image: str | None = None
    command: str | None = field(default=None, repr=False)
    env_variables: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    instance_type_id: str | None = None
    timeout_seconds: int | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "job") -> "Job":
        """Read the API's ``JobView``."""
        fields = Fields(obj, where)
        docker = fields.child("docker_metadata").child("docker_run_parameters")
        return cls.of(fields, fields.text("status"), docker, variables_of(docker))

    @classmethod
    def from_listing(cls, obj: object, where: str = "job") -> "Job | None":
        """Read an entry of a listing, which must not stand in the way of all others.

        What cannot be read of it is None, and its status Undefined. Of an entry whose environment
        cannot be told neither that nor the command is given, as of a listing without such details:
        who needs to know has to ask for the job itself. An entry that has an environment but no id
        gets one that no job has: whoever recognizes it sees that a job is there, although nobody
        can ask for it.

        Returns:
            The job, or None if neither its id nor its environment can be told.
        """
        try:
            fields = Fields(obj, where)
        except MalformedResponse:
            return None
        status = optional(fields.text, "status")
        try:
            docker = fields.child("docker_metadata").child("docker_run_parameters")
            variables = variables_of(docker)
        except MalformedResponse:
            docker, variables = Fields({}, where), {}
        if not optional(fields.text, "id"):
            if not variables:
                return None
            fields = Fields({**fields.values, "id": f"({where}, without an id)"}, where)
        return cls.of(fields, status, docker, variables)

    @classmethod
    def of(
        cls, fields: Fields, status: str | None, docker: Fields, variables: Mapping[str, str]
    ) -> "Job":
        """Read what is optional besides what has been read."""
        runtime = fields.optional_child("runtime_metadata")
        image = (optional(docker.text, "image_name"), optional(docker.text, "image_tag"))
        return cls(
            id=fields.required_text("id"),
            status=status or JobStatus.UNDEFINED.value,
            created_at=optional(fields.moment, "created_at"),
            started_at=optional(fields.moment, "started_at"),
            done_at=optional(fields.moment, "done_at"),
            updated_at=optional(fields.moment, "updated_at"),
            logs=log_of(fields),
            errors=fields.words("errors"),
            price=optional(lambda _: Price.from_field(fields), "price"),
            image=":".join(part for part in image if part) or None,
            command=optional(docker.text, "command"),
            env_variables=variables,
            instance_type_id=optional(runtime.text, "instance_type_id"),
            timeout_seconds=optional(runtime.count, "timeout_seconds"),
        )


def variables_of(docker: Fields) -> dict[str, str]:
    """Return a container's environment."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in docker.child("env_variables").values.items()
    }


def log_of(fields: Fields) -> str | None:
    """Return a job's log, whole or shortened."""
    value = fields.values.get("logs")
    return Excerpt.from_json(value) if isinstance(value, dict) else optional(fields.text, "logs")


@dataclass(frozen=True)
class AcceleratorType:
    """A kind of accelerator.

    Attributes:
        id: the API's id.
        name: e.g. ``"NVIDIA_A100_80"``.
        display_name: e.g. ``"A100"``.
        vendor: e.g. ``"NVIDIA"``.
        memory_gb: of one accelerator.
    """

    id: str | None
    name: str | None
    display_name: str | None = None
    vendor: str | None = None
    memory_gb: Decimal | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "accelerator_type") -> "AcceleratorType":
        """Read the API's ``AcceleratorTypeView``."""
        fields = Fields(obj, where)
        return cls(
            id=fields.text("id"),
            name=fields.text("name"),
            display_name=fields.text("display_name"),
            vendor=fields.text("vendor"),
            memory_gb=gigabytes(fields.child("memory")),
        )


@dataclass(frozen=True)
class InstanceType:
    """A machine that can be rented.

    Attributes:
        id: the API's id, what ``CreateJobRequest.instance_type_id`` takes.
        name: the provider's name of it.
        provider: short name, what ``Requirements.provider`` takes; the long one if there is none.
        region: the region's name.
        country_code: of the region, else of the provider; two letters.
        cores: number of CPU cores.
        ram_gb: memory.
        accelerators: number of accelerators.
        accelerator_type: name of their kind, None if there are none.
        price: of the machine.
        available: whether it can be had now, None if unknown.
    """

    id: str
    name: str | None = None
    provider: str | None = None
    region: str | None = None
    country_code: str | None = None
    cores: int | None = None
    ram_gb: Decimal | None = None
    accelerators: int = 0
    accelerator_type: str | None = None
    price: Price | None = None
    available: bool | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "instance_type") -> "InstanceType":
        """Read the API's ``InstanceTypeView``."""
        fields = Fields(obj, where)
        provider, region = fields.child("provider"), fields.child("region")
        accelerator = fields.child("accelerator")
        kinds = [
            AcceleratorType.from_json(kind, f"{accelerator.place('accelerator_types')}[{index}]")
            for index, kind in enumerate(accelerator.items("accelerator_types"))
        ]
        return cls(
            id=fields.required_text("id"),
            name=fields.text("name"),
            provider=provider.text("name_short") or provider.text("name"),
            region=region.text("name"),
            country_code=region.text("location") or provider.text("location"),
            cores=fields.child("cpu").count("cores"),
            ram_gb=gigabytes(fields.child("ram")),
            accelerators=accelerator.count("no") or 0,
            accelerator_type=kinds[0].name if kinds else None,
            price=Price.from_field(fields),
            available=fields.child("availability").flag("available"),
        )


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a listing.

    Attributes:
        items: what is on it.
        page: its number, counted from 1, as the server says.
        total_pages: None if the server does not say.
        total_items: None if the server does not say.
        has_next: whether another page may follow. Without pagination data: whether this is full.
    """

    items: tuple[T, ...]
    page: int = 1
    total_pages: int | None = None
    total_items: int | None = None
    has_next: bool = False

    @classmethod
    def from_json(
        cls,
        obj: object,
        key: str,
        read: Callable[[object, str], T | None],
        *,
        page: int,
        limit: int,
    ) -> "Page[T]":
        """Read a listing.

        Args:
            obj: the answer.
            key: the field that holds the items.
            read: makes an item from JSON and its place in the answer; None to leave it out.
            page: the page that was asked for.
            limit: how many items per page were asked for; 0 if the listing is whole.
        """
        fields = Fields(obj, "answer")
        if not isinstance(fields.values.get(key), list):
            # Missing is not empty: who looks for a job must not be told that there are none.
            raise malformed(fields.place(key), "a list", fields.values.get(key))
        entries = fields.items(key)
        read_entries = (read(entry, f"{key}[{index}]") for index, entry in enumerate(entries))
        items = tuple(item for item in read_entries if item is not None)
        pagination = fields.child("pagination")
        here = pagination.count("current_page") or page
        total_pages = pagination.count("total_pages")
        following = pagination.count("next_page")
        if total_pages is None and following is None:
            has_next = 0 < limit <= len(entries)
        else:
            # Either may be a default that says nothing (1): a next page is believed from both.
            has_next = (total_pages or 0) > here or (following or 0) > here
        return cls(items, here, total_pages, pagination.count("total_items"), has_next)


def gigabytes(memory: Fields) -> Decimal | None:
    """Return the size of the API's ``Memory`` in gigabytes; a unit nobody knows is taken as GB."""
    size = memory.number("size")
    unit = (memory.text("unit") or "Gb").lower()
    return None if size is None else size * GIGABYTES.get(unit, Decimal(1))
