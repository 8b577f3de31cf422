"""What a handle shows of a job: nothing is asked, and nothing shown is secret.

Of a job's environment only what perian-shim itself set is kept (``JobOrigin``), of its command
nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from perian_shim.api.catalogue import Price
from perian_shim.api.costs import Cost, cost_of
from perian_shim.api.jobs import Job as Seen
from perian_shim.api.phases import Phase
from perian_shim.api.redaction import without_signatures
from perian_shim.lifecycle.clock import Clock
from perian_shim.owners import JobOrigin


class Shown:
    """A job as it was seen last.

    Args:
        seen: what the API showed.
        clock: tells the time, for what a running job has cost.
    """

    def __init__(self, seen: Seen, clock: Clock) -> None:
        self._seen = seen
        self._clock = clock

    @property
    def id(self) -> str:
        """Perian's id."""
        return self._seen.id

    @property
    def name(self) -> str:
        """The same, as ``flyte.remote`` calls it."""
        return self._seen.id

    @property
    def status(self) -> str:
        """As Perian spells it, e.g. ``"Running"``."""
        return self._seen.status

    @property
    def phase(self) -> Phase:
        """What the status means."""
        return self._seen.phase

    @property
    def origin(self) -> JobOrigin | None:
        """Whose it is; None for a job that is not of a Flyte task."""
        return JobOrigin.of(self._seen)

    @property
    def image(self) -> str | None:
        """The container's image."""
        return self._seen.image

    @property
    def price(self) -> Price | None:
        """What its machine costs; None while that is not known."""
        return self._seen.price

    @property
    def cost(self) -> Cost | None:
        """What it has cost so far, by this machine's clock while it runs; None if not known."""
        return cost_of(self._seen, datetime.fromtimestamp(self._clock.now(), timezone.utc))

    @property
    def machine(self) -> str | None:
        """The id of its instance type; ``instance_type()`` describes it."""
        return self._seen.instance_type_id

    @property
    def created_at(self) -> datetime | None:
        """When it was submitted."""
        return self._seen.created_at

    @property
    def started_at(self) -> datetime | None:
        """When it began to run."""
        return self._seen.started_at

    @property
    def done_at(self) -> datetime | None:
        """When it ended."""
        return self._seen.done_at

    @property
    def errors(self) -> str | None:
        """How Perian explains a failure; not known of a job out of a list."""
        return self._seen.errors and without_signatures(self._seen.errors)

    @property
    def timeout_seconds(self) -> int | None:
        """How long it may run, None for any time."""
        return self._seen.timeout_seconds

    def done(self) -> bool:
        """Whether it had ended when it was seen last."""
        return self.phase.terminal

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of it as JSON values."""
        origin, cost, price = self.origin, self.cost, self.price
        return {
            "id": self.id,
            "status": self.status,
            "phase": self.phase.value,
            "created_at": iso(self.created_at),
            "started_at": iso(self.started_at),
            "done_at": iso(self.done_at),
            "image": self.image,
            "machine": self.machine,
            "timeout_seconds": self.timeout_seconds,
            "price": None if price is None else {k: text(v) for k, v in asdict(price).items()},
            "cost": None
            if cost is None
            else {
                "amount": str(cost.amount),
                "currency": cost.currency,
                "seconds": float(cost.seconds),
                "final": cost.final,
            },
            "origin": None if origin is None else asdict(origin),
            "errors": self.errors,
        }

    def to_json(self) -> str:
        """Return the same as JSON."""
        return json.dumps(self.to_dict())

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        """Yield names and values, for rich, ``repr`` and tables."""
        origin = self.origin
        yield "id", self.id
        yield "status", self.status
        if origin is not None:
            for name in ("task", "execution", "node", "owner"):
                if getattr(origin, name):
                    yield name, getattr(origin, name)
        yield "created_at", iso(self.created_at)
        if self.cost is not None:
            yield "cost", str(self.cost)

    def __repr__(self) -> str:
        return f"Job({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def iso(moment: datetime | None) -> str | None:
    """Return a moment in UTC as JSON has it."""
    return moment.astimezone(timezone.utc).isoformat() if moment else None


def text(value: object) -> str | None:
    """Return a value as text."""
    return None if value is None else str(value)
