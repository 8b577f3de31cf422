"""Misbehaviours of the list of jobs, as data: what is not in it yet, and what else is in it.

The API promises neither that a new job is listed at once nor that pages hold still. Seconds are
those of the front's own clock.
"""

import datetime
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from support.api_calls import Call, requested
from support.front import Exchange, Front

from perian_shim.sandbox.records import JobRecord, Json
from perian_shim.sandbox.server.application import Response

View: TypeAlias = dict[str, Json]
Entry: TypeAlias = "JobRecord | View"
"""A job of the sandbox, or one that only exists in the list."""


class Listing:
    """Changes the list of jobs, and no other call."""

    def __call__(self, exchange: Exchange) -> Response | None:
        """Let the front answer: it asks ``listed`` when it lists jobs."""
        return exchange.answer()

    def listed(self, entries: Sequence[Entry], front: Front) -> list[Entry]:
        """Return what is listed in place of these, the newest first."""
        raise NotImplementedError


@dataclass
class ListingLag(Listing):
    """A job is listed only so long after its creation; looking at it by its id shows it at once.

    Attributes:
        seconds: how long after.
        only: which jobs.
        submissions: until so many were made here no job is listed, and the lag begins then: a job
            that nobody has heard of is not seen before there is another, on no machine.
    """

    seconds: float
    only: Callable[[JobRecord], bool] = lambda _: True
    submissions: int = 0
    began: float = field(default=math.inf, repr=False)

    def listed(self, entries: Sequence[Entry], front: Front) -> list[Entry]:
        """Leave out what is too young."""
        made = sum(requested(request) is Call.SUBMIT for request in front.requests)
        if made >= self.submissions:
            self.began = min(self.began, front.now() if self.submissions else -math.inf)
        late = front.now() - self.began < self.seconds
        return [
            entry
            for entry in entries
            if isinstance(entry, dict)
            or not self.only(entry)
            or (not late and front.age(entry.created_at) >= self.seconds)
        ]


@dataclass
class Crowd(Listing):
    """Jobs of other people, which exist in the list alone.

    Attributes:
        number: how many.
        older: whether they are older than all others, not newer.
        log_bytes: how long each one's log is.
        command_bytes: how long each one's command is.
    """

    number: int
    older: bool = False
    log_bytes: int = 0
    command_bytes: int = 0
    jobs: list[Entry] = field(default_factory=list, repr=False)

    def listed(self, entries: Sequence[Entry], front: Front) -> list[Entry]:  # noqa: ARG002 - no clock
        """Put them before or behind the others."""
        if not self.jobs:
            now = datetime.datetime.now(datetime.timezone.utc)
            newest = now - datetime.timedelta(days=30) if self.older else now
            like = foreign(newest, self.log_bytes, self.command_bytes)
            self.jobs = [*series(like, newest, self.number)]
        return [*entries, *self.jobs] if self.older else [*self.jobs, *entries]


@dataclass
class Arrivals(Listing):
    """Pages that move: so many new jobs of other people arrive before each page but the first.

    Attributes:
        per_page: how many.
        most: how many at the most; then it is quiet.
    """

    per_page: int
    most: int | None = None
    jobs: list[Entry] = field(default_factory=list, repr=False)
    asked: int = 0

    def listed(self, entries: Sequence[Entry], front: Front) -> list[Entry]:  # noqa: ARG002 - no clock
        """Put those that have arrived before the others."""
        self.asked += 1
        if self.asked > 1 and (self.most is None or len(self.jobs) < self.most):
            now = datetime.datetime.now(datetime.timezone.utc)
            self.jobs = [*series(foreign(now), now, self.per_page), *self.jobs]
        return [*self.jobs, *entries]


def foreign(created: datetime.datetime, log_bytes: int = 0, command_bytes: int = 0) -> View:
    """Return a running job of somebody else."""
    stamp = created.isoformat()
    parameters: dict[str, Json] = {
        "image_name": "debian",
        "image_tag": "12",
        "command": "true " + "x" * command_bytes,
        "env_variables": {"OWNER": "somebody else"},
        "secrets": {},
        "container_files": [],
    }
    return {
        "id": str(uuid.uuid4()),
        "status": "Running",
        "created_at": stamp,
        "updated_at": stamp,
        "started_at": stamp,
        "done_at": None,
        "logs": ("epoch 1 loss 0.5\n" * (log_bytes // 17 + 1))[:log_bytes] or None,
        "errors": None,
        "docker_metadata": {"docker_run_parameters": parameters},
        "requirement_metadata": {"requirements": {"cpu": {"cores": 1}}},
        "runtime_metadata": {"auto_failover_instance_type": False, "timeout_seconds": None},
        "price": {"unit_price": "0.1", "currency": "EUR", "granularity": "PER_HOUR"},
    }


def series(like: View, newest: datetime.datetime, number: int) -> list[Entry]:
    """Return so many jobs like one, the newest first, a millisecond apart."""
    return [
        {
            **like,
            "id": str(uuid.uuid4()),
            "created_at": (newest - datetime.timedelta(milliseconds=index)).isoformat(),
        }
        for index in range(number)
    ]


STAMPS = ("created_at", "updated_at", "started_at", "done_at")


def in_its_time(view: Mapping[str, Any], front: Front) -> View:
    """Return a job with its times as a front's clock has them."""
    stamps = {name: view[name] for name in STAMPS if view.get(name)}
    return {**view, **{name: front.stamped(stamp) for name, stamp in stamps.items()}}
