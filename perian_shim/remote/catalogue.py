"""What can be rented, and what it costs: offers, and kinds of accelerators.

Nothing is converted: offers are sorted by price within their currency, one currency after the
other.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, overload

from perian_shim.api.catalogue import AcceleratorType, InstanceType, Price
from perian_shim.api.client import PerianClient
from perian_shim.api.costs import currency_of, price_for
from perian_shim.api.errors import ApiError, InstanceTypeNotFound
from perian_shim.api.job_request import Requirements
from perian_shim.config import PerianConfig
from perian_shim.lifecycle import shortage
from perian_shim.remote import twins
from perian_shim.remote.asking import ask
from perian_shim.remote.connection import Connection, connection
from perian_shim.remote.records import Amount, Record

DEFAULT_LIMIT = 25


@dataclass(frozen=True)
class Offer(Record):
    """A machine that can be rented. What the API does not say is None.

    Attributes:
        id: what ``PerianConfig.instance_type_id`` takes.
        name: the provider's name of it.
        provider: what ``PerianConfig.provider`` takes.
        country_code: two letters.
        region: the region's name.
        cores: number of CPU cores.
        memory_gb: memory, in gigabytes.
        accelerators: number of accelerators.
        accelerator_type: name of their kind.
        price_per_hour: in ``currency``.
        currency: e.g. ``"EUR"``.
        billed_seconds: in steps of how many seconds it is paid for, each begun one counting.
        available: whether it can be had now.
        price: as the API has it.
    """

    id: str
    name: str | None = None
    provider: str | None = None
    country_code: str | None = None
    region: str | None = None
    cores: int | None = None
    memory_gb: Decimal | None = None
    accelerators: int = 0
    accelerator_type: str | None = None
    price_per_hour: Decimal | None = None
    currency: str | None = None
    billed_seconds: int | None = None
    available: bool | None = None
    price: Price | None = field(default=None, repr=False)

    @classmethod
    def of(cls, machine: InstanceType) -> "Offer":
        """Return the offer for a machine of the API's."""
        price = machine.price
        return cls(
            id=machine.id,
            name=machine.name,
            provider=machine.provider,
            country_code=machine.country_code,
            region=machine.region,
            cores=machine.cores,
            memory_gb=machine.ram_gb,
            accelerators=machine.accelerators,
            accelerator_type=machine.accelerator_type,
            price_per_hour=price.per_hour if price else None,
            currency=currency_of(price),
            billed_seconds=price.billed_seconds if price else None,
            available=machine.available,
            price=price,
        )

    def cost(self, seconds: Decimal | float) -> Amount | None:
        """Return what so many seconds cost, in full steps of the billing; None if unknown."""
        amount = price_for(self.price, seconds)
        return None if amount is None else Amount(amount, self.currency)


@dataclass(frozen=True)
class OfferList(Record, Sequence[Offer]):
    """Offers: the cheapest first within a currency, one currency after the other.

    Attributes:
        offers: in that order; those without a price come last.
        total: how many there are, also beyond the limit.
        reasons: if there are none: sentences on which requirement fails, and what there is instead.
    """

    offers: tuple[Offer, ...] = ()
    total: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def currencies(self) -> tuple[str | None, ...]:
        """The currencies, in their order. Prices of different ones cannot be compared."""
        return tuple(dict.fromkeys(each.currency for each in self.offers))

    @overload
    def __getitem__(self, index: int) -> Offer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Offer, ...]: ...
    def __getitem__(self, index: int | slice) -> Offer | tuple[Offer, ...]:
        return self.offers[index]

    def __len__(self) -> int:
        return len(self.offers)

    def __iter__(self) -> Iterator[Offer]:
        return iter(self.offers)


@dataclass(frozen=True)
class Accelerator(Record):
    """A kind of accelerator.

    Attributes:
        name: what ``PerianConfig.accelerator_type`` takes.
        display_name: for people.
        vendor: who makes it.
        memory_gb: of one, in gigabytes.
        machines: how many kinds of machines have it and can be had now.
        most: how many of it one machine has at most.
        cheapest: price per hour of the cheapest such machine, in each currency.
    """

    name: str
    display_name: str | None = None
    vendor: str | None = None
    memory_gb: Decimal | None = None
    machines: int = 0
    most: int = 0
    cheapest: tuple[Amount, ...] = ()


class Catalogue:
    """What Perian rents out. Every call has an ``.aio`` twin, and may raise an ``ApiError``."""

    @twins.class_method
    def accelerators(cls: Any) -> list[Accelerator]:  # noqa: N805 - its decorator makes it one
        """Return all kinds of accelerators, by name, with what machines that have them cost."""
        del cls
        who = connection()
        kinds = ask(who, lambda client: list(client.iter_accelerator_types()))
        some = Requirements(accelerators=1)
        machines = ask(who, lambda client: list(client.iter_instance_types(some)))
        return described(kinds, [Offer.of(each) for each in machines if can_be_had(each)])

    @twins.class_method
    def offers(
        cls: Any,  # noqa: N805 - its decorator makes it one
        config: PerianConfig | None = None,
        limit: int | None = DEFAULT_LIMIT,
    ) -> OfferList:
        """Return the machines that meet a task's requirements and can be had now.

        Args:
            config: the requirements; None: none.
            limit: how many of each currency at most; None: all.
        """
        del cls
        found, reasons = offered(connection(), config or PerianConfig())
        return OfferList(tuple(first_of_each(in_order(found), limit)), len(found), reasons)


def offered(who: Connection, config: PerianConfig) -> tuple[list[Offer], tuple[str, ...]]:
    """Ask for offers, in the API's order, and if there are none for the reasons.

    Raises:
        ApiError: the catalogue cannot be had.
    """
    found = [Offer.of(each) for each in ask(who, lambda client: machines_for(client, config))]
    if found:
        return found, ()
    with who.client() as client:
        return [], tuple(reasons_for(client, config))


def machines_for(client: PerianClient, config: PerianConfig) -> list[InstanceType]:
    """Return the machines that can be had, in the API's order."""
    wanted = config.instance_type_id
    if wanted is None:
        return [
            each for each in client.iter_instance_types(config.requirements) if can_be_had(each)
        ]
    try:
        machine = client.get_instance_type(wanted)
    except InstanceTypeNotFound:
        return []
    return [machine] if can_be_had(machine) else []


def can_be_had(machine: InstanceType) -> bool:
    """Whether a machine is not known to be unavailable."""
    return machine.available is not False


def reasons_for(client: PerianClient, config: PerianConfig) -> list[str]:
    """Return sentences on why there is no offer; none if that cannot be told."""
    offers = shortage.Offers(lambda act: act(client))
    try:
        if config.instance_type_id is None:
            return shortage.reasons(config.requirements, offers)
        machine = offers.machine(config.instance_type_id)
    except ApiError:
        return []
    return [shortage.about_machine(machine) if machine else shortage.NO_SUCH_MACHINE]


def in_order(offers: Iterable[Offer]) -> list[Offer]:
    """Sort offers by currency, then by price; those without one come last."""

    def key(offer: Offer) -> tuple[bool, str, Decimal, str]:
        price = offer.price_per_hour
        return price is None, offer.currency or "~", price or Decimal(0), offer.name or offer.id

    return sorted(offers, key=key)


def first_of_each(offers: Iterable[Offer], limit: int | None) -> Iterator[Offer]:
    """Yield the first ones of each currency."""
    for _, group in itertools.groupby(offers, lambda offer: offer.currency):
        yield from itertools.islice(group, limit)


def cheapest(offers: Iterable[Offer]) -> list[Offer]:
    """Return the cheapest offer of each currency that has prices."""
    return list(first_of_each((o for o in in_order(offers) if o.price_per_hour is not None), 1))


def described(kinds: Iterable[AcceleratorType], offers: Sequence[Offer]) -> list[Accelerator]:
    """Return kinds of accelerators, with what is offered of them."""
    found = []
    for kind in kinds:
        if not kind.name:
            continue
        own = [offer for offer in offers if offer.accelerator_type == kind.name]
        found.append(
            Accelerator(
                kind.name,
                kind.display_name,
                kind.vendor,
                kind.memory_gb,
                len(own),
                max((offer.accelerators for offer in own), default=0),
                tuple(
                    Amount(offer.price_per_hour, offer.currency)
                    for offer in cheapest(own)
                    if offer.price_per_hour is not None
                ),
            )
        )
    return sorted(found, key=lambda each: each.name)
