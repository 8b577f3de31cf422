"""Runs on somebody's own machine: no way out leaves a job behind, running again rejoins one."""

import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.connections import unused_port
from support.job_gate import JobGate
from support.local_runs import BIN, LocalRun, start
from support.outcomes import JobTrace
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.api.jobs import Job
from perian_shim.owners import JobOrigin
from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.server.store import JobSnapshot

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

WORKFLOW = """
from flytekit import eager, workflow
from perian_shim import PerianConfig, PerianContainerTask

wait = PerianContainerTask(
    name="local.wait", task_config=PerianConfig(cores=1), image="debian:12",
    command=["/bin/bash", "-ec", GATE + "; echo $1 > /var/outputs/answer", "-", "{{.inputs.n}}"],
    inputs={"n": int}, outputs={"answer": int},
)

@workflow
def main(n: int = 42) -> int:
    return wait(n=n)

@eager
async def driver(n: int = 42) -> int:
    return wait(n=n)
"""


@dataclass
class Desk:
    """Somebody's machine: a folder with a workflow, and the sandbox that it uses."""

    sandbox: Sandbox
    gate: JobGate
    folder: Path
    known: set[str]

    def run(
        self, n: int = 42, entity: str = "main", *, verbose: bool = False, **variables: str
    ) -> LocalRun:
        prefix = f"s3://{self.sandbox.bucket}/local/{self.folder.name}"
        command = [str(BIN / "pyflyte"), *(["-v"] if verbose else []), "run"]
        command += ["--raw-output-data-prefix", prefix]
        command += ["flow.py", entity, "--n", str(n)]
        polling = {"PERIAN_POLL_MIN_SECONDS": "0.2", "PERIAN_POLL_MAX_SECONDS": "0.5"}
        variables = {"COLUMNS": "300", **variables}  # no line is broken
        return start(command, self.folder, {**self.sandbox.environment(), **polling, **variables})

    def snapshots(self) -> list[JobSnapshot]:
        store = self.sandbox.store
        assert store is not None
        with store.lock:
            records = [each for each in store.load() if each.job_id not in self.known]
        return [store.snapshot(record) for record in reversed(records)]

    @property
    def jobs(self) -> list[JobTrace]:
        return [JobTrace.of(each) for each in self.snapshots()]

    def wait_for_end(self) -> list[str]:
        """Wait until no job is left; return how they ended."""
        wait_until(
            lambda: not any(job.live for job in self.jobs), LONG_SECONDS, lambda: f"{self.jobs}"
        )
        return [job.status for job in self.jobs]


FAILURES = """
from flytekit import FlyteContextManager, workflow
from flytekit.core.data_persistence import FileAccessProvider
from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.errors import JobFailed

fail = PerianContainerTask(
    name="local.fail", task_config=PerianConfig(cores=1), image="debian:12",
    command=["/bin/bash", "-c", "exit 3"], inputs={"n": int}, outputs={"answer": int},
)

@workflow
def main(n: int) -> int:
    return fail(n=n)

if __name__ == "__main__":
    access = FileAccessProvider("/tmp/unused", raw_output_prefix=PREFIX)
    context = FlyteContextManager.current_context().with_file_access(access)
    with FlyteContextManager.with_context(context):
        try:
            main(n=1)
        except JobFailed as error:
            print("caught", error.code)
"""


@pytest.fixture
def desk(sandbox: Sandbox, tmp_path: Path) -> Iterator[Desk]:
    store = sandbox.store
    assert store is not None
    with store.lock:
        known = {each.job_id for each in store.load()}
    with JobGate() as gate:
        desk = Desk(sandbox, gate, tmp_path, known)
        (tmp_path / "flow.py").write_text(f"GATE = {gate.command!r}\n{WORKFLOW}")
        yield desk
        for job in desk.jobs:
            if job.live:
                store.cancel(job.job_id)


def running(desk: Desk, **options: object) -> LocalRun:
    run = desk.run(**options)  # type: ignore[arg-type]  # passed on
    run.wait_for("Running after")  # "Queued -> Running after", if it was seen queued
    return run


@pytest.mark.parametrize(
    ("variables", "owner"),
    [({"LOGNAME": "ada"}, "ada"), ({"LOGNAME": "ada", "PERIAN_OWNER": "team"}, "team")],
)
def test_a_local_runs_job_says_whose_it_is_and_what_it_costs(
    desk: Desk, variables: dict[str, str], owner: str
) -> None:
    run = desk.run(**variables)  # type: ignore[arg-type]  # variables only
    desk.gate.open("")
    assert run.end() == 0, run.text
    (job,) = desk.snapshots()
    told = JobOrigin.of(Job("j", "Done", env_variables=job.record.execution.environment or {}))
    assert told is not None
    assert (told.execution, told.node, told.pod, told.attempt) == ("", "", "", 0)
    assert (told.task, told.owner) == ("local.wait", owner)
    assert "/_perian/attempts" in told.records
    assert re.search(r"ran for .* cost [0-9.]+ EUR", run.text), run.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_a_terminal_does_to_a_local_run_ends_its_job(
    desk: Desk, number: signal.Signals
) -> None:
    """Ctrl-C, and that it is closed; all other signals are handled in one place with these."""
    run = running(desk)
    run.send(number)
    assert run.end() != 0
    assert desk.wait_for_end() == ["Cancelled"], run.text


def test_running_the_same_thing_again_rejoins_the_job_that_a_killed_process_left(
    desk: Desk,
) -> None:
    killed = running(desk)
    killed.send(signal.SIGKILL)
    killed.end()
    again = desk.run()
    again.wait_for("rejoining job")
    desk.gate.open("")
    assert again.end() == 0, again.text
    assert desk.wait_for_end() == ["Done"]


def test_a_detached_job_goes_on_and_running_again_rejoins_it(desk: Desk) -> None:
    flow = desk.folder / "flow.py"
    detached = 'cores=1, on_terminate="detach"), timeout=600'
    flow.write_text(flow.read_text().replace("cores=1)", detached))
    run = running(desk)
    run.send(signal.SIGINT)
    assert run.end() != 0
    (job,) = desk.jobs
    assert job.live
    words = f"no such local run follows: perian-shim cancel {job.job_id}"
    assert words in run.text
    again = desk.run()
    again.wait_for("rejoining job")
    desk.gate.open("")
    assert again.end() == 0, again.text
    assert desk.wait_for_end() == ["Done"]


def test_running_again_after_an_end_runs_a_new_job(desk: Desk) -> None:
    desk.gate.open("")
    for _ in range(2):
        run = desk.run()
        assert run.end() == 0, run.text
    assert desk.wait_for_end() == ["Done", "Done"]


def test_the_same_thing_side_by_side_is_two_pieces_of_work(desk: Desk) -> None:
    first, second = running(desk), running(desk)
    desk.gate.open("")
    assert (first.end(), second.end()) == (0, 0), first.text + second.text
    assert desk.wait_for_end() == ["Done", "Done"]


def test_a_local_job_without_a_timeout_gets_one_and_that_is_said(desk: Desk) -> None:
    desk.gate.open("")
    run = desk.run(PERIAN_LOCAL_TIMEOUT_SECONDS="600")
    assert run.end() == 0, run.text
    assert "its job may run for 0.167 h in a local run" in run.text
    (job,) = desk.snapshots()
    assert job.record.execution.timeout_seconds == 600


def test_ctrl_c_in_a_workflow_that_runs_its_tasks_on_another_thread_ends_the_job(
    desk: Desk,
) -> None:
    run = running(desk, entity="driver")
    run.send(signal.SIGINT)
    run.end()
    assert desk.wait_for_end() == ["Cancelled"], run.text


PROGRAM = """
from shop.prices import price

from flytekit import FlyteContextManager, workflow
from flytekit.core.data_persistence import FileAccessProvider

@workflow
def main(n: int = 2) -> int:
    return price(n=n)

if __name__ == "__main__":
    context = FlyteContextManager.current_context()
    access = FileAccessProvider("/tmp/unused", raw_output_prefix=PREFIX)
    with FlyteContextManager.with_context(context.with_file_access(access)):
        print("costs", main())
"""

PRICES = """
from flytekit import task
from perian_shim import PerianConfig
from shop.rates import RATE

@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def price(n: int) -> int:
    return n * RATE
"""


def test_a_program_that_calls_its_workflow_takes_its_code_along(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    package = tmp_path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "rates.py").write_text("RATE = 21")
    (package / "prices.py").write_text(PRICES)
    prefix = f"s3://{sandbox.bucket}/program"
    (tmp_path / "program.py").write_text(f"PREFIX = {prefix!r}\n{PROGRAM}")
    variables = {"PYTHONPATH": str(tmp_path / "src"), "PERIAN_POLL_MIN_SECONDS": "0.2"}
    run = start([sys.executable, "program.py"], tmp_path, {**sandbox.environment(), **variables})
    assert run.end() == 0, run.text
    assert run.text.rstrip().endswith("costs 42"), run.text


BLOCK = re.compile(r"╭─ Error ─+╮\n(.*?)╰─+╯", re.DOTALL)


def block(text: str) -> str:
    """Return the words of the one block in which pyflyte shows an error."""
    (lines,) = BLOCK.findall(text)
    return " ".join(line.strip("│ ") for line in lines.splitlines())


def test_a_failure_is_one_block_that_says_what_happened_to_which_job_and_what_to_do(
    desk: Desk,
) -> None:
    (desk.folder / "flow.py").write_text(FAILURES)
    run = desk.run(n=1)
    assert run.end() == 1
    (job,) = desk.jobs
    said = block(run.text)
    assert f"The container of job {job.job_id} failed: it exited with code 3." in said
    assert "What to do: Read the log lines" in said
    assert "Traceback" not in run.text


def test_the_traceback_is_there_for_who_asks(desk: Desk) -> None:
    (desk.folder / "flow.py").write_text(FAILURES)
    run = desk.run(n=1, verbose=True)
    assert run.end() == 1
    assert "Traceback" in run.text
    assert "perian_shim/lifecycle/attempt.py" in run.text


def test_an_address_where_nobody_listens_fails_in_seconds_and_leaves_nothing_in_doubt(
    desk: Desk,
) -> None:
    run = desk.run(PERIAN_API_URL=f"http://127.0.0.1:{unused_port()}")
    assert run.end() == 1
    said = block(run.text)
    assert "No good answer for 10 s" in said
    assert "Check the base URL of the API" in said
    assert "may exist" not in said


def test_a_wrong_definition_is_one_block_with_the_line_of_the_users_file(desk: Desk) -> None:
    (desk.folder / "flow.py").write_text(WORKFLOW.replace("cores=1", "cores=-1"))
    run = desk.run()
    assert run.end() == 1
    assert "flow.py:6: PerianConfig.cores: expected a whole number" in block(run.text)


def test_a_program_catches_the_error_that_is_documented(desk: Desk) -> None:
    prefix = f"s3://{desk.sandbox.bucket}/local/{desk.folder.name}"
    (desk.folder / "flow.py").write_text(FAILURES.replace("PREFIX", repr(prefix)))
    environment = {**desk.sandbox.environment(), "PERIAN_POLL_MIN_SECONDS": "0.2"}
    run = start([sys.executable, "flow.py"], desk.folder, environment)
    assert run.end() == 0, run.text
    assert "caught PERIAN:JobFailed" in run.text
