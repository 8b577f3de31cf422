"""What can be rented, as the Perian API answers: frozen records of what perian-shim uses.

Units: memory is in gigabytes, prices are per ``granularity`` in ``currency``. ``from_json`` ignores
unknown fields and keeps names as they are spelled; what is missing reads as None; a value of a
wrong shape raises ``MalformedResponse`` naming the field.
"""

from dataclasses import dataclass
from decimal import Decimal

from perian_shim.api.fields import Fields

GIGABYTES: dict[str, Decimal] = {
    "gb": Decimal(1),
    "mb": Decimal(1) / 1024,
    "kb": Decimal(1) / (1024 * 1024),
}

HOUR_SECONDS = 3600

SECONDS: dict[str, int] = {
    "PER_SECOND": 1,
    "PER_MINUTE": 60,
    "PER_10_MINUTES": 600,
    "PER_HOUR": HOUR_SECONDS,
}
"""How long a granularity is, in seconds."""


@dataclass(frozen=True)
class Price:
    """What an instance costs.

    Attributes:
        unit_price: price of one ``granularity``, None if unknown.
        currency: e.g. ``"EUR"``.
        granularity: e.g. ``"PER_HOUR"``.
        billed_by: in what the provider counts what is paid, as a granularity; None: the same.
    """

    unit_price: Decimal | None
    currency: str | None = None
    granularity: str | None = None
    billed_by: str | None = None

    @classmethod
    def from_json(cls, obj: object, where: str = "price") -> "Price":
        """Read the API's ``PriceData``."""
        fields = Fields(obj, where)
        return cls(
            unit_price=fields.number("unit_price"),
            currency=fields.text("currency"),
            granularity=fields.text("granularity"),
            billed_by=fields.text("provider_billing_granularity"),
        )

    @classmethod
    def from_field(cls, fields: Fields) -> "Price | None":
        """Read the field ``price`` of an object, None if it is missing."""
        value = fields.values.get("price")
        return None if value is None else cls.from_json(value, fields.place("price"))

    @property
    def per_hour(self) -> Decimal | None:
        """The price of an hour; None if it cannot be told.

        The API's defaults are a price of 0 and an undefined granularity: neither says anything.
        """
        seconds = self.seconds
        if seconds is None or self.unit_price is None or self.unit_price <= 0:
            return None
        return self.unit_price * (HOUR_SECONDS // seconds)

    @property
    def seconds(self) -> int | None:
        """For how many seconds one ``unit_price`` pays; None if that is not said."""
        return SECONDS.get((self.granularity or "").upper())

    @property
    def billed_seconds(self) -> int | None:
        """In steps of how many seconds a machine is paid for; None if that is not said."""
        return SECONDS.get((self.billed_by or "").upper()) or self.seconds


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


def defined(name: str | None) -> str | None:
    """Return the name of a currency or a granularity; None if it says that it is undefined."""
    return None if not name or name.casefold() == "undefined" else name


def gigabytes(memory: Fields) -> Decimal | None:
    """Return the size of the API's ``Memory`` in gigabytes; a unit nobody knows is taken as GB."""
    size = memory.number("size")
    unit = (memory.text("unit") or "Gb").lower()
    return None if size is None else size * GIGABYTES.get(unit, Decimal(1))
