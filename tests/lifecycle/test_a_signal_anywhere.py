"""A signal at any line of a run: the job is ended or left, people are told, and nothing is lost."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from support.any_line import AnyLine
from support.perian_model import Plan
from support.profiles import examples
from support.still_node import KEY, ModelWork, NodePod, StillNode, get_job, pod_of

from perian_shim.api.errors import PerianError
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.policies import Limits
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.terms import Terms

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

EVER = 1e9
LINES = examples(60, nightly=1_000)
"""At how many lines of each scene a signal comes, spread evenly."""

USUAL = Plan(queued=4.0, running=120.0)


@dataclass
class Ended:
    """What became of a node one of whose pods got a signal.

    Attributes:
        node: the node.
        pod: the pod.
        told: what the pod returned, or told Flyte and people.
        failed: whether it failed.
        living: ids of the jobs that lived when it had ended.
    """

    node: StillNode
    pod: NodePod
    told: str
    failed: bool
    living: list[str]


Scene = Callable[[StillNode, Terms], Attempt[str]]


def alone(node: StillNode, terms: Terms) -> Attempt[str]:
    """A first attempt."""
    return node.attempt(terms=terms)


def after_a_killed_pod(node: StillNode, terms: Terms) -> Attempt[str]:
    """A second attempt, whose job runs."""
    get_job(node.attempt(0, terms=terms))
    return node.attempt(1, terms=terms)


def started_again(node: StillNode, terms: Terms) -> Attempt[str]:
    """The first attempt's second pod, whose job runs."""
    get_job(node.attempt(0, terms=terms))
    return node.attempt(0, terms=terms)


def after_an_unanswered_submission(node: StillNode, terms: Terms) -> Attempt[str]:
    """A second attempt, when the first one's job is not listed yet."""
    node.world.plans = [replace(USUAL, lag=8.0)]
    first = node.attempt(0, terms=Terms(detach=True))
    pod_of(first).at(0.05, Terminated("SIGTERM"))
    with pytest.raises(PerianError):
        first.run()
    return node.attempt(1, terms=terms)


def asking_twice(node: StillNode, terms: Terms) -> Attempt[str]:
    """A run that submits again, since the first answer is lost and the list lags."""
    node.world.plans = [replace(USUAL, lag=30.0, running=1500.0), USUAL]
    node.world.faults["create"] = ["late"]
    return node.attempt(terms=terms)


def past_a_limit(node: StillNode, terms: Terms) -> Attempt[str]:
    """A run whose job waits for too long for a machine."""
    node.world.plans = [Plan(queued=300.0, deaf=70.0), USUAL]
    return node.attempt(terms=replace(terms, limits=Limits(queued=60.0)))


def replacing(node: StillNode, terms: Terms) -> Attempt[str]:
    """A run whose job's access to its data would end in the queue."""
    node.world.plans = [Plan(queued=300.0), USUAL]
    attempt = node.attempt(terms=terms)
    assert isinstance(attempt.work, ModelWork)
    attempt.work.access = 100.0
    return attempt


def cancelled_by_another_pod(node: StillNode, terms: Terms) -> Attempt[str]:
    """A second attempt whose job the first one's pod ends late."""
    first = node.attempt(0, terms=terms)
    get_job(first)
    second = node.attempt(1, terms=terms)

    def cancel() -> None:
        first.records.keep(cancelled=("job-0",))
        node.world.cancel("job-0", pod_of(first))

    pod_of(second).at(node.world.now + 20.0, cancel)
    return second


def unseen(node: StillNode, terms: Terms) -> Attempt[str]:
    """A run that cannot see its job for longer than an outage is ridden out."""
    attempt = node.attempt(terms=terms)
    pod_of(attempt).at(10.0, lambda: node.world.spells.update({"down": EVER}))
    return attempt


SCENES = [
    alone,
    after_a_killed_pod,
    started_again,
    after_an_unanswered_submission,
    asking_twice,
    past_a_limit,
    replacing,
    cancelled_by_another_pod,
    unseen,
]


OTHERWISE_ENDED = {replacing, cancelled_by_another_pod}
"""Their jobs end for other reasons than the signal, so that a next attempt cannot rejoin them."""


def begun(scene: Scene, terms: Terms) -> tuple[StillNode, Attempt[str]]:
    node = StillNode()
    node.world.plans = [USUAL]
    return node, scene(node, terms)


def ended(scene: Scene, terms: Terms, line: AnyLine) -> Ended:
    """Run a pod as its door does, with a signal at a line."""
    node, attempt = begun(scene, terms)
    attempt.ready = line.begin
    try:
        try:
            with line:
                told, failed = attempt.run(), False
        except Terminated as signal:
            raise attempt.interrupted(signal) from None
    except PerianError as error:
        told, failed = str(error), True
        attempt.reported()
    node.world.spells.clear()
    return Ended(node, pod_of(attempt), told, failed, node.living())


def lines_of(scene: Scene, terms: Terms) -> range:
    """Return at which lines a signal comes."""
    whole = AnyLine()
    ended(scene, terms, whole)
    return range(1, whole.passed + 1, max(1, whole.passed // LINES))


def followed_up(run: Ended) -> tuple[str, list[str]]:
    """What the next attempt returns, and which jobs live after it."""
    number = run.node.pods
    return run.node.attempt(number).run(), run.node.living(10.0)


@pytest.mark.parametrize("detach", [False, True], ids=["cancel", "detach"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_signal_at_any_line_loses_no_job(scene: Scene, detach: bool) -> None:
    terms, rejoins = Terms(detach=detach), detach and scene not in OTHERWISE_ENDED
    wrong: dict[str, str] = {}
    for number in lines_of(scene, terms):
        line = AnyLine(number)
        run = ended(scene, terms, line)
        found = faults(run, rejoins=rejoins) if run.failed else []
        if found:
            wrong[f"{number}: {line.where}"] = f"{found}: {run.told}"
    assert wrong == {}


def faults(run: Ended, *, rejoins: bool) -> list[str]:
    """Return what is wrong about the end of a run and about the attempt after it.

    Args:
        run: the run.
        rejoins: whether the next attempt is to rejoin a job that goes on.
    """
    found = untrue(run)
    before = len(run.node.world.jobs)
    left_on_purpose = "goes on" in run.told
    if run.living and not (left_on_purpose or re.search("asked to end|may exist", run.told)):
        found.append(f"{run.living} were left without a word")
    try:
        output, left = followed_up(run)
    except PerianError as error:
        return [*found, f"the next attempt failed: {error!r}"]
    if left:
        found.append(f"{left} live after attempt {run.node.pods - 1}, which has {output}")
    if rejoins and left_on_purpose and len(run.node.world.jobs) > before:
        found.append("the next attempt did not rejoin the job")
    return found


def untrue(run: Ended) -> list[str]:
    """Return what a run has said of jobs that is not so."""
    told, living = run.told, set(run.living)
    unnamed = [] if KEY in told else [job_id for job_id in living if job_id not in told]
    ended = {job.id for job in run.node.world.jobs if job.canceller is run.pod}
    on = set(re.findall(r"Job (job-\d+) goes on", told)) & ended
    over = set(re.findall(r"job (job-\d+) is cancelled", told)) & living
    nothing = living if "no job was submitted" in told else set()
    said = {"not named": unnamed, "ended": on, "lives": over, "submitted": nothing}
    return [f"{sorted(ids)}: {what}" for what, ids in said.items() if ids]
