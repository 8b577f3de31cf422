"""The platform's rules, as whoever runs the platform writes them: one JSON object.

``PERIAN_POLICY`` holds it, or the path of a file that does. Everything is checked when it is read:
a misspelt rule would be no rule, so an unknown name is an error, and so is a rule that cannot have
any effect. An error names the rule, what was expected and what was given.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from perian_shim import settings
from perian_shim.config import GROUP, PREFIX
from perian_shim.errors import ConfigError
from perian_shim.lifecycle.rules import LISTS, Rules

MAX_BYTES = 1 << 20
"""Longest file of rules."""

MAX_NUMBER = 10**9

REMEDY = (
    "Correct PERIAN_POLICY, which whoever runs the platform sets (docs/guides/platform-rules.md)."
)


@dataclass(frozen=True)
class PlatformPolicy:
    """What a task may rent, and how many jobs may live at once. Nothing set: no rules.

    Attributes:
        max_price_per_hour: the highest price of an hour.
        max_price_per_run: the highest price of a run that takes the whole of its timeout.
        currency: of both.
        providers: short names of the providers allowed.
        countries: countries allowed, two letters each.
        instance_types: names or ids of machines allowed.
        default_timeout_seconds: the timeout of tasks without one.
        max_timeout_seconds: the longest timeout; the default's default.
        default_secret_group: the secret group of tasks that do not name one.
        max_jobs: how many jobs of the organization may live.
        max_jobs_per_project: the same of a Flyte project: a number, or numbers by project, with
            ``"*"`` for all others.
        max_wait_seconds: how long a task waits for its turn at most.
        queue_folder: URI of the folder in which pods wait for their turn; default: below
            ``_perian/turns`` in the bucket of Flyte's own data.

    Raises:
        ConfigError: a rule has a wrong type or value, or none can have an effect.
    """

    max_price_per_hour: Decimal | None = None
    max_price_per_run: Decimal | None = None
    currency: str | None = None
    providers: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    instance_types: tuple[str, ...] = ()
    default_timeout_seconds: int | None = None
    max_timeout_seconds: int | None = None
    default_secret_group: str | None = None
    max_jobs: int | None = None
    max_jobs_per_project: int | Mapping[str, int] | None = field(default=None, hash=False)
    max_wait_seconds: int | None = None
    queue_folder: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_price_per_hour", "max_price_per_run"):
            object.__setattr__(self, name, parse_price(name, getattr(self, name)))
        for name in LISTS:
            object.__setattr__(self, name, parse_names(name, getattr(self, name)))
        numbers = ("default_timeout_seconds", "max_timeout_seconds", "max_jobs", "max_wait_seconds")
        for name in numbers:
            check_number(name, getattr(self, name))
        self._check_texts()
        self._check_projects()
        self._check_together()

    def _check_texts(self) -> None:
        if any(not re.fullmatch("[A-Za-z]{2}", country) for country in self.countries):
            raise wrong("countries", 'two letters each, like "DE"', list(self.countries))
        currency, group, folder = self.currency, self.default_secret_group, self.queue_folder
        if currency is not None and not is_text(currency, re.compile("[A-Z]{3}")):
            raise wrong("currency", 'three capitals like "EUR"', currency)
        if group is not None and not is_text(group, GROUP):
            raise wrong("default_secret_group", "the name of a secret group", group)
        if folder is not None and not (is_text(folder, PREFIX) and folder.endswith("/")):
            raise wrong("queue_folder", 'the URI of a folder like "s3://bucket/turns/"', folder)

    def _check_projects(self) -> None:
        name, given = "max_jobs_per_project", self.max_jobs_per_project
        if not isinstance(given, Mapping):
            check_number(name, given)
            return
        if not given:
            raise wrong(name, "a number, or at least one project", given)
        for project, most in given.items():
            check_number(f"{name}[{project!r}]", most)
            if most is None:
                raise wrong(f"{name}[{project!r}]", "a whole number of at least 1", most)

    def _check_together(self) -> None:
        prices = self.max_price_per_hour is not None or self.max_price_per_run is not None
        if prices and self.currency is None:
            raise wrong("currency", "the currency of the highest prices", None)
        if self.currency is not None and not prices:
            raise wrong("currency", "max_price_per_hour or max_price_per_run beside it", "neither")
        usual, most = self.default_timeout_seconds, self.max_timeout_seconds
        if usual is not None and most is not None and usual > most:
            raise wrong("default_timeout_seconds", f"at most max_timeout_seconds, {most}", usual)
        for name in ("max_wait_seconds", "queue_folder"):
            if getattr(self, name) is not None and not self.limits_jobs:
                raise wrong(name, "max_jobs or max_jobs_per_project beside it", "neither")

    @property
    def limits_jobs(self) -> bool:
        """Whether it limits how many jobs may live."""
        return self.max_jobs is not None or self.max_jobs_per_project is not None

    @property
    def usual_timeout(self) -> int | None:
        """The timeout of a task without one, in seconds; None for none."""
        return self.default_timeout_seconds or self.max_timeout_seconds

    @property
    def by_project(self) -> dict[str, int]:
        """``max_jobs_per_project`` as numbers by project."""
        given = self.max_jobs_per_project
        if given is None:
            return {}
        return dict(given) if isinstance(given, Mapping) else {"*": given}

    def rules(self, timeout_seconds: int | None) -> Rules:
        """Return the rules for the machine of a job with this timeout."""
        return Rules(
            self.max_price_per_hour,
            self.max_price_per_run,
            self.currency,
            self.providers,
            self.countries,
            self.instance_types,
            timeout_seconds,
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "PlatformPolicy":
        """Read the rules that a process is given; none if the setting is empty.

        Raises:
            ConfigError: they cannot be read, or one is wrong.
        """
        value = settings.text(settings.POLICY, environ=environ)
        if not value:
            return cls()
        return cls.from_text(value if value.startswith("{") else content_of(value))

    @classmethod
    def from_text(cls, text: str) -> "PlatformPolicy":
        """Read rules.

        Raises:
            ConfigError: it is no JSON object, or a rule is wrong.
        """
        try:
            values = json.loads(
                text, object_pairs_hook=each_once, parse_constant=refuse, parse_float=Decimal
            )
        except (ValueError, RecursionError) as error:
            raise unreadable(f"expected a JSON object: {error}") from error
        if not isinstance(values, dict):
            raise unreadable(f"expected a JSON object, got {type(values).__name__}")
        known = [each.name for each in fields(cls)]
        for name, value in values.items():
            if name not in known:
                raise wrong(name, f"one of {', '.join(known)}", "a rule that nobody knows")
            if value is None:
                raise wrong(name, "a value; leave it out for no rule", value)
        return cls(**values)


def content_of(path: str) -> str:
    """Return what is in a file of rules.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise unreadable(f"{path} is longer than {MAX_BYTES} bytes")
        return content.decode()
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        text = f"expected a JSON object, or the path of a file that can be read: {error}"
        raise unreadable(text) from error


def unreadable(text: str) -> ConfigError:
    """Return the error for rules that cannot be read."""
    return ConfigError(f"{settings.POLICY}: {text}", remedy=REMEDY)


def wrong(name: str, expected: str, given: object) -> ConfigError:
    """Return the error for one rule."""
    shown = str(given) if isinstance(given, Decimal) else f"{given!r}"[:200]
    return ConfigError(
        f"{settings.POLICY}: {name}: expected {expected}, got {shown}", remedy=REMEDY
    )


def is_text(value: object, pattern: re.Pattern[str]) -> bool:
    """Whether a value is text of a form."""
    return isinstance(value, str) and bool(pattern.fullmatch(value))


def check_number(name: str, value: object) -> None:
    """Accept ``None`` or a whole number of at least 1."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_NUMBER:
        raise wrong(name, "a whole number of at least 1", value)


def parse_price(name: str, value: object) -> Decimal | None:
    """Return a price above 0."""
    if value is None:
        return None
    try:
        number = isinstance(value, int | float | str | Decimal) and not isinstance(value, bool)
        price = Decimal(str(value)) if number else Decimal(0)
    except ArithmeticError:
        price = Decimal(0)
    if not (price.is_finite() and 0 < price <= MAX_NUMBER):
        raise wrong(name, "a price above 0", value)
    return price


def parse_names(name: str, value: object) -> tuple[str, ...]:
    """Return names that are allowed; no list, no rule, but an empty list would allow nothing."""
    if value == ():
        return ()
    texts = value if isinstance(value, list | tuple) else ()
    if not texts or not all(isinstance(each, str) and each.strip() for each in texts):
        raise wrong(name, "a list of names that is not empty", value)
    return tuple(each.strip() for each in texts)


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object in which no name stands twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"{twice!r} stands twice"
        raise ValueError(message)
    return values


def refuse(constant: str) -> object:
    """Accept no number that is none in JSON."""
    message = f"{constant} is no number"
    raise ValueError(message)
