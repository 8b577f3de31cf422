"""Tickets of the pods that wait for their turn, and whose turn it is: pure.

Each pod that is about to submit has a ticket: objects in one folder of the object store, whose
names say everything, so that one listing shows all. A ticket's name begins with when the pod came,
by the store's own clock, and so names sort by age. What follows says how far the pod is:

- ``waiting``: written again at each look, which shows that the pod is alive;
- ``going``: it is about to submit;
- ``job-<id>``: it has submitted this job, which the list of jobs may not show yet.

A pod submits only after it has written ``going`` and has seen then, that is in a listing made
later, that all jobs that live and all other pods that go leave room for one more. Of two pods that
go at the same time the one that wrote later sees the other one, so never both submit.

A ticket that has not been written for long is a killed pod's, and counts no more. For how long is
said in its name: pods that look at different paces must not take each other for dead.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from perian_shim.storage.base import ObjectInfo

ALL = "*"
"""Stands for all projects that are not named."""

ANY = "?"
"""Mark of the project of a job of which nobody knows it: it counts for each of them."""

PATIENCE = 300_000
"""For how long a ticket counts that is not written, in milliseconds, if nothing else is said."""

SHOWN = 5
"""How many jobs are named that are waited for."""

_NAME = re.compile(
    r"(?P<since>\d{15})-(?P<pod>[0-9a-f]+)-(?P<project>[0-9a-f]{12})-(?P<patience>\d{1,12})-"
    r"(?P<kind>going|job|waiting)(?:-(?P<job>.+))?"
)


class Kind(Enum):
    """How far a pod is, the furthest first."""

    JOB = "job"
    GOING = "going"
    WAITING = "waiting"


def project_mark(project: str) -> str:
    """Return what stands for a project in names."""
    return hashlib.sha256(project.encode()).hexdigest()[:12]


@dataclass(frozen=True, order=True)
class Ticket:
    """A pod's place among those that wait, the oldest first.

    Attributes:
        since: when it came, by the store's clock, in milliseconds since the epoch.
        pod: its name.
        project: mark of its Flyte project.
        patience: for how long it counts that is not written, in milliseconds.
    """

    since: int
    pod: str
    project: str
    patience: int = PATIENCE

    def name(self, kind: Kind, job_id: str = "") -> str:
        """Return the name of the object that says so."""
        tail = f"-{job_id}" if job_id else ""
        own = f"{self.since:015d}-{self.pod}-{self.project}-{self.patience}"
        return f"{own}-{kind.value}{tail}"


@dataclass(frozen=True)
class Shown:
    """What a listing shows of a ticket.

    Attributes:
        ticket: the ticket.
        kind: how far its pod is.
        seen: when it was written last, in seconds of the store's clock.
        job_id: of the job that it has led to, "" if none.
        uris: its objects.
    """

    ticket: Ticket
    kind: Kind
    seen: float
    job_id: str = ""
    uris: tuple[str, ...] = ()

    def counts(self, now: float) -> bool:
        """Whether it has been written lately enough, by the store's clock."""
        return now - self.seen <= self.ticket.patience / 1000


def tickets_in(objects: Iterable[ObjectInfo]) -> list[Shown]:
    """Return the tickets that a listing shows, the oldest first; what is none is left out."""
    found: dict[Ticket, Shown] = {}
    ranks = list(Kind)
    for each in objects:
        match = _NAME.fullmatch(each.uri.rpartition("/")[2])
        if match is None or each.modified is None:
            continue
        ticket = Ticket(int(match["since"]), match["pod"], match["project"], int(match["patience"]))
        shown = Shown(ticket, Kind(match["kind"]), each.modified, match["job"] or "", (each.uri,))
        before = found.get(ticket, shown)
        further = min((before, shown), key=lambda one: ranks.index(one.kind))
        uris = tuple(dict.fromkeys((*before.uris, *shown.uris)))
        seen = max(before.seen, shown.seen)
        found[ticket] = Shown(ticket, further.kind, seen, further.job_id, uris)
    return sorted(found.values(), key=lambda one: one.ticket)


@dataclass(frozen=True)
class JobLimits:
    """How many jobs may live at once.

    Attributes:
        most: in the organization, None for any number.
        by_project: of a Flyte project, by its name; ``"*"`` for each that is not named.
    """

    most: int | None = None
    by_project: Mapping[str, int] = field(default_factory=dict, hash=False)

    def of(self, mark: str) -> int | None:
        """Return the limit of a project, by its mark; None for any number."""
        marked = {project_mark(name): most for name, most in self.by_project.items() if name != ALL}
        if mark == project_mark(""):  # a run on somebody's own machine has no project
            return None
        return marked.get(mark, self.by_project.get(ALL))


@dataclass(frozen=True)
class Living:
    """What the list of jobs shows.

    Attributes:
        marks: marks of the projects of the jobs that live, by the jobs' ids.
        listed: ids of all jobs that were seen in it.
    """

    marks: Mapping[str, str] = field(default_factory=dict)
    listed: Collection[str] = ()


@dataclass(frozen=True)
class Standing:
    """How things stand for one pod.

    Attributes:
        free: whether a job of its may be submitted.
        ahead: how many pods that wait came before it.
        why: which limit it waits for; "" if it is none.
        jobs: ids of the jobs that it waits for.
        going: how many pods are about to submit, or have submitted jobs that are not listed yet.
    """

    free: bool
    ahead: int
    why: str = ""
    jobs: tuple[str, ...] = ()
    going: int = 0

    def __str__(self) -> str:
        said = []
        if self.jobs:
            more = ", …" if len(self.jobs) > SHOWN else ""
            said.append(f"job {', '.join(self.jobs[:SHOWN])}{more} to end")
        if self.going:
            said.append(f"{self.going} to be submitted")
        if self.ahead:
            said.append(f"{self.ahead} that came before")
        return f"{self.why or 'its turn'} (waiting for {', and '.join(said) or 'a moment'})"


def standing_of(
    mine: Ticket, limits: JobLimits, living: Living, tickets: Iterable[Shown], *, going: bool
) -> Standing:
    """Return how things stand.

    Args:
        mine: the pod's ticket.
        limits: how many jobs may live.
        living: the jobs; seen before the tickets were.
        tickets: all that count.
        going: whether the pod has said that it goes: then nobody is before it any more.
    """
    marks = dict(living.marks)
    others = [one for one in tickets if one.ticket != mine]
    for one in others:
        if one.kind is Kind.GOING:
            marks[f"going {one.ticket.pod}"] = one.ticket.project
        elif one.kind is Kind.JOB and one.job_id not in living.listed:
            marks[one.job_id] = one.ticket.project
    unlisted = len(marks) - len(living.marks)
    waiting = [one.ticket for one in others if one.kind is Kind.WAITING and one.ticket < mine]
    used, by_mark = len(marks), Counter(marks.values())
    mine_or_any = {mine.project, ANY}
    for ticket in (*([] if going else waiting), mine):
        within = limits.of(ticket.project)
        in_project = by_mark[ticket.project] + by_mark[ANY]
        most, own = limits.most, within is None or in_project < within
        if ticket == mine:
            ids = [each for each, mark in living.marks.items() if own or mark in mine_or_any]
            if own and (most is None or used < most):
                return Standing(free=True, ahead=len(waiting))
            why = "max_jobs_per_project" if not own else "max_jobs"
            told = f"{why} allows {within if not own else most}"
            return Standing(False, len(waiting), told, tuple(ids), unlisted)
        if own and (most is None or used < most):
            used, by_mark[ticket.project] = used + 1, by_mark[ticket.project] + 1
    raise AssertionError


def near_the_front(mine: Ticket, tickets: Iterable[Shown], front: int) -> bool:
    """Whether a pod may soon be next: only these ask Perian how its jobs are.

    Args:
        mine: the pod's ticket.
        tickets: all that count.
        front: how many of all, and of those of each project, are near enough.
    """
    before = [s.ticket for s in tickets if s.kind is Kind.WAITING and s.ticket < mine]
    of_project = sum(ticket.project == mine.project for ticket in before)
    return len(before) < front or of_project < front
