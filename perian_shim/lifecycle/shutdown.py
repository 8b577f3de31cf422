"""The one way in which a run leaves a job that it does not wait for.

Whoever must go — a signal, an error that is final, a limit that has passed, a pod that fails before
it could look for the job of an attempt before — goes through here. The order is always the same:
say durably that it is us, look whether a later pod has the job, ask every job of this work to end
until it is seen ended, and tell what became of them. All within a given time; neither a store that
hangs nor a listing that lags may hold it up longer.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import ApiUnavailable, StorageFailed, Superseded
from perian_shim.lifecycle.launch_record import Stage, latest
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.strays import Strays, refuse_when_superseded

Beside = Callable[[Callable[[], object]], None]

STORE_SECONDS = 2.0
"""How long a job that is to be cancelled waits for the object store."""

LOOK_SECONDS = 0.5
"""Pause between two looks."""


def beside(act: Callable[[], object]) -> None:
    """Do something, and go on before it is done if it takes too long."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(STORE_SECONDS)


@dataclass
class Left:
    """What became of the jobs of a run that leaves.

    Attributes:
        phases: of each job, as it was seen last.
        key: the idempotency key.
        unseen: whether a job may exist that could not be found.
        failure: why it could not be looked for.
        seen: the jobs as they were seen after they were asked to end.
    """

    key: str
    phases: dict[str, Phase] = field(default_factory=dict)
    unseen: bool = False
    failure: str = ""
    seen: dict[str, Job] = field(default_factory=dict)

    @property
    def alive(self) -> list[str]:
        """Ids of the jobs that have not been seen ended."""
        return [job_id for job_id, phase in self.phases.items() if not phase.terminal]

    def __str__(self) -> str:
        said = []
        for job_id, phase in self.phases.items():
            if phase.terminal:
                said.append(f"job {job_id} is {phase.value}")
            else:
                seen = "cannot be seen" if phase is Phase.UNKNOWN else f"is still {phase.value}"
                said.append(f"job {job_id} was asked to end and {seen}")
        if self.unseen:
            said.append("a job may exist that could not be found")
        return ", ".join(said) + (f" ({self.failure})" if self.failure else "")

    @property
    def remedy(self) -> str | None:
        """What a person has to do, None if nothing."""
        said = []
        if self.alive:
            said.append(f"End it with: perian-shim cancel {' '.join(self.alive)}")
        if self.unseen and self.key:
            find, end = (f"perian-shim {word} --key {self.key}" for word in ("jobs", "cancel"))
            said.append(f"Find it with: {find}; end it with: {end}")
        return ". ".join(said) or None


@dataclass
class Shutdown:
    """Ends the jobs of one piece of work.

    Attributes:
        strays: its jobs; they are asked through an API whose calls do not take long.
        seconds: how long it may take.
        beside: does something that must not hold up for long what follows.
    """

    strays: Strays
    seconds: float
    beside: Beside = beside
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = self.strays.now + self.seconds

    def cancel(self, *, in_flight: bool = False) -> Left:
        """End every job of this work.

        Args:
            in_flight: whether a submission may have been sent whose answer is not known.

        Raises:
            Superseded: a later pod has the work; nothing was ended.
        """
        strays, records = self.strays, self.strays.records
        self.hurry()
        if not records.taken:
            self.learn()
        left = Left(records.record.key, dict.fromkeys(self.to_end(), Phase.UNKNOWN))
        self.claim(left.alive)
        looked = False
        while True:
            self.ask_all(left)
            left.unseen = strays.in_doubt or (in_flight and not left.phases)
            # What an attempt before has left is looked for once; a submission of our own, as long
            # as there is time.
            if left.unseen and not (looked and records.blind and not in_flight):
                looked = self.find(left)
            elif not left.alive:
                break
            if strays.now >= self.deadline:
                break
            if not records.saved:  # a later pod must know that it was us
                self.beside(records.keep)
            strays.jobs.retrier.clock.sleep(LOOK_SECONDS)
        self.leave_what_ended_by_itself(left)
        return left

    def cancel_others(self, followed: str | None) -> Left:
        """End what is not needed, and leave the followed job to the next attempt.

        Nobody else may come to end them: a pod cannot tell an abort from the loss of its node.

        Args:
            followed: its id, None if it is not known yet: then nothing is ended that it could be.

        Raises:
            Superseded: a later pod has the work; nothing was ended.
        """
        strays = self.strays
        self.hurry()
        strays.resume(followed)
        ending = [job_id for job_id in strays.ending if job_id != followed]
        live = [job_id for job_id, job in strays.found.items() if not job.phase.terminal]
        others = [job_id for job_id in live if followed and job_id not in {followed, *ending}]
        left = Left(strays.records.record.key, dict.fromkeys([*ending, *others], Phase.UNKNOWN))
        if left.phases:
            # A later pod ends what is recorded so, and does not think that somebody else ended it.
            losers = latest([*strays.records.record.losers, *others])
            self.keep_unless_superseded(lambda: strays.records.keep(losers=losers))
        while left.alive:
            self.ask_all(left)
            if not left.alive or strays.now >= self.deadline:
                break
            strays.jobs.retrier.clock.sleep(LOOK_SECONDS)
        return left

    def hurry(self) -> None:
        """Let no call outlast the time that there is."""
        retrier = self.strays.jobs.retrier
        retrier.policy, retrier.deadline = RetryPolicy.hurried(self.seconds), self.deadline

    def to_end(self) -> list[str]:
        """Return the ids of the jobs that are known and may live."""
        strays, record = self.strays, self.strays.records.record
        ids = [record.job_id] if record.job_id and record.job_id not in record.reported else []
        ids += strays.ending
        ids += [job_id for job_id, job in strays.found.items() if not job.phase.terminal]
        return list(dict.fromkeys(ids))

    def leave_what_ended_by_itself(self, left: Left) -> None:
        """Leave the current job to the next attempt if it was faster than we were."""
        records = self.strays.records
        phase = left.phases.get(records.record.job_id or "", Phase.UNKNOWN)
        if phase.terminal and phase is not Phase.CANCELLED:
            self.beside(lambda: records.keep(stage=Stage.SUBMITTED))

    def find(self, left: Left) -> bool:
        """Look for jobs that are not known; return whether the list was seen."""
        try:
            scan = self.strays.look(seconds=max(self.deadline - self.strays.now, 0.0))
        except ApiUnavailable as error:
            left.failure = error.message
            return False
        left.failure = ""
        fresh = {job.id: job.phase for job in scan.jobs if job.id not in left.phases}
        left.phases |= fresh
        alive = [job_id for job_id in left.alive if job_id in fresh]
        self.claim(alive)
        for job_id in alive:  # at least once, even if the time is up
            self.ask(left, job_id)
        return scan.whole

    def ask_all(self, left: Left) -> None:
        """Ask every job that has not been seen ended, while there is time."""
        for job_id in left.alive:
            if self.strays.now >= self.deadline:
                break
            self.ask(left, job_id)

    def ask(self, left: Left, job_id: str) -> None:
        """Ask a job to end, and see how it is then."""
        job = self.strays.jobs.ask_to_end(job_id, brief=True)
        if job is not None:
            left.phases[job_id], left.seen[job_id] = job.phase, job

    def claim(self, ids: list[str]) -> None:
        """Say durably that it is us who end these jobs, unless a later pod has them."""
        records = self.strays.records
        if not ids:
            return
        before = records.record
        current = before.job_id or ids[0]
        cancelled = latest([*before.cancelled, *ids])
        self.keep_unless_superseded(
            lambda: records.keep(stage=Stage.CANCELLING, job_id=current, cancelled=cancelled)
        )

    def keep_unless_superseded(self, keep: Callable[[], object]) -> None:
        """Record what is about to be done, and look whether a later pod has the work.

        Raises:
            Superseded: one has; the record is as it was.
        """
        records = self.strays.records
        before = records.record
        self.beside(keep)
        superseded: list[Superseded] = []

        def check() -> None:
            try:
                refuse_when_superseded(records)
            except Superseded as error:
                superseded.append(error)

        self.beside(check)
        if superseded:
            records.record = before  # a later pod must not take it for true
            self.beside(records.keep)
            raise superseded[0]

    def learn(self) -> None:
        """Learn what an attempt before has left, if the store tells it in time."""
        records = self.strays.records

        def take_over() -> None:
            try:
                records.take_over(to_submit=False)
            except StorageFailed as error:
                records.warn(f"what an attempt before has left is not known: {error}")
            self.strays.resume()

        self.beside(take_over)
