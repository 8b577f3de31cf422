"""Waiting for one's turn, where the platform limits how many jobs live at once.

No server hands out turns: pods have Perian's list of jobs and the object store. The list says how
many jobs live, the store who waits since when (``tickets``). Nothing here is needed to rejoin a
job, and a pod that is ended meanwhile has asked for nothing.

Only the pods near the front ask Perian; the others look at the tickets alone. Pauses grow as they
do while a job is followed.

A turn is a lease: others count a pod that goes only as long as its ticket is young. An outage, or
inputs that take long to stage, may let it grow old before the job is sent. So it is looked at once
more right before that (``hold``), and what was seen long ago proves nothing.
"""

import contextlib
from dataclasses import dataclass, field, replace

from perian_shim.api.errors import Unauthorized
from perian_shim.errors import ApiUnavailable, JobRejected, StorageFailed, TooManyJobs
from perian_shim.lifecycle.census import Census
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.retrying import minutes
from perian_shim.lifecycle.shutdown import beside
from perian_shim.lifecycle.strays import Strays, refuse_when_superseded
from perian_shim.lifecycle.terms import TurnLost
from perian_shim.lifecycle.tickets import (
    PATIENCE,
    JobLimits,
    Kind,
    Living,
    Shown,
    Standing,
    Ticket,
    near_the_front,
    project_mark,
    standing_of,
    tickets_in,
)
from perian_shim.settings import JOB_KEY, POLICY
from perian_shim.storage import ObjectStore, join_uri

FRONT = 4
"""How many pods ask Perian how its jobs are, and as many of each project."""

STALE_PAUSES = 15
"""After so many of the longest pauses a ticket that was not written counts no more."""

LEAST_STALE = 20.0
"""At least so long it counts, in seconds: in half of it a pod must get from its look to its job."""

TOUCH_SHARE = 0.1
"""After this share of that time a pod writes its ticket again."""

LEASE_SHARE = 0.5
"""After this share of that time a pod that goes may not rely on what it has seen and written."""

TELL_SECONDS = 60.0
"""When people are told again that a pod waits; doubled each time."""

TELL_LONGEST = 1800.0

CHECK_SECONDS = 120.0
"""How often it is looked whether a later pod has taken over."""


@dataclass(frozen=True)
class TicketTurns:
    """Turns by tickets.

    Attributes:
        limits: how many jobs may live.
        project: the Flyte project of this pod, "" for none.
        folder: URI of the folder that holds the tickets of all pods of the organization.
        store: the object store; its outages are ridden out.
        at_once: the same for what must not wait.
        policy: when to look again.
        longest: how long to wait at most, in seconds; None for any time.
    """

    limits: JobLimits
    project: str
    folder: str
    store: ObjectStore
    at_once: ObjectStore
    policy: PollPolicy
    longest: float | None = None

    @property
    def stale(self) -> float:
        """After how many seconds a ticket of this pod's that was not written counts no more."""
        return max(STALE_PAUSES * self.policy.longest, LEAST_STALE)

    def begin(self, strays: Strays) -> "TicketTurn":
        """Return the turn of a submission that has not begun to wait."""
        return TicketTurn(self, strays)


@dataclass
class TicketTurn:
    """One submission's turn.

    Attributes:
        turns: the rules of the game.
        strays: the jobs of this work.
        ticket: its ticket, None before it has one.
        kind: how far it is.
        census: the jobs that live.
        began: when it began to wait.
        checked: when it was looked last whether a later pod has taken over.
        written: when the ticket was written last.
        going: when it was said last that the pod goes.
        told: when people are told next that it waits; None if they have not been yet.
        pause: how long after the last time that is.
        shown: ids of jobs of this work that were shown to the caller already.
    """

    turns: TicketTurns
    strays: Strays
    ticket: Ticket | None = field(default=None, init=False)
    kind: Kind = field(default=Kind.WAITING, init=False)
    census: Census = field(init=False)
    began: float = field(init=False)
    checked: float = field(init=False)
    written: float = field(default=float("-inf"), init=False)
    going: float = field(default=float("-inf"), init=False)
    told: float | None = field(default=None, init=False)
    pause: float = field(default=TELL_SECONDS, init=False)
    shown: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.census = Census(self.strays.jobs)
        self.began = self.checked = self.now

    @property
    def now(self) -> float:
        """The time, in seconds since some moment."""
        return self.strays.now

    def comes(self) -> bool:
        """Wait until a job may be submitted; False if one of this work has shown meanwhile.

        Raises:
            TooManyJobs: that took longer than the platform wants to wait.
            JobRejected: Perian refuses the credentials.
            ApiUnavailable: the list of jobs cannot be had.
            StorageFailed: the tickets cannot be read or written.
            Superseded: a later pod has the work.
        """
        clock = self.strays.jobs.retrier.clock
        while True:
            self.strays.press()
            standing = self.standing()
            if standing is None:
                return False
            if standing.free:
                if self.told is not None:
                    self.say(f"it is this task's turn after {self.waited}")
                return True
            self.tell(standing)
            self.check(standing)
            age = self.now - self.began
            stretch = self.strays.jobs.retrier.pace.stretch
            pause = self.turns.policy.pause(age, clock.chance(), stretch)
            longest = self.turns.longest
            clock.sleep(pause if longest is None else min(pause, max(longest - age, 0.01)))

    def standing(self) -> Standing | None:
        """Look how things stand, and go if nobody is before us; None if a job of ours has shown."""
        if self.ticket is None:
            self.ticket = self.come()
        # Not at each look: Google takes no more than one write of an object a second.
        if self.now - self.written >= self.turns.stale * TOUCH_SHARE:
            self.write(Kind.WAITING)
            self.written = self.now
        tickets = self.tickets()
        if not near_the_front(self.ticket, tickets, FRONT):
            ahead = sum(s.kind is Kind.WAITING and s.ticket < self.ticket for s in tickets)
            return Standing(free=False, ahead=ahead)
        began = self.now
        living = self.living()
        if self.of_this_work():
            return None
        standing = self.look(living)
        return self.go(living, began) if standing.free else standing

    def go(self, living: Living, began: float) -> Standing:
        """Say that the pod goes, and return how things stand then; if it may not, it waits.

        Args:
            living: the jobs that live.
            began: when it was begun to look at them.
        """
        self.kind = Kind.GOING
        self.say_going(self.turns.store)
        standing = self.look(living)
        # Of a job that was submitted meanwhile the ticket may be gone already.
        if standing.free and self.now - began > self.turns.stale * LEASE_SHARE:
            standing = replace(standing, free=False)
        if not standing.free:
            self.delete(Kind.GOING)
            self.kind = Kind.WAITING
        return standing

    def say_going(self, store: ObjectStore) -> None:
        """Write that the pod goes."""
        began = self.now
        self.write(Kind.GOING, store=store)
        self.going = began

    def look(self, living: Living) -> Standing:
        """Return how things stand by the tickets as they are now."""
        assert self.ticket is not None, "a pod looks after it has come"
        going = self.kind is Kind.GOING
        return standing_of(self.ticket, self.turns.limits, living, self.tickets(), going=going)

    def come(self) -> Ticket:
        """Return a ticket with the time of the object store."""
        pod = self.strays.records.owner.pod
        uri = join_uri(self.turns.folder, f"new-{pod}")
        self.turns.store.write(uri, b"A pod that is about to wait.\n")
        found = {
            each.uri: each.modified for each in self.turns.store.iter_objects(self.turns.folder)
        }
        since = found.get(uri)
        if since is None:
            message = f"The object store does not tell when {uri} was written, which a limit of"
            raise StorageFailed(f"{message} jobs at once ({POLICY}) needs.")
        self.turns.store.delete(uri)
        patience = max(int(self.turns.stale * 1000), 1)
        return Ticket(int(since * 1000), pod, project_mark(self.turns.project), patience)

    def living(self) -> Living:
        """Return the jobs that live."""
        # While nothing can exist yet, a refusal is final at once.
        patient = self.strays.in_doubt or self.told is not None
        try:
            return self.census.look(patient=patient)
        except ApiUnavailable as error:
            if isinstance(error.__cause__, Unauthorized) and not patient:
                raise JobRejected(error.__cause__.message, remedy=error.remedy) from error
            raise

    def of_this_work(self) -> bool:
        """Whether a live job may be the one that an attempt before has asked for."""
        record = self.strays.records.record
        known = {*record.served, *self.shown}
        found = {
            job.id
            for job in self.census.alive.values()
            if job.env_variables.get(JOB_KEY) == record.key and job.id not in known
        }
        self.shown |= found
        return bool(found) and self.strays.in_doubt

    def tickets(self) -> list[Shown]:
        """Return the tickets that count; those of killed pods are deleted."""
        objects = list(self.turns.store.iter_objects(self.turns.folder))
        written = {each.uri: each.modified for each in objects if each.modified is not None}
        now = max(written.values(), default=0.0)
        found = tickets_in(objects)
        counted = [shown for shown in found if shown.counts(now)]
        known = {uri for shown in found for uri in shown.uris}
        kept = {uri for shown in counted for uri in shown.uris}
        old = [
            uri
            for uri, modified in written.items()
            if uri not in kept and (uri in known or now - modified > PATIENCE / 1000)
        ]
        with contextlib.suppress(StorageFailed):
            for uri in old:
                self.turns.at_once.delete(uri)
        return counted

    def check(self, standing: Standing) -> None:
        """Raise if there is no point in waiting any longer."""
        if self.now - self.checked >= CHECK_SECONDS:
            self.checked = self.now
            refuse_when_superseded(self.strays.records)
        longest = self.turns.longest
        if longest is not None and self.now - self.began >= longest:
            if not standing.why:  # it has not asked so far
                with contextlib.suppress(ApiUnavailable):
                    standing = self.look(self.living())
            message = (
                f"No job could be submitted for {self.waited}, and max_wait_seconds of {POLICY} is"
                f" {longest:g}: {standing}."
            )
            raise TooManyJobs(message)

    def tell(self, standing: Standing) -> None:
        """Tell people what is waited for: at once, then at growing intervals."""
        if self.told is not None:
            if self.now < self.told:
                return
            self.pause = min(2 * self.pause, TELL_LONGEST)
        self.told = self.now + self.pause
        self.say(f"no job is asked for yet, for {self.waited} so far: {standing}")

    @property
    def waited(self) -> str:
        """How long it has waited, as people say it."""
        return minutes(self.now - self.began)

    def say(self, text: str) -> None:
        """Print a line of ours."""
        self.strays.records.warn(text)

    def hold(self) -> None:
        """Make sure, right before a job is sent, that it is still this pod's turn.

        Raises:
            TurnLost: it is not; the pod has to wait again.
            ApiUnavailable: whether it is cannot be seen.
            StorageFailed: the same.
            Superseded: a later pod has the work.
        """
        age = self.now - self.going
        if age < self.turns.stale * TOUCH_SHARE:
            return
        if age <= self.turns.stale * LEASE_SHARE:
            with contextlib.suppress(StorageFailed):
                self.say_going(self.turns.at_once)
            if self.now - self.going <= self.turns.stale * LEASE_SHARE:
                return
        began = self.now
        standing = self.go(self.living(), began)
        if not standing.free:
            raise TurnLost(f"Getting ready took so long that the turn has passed: {standing}.")
        refuse_when_superseded(self.strays.records)  # that took a while

    def used(self, job_id: str) -> None:
        """Say that it has led to this job."""
        self.kind = Kind.JOB

        def say() -> None:
            with contextlib.suppress(StorageFailed):
                self.write(Kind.JOB, job_id, store=self.turns.at_once)
                self.withdraw(Kind.GOING, Kind.WAITING)

        beside(say)

    def leave(self, *, unknown: bool) -> None:
        """Give it up unless it has been used; a pod that may have submitted goes on counting."""
        if self.ticket is None or self.kind is Kind.JOB:
            return
        kinds = [Kind.WAITING] if unknown else [Kind.GOING, Kind.WAITING]

        def withdraw() -> None:
            with contextlib.suppress(StorageFailed):
                self.withdraw(*kinds)

        beside(withdraw)

    def withdraw(self, *kinds: Kind) -> None:
        """Delete objects of the ticket, at once."""
        for kind in kinds:
            self.delete(kind, store=self.turns.at_once)

    def write(self, kind: Kind, job_id: str = "", *, store: ObjectStore | None = None) -> None:
        """Write an object of the ticket."""
        text = f"{kind.value}: see docs/guides/platform-rules.md of perian-shim\n"
        (store or self.turns.store).write(self.uri(kind, job_id), text.encode())

    def delete(self, kind: Kind, *, store: ObjectStore | None = None) -> None:
        """Delete an object of the ticket."""
        (store or self.turns.store).delete(self.uri(kind))

    def uri(self, kind: Kind, job_id: str = "") -> str:
        """Return the URI of an object of the ticket."""
        assert self.ticket is not None, "a pod has a ticket once it has come"
        return join_uri(self.turns.folder, self.ticket.name(kind, job_id))
