"""Functions of Flyte 2 in jobs: real ``a0`` there, our door in the pod, the backend's rules."""

from collections.abc import Iterator

import flyte.errors
import pytest
from support.flyte2 import Flyte2Harness, flyte2_harness
from support.flyte2_functions import shop

from perian_shim.sandbox.records import Status

pytestmark = pytest.mark.slow

MINE = {("mine", "key"): "sesame"}


@pytest.fixture(scope="module")
def flyte2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flyte2Harness]:
    with flyte2_harness(tmp_path_factory.mktemp("flyte2")) as harness:
        harness.secrets = MINE
        yield harness


def test_values_go_in_and_come_out(flyte2: Flyte2Harness) -> None:
    ran = flyte2.run(shop.double, x=21, name="ab")
    assert ran.value == (42, "abab"), ran.attempt.log
    (job,) = ran.jobs
    assert (job.record.execution.environment or {})["MODE"] == "fast"


def test_a_coroutine_is_run(flyte2: Flyte2Harness) -> None:
    assert flyte2.run(shop.late, x=3).value == 3


def test_what_a_function_raises_is_told_as_it_was_raised(flyte2: Flyte2Harness) -> None:
    ran = flyte2.run(shop.failing, x=3)
    assert (ran.error.code, ran.error.kind, ran.error.recoverable) == ("ValueError", "USER", True)
    assert "cannot pour 3 cups" in ran.error.message


def test_a_report_has_the_function_s_tabs_and_ours(flyte2: Flyte2Harness) -> None:
    ran = flyte2.run(shop.shown, x=3)
    assert ran.value == 3, ran.attempt.log
    page = ran.left("report.html") or b""
    assert b"<b>seen 3</b>" in page
    assert b">Perian</li>" in page


@pytest.mark.parametrize(
    "task", [shop.nested, shop.nested_in_a_thread, shop.recursive, shop.mapped]
)
def test_a_task_that_calls_another_is_refused_at_once(flyte2: Flyte2Harness, task: object) -> None:
    ran = flyte2.run(task, x=3)
    assert ran.error.code == "PERIAN:ChildTask"
    assert "reaches no control plane of Flyte" in ran.error.message
    assert ran.error.recoverable != hasattr(flyte.errors, "NonRecoverableError")
    (job,) = ran.jobs
    assert job.state.status is Status.DONE


def test_the_function_of_another_task_is_run_in_the_same_job(flyte2: Flyte2Harness) -> None:
    ran = flyte2.run(shop.forwarding, x=3)
    assert ran.value == 9, ran.attempt.log
    assert len(ran.jobs) == 1


def test_a_traced_step_is_run(flyte2: Flyte2Harness) -> None:
    assert flyte2.run(shop.traced, x=3).value == 4
