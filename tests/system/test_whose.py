"""From a job to its pod and its execution in one look, and what it runs on and costs: real pods."""

import re
import signal

import pytest
from support.api_calls import Call
from support.cells import Lab
from support.flyte import Harness
from support.function_harness import FunctionHarness
from support.functions import surroundings
from support.outcomes import state_of
from support.scenes import scene
from support.shell_task import shell
from support.traps import Trap, When
from support.waiting import LONG_SECONDS, wait_until

from perian_shim import PerianConfig
from perian_shim.api.client import PerianClient
from perian_shim.owners import JobOrigin
from perian_shim.sandbox.flyte.cluster import Attempt
from perian_shim.sandbox.flyte.places import Pod
from perian_shim.sandbox.server.catalogue import INSTANCE_TYPES

pytestmark = pytest.mark.thorough

MACHINE = r"\S+ \(\d+ cores?, \d+ GB(?:, \d x \S+)?\) at \S+, [A-Z]{2}, for [\d.]+ EUR per hour"
COST = r"[\d.]+ EUR"
OWNED = {"PERIAN_OWNER": "team-vision"}


def origin(harness: Harness, execution: str) -> JobOrigin:
    """Whose an execution's one job is, as anybody with the organization's token finds it."""
    (job,) = harness.jobs(execution)
    names = harness.sandbox.environment()
    url, organization, token = (
        names[f"PERIAN_{each}"] for each in ("API_URL", "ORGANIZATION", "TOKEN")
    )
    with PerianClient(url, organization, token) as client:
        (listed,) = (each for each in client.iter_jobs() if each.id == job.record.job_id)
        shown, told = JobOrigin.of(listed), JobOrigin.of(client.get_job(listed.id))
    assert shown is not None
    assert shown == told
    return shown


def expected(pod: Pod, **others: object) -> JobOrigin:
    """What is to be told of a pod's job; key and output are the job's own."""
    values: dict[str, object] = {
        "project": "flytesnacks",
        "domain": "development",
        "execution": pod.execution,
        "node": "n0",
        "task": "test.shell",
        "version": "v1",
        "attempt": pod.number,
        "owner": "team-vision",
        "pod": pod.name,
        "records": pod.output_prefix.rpartition("/")[0] + "/_perian/attempts",
        "output": pod.raw_prefix,
        **others,
    }
    return JobOrigin(**values)  # type: ignore[arg-type]  # checked by the comparison


@pytest.fixture(scope="module")
def failed(harness: Harness) -> tuple[Harness, Pod, Attempt]:
    """A second attempt whose program fails."""
    owned = harness.with_variables(**OWNED)
    config = PerianConfig(instance_type_id=INSTANCE_TYPES[0].id)
    running = owned.start(shell("exit 3", task_config=config), attempt=1)
    return owned, running.pod, running.wait()


def test_a_container_tasks_job_tells_whose_it_is(failed: tuple[Harness, Pod, Attempt]) -> None:
    harness, pod, _ = failed
    told = origin(harness, pod.execution)
    assert re.fullmatch("[0-9a-f]{40}", told.key)
    assert told == expected(pod, key=told.key)
    assert told.attempt == 1


def test_the_folder_that_it_names_holds_its_pods_launch_record(
    failed: tuple[Harness, Pod, Attempt],
) -> None:
    harness, pod, _ = failed
    (record,) = harness.store.listed(origin(harness, pod.execution).records)
    assert record.endswith(".json")


def test_a_function_tasks_job_tells_whose_it_is(functions: FunctionHarness) -> None:
    running = functions.start(surroundings.doubled, {"number": 2}, environment=OWNED)
    functions.ended(running).job  # noqa: B018 - there is one
    told = origin(functions.harness, running.pod.execution)
    name = "support.functions.surroundings.doubled"
    assert told == expected(running.pod, key=told.key, task=name)


@pytest.mark.below_the_doors
@pytest.mark.parametrize("node", ["n0/dn1", "n0[3]", "n0/dn1[3]"])
def test_a_node_within_a_node_is_told_by_its_path(harness: Harness, node: str) -> None:
    task, execution = shell("true"), harness.execution()
    place = harness.cluster.place(execution, "n0")
    place = place.inside("dn1") if "dn1" in node else place
    pod = place.item(3, 0) if "[3]" in node else place.attempt(0)
    template = harness.cluster.serialize(task).to_flyte_idl()
    inputs = harness.literals(task, {}).to_flyte_idl()
    running = harness.cluster.launch(template, inputs, pod)
    running.wait()
    told = origin(harness, execution)
    assert told == expected(pod, key=told.key, node=node, owner="")


def test_a_pod_says_what_a_job_ran_on_and_cost(failed: tuple[Harness, Pod, Attempt]) -> None:
    _, _, attempt = failed
    assert len(re.findall(rf"\[perian-shim\] job \S+ r.* on {MACHINE}", attempt.log)) == 1
    assert re.search(rf"\[perian-shim\] job \S+ ran for \d+ s.* cost {COST}\n", attempt.log)


def test_an_error_says_it_too_in_one_sentence(failed: tuple[Harness, Pod, Attempt]) -> None:
    _, _, attempt = failed
    assert attempt.error is not None
    said = re.findall(
        rf"code 3\. The job ran for \d+ s on {MACHINE}, and cost {COST}\.", attempt.error.message
    )
    assert len(said) == 1
    assert attempt.error.code == "PERIAN:JobFailed"


def test_a_job_that_an_abort_ends_is_said_to_have_cost(harness: Harness) -> None:
    pod = harness.start(shell("sleep 60"))
    execution = pod.pod.execution

    def runs() -> bool:
        return any(job.state.started_at for job in harness.jobs(execution))

    wait_until(runs, LONG_SECONDS, "the job does not run")
    pod.delete()
    attempt = pod.wait()
    assert attempt.error is not None
    assert re.search(rf"The job ran for \d+ s.* cost {COST}\.", attempt.error.message), attempt.log


@pytest.mark.below_the_doors
def test_a_rejoined_job_is_said_to_run_for_its_price_and_remains_its_first_pods(lab: Lab) -> None:
    with scene(lab) as node:
        kill = lambda: node.cluster.signal(signal.SIGKILL)  # noqa: E731 - the cluster comes later
        node.api.meet_first(Trap(Call.READ, When.AFTER, kill, 2))
        ended = node.running()
        node.wait_for(lambda: len(node.cluster.pods) > 1, "a second attempt")
        node.let_go()
        last = ended.result()[-1]
        (job,) = node.jobs
    assert state_of(last) == "success", last.log
    assert "rejoining job" in last.log
    assert re.search(rf"\[perian-shim\] job {job.job_id} runs at [\d.]+ EUR per hour", last.log)
    assert job.attempt == 0
