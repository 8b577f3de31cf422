"""The platform's rules for machines that a job was submitted under: pure.

They go with the job, in its environment. So a pod that rejoins it holds its machine against what
was in force when it was submitted, and no job is ended because a rule has changed since. What the
API does not say of a machine is not guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation

from perian_shim.api.catalogue import InstanceType, Price
from perian_shim.api.costs import currency_of, money, price_for
from perian_shim.api.job_request import plain_number
from perian_shim.settings import JOB_RULES

PRICES = ("max_price_per_hour", "max_price_per_run")

LISTS = ("providers", "countries", "instance_types")


@dataclass(frozen=True)
class Rules:
    """What a rented machine may be.

    Attributes:
        max_price_per_hour: the highest price of an hour.
        max_price_per_run: the highest price of ``timeout_seconds``, in the steps that are billed.
        currency: of both.
        providers: short names of the providers allowed; none: all.
        countries: the countries allowed, two letters each; none: all.
        instance_types: names or ids of the machines allowed; none: all.
        timeout_seconds: the limit that the job was submitted with, None for none.
    """

    max_price_per_hour: Decimal | None = None
    max_price_per_run: Decimal | None = None
    currency: str | None = None
    providers: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    instance_types: tuple[str, ...] = ()
    timeout_seconds: int | None = None

    @property
    def about_prices(self) -> bool:
        """Whether there is a rule for prices."""
        return self.max_price_per_hour is not None or self.max_price_per_run is not None

    @property
    def about_machines(self) -> bool:
        """Whether there is a rule for machines at all."""
        return bool(self.about_prices or self.providers or self.countries or self.instance_types)

    def to_text(self) -> str:
        """Return the rules as a job carries them."""
        values = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(
            {n: plain_number(v) if isinstance(v, Decimal) else v for n, v in values.items()},
            sort_keys=True,
        )

    @classmethod
    def of_job(cls, environment: Mapping[str, str]) -> "Rules | None":
        """Return the rules that a job carries; None if there are none, or they cannot be read.

        Args:
            environment: the job's.
        """
        try:
            values = dict(json.loads(environment[JOB_RULES]))
            hour, run = (Decimal(values[n]) if n in values else None for n in PRICES)
            providers, countries, types = (tuple(map(str, values.get(n, ()))) for n in LISTS)
            currency, timeout = values.get("currency"), values.get("timeout_seconds")
            return cls(
                hour,
                run,
                None if currency is None else str(currency),
                providers,
                countries,
                types,
                None if timeout is None else int(timeout),
            )
        except (KeyError, ValueError, TypeError, InvalidOperation):
            return None

    def broken_by(
        self, price: Price | None, machine: InstanceType | None, type_id: str | None = None
    ) -> list[str]:
        """Return which rules a machine breaks, one sentence part for each.

        Args:
            price: what it costs, None if that is not known.
            machine: the machine, None if it is not known.
            type_id: its id, if that is known.
        """
        found = self.broken_by_price(price)
        if machine is not None:
            found += not_among("provider", machine.provider, "providers", self.providers)
            found += not_among("country", machine.country_code, "countries", self.countries)
        names = [machine.name, machine.id] if machine else []
        known = {name.casefold() for name in [*names, type_id] if name}
        allowed = {name.casefold() for name in self.instance_types}
        # Of a machine that the catalogue does not show only the id is known: the list may name it.
        only_ids = all(is_id(name) for name in allowed)
        if allowed and known and not known & allowed and (machine is not None or only_ids):
            name = (machine and machine.name) or type_id or "?"
            found += not_among("type", name, "instance_types", self.instance_types)
        return found

    def broken_by_price(self, price: Price | None) -> list[str]:
        """Return which rules a price breaks."""
        if not self.about_prices or price is None or price.per_hour is None:
            return []
        currency = currency_of(price)
        if currency is not None and self.currency and currency != self.currency:
            other = f"its price is in {currency}, and the rules' currency is {self.currency}"
            return [f"{other}: they cannot be compared"]
        found = []
        hour, run = self.max_price_per_hour, self.max_price_per_run
        if hour is not None and price.per_hour > hour:
            costs = f"{plain_number(price.per_hour)} {currency or ''}".strip()
            found.append(
                f"it costs {costs} per hour, and max_price_per_hour allows"
                f" {plain_number(hour)} {self.currency}"
            )
        worst = None if self.timeout_seconds is None else price_for(price, self.timeout_seconds)
        if run is not None and worst is not None and worst > run:
            found.append(
                f"it costs {money(worst, currency)} if it runs for the whole"
                f" {self.timeout_seconds} s of its timeout, and max_price_per_run allows"
                f" {plain_number(run)} {self.currency}"
            )
        return found


def not_among(what: str, value: str | None, rule: str, allowed: tuple[str, ...]) -> list[str]:
    """Return what is said of a value that a rule does not list; nothing if it does."""
    if not value or not allowed or value.casefold() in {each.casefold() for each in allowed}:
        return []
    return [f"its {what} is {value}, and {rule} allows {', '.join(allowed)}"]


def is_id(name: str) -> bool:
    """Whether a name can only be an id of the catalogue's, which are UUIDs."""
    groups = [len(part) for part in name.split("-")]
    return groups == [8, 4, 4, 4, 12]
