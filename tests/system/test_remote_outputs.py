"""What jobs left can be had from a script: of real pods, from the object store."""

import pytest
from support.command import use_api
from support.flyte import Harness
from support.function_harness import FunctionHarness
from support.functions import failing, surroundings
from support.shell_task import shell

from perian_shim.errors import FunctionFailed, StorageFailed
from perian_shim.remote import Job
from perian_shim.storage import open_store

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors]


@pytest.fixture(autouse=True)
def here(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process use the sandbox."""
    use_api(monkeypatch)
    for name, value in harness.sandbox.environment().items():
        monkeypatch.setenv(name, value)


def test_a_container_task_leaves_the_uris_of_its_outputs(harness: Harness) -> None:
    execution = harness.execution()
    task = shell("echo 42 > /var/outputs/n", outputs={"n": int})
    harness.outputs(task, execution=execution)
    (job,) = Job.listall(execution=execution)
    outputs = job.outputs()
    assert list(outputs) == ["n"]
    assert open_store(outputs["n"]).read(outputs["n"], 100) == b"42\n"


def test_a_function_leaves_values(functions: FunctionHarness) -> None:
    ran = functions.run(surroundings.awaited, {"number": 1})
    job = Job.get(ran.job.record.job_id)
    assert set(job.outputs()) == set(ran.literals)
    assert job.outputs()["o0"] == ran.literals["o0"].scalar.primitive.integer


def test_of_a_function_that_raised_the_error_is_told_though_its_job_is_done(
    functions: FunctionHarness,
) -> None:
    ran = functions.run(failing.value_error, {"cups": 3})
    job = next(job for job in Job.listall() if job.id == ran.job.record.job_id)
    assert job.status == "Done"
    for ask in (job.raise_for_status, job.outputs):
        with pytest.raises(FunctionFailed, match="cannot pour 3 cups"):
            ask()


def test_what_this_machine_may_not_read_is_an_error_that_says_so(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = harness.execution()
    harness.outputs(shell("echo 1 > /var/outputs/n", outputs={"n": int}), execution=execution)
    (job,) = Job.listall(execution=execution)
    for prefix in ("AWS", "FLYTE_AWS"):
        monkeypatch.setenv(f"{prefix}_SECRET_ACCESS_KEY", "another")
    with pytest.raises(StorageFailed, match="may read there"):
        job.outputs()
