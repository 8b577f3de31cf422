"""Tasks that version 0.1 registered run with the executor of today."""

from pathlib import Path

import pytest
from flyteidl.core import tasks_pb2
from flytekit.models.task import TaskTemplate
from flytekit.types.file import FlyteFile
from support.flyte import Harness

from perian_shim import PerianConfig, PerianContainerTask

pytestmark = pytest.mark.slow

TEMPLATES = Path(__file__).parent.parent / "data" / "templates-0.1"


def test_a_container_task_that_version_0_1_registered_runs(
    harness: Harness, tmp_path: Path
) -> None:
    content = (TEMPLATES / "container.pb").read_bytes()
    template = TaskTemplate.from_flyte_idl(tasks_pb2.TaskTemplate.FromString(content))
    text = tmp_path / "text"
    text.write_text("one two three")
    like = PerianContainerTask(
        name="like",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["true"],
        inputs={"text": FlyteFile, "note": str},
    )
    inputs = harness.literals(like, {"text": FlyteFile(str(text)), "note": "a note"})
    attempt = harness.cluster.start(template, inputs, harness.execution()).wait()
    assert attempt.outputs is not None, f"{attempt.error}\n{attempt.log}"
    assert harness.value(attempt.outputs.literals["words"], int) == 3
