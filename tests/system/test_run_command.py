"""``perian-shim run``: workflows on real pods and jobs, as a Flyte cluster would run them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flytekit.types.file import FlyteFile
from support.waiting import LONG_SECONDS, wait_until
from support.workflow_runs import Recorder, plain

from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.engine import Engine
from perian_shim.sandbox.flyte.failures import NodeFailed, NotSupported
from perian_shim.sandbox.flyte.inputs import literals, parsed
from perian_shim.sandbox.flyte.registry import Registry
from perian_shim.sandbox.flyte.secrets import RunSecrets
from perian_shim.sandbox.flyte.source import Source
from perian_shim.sandbox.flyte.store import Store
from perian_shim.sandbox.flyte.surroundings import cluster_on, serialization_settings
from perian_shim.settings import EXECUTION_ID

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

FILE = Path(__file__).parents[1] / "support" / "functions" / "whole_run.py"


@dataclass
class World:
    """A sandbox for all tests, on which workflows of the file are run in this process."""

    sandbox: Sandbox
    source: Source
    registry: Registry
    folder: Path
    recorder: Recorder = field(default_factory=Recorder)
    execution: str = ""

    def run(self, name: str, *arguments: str) -> Literals:
        """Run a workflow; returns its outputs."""
        entity = self.source.find(name)
        self.recorder = Recorder()
        secrets = RunSecrets(self.sandbox.environment())
        engine = Engine(cluster_on(self.sandbox, secrets, verbose=False), self.recorder)
        values = parsed(entity, name, arguments)
        self.execution = f"r{os.urandom(5).hex()}"
        uploads = f"s3://{self.sandbox.bucket}/uploads/{self.execution}"
        given = literals(entity, values, str(self.folder), uploads)
        return engine.run(self.registry, entity, given, self.execution)

    def live(self) -> list[str]:
        """Return the jobs of the last run that have not ended."""
        store = self.sandbox.store
        assert store is not None
        with store.lock:
            snapshots = [store.snapshot(record) for record in store.load()]
        return [
            job.record.job_id
            for job in snapshots
            if not job.state.final
            and (job.record.execution.environment or {}).get(EXECUTION_ID) == self.execution
        ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> World:
    folder = tmp_path_factory.mktemp("run")
    source = Source.load(FILE)
    archive = source.archive(folder, "auto")
    code = f"s3://{sandbox.bucket}/code/{archive.name}"
    Store(sandbox.environment()).write(code, archive.read_bytes())
    return World(sandbox, source, Registry(serialization_settings(code)), folder)


def test_container_function_and_plain_tasks_work_on_each_others_outputs(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("b c")
    plan = tmp_path / "plan.yaml"
    plan.write_text("times: 2\n")
    outputs = world.run("both", "--text", str(tmp_path / "text"), "--plan", str(plan))
    assert plain(outputs, "words", int) == 6
    assert plain(outputs, "rows", int) == 6
    made: Any = plain(outputs, "plan", world.source.module.Plan)
    assert made.words == ["a", "b", "c", "a", "b", "c"]
    frame: Any = plain(outputs, "frame", pd.DataFrame)
    assert list(frame["word"]) == made.words
    file: Any = plain(outputs, "text", FlyteFile)
    assert Path(file).read_text() == "a b c a b c"


def test_every_kind_of_node_is_walked(world: World) -> None:
    outputs = world.run("shapes", "--n", "3")
    found = {name: plain(outputs, name, int) for name in ("sub", "plan", "fixed", "branch")}
    assert found == {"sub": 6, "plan": 14, "fixed": 10, "branch": 12}
    assert plain(outputs, "word", str) == "done"
    ((_node, attempt, error),) = world.recorder.retries
    assert (attempt, error.kind) == (0, "USER")
    assert [step.attempts for step in world.recorder.steps if step.name == "run.late"] == [2]
    assert any(text == "doubling" for _node, text in world.recorder.lines)


def test_a_dynamic_workflows_nodes_and_a_maps_items_are_run(world: World) -> None:
    outputs = world.run("many", "--n", "2")
    assert plain(outputs, "o0", list[int]) == [0, 4]
    assert {step.node for step in world.recorder.steps} >= {"n0/dn1", "n0", "n1[1]", "n1"}


def test_a_dynamic_workflow_whose_nodes_do_not_fit_is_refused_as_flyte_would(world: World) -> None:
    with pytest.raises(NotSupported, match="text is declared as string, and"):
        world.run("wrong_within")


def test_a_failing_node_shows_its_error_and_ends_the_nodes_beside_it(world: World) -> None:
    with pytest.raises(NodeFailed) as failed:
        world.run("fails_beside")
    assert failed.value.node == "n0"
    assert failed.value.error.code.startswith("RetriesExhausted|PERIAN:")
    assert failed.value.error.message.startswith("[1/1] currentAttempt done. Last Error: USER::")
    others = [step for step in world.recorder.steps if step.node == "n1"]
    assert all((step.outputs, step.error) == (None, None) for step in others)
    assert world.live() == []


def test_a_task_that_takes_too_long_is_ended(world: World) -> None:
    with pytest.raises(NodeFailed) as failed:
        world.run("too_slow")
    assert "imeout" in failed.value.error.code
    assert world.live() == []


def command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "perian_shim.cli", "run", *arguments]


def test_help_after_a_file_is_the_commands(tmp_path: Path) -> None:
    done = subprocess.run(
        command("any.py", "--help"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=True,
    )
    assert "Usage: perian-shim run [options] FILE" in done.stdout


def test_a_failed_run_says_which_node_exits_with_one_and_shows_no_secret(tmp_path: Path) -> None:
    done = subprocess.run(
        command(str(FILE), "fails", "--n", "2"),
        cwd=tmp_path,
        env={**os.environ, "_FSEC_TEAM_WORD": "open-sesame"},
        capture_output=True,
        text=True,
        timeout=2 * LONG_SECONDS,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "n0 | the word is [hidden]" in done.stdout
    assert "whole_run.tells: succeeded" in done.stdout
    assert "n1 | to be seen" in done.stdout
    assert "workflow fails failed: node n1, RetriesExhausted|PERIAN:" in done.stdout
    assert "open-sesame" not in done.stdout + done.stderr


@pytest.fixture
def state_dir() -> Iterator[Path]:
    # The path of a job's FIFO or socket is bounded; pytest's folders are deep.
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield Path(folder)


def test_ctrl_c_cancels_the_jobs_and_exits_with_130(state_dir: Path, tmp_path: Path) -> None:
    arguments = command("--state-dir", str(state_dir), str(FILE), "hangs")
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            arguments, cwd=tmp_path, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            wait_until(
                lambda: "| hanging" in log.read_text() or process.poll() is not None,
                2 * LONG_SECONDS,
                "the job does not start",
            )
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            assert process.wait(LONG_SECONDS) == 130, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    said = log.read_text()
    assert "cancelled" in said
    assert "n0 run.hanging: ended before it was done" in said
