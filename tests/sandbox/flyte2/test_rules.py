"""What Flyte 2 does after a pod has ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.sandbox.flyte.cluster import NodeError
from perian_shim.sandbox.flyte2.places import ActionPod
from perian_shim.sandbox.flyte2.rules import SYSTEM_RESTARTS, Budget, Next

USER = NodeError("E", "m", "USER", recoverable=True)
FATAL = NodeError("E", "m", "USER", recoverable=False)
SYSTEM = NodeError("E", "m", "SYSTEM", recoverable=True)


@pytest.mark.parametrize(
    ("budget", "error", "step"),
    [
        (Budget(0), None, Next.SUCCEED),
        (Budget(3), FATAL, Next.FAIL),
        (Budget(0), USER, Next.FAIL),
        (Budget(1), USER, Next.RETRY),
        (Budget(1, failures=1), USER, Next.FAIL),
        (Budget(0), SYSTEM, Next.RESTART),
        (Budget(0, restarts=SYSTEM_RESTARTS), SYSTEM, Next.FAIL),
    ],
)
def test_what_comes_after_a_pod(budget: Budget, error: NodeError | None, step: Next) -> None:
    assert budget.after(error)[0] is step


@given(st.lists(st.sampled_from([USER, SYSTEM])), st.integers(0, 5))
def test_an_action_ends(errors: list[NodeError], retries: int) -> None:
    budget, pods = Budget(retries), 0
    for error in errors:
        pods += 1
        step, budget = budget.after(error)
        if step is Next.FAIL:
            break
    assert pods <= 1 + retries + SYSTEM_RESTARTS


def test_a_pod_that_is_started_again_has_the_place_of_the_one_before() -> None:
    first, again, next_one = (
        ActionPod.of("b", "s3://b/run/a", "run", "a", pods=pods, attempt=attempt)
        for pods, attempt in ((0, 0), (1, 0), (2, 1))
    )
    assert first.output_prefix == again.output_prefix == "s3://b/run/a/1"
    assert first.raw_prefix == again.raw_prefix != next_one.raw_prefix
    assert next_one.output_prefix == "s3://b/run/a/2"
    assert first.templates["prevcheckpointprefix"] == '""'
    assert next_one.templates["prevcheckpointprefix"] == "s3://b/run/a/1/_flytecheckpoints"


def test_an_action_s_templates_are_filled_in() -> None:
    pod = ActionPod.of("b", "s3://b/run/a", "run", "a", pods=0, attempt=0)
    assert pod.fill("{{.runName}} {{ .actionName }} {{.input}}") == "run a s3://b/run/a/inputs.pb"
    assert pod.fill("{{.inputs.x}}") == "{{.inputs.x}}"
