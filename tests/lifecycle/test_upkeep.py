"""Access that lasts as long as the job, and what becomes of a job that could not begin any more."""

from typing import Any

import pytest
from support.perian_model import Plan
from support.still_node import LONG, ModelWork, StillNode, pod_of, raw

from perian_shim.api.errors import PerianError
from perian_shim.api.phases import Phase
from perian_shim.errors import QueuedTooLong, StorageFailed, Terminating
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.policies import Limits
from perian_shim.lifecycle.signals import Terminated
from perian_shim.lifecycle.terms import Terms
from perian_shim.lifecycle.upkeep import AGAIN_SECONDS, WAITING_SHARE, longest_wait

EVER = 1e9
ACCESS = 600.0


@pytest.fixture
def node() -> StillNode:
    return StillNode()


def with_work(node: StillNode, **options: Any) -> tuple[Attempt[str], ModelWork]:
    """An attempt, and its work with these options."""
    attempt = node.attempt(**{key: options.pop(key) for key in ("terms",) if key in options})
    assert isinstance(attempt.work, ModelWork)
    for name, value in options.items():
        setattr(attempt.work, name, value)
    return attempt, attempt.work


def test_a_jobs_access_is_seen_to_at_each_look_while_it_goes_on(node: StillNode) -> None:
    node.world.plans = [Plan(queued=10.0, running=100.0)]
    attempt, work = with_work(node)
    attempt.run()
    assert len(work.kept) > 5
    assert {*work.kept} == {raw(0)}


def test_a_job_that_has_ended_has_no_access_any_more(node: StillNode) -> None:
    attempt, work = with_work(node)
    attempt.run()
    assert work.revoked == [raw(0)]


def test_access_that_cannot_be_renewed_ends_no_job_and_is_warned_of_once(node: StillNode) -> None:
    node.world.plans = [Plan(queued=0.0, running=10 * AGAIN_SECONDS)]
    attempt, work = with_work(node, refuse=StorageFailed("The store is closed."))
    assert attempt.run() == "job-0"
    assert node.words.count("The store is closed.") == 1
    assert 2 < len(work.kept) <= 11


def test_a_job_whose_access_would_end_in_the_queue_is_replaced(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER), Plan(queued=5.0, running=5.0)]
    attempt, _ = with_work(node, access=ACCESS)
    assert attempt.run() == "job-1"
    assert node.job("job-0").phase is Phase.CANCELLED
    assert "it is submitted anew" in node.words


def test_a_replaced_job_was_asked_to_end_before_the_next_was_submitted(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER), Plan(queued=5.0, running=5.0)]
    attempt, _ = with_work(node, access=ACCESS)
    attempt.run()
    (cancelled, *_), submitted = node.calls("cancel"), node.calls("create")
    assert submitted[0] + ACCESS * WAITING_SHARE <= cancelled < submitted[1]


def test_a_job_may_be_replaced_as_often_as_it_takes(node: StillNode) -> None:
    node.world.plans = [*[Plan(queued=EVER)] * 6, Plan(queued=5.0, running=5.0)]
    attempt, _ = with_work(node, access=ACCESS)
    assert attempt.run() == "job-6"


def test_the_time_that_replaced_jobs_have_waited_counts(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER)] * 9
    terms = Terms(Limits(queued=3 * ACCESS))
    attempt, _ = with_work(node, access=ACCESS, terms=terms)
    with pytest.raises(QueuedTooLong):
        attempt.run()
    assert 3 * ACCESS < node.world.now < 4 * ACCESS
    assert node.living() == []


def test_a_job_that_has_got_its_machine_meanwhile_goes_on(node: StillNode) -> None:
    node.world.plans = [Plan(queued=ACCESS * WAITING_SHARE - 1, running=EVER), LONG]
    attempt, _ = with_work(node, access=ACCESS)
    pod_of(attempt).at(node.world.now + 2 * ACCESS, Terminated("SIGTERM"))
    with pytest.raises(Terminating, match="job-0 is cancelled"):
        attempt.run()


def test_a_job_that_cannot_be_ended_is_not_replaced(node: StillNode) -> None:
    node.world.plans = [Plan(queued=EVER)]
    node.world.spells["no cancellations"] = EVER
    attempt, _ = with_work(node, access=ACCESS)
    with pytest.raises(PerianError, match="could not be cancelled"):
        attempt.run()
    assert len(node.calls("create")) == 1


@pytest.mark.parametrize("environment", [{}, {"PERIAN_SHIM_ACCESS": "soon"}])
def test_a_job_that_says_nothing_of_its_access_may_wait(environment: dict[str, str]) -> None:
    assert longest_wait(environment) == float("inf")
