"""Tasks of Flyte 2 without a backend, in programs of users: in process, or through Perian."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.function_harness import TESTS
from support.local_runs import LocalRun, start
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.server.store import JobSnapshot

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

HEAD = f"""\
import os, pathlib, sys
sys.path.insert(0, {str(TESTS)!r})
import flyte
from perian_shim.flyte2 import PerianConfig, PerianContainerTask
from support.flyte2_functions import shop

def box(script):
    task = PerianContainerTask(
        "box", PerianConfig(cores=1), "debian:12", ["sh", "-ec", script, "-", "{{{{.inputs.x}}}}"],
        {{"x": int}}, outputs={{"y": int}},
    )
    flyte.TaskEnvironment.from_task("boxes", task)
    return task

flyte.init(root_dir=pathlib.Path({str(TESTS)!r}))
here = flyte.with_runcontext(mode="local")
there = flyte.with_runcontext(mode="local", raw_data_path=os.environ["RAW"])
"""

Program = Callable[[str], LocalRun]


@pytest.fixture
def program(sandbox: Sandbox, tmp_path: Path) -> Program:
    """Starts a program."""
    environment = {
        **sandbox.environment(),
        "RAW": f"s3://{sandbox.bucket}/flyte2-local/{tmp_path.name}",
        "MY_KEY": "sesame",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run(body: str) -> LocalRun:
        file = tmp_path / "program.py"
        file.write_text(HEAD + body)
        return start([sys.executable, str(file)], tmp_path, environment)

    return run


def jobs_of(sandbox: Sandbox, tmp_path: Path) -> list[JobSnapshot]:
    store = sandbox.store
    assert store is not None
    with store.lock:
        found = [store.snapshot(record) for record in store.load()]
    return [
        job
        for job in found
        if tmp_path.name in (job.record.execution.environment or {}).get("PERIAN_SHIM_OUTPUT", "")
    ]


def test_a_function_runs_in_the_process(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    run = program("print('is', here.run(shop.late, x=2).outputs())")
    assert run.end() == 0, run.text
    assert "is" in run.text
    assert jobs_of(sandbox, tmp_path) == []


def test_a_function_with_a_remote_raw_data_path_goes_through_perian(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    run = program("print('is', there.run(shop.double, x=2, name='b').outputs())")
    assert run.end() == 0, run.text
    assert "o0=4" in run.text
    assert len(jobs_of(sandbox, tmp_path)) == 1


def test_a_task_that_calls_another_runs_here_and_the_other_on_perian(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    run = program("print('is', there.run(shop.total, n=3).outputs())")
    assert run.end() == 0, run.text
    assert "o0=3" in run.text
    assert len(jobs_of(sandbox, tmp_path)) == 3


@pytest.mark.parametrize(
    ("task", "given", "printed"), [("total_of_map", "n=3", "o0=3"), ("changed", "x=2", "o0=4")]
)
def test_every_way_to_call_a_task_leads_to_perian(
    task: str, given: str, printed: str, program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    run = program(f"print('is', there.run(shop.{task}, {given}).outputs())")
    assert run.end() == 0, run.text
    assert printed in run.text
    assert len(jobs_of(sandbox, tmp_path)) == len(range({"n=3": 3, "x=2": 2}[given]))


def test_a_program_that_is_run_again_finds_its_job(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    body = (
        "print('is', there.run(box('echo begun; sleep 5; echo 7 > /var/outputs/y'), x=1).outputs())"
    )
    killed = program(body)
    killed.wait_for("begun")
    killed.send(signal.SIGKILL)
    killed.end()
    again = program(body)
    assert again.end() == 0, again.text
    assert "7" in again.text
    assert len(jobs_of(sandbox, tmp_path)) == 1


def test_a_container_goes_through_perian(program: Program) -> None:
    script = "echo $(( $1 * 2 )) > /var/outputs/y"
    run = program(f"print('is', there.run(box({script!r}), x=21).outputs())")
    assert run.end() == 0, run.text
    assert "42" in run.text


def test_a_container_needs_a_place_that_its_job_reaches(program: Program) -> None:
    run = program("here.run(box('true'), x=1)")
    assert run.end() == 1
    assert "a local run has no place that its job reaches" in run.text
    assert "raw_data_path=" in run.text


def test_ctrl_c_ends_the_job(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    run = program("there.run(box('echo begun; sleep 600'), x=1)")
    run.wait_for("begun")
    run.send(signal.SIGINT)
    run.end()
    wait_until(
        lambda: [job.state.status.value for job in jobs_of(sandbox, tmp_path)] == ["Cancelled"],
        LONG_SECONDS,
        lambda: run.text,
    )
