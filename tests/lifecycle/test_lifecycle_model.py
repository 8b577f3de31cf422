"""Whatever fails, and whenever: one live job for one piece of work, and no result is made up.

Pods run the real ``Attempt`` on a model of Perian and of the object store (``support.perian_model``
says what that takes Perian to guarantee). Around them a few lines do what Flyte does: read what a
pod reported, try again on the budgets, start the next pod while the old one may still live.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from flyteidl.core import errors_pb2
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.perian_model import (
    DONE,
    EMPTY,
    FAULTS,
    GRACE,
    SERVER_ERROR,
    SPELLS,
    STALE,
    TIMEOUT,
    USER_ERROR,
    ModelClient,
    ModelJob,
    ModelStore,
    Plan,
    Pod,
    World,
    is_later,
)
from support.profiles import examples
from support.still_node import KEY, NODE, ModelWork

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import PerianError
from perian_shim.errors import (
    InternalError,
    JobCancelled,
    JobTimedOut,
    MissingSecret,
    OutputMissing,
    QueuedTooLong,
    StorageFailed,
    Superseded,
    TaskError,
    Terminating,
)
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.launch_record import LaunchRecord, LaunchRecords, Owner
from perian_shim.lifecycle.policies import (
    CHECK_SECONDS,
    GIVE_UPS,
    Limits,
    LookPolicy,
    PollPolicy,
    RetryPolicy,
)
from perian_shim.lifecycle.retrying import PatientStore, Retrier
from perian_shim.lifecycle.shutdown import Shutdown
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.strays import Strays
from perian_shim.lifecycle.terms import Terms
from perian_shim.pod.run import HURRIED_TIMEOUT
from perian_shim.storage import ObjectStore
from perian_shim.work.error_document import error_document

LONG = 30_000
"""More points than the pods of a node pass, whatever goes wrong."""

OUTAGE = 240.0
LOOKS = LookPolicy(doubt=400.0, insist=300.0)
LIMITS = Limits(queued=60.0, running=300.0)
TERMINATION_GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL."""

SYSTEM_RETRIES = 3
"""How often Flyte tries again on the platform's budget."""

MOMENT = LOOKS.longest + 60.0
"""In this time a job is noticed that the list shows, and ended, if nothing goes wrong."""


LOOK = 3.0
"""A look through the list takes less, and asking what it shows to end."""


@dataclass
class Diary(Console):
    """Keeps what a pod says."""

    world: World = field(default_factory=World)
    name: str = ""
    said: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.said.append(line)
        self.world.say(f"pod {self.name}: {line}")


@dataclass
class Trial:
    """One pod of the node, and what it came to.

    Attributes:
        pod: the pod.
        number: of Flyte's attempt.
        fails_early: it fails for good before it can look for a job.
        superseded: Flyte does not wait for it any more.
        output: what it returned.
        ended_with: what it failed with.
        error: the same, once Flyte can read it.
        said: its lines.
        records: the launch records as it knows them.
    """

    pod: Pod
    number: int
    fails_early: bool = False
    superseded: bool = False
    output: str | None = None
    ended_with: PerianError | None = None
    error: PerianError | None = None
    said: list[str] = field(default_factory=list)
    records: LaunchRecords | None = None

    @property
    def words(self) -> str:
        """All that it told people."""
        return "\n".join([*self.said, str(self.ended_with or "")])


@dataclass
class Node:
    """A node of an execution, as Flyte drives it.

    Attributes:
        world: where everything happens.
        retries: of the task.
        detach: whether the task's jobs go on when a pod is ended.
        trials: all pods.
        consumed: errors that Flyte read and acted upon.
        system_failures: how often it has tried again on the platform's budget.
        over: why Flyte starts no further pod.
        unused: jobs that were Done with outputs when the node failed for good.
        fail_early: whether the pods to come lack something.
    """

    world: World
    retries: int
    detach: bool = False
    trials: list[Trial] = field(default_factory=list)
    consumed: list[PerianError] = field(default_factory=list)
    system_failures: int = 0
    over: str = ""
    unused: list[ModelJob] = field(default_factory=list)
    fail_early: bool = False

    @property
    def current(self) -> Trial:
        return self.trials[-1]

    def start(self, *, again: bool = False) -> None:
        """Start a pod: of the next attempt, or of the same one again."""
        index = len(self.trials)
        number = self.trials[-1].number + (not again) if self.trials else 0
        pod = Pod(
            self.world, lambda pod: self.body(self.trials[index], pod), Owner(number, 0, f"{index}")
        )
        self.trials.append(Trial(pod, number, self.fail_early))
        self.world.say(f"pod {index} starts, attempt {number}")

    def fail_on_platform(self) -> None:
        """Do what Flyte does after a failure that is not the user's."""
        self.system_failures += 1
        if self.system_failures > SYSTEM_RETRIES:
            self.over = "exhausted"
        else:
            self.start()

    def body(self, trial: Trial, pod: Pod) -> None:
        """What a resolver container does."""
        store = ModelStore(self.world, pod)
        console = Diary(world=self.world, name=f"{self.trials.index(trial)}", said=trial.said)
        error: PerianError
        reported: Callable[[], None] = lambda: None  # noqa: E731 - as in pod.run
        report = f"{NODE}/{trial.number}"
        try:
            try:
                if trial.fails_early:
                    self.release_previous(trial, pod, store, console)
                    message = "the secret has gone"
                    raise MissingSecret(message)
                attempt = self.attempt(trial, pod, store, console)
                reported = attempt.reported
                output = attempt.run()
            finally:
                pod.deaf = True  # the handlers are gone, and process 1 has no others
            store.write(f"{report}/outputs.pb", output.encode())
            trial.output = output
        except Terminated as signal:
            error = Terminating(f"The run was {signal}, before any job was submitted.")
        except InternalError:
            raise  # a bug, or one of the model's own assertions
        except StorageFailed as failure:
            error = failure
        except PerianError as failure:
            error = failure
        if trial.output is not None:
            assert self.world.job(trial.output).has_outputs(self.world.now), "made up"
            return
        trial.ended_with = error
        self.world.say(f"pod {console.name}: {error!r}")
        try:
            store.write(f"{report}/error.pb", error_document(error).SerializeToString())
        except StorageFailed:
            return  # flytekit exits with another code than 0
        trial.error = error
        reported()

    def release_previous(self, trial: Trial, pod: Pod, store: ModelStore, console: Diary) -> None:
        """End the jobs of attempts before, as ``pod.run`` does."""
        retrier = Retrier(RetryPolicy.hurried(25.0), pod.clock(), console)
        jobs = Jobs(self.connect(pod, HURRIED_TIMEOUT), retrier, LOOKS)
        records = replace(self.records(trial, pod, store, store), warn=console)
        with_words = Shutdown(Strays(jobs, records), 25.0, pod.beside).cancel()
        console(f"{with_words} {with_words.remedy or ''}")

    def connect(self, pod: Pod, timeout: float) -> Callable[[], PerianClient]:
        return cast("Callable[[], PerianClient]", lambda: ModelClient(self.world, pod, timeout))

    def records(
        self, trial: Trial, pod: Pod, patient: ObjectStore, store: ObjectStore
    ) -> LaunchRecords:
        trial.records = LaunchRecords(
            patient,
            f"{NODE}/_perian/attempts",
            pod.owner,
            LaunchRecord(KEY, output=f"s3://b/raw/x-n0-{trial.number}"),
            lambda number: f"{NODE}/{number}/error.pb",
            at_once=store,
        )
        return trial.records

    def attempt(self, trial: Trial, pod: Pod, store: ModelStore, console: Diary) -> Attempt[str]:
        clock, policy = pod.clock(), RetryPolicy(outage=OUTAGE)
        patient = PatientStore(store, Retrier(policy, clock))
        return Attempt(
            work=ModelWork(patient),
            records=self.records(trial, pod, patient, store),
            jobs=Jobs(self.connect(pod, 30.0), Retrier(policy, clock), LOOKS),
            hurried=Jobs(self.connect(pod, HURRIED_TIMEOUT), Retrier(RetryPolicy(), clock), LOOKS),
            policy=PollPolicy(shortest=2, longest=20, unknown=OUTAGE),
            terms=Terms(LIMITS, detach=self.detach, grace=25.0),
            prefix=f"s3://b/raw/x-n0-{trial.number}",
            console=console,
            beside=pod.beside,
            ready=pod.listen,
        )

    def judge(self) -> None:
        """Do what Flyte does once the current pod has ended."""
        trial = self.current
        if self.over or not trial.pod.ended:
            return
        if trial.output is not None:
            self.over = "success"
        elif trial.error is None:
            self.fail_on_platform()  # killed, or another exit code
        else:
            self.consumed.append(trial.error)
            error = error_document(trial.error).error
            fatal = error.kind != errors_pb2.ContainerError.RECOVERABLE
            user = is_users(trial.error)
            if fatal or (user and sum(map(is_users, self.consumed)) > self.retries):
                self.over = "failure"
                self.unused = [job for job in self.world.jobs if job.has_outputs(self.world.now)]
            elif user:
                self.start()
            else:
                self.fail_on_platform()


def has_passed(job: ModelJob, at: float) -> bool:
    """Whether a job has passed a limit, or could be seen to."""
    plan = job.plan
    aged = at - job.created
    half = plan.queued + plan.running / 2
    queued = min(aged, plan.queued) + max(0.0, min(aged - half, plan.requeued))
    assert LIMITS.queued is not None
    assert LIMITS.running is not None
    return queued >= LIMITS.queued - STALE or aged >= LIMITS.running


def is_users(error: PerianError) -> bool:
    return isinstance(error, TaskError) and error.outcome.origin == "USER"


plans = st.builds(
    Plan,
    queued=st.sampled_from([0.0, 4.0, 90.0]),
    running=st.sampled_from([0.5, 6.0, 40.0, 200.0]),
    end=st.sampled_from([DONE, DONE, USER_ERROR, SERVER_ERROR, TIMEOUT, EMPTY]),
    requeued=st.sampled_from([0.0, 0.0, 20.0, 70.0]),
    lag=st.sampled_from([0.0, 0.0, 5.0, 30.0, 120.0]),
    deaf=st.sampled_from([0.0, 0.0, 5.0]),
)


moments = st.sampled_from([0.0, 0.3, 3.0, 20.0])
"""How long all goes its way after something has happened."""


class Lifecycles(RuleBasedStateMachine):
    """One node, and everything that may happen to it.

    What is excused, and why:

    *A job that goes on when all is over* (``is_excused``). The pod that would have ended it was
    killed, and Flyte starts no other: nobody is left. Or the job was left on purpose: ``detach``.
    Or people were told how to end it, and the pod could not: the list did not show the job by
    then, an answer or the store failed while the pod was at it, or the pod itself stood still. On
    the last attempt that the platform's budget allows any pod may have told: none knows that it is
    the last one.

    *A job that was ended though it was not in anybody's way* (``has_reason``). It had passed a
    limit, or nobody was to wait for it: the run was told to end and is not detached, an error was
    final, or it was the last attempt in a row that could not see the job. Or another job of the
    same work was there.

    *Lost records* (``World.robbed``). Records are the only memory of which jobs Flyte was told of
    and which of several was chosen. Without them outputs that are there may go unused, a failure
    may be told twice, and somebody else be blamed for what an earlier pod did. It holds all the
    same that no job goes on that could be found. A record of the same attempt's is never lost:
    nothing else tells that a pod was replaced within an attempt. Nor is one within the seconds in
    which a submission that it speaks of may still take effect: to cover that as well, each attempt
    after one that died before it had a record would have to wait for minutes at its end.

    *A pod that stands still* between its look at the records and what it then does, for longer than
    a submission takes: no check can be made at the same moment as the call.

    *A claim that the store did not take.* A job is not left running because the store cannot be
    told: so a later pod may take the end of it for somebody else's.

    *Twins* run together until the list has shown both and all goes well again (``MOMENT``).
    """

    node: Node
    world: World
    calm = 0.0

    @initialize(
        jobs=st.lists(plans, min_size=1, max_size=4),
        retries=st.integers(0, 2),
        detach=st.booleans(),
        others=st.sampled_from([0, 0, 25]),
        submissions=st.lists(
            st.sampled_from(["", "", "acted", "late", "500 acted", *FAULTS]), max_size=5
        ),
        calm=st.sampled_from([0.0, 5.0, 30.0, 100.0]),
        moment=moments,
    )
    def begin(
        self,
        jobs: list[Plan],
        retries: int,
        detach: bool,
        others: int,
        submissions: list[str],
        calm: float,
        moment: float,
    ) -> None:
        """Start a node.

        Args:
            jobs: how its jobs will go.
            retries: of the task.
            detach: whether its jobs go on when a pod is ended.
            others: how many other jobs there are.
            submissions: what happens to the first ones.
            calm: from when on something final may happen.
            moment: how long all goes its way.
        """
        self.world = World(plans=[*jobs, Plan()], faults={"create": submissions})
        self.world.arrive(others, -1.0)
        self.node = Node(self.world, retries, detach)
        self.calm = calm
        self.node.start()
        self.go_on(moment)

    def is_late(self) -> bool:
        """Whether something final may happen."""
        return self.world.now >= self.calm

    def living(self) -> list[Trial]:
        return [trial for trial in self.node.trials if not trial.pod.ended]

    @rule(which=st.integers(0, 2), steps=st.integers(1, 12))
    def run_pod(self, which: int, steps: int) -> None:
        """Let one pod go on, whether the others are due or not."""
        living = self.living()
        if living:
            pod = living[-1 - which % len(living)].pod
            for _ in range(steps):
                pod.step()
            self.end_overdue()
        self.node.judge()

    @rule(seconds=st.sampled_from([1.0, 10.0, 60.0]))
    def run_all(self, seconds: float) -> None:
        """Let every pod go on when it is due."""
        self.go_on(seconds)

    def go_on(self, seconds: float) -> None:
        """Let time pass, and every pod go on when it is due."""
        until = self.world.now + seconds
        while any(trial.pod.wakes <= until for trial in self.living()):
            self.step_first()
        self.world.advance(until)

    def step_first(self) -> None:
        """Let the pod go on that is due first."""
        min((trial.pod for trial in self.living()), key=lambda pod: pod.wakes).step()
        self.end_overdue()
        self.node.judge()

    @rule(
        call=st.sampled_from(["create", "list", "get", "cancel"]),
        fault=st.sampled_from(FAULTS),
        times=st.sampled_from([1, 1, 2, 7]),
    )
    def break_calls(self, call: str, fault: str, times: int) -> None:
        self.world.faults.setdefault(call, []).extend([fault] * times)

    @rule(
        kind=st.sampled_from(SPELLS),
        seconds=st.sampled_from([10.0, 90.0, OUTAGE * 1.5, OUTAGE * 6]),
    )
    def begin_spell(self, kind: str, seconds: float) -> None:
        self.world.spells[kind] = self.world.now + seconds

    @rule(times=st.integers(1, 2))
    def break_store(self, times: int) -> None:
        self.world.store_faults = times

    @rule(calls=st.integers(1, 12))
    def crowd(self, calls: int) -> None:
        """Other people submit more jobs between two looks than fit on a page."""
        self.world.crowd = calls

    @precondition(lambda self: self.world.born and not self.world.late)
    @rule(which=st.integers(0, 3), damaged=st.booleans())
    def lose_record(self, which: int, damaged: bool) -> None:
        """A record of an earlier attempt's is lost.

        One of the same attempt's is not: that a pod was replaced within an attempt nobody but its
        record tells. None is lost in the seconds in which a submission may still take effect.
        """
        current = Owner(self.node.current.number, 0, "")
        records = [owner.name for owner, _ in self.world.records() if owner < current]
        uris = [f"{NODE}/_perian/attempts/{name}" for name in records]
        if uris:
            uri = uris[which % len(uris)]
            self.world.robbed = True
            self.world.say(f"{uri} is lost")
            if damaged:
                self.world.objects[uri] = b"{"
            else:
                del self.world.objects[uri]

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        """Nobody goes on for a while, although some are due."""
        self.world.advance(self.world.now + seconds)
        self.end_overdue()

    @precondition(lambda self: not self.node.over)
    @rule(moment=moments)
    def kill_pod(self, moment: float) -> None:
        self.node.current.pod.kill()
        self.node.judge()
        self.go_on(moment)

    @precondition(lambda self: not self.node.over and len(self.living()) < 3)
    @rule(cut=st.sampled_from([0.0, 20.0, 120.0, OUTAGE * 1.5]), moment=moments)
    def lose_node(self, cut: float, moment: float) -> None:
        """Flyte takes the pod for dead and starts the next one; the old one goes on.

        Args:
            cut: for how long it has no network.
            moment: how long all goes its way then.
        """
        self.node.current.superseded = True
        self.node.current.pod.cut = self.world.now + cut
        self.world.say("the node is lost")
        self.node.fail_on_platform()
        self.go_on(moment)

    @precondition(lambda self: not self.node.over and len(self.living()) < 3)
    @rule(moment=moments)
    def drain_node(self, moment: float) -> None:
        """The pod is told to end; Flyte does not wait for that."""
        self.node.current.superseded = True
        self.node.current.pod.signal()
        self.node.fail_on_platform()
        self.go_on(moment)

    @precondition(lambda self: not self.node.over and len(self.living()) < 3)
    @rule(killed=st.booleans(), moment=moments)
    def start_again(self, killed: bool, moment: float) -> None:
        """The pod is replaced within its attempt.

        They have the same name, so Kubernetes starts another one only when the old one has gone,
        or was taken for gone. One that had not begun to work then is left out.
        """
        current = self.node.current
        current.superseded = True
        if killed or not (current.records and current.records.taken):
            current.pod.kill()
        self.node.start(again=True)
        self.go_on(moment)

    @rule(which=st.integers(0, 1))
    def end_lost(self, which: int) -> None:
        """A pod that was taken for dead is back, and told to end."""
        lost = [trial for trial in self.living() if trial.superseded]
        if lost:
            lost[which % len(lost)].pod.signal()

    @precondition(lambda self: any(job.lives(self.world.now) for job in self.world.jobs))
    @rule(which=st.integers(0, 3))
    def cancel_by_hand(self, which: int) -> None:
        living = self.world.living()
        self.world.cancel(living[which % len(living)].id)

    @precondition(lambda self: self.is_late())
    @rule(lacking=st.booleans())
    def take_secret(self, lacking: bool) -> None:
        """From now on pods fail for good before they can look for a job, or no longer."""
        self.node.fail_early = lacking

    @precondition(lambda self: self.is_late() and not self.node.over)
    @rule()
    def abort(self) -> None:
        self.node.over = "aborted"
        self.world.say("aborted")
        for trial in self.living():
            trial.pod.signal()

    def end_overdue(self) -> None:
        """Kubernetes kills a pod that has not ended 30 seconds after it was told to."""
        for trial in self.living():
            pod = trial.pod
            if pod.signalled is not None and self.world.now - pod.signalled > TERMINATION_GRACE:
                frozen = pod.stalled >= pod.signalled or self.world.now > pod.wakes + 0.2
                pod.kill()
                assert frozen, "a pod that was told to end takes too long"

    def teardown(self) -> None:
        if not hasattr(self, "node"):
            return
        world = self.world
        world.calm()
        for _ in range(LONG):
            if not self.living():
                break
            self.step_first()
        assert not self.living(), "a pod goes on for ever"
        world.advance(max([world.now, *(at for at, _ in world.late)]) + GRACE)
        self.check()

    def check(self) -> None:
        """What must hold when all pods have settled."""
        world, node = self.world, self.node
        for line in world.diary:
            note(line)
        note(f"{node.over}: {[(job.id, job.status(world.now)) for job in world.jobs]}")
        self.check_living()
        self.check_twins()
        self.check_superseded()
        self.check_cancelled()
        self.check_unused()
        self.check_reports()

    def check_living(self) -> None:
        """No job goes on, unless nobody could have ended it and people know of it."""
        living = self.world.living()
        ended = self.node.current.pod.ended_at
        seen = [job for job in living if job.visible < ended - MOMENT]
        assert len(seen) <= 1 or self.world.robbed, living
        for job in living:
            assert self.is_excused(job), f"{job.id} goes on"

    def is_excused(self, job: ModelJob) -> bool:
        node, last = self.node, self.node.current
        pod = last.pod
        if pod.killed and node.over in {"aborted", "exhausted"}:
            return True
        # No pod can know that it is the last one that the platform's budget allows.
        speakers = node.trials if node.over == "exhausted" else [last]
        how = re.compile(rf"perian-shim cancel [^.:;]*({job.id}\b|--key {KEY})|may go on")
        told = any(how.search(each.words) for each in speakers)
        began = pod.ended_at - LOOKS.settle - MOMENT if pod.signalled is None else pod.signalled
        looked = max(pod.looked, pod.ended_at - MOMENT) if pod.looked >= 0 else pod.ended_at - LOOK
        record = last.records.record if last.records else None
        known = record is not None and job.id in {record.job_id, *record.served}
        unseen = not known and job.visible > looked
        left = node.detach and isinstance(last.ended_with, Terminating)
        hindered = max(pod.trouble, pod.store_trouble, pod.stalled) >= began
        return told and (unseen or left or hindered)

    def check_twins(self) -> None:
        """Two jobs run at once only for as long as nobody could have known, and a moment.

        Once the last pod has ended there is nobody: what goes on then is ``check_living``'s.
        """
        world = self.world
        ended = max(trial.pod.ended_at for trial in self.node.trials)
        for index, job in enumerate(world.jobs):
            for twin in world.jobs[index + 1 :]:
                since = max(job.visible, twin.visible, world.troubled)
                both = min(job.gone, twin.gone, ended) - since
                assert both <= MOMENT, f"{job.id} and {twin.id} ran at once for {both} s"

    def check_superseded(self) -> None:
        """A pod that a later one has taken over from ends soon, and says just that."""
        for trial in self.node.trials:
            pod = trial.pod
            later = [
                at
                for uri, (at, other) in self.world.born.items()
                if uri in self.world.objects
                and is_later(other.owner, pod.owner)
                and self.has_taken_over(other)
            ]
            if later and not pod.killed and pod.store_trouble < min(later):
                since = max(min(later), pod.stalled, pod.trouble)
                overdue = pod.ended_at - since > CHECK_SECONDS + MOMENT
                quiet = isinstance(trial.ended_with, Superseded | Terminating)
                assert quiet or not overdue, f"{trial.ended_with!r}"

    def has_taken_over(self, pod: Pod) -> bool:
        trial = next(trial for trial in self.node.trials if trial.pod is pod)
        return trial.records is not None and trial.records.taken

    def check_cancelled(self) -> None:
        """No job is ended that is wanted: each that a pod has ended had a reason to be."""
        for job in self.world.jobs:
            if job.canceller is not None and job.cancelled is not None:
                trial = next(each for each in self.node.trials if each.pod is job.canceller)
                assert self.has_reason(trial, job, job.cancelled - GRACE), f"{job.id} was wanted"

    def has_reason(self, trial: Trial, job: ModelJob, at: float) -> bool:
        """Whether a pod had a reason to end a job at a time; a killed one cannot tell."""
        error = trial.ended_with
        record = trial.records.record if trial.records else None
        others = [each for each in self.world.jobs if each is not job and each.created <= at]
        return (
            trial.pod.killed
            or trial.fails_early
            or self.world.robbed
            or has_passed(job, at)
            or (isinstance(error, QueuedTooLong | JobTimedOut) and self.was_unwatched(job))
            or (trial.pod.signalled is not None and not self.node.detach)
            or (isinstance(error, TaskError) and not error.outcome.recoverable)
            or (record is not None and record.unseen >= GIVE_UPS)
            or any(each.gone > at - MOMENT or each.status(at) == DONE for each in others)
        )

    def was_unwatched(self, job: ModelJob) -> bool:
        """Whether a job could not be looked at for a while: all of that counts as it was before."""
        pods = [trial.pod for trial in self.node.trials]
        return any(max(pod.stalled, pod.trouble) >= job.created for pod in pods)

    def check_unused(self) -> None:
        """No job's failure ends the node while outputs are there that could have been used.

        Of two jobs that are Done the one counts that was followed, also if it has left nothing.
        """
        node = self.node
        last = node.consumed[-1] if node.over == "failure" else None
        if isinstance(last, OutputMissing) or self.world.robbed:
            return
        if isinstance(last, TaskError) and last.spends_job:
            reported = {each.job_id for each in node.consumed if isinstance(each, TaskError)}
            pod = node.current.pod
            wasted = [
                job.id
                for job in node.unused
                if job.id not in reported and max(job.visible, job.ends) < pod.looked
            ]
            assert not wasted, f"done and never used: {wasted}"

    def check_reports(self) -> None:
        """Each job's failure is told once, and nobody is blamed for what we did ourselves."""
        if self.world.robbed:
            return
        consumed = [error for error in self.node.consumed if isinstance(error, TaskError)]
        ended = [error.job_id for error in consumed if error.spends_job]
        assert len(ended) == len(set(ended)), f"told twice: {ended}"
        for error in consumed:
            if isinstance(error, JobCancelled) and error.job_id is not None:
                job = self.world.job(error.job_id)
                unknown = job.canceller and job.canceller.store_trouble > (job.cancelled or 0) - 30
                assert not job.canceller or unknown, f"{job.id}: we did it"


Lifecycles.TestCase.settings = settings(
    max_examples=examples(250, nightly=10_000),
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


TestLifecycles = pytest.mark.slow(Lifecycles.TestCase)
