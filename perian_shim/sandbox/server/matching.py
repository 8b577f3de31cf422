"""Which catalogue entries a query means.

Sizes are lower bounds, a price is an upper bound, names are compared without regard to case. A
subquery's ``operator`` changes how its numbers are compared. What the sandbox's catalogue does not
vary in (storage, network, zones) is accepted and ignored. Instance types that are not available
match only a query that asks for them.
"""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from perian_shim.sandbox.server.catalogue import (
    ACCELERATORS,
    INSTANCE_TYPES,
    AcceleratorType,
    InstanceType,
)
from perian_shim.sandbox.server.validation import Reader

Comparison = Callable[[Decimal, Decimal], bool]
Test = Callable[[InstanceType], bool]

COMPARISONS: dict[str, Comparison] = {
    "EQUALS": operator.eq,
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
    "GREATER_THAN": operator.gt,
    "GREATER_THAN_OR_EQUAL": operator.ge,
}


@dataclass
class InstanceQuery:
    """A query for instance types: all tests must hold."""

    tests: list[Test] = field(default_factory=list)

    def compare(
        self,
        reader: Reader,
        name: str,
        measure: Callable[[InstanceType], int | Decimal],
        default: Comparison = operator.ge,
    ) -> None:
        """Add a test of a number, if the subquery has it."""
        wanted = reader.number(name)
        if wanted is not None:
            bound = Decimal(str(wanted))
            chosen = COMPARISONS.get(reader.text("operator") or "", default)
            self.tests.append(lambda offer: chosen(Decimal(measure(offer)), bound))

    def match(self, reader: Reader, name: str, names: Callable[[InstanceType], set[str]]) -> None:
        """Add a test of a name, if the subquery has it."""
        wanted = reader.texts(name)
        if wanted is not None:
            folded = {item.strip().casefold() for item in wanted}
            self.tests.append(
                lambda offer: not folded.isdisjoint(item.casefold() for item in names(offer))
            )

    def accelerator(self, reader: Reader) -> None:
        """Add the tests of the accelerator subquery."""
        self.compare(reader, "no", lambda offer: offer.accelerators)
        self.compare(
            reader.child("memory"),
            "size",
            lambda offer: offer.accelerator.memory_gb if offer.accelerator else 0,
        )
        self.match(
            reader,
            "vendor",
            lambda offer: {offer.accelerator.vendor} if offer.accelerator else set(),
        )
        names = reader.texts("name")
        if names is not None:
            self.tests.append(lambda offer: is_called(offer.accelerator, names))

    def select(self, offers: Iterable[InstanceType] = INSTANCE_TYPES) -> list[InstanceType]:
        """Give what matches, the cheapest first.

        Prices are compared by their number, as there are no exchange rates here.
        """
        found = [offer for offer in offers if all(test(offer) for test in self.tests)]
        return sorted(found, key=lambda offer: (offer.price, offer.name))


def is_called(accelerator: AcceleratorType | None, names: Iterable[str]) -> bool:
    """Tell whether any of the names means the accelerator."""
    return accelerator is not None and any(accelerator.called(name) for name in names)


def read_instance_query(reader: Reader) -> InstanceQuery:
    """Read an instance type query; problems go to the reader."""
    query = InstanceQuery()
    query.match(reader, "id", lambda offer: {offer.id})
    query.match(reader, "name", lambda offer: {offer.name})
    query.compare(reader.child("cpu"), "cores", lambda offer: offer.cores)
    query.compare(reader.child("cpu"), "threads", lambda offer: offer.cores)
    query.compare(reader.child("ram"), "size", lambda offer: offer.ram_gb)
    query.accelerator(reader.child("accelerator"))
    region = reader.child("region")
    query.match(region, "location", lambda offer: {offer.region.location})
    query.match(region, "name", lambda offer: {offer.region.name})
    sustainable = region.boolean("sustainable")
    if sustainable is not None:
        query.tests.append(lambda offer: offer.region.sustainable == sustainable)
    provider = reader.child("provider")
    for name in ("name", "name_short"):
        query.match(provider, name, lambda offer: {offer.provider.name, offer.provider.short})
    query.match(provider, "location", lambda offer: {offer.provider.location})
    query.compare(reader.child("price"), "unit_price", lambda offer: offer.price, operator.le)
    query.match(reader, "billing_granularity", lambda offer: {offer.provider.billed_by})
    available = reader.child("availability").boolean("available")
    query.tests.append(lambda offer: offer.available == (available is not False))
    return query


def read_accelerator_query(reader: Reader) -> list[AcceleratorType]:
    """Read an accelerator type query and give what matches it."""
    identifiers, names, vendors = (
        reader.texts("id"),
        reader.texts("name"),
        reader.texts("vendor"),
    )
    memory = reader.child("memory").number("size")
    return [
        kind
        for kind in ACCELERATORS
        if (identifiers is None or kind.id in identifiers)
        and (names is None or is_called(kind, names))
        and (vendors is None or kind.vendor.casefold() in {item.casefold() for item in vendors})
        and (memory is None or kind.memory_gb >= memory)
    ]
