"""Why no machine can be had: which requirement fails, and what is there instead.

Asked only after Perian has refused a submission, so that nothing is added to the way of a job that
runs. Each requirement is tried alone, then each is left out in turn, against the catalogue. What
the catalogue does not answer is left out of the explanation: it never hides the refusal.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import pairwise
from typing import Protocol, TypeVar

from perian_shim.api.catalogue import AcceleratorType, InstanceType
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import ApiTimeout, InstanceTypeNotFound
from perian_shim.api.job_request import CreateJobRequest, Requirements, plain_number

T = TypeVar("T")

MANY = 100
"""How many machines are looked at."""

SHOWN = 8
"""How many names are listed."""

LONGEST_NAME = 60

CLOSE = 0.5
"""From which likeness on a name is taken for a misspelling; of 1."""

NO_SUCH_MACHINE = "The catalogue has no machine of this id."

NAMES = {"memory_gb": "memory"}
"""What ``PerianConfig`` calls a requirement."""


class Once(Protocol):
    """Makes a call of the API, once."""

    def __call__(self, act: Callable[[PerianClient], T], /) -> T:
        """Make it.

        Raises:
            ApiError: it failed.
        """
        ...


@dataclass(frozen=True)
class Offers:
    """What there is to rent. All raise an ``ApiError`` if it cannot be told.

    Attributes:
        once: makes a call.
        in_time: whether there is time left to make one.
    """

    once: Once
    in_time: Callable[[], bool] = lambda: True

    def ask(self, act: Callable[[PerianClient], T]) -> T:
        """Make a call, if there is time."""
        if not self.in_time():
            raise ApiTimeout("The catalogue takes too long.", sent=False)
        return self.once(act)

    def machines(self, requirements: Requirements) -> list[InstanceType]:
        """Return the machines that meet the requirements and can be had, the cheapest ``MANY``."""
        page = self.ask(lambda client: client.list_instance_types(requirements, limit=MANY))
        return [machine for machine in page.items if machine.available is not False]

    def accelerators(self) -> list[AcceleratorType]:
        """Return the kinds of accelerators."""
        return list(self.ask(lambda client: client.list_accelerator_types(limit=MANY)).items)

    def machine(self, instance_type_id: str) -> InstanceType | None:
        """Return a machine; None if there is none of this id."""
        try:
            return self.ask(lambda client: client.get_instance_type(instance_type_id))
        except InstanceTypeNotFound:
            return None


def why(request: CreateJobRequest, offers: Offers) -> list[str]:
    """Return sentences on why no machine can be had; none if that is not what is wrong.

    Raises:
        ApiError: the catalogue cannot be had.
    """
    wanted = request.instance_type_id
    if wanted is None:
        return [] if request.requirements is None else reasons(request.requirements, offers)
    machine = offers.machine(wanted)
    return [about_machine(machine) if machine else NO_SUCH_MACHINE]


def asked_for(request: CreateJobRequest) -> str:
    """Repeat what a request asks for, as ``PerianConfig`` has it."""
    return spelled(request.requirements, request.instance_type_id)


def spelled(requirements: Requirements | None, instance_type_id: str | None) -> str:
    """Repeat requirements, as ``PerianConfig`` has them."""
    parts = [f"{NAMES.get(n, n)}={shown(v)}" for n, v in given(requirements).items()]
    if instance_type_id is not None:
        parts.insert(0, f"instance_type_id={instance_type_id!r}")
    return ", ".join(parts) or "any machine"


def given(requirements: Requirements | None) -> dict[str, object]:
    """Return the requirements that are there, by name."""
    if requirements is None:
        return {}
    values = {field.name: getattr(requirements, field.name) for field in fields(requirements)}
    return {name: value for name, value in values.items() if value is not None}


def shown(value: object) -> str:
    """Write a value as in a task's definition."""
    return repr(value) if isinstance(value, str) else plain_number(Decimal(str(value)))


def reasons(requirements: Requirements, offers: Offers) -> list[str]:
    """Return sentences on which requirement fails; none if the catalogue has what is asked for.

    Args:
        requirements: what was asked for.
        offers: what there is.

    Raises:
        ApiError: the catalogue cannot be had.
    """
    if offers.machines(requirements):
        return []
    asked = given(requirements)
    alone = [
        name
        for name, value in asked.items()
        if len(asked) == 1 or not offers.machines(Requirements(**{name: value}))  # type: ignore[arg-type]  # a value of that field
    ]
    if alone:
        # What there is instead is looked for among machines that have the rest, if there are any.
        rest = replace(requirements, **dict.fromkeys(alone))
        machines = offers.machines(rest) or offers.machines(Requirements())
        return [
            f"No machine at all has {NAMES.get(name, name)}={shown(asked[name])}"
            f"{instead(name, asked[name], machines, offers)}."
            for name in alone
        ]
    return list(together(requirements, asked, offers)) or [
        "Each can be had alone, but more than one has to give way for the rest."
    ]


def together(requirements: Requirements, asked: dict[str, object], offers: Offers) -> Iterator[str]:
    """Yield a sentence for each requirement without which the others can be had."""
    for name, value in asked.items():
        machines = offers.machines(replace(requirements, **{name: None}))
        if machines:
            yield (
                f"Without {NAMES.get(name, name)}={shown(value)} the rest can be had"
                f"{instead(name, value, machines, offers)}."
            )


def instead(name: str, value: object, machines: Iterable[InstanceType], offers: Offers) -> str:
    """Say what of a requirement can be had on some machines; "" if that cannot be told."""
    has: Callable[[InstanceType], object] = READ[name]
    found = [(has(machine), machine) for machine in machines]
    if name == "max_price_per_hour":
        prices = [(m.price.per_hour, m) for _, m in found if m.price and m.price.per_hour]
        if not prices:
            return ""
        price, machine = min(prices, key=lambda entry: entry[0])
        currency = f" {machine.price.currency}" if machine.price and machine.price.currency else ""
        return f": the cheapest costs {plain_number(price)}{currency}"
    if not isinstance(value, str):
        numbers = [number for number, _ in found if isinstance(number, int | Decimal)]
        return f": the most is {plain_number(Decimal(max(numbers)))}" if numbers else ""
    names = sorted({str(text) for text, _ in found if text})
    known = names
    if name == "accelerator_type":
        known = [kind.name for kind in offers.accelerators() if kind.name] or names
    close = nearest(value, known)
    hint = f"; nearest by name: {', '.join(map(plain, close))}" if close else ""
    more = ", …" if len(names) > SHOWN else ""
    listed = f": there is {', '.join(map(plain, names[:SHOWN]))}{more}" if names else ""
    return listed + hint


def plain(name: str) -> str:
    """Return a name of the catalogue's as it may stand in a message: short and printable."""
    return "".join(letter for letter in name if letter.isprintable())[:LONGEST_NAME]


def about_machine(machine: InstanceType) -> str:
    """Say what an instance type is and whether it can be had."""
    words = (machine.name, "of", machine.provider, "in", machine.country_code)
    state = "cannot be had now" if machine.available is False else "is in the catalogue"
    return f"It is {' '.join(plain(word or '?') for word in words)}, which {state}."


READ: dict[str, Callable[[InstanceType], object]] = {
    "cores": lambda machine: machine.cores,
    "memory_gb": lambda machine: machine.ram_gb,
    "accelerators": lambda machine: machine.accelerators,
    "accelerator_type": lambda machine: machine.accelerator_type,
    "country_code": lambda machine: machine.country_code,
    "provider": lambda machine: machine.provider,
    "max_price_per_hour": lambda machine: machine.price,
}
"""How a machine's value is read, by the requirement's name."""


def nearest(asked: str, known: Iterable[str]) -> list[str]:
    """Return up to three names that are most like one, but are not that one.

    Makers and sizes are part of the names: the best likeness to the whole or to a part counts.
    """
    others = [name for name in known if likeness(asked, name) < 1]
    scores = {name: max(likeness(asked, part) for part in parts(name)) for name in others}
    best = sorted(scores, key=lambda name: -scores[name])[:3]
    return [name for name in best if scores[name] >= CLOSE]


def parts(name: str) -> list[str]:
    """Return a name, its words, and each two of its words that follow each other."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    pairs = [" ".join(pair) for pair in pairwise(words)]
    return [" ".join(words), *words, *pairs]


def likeness(one: str, other: str) -> float:
    """Return how much two names are alike, from 0 to 1."""
    first, second = (" ".join(re.findall(r"[a-z0-9]+", text.casefold())) for text in (one, other))
    return difflib.SequenceMatcher(None, first, second).ratio()
