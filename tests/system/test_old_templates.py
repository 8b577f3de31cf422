"""Tasks that version 0.1 registered run with the executor of today.

Of every type: see ``test_round_trip`` and ``test_function_types``.
"""

from pathlib import Path

import pytest
from flytekit.types.file import FlyteFile
from support.flyte import Harness
from support.old_templates import template_of_0_1

from perian_shim import PerianConfig, PerianContainerTask

pytestmark = pytest.mark.slow


def test_a_container_task_that_version_0_1_registered_runs(
    harness: Harness, tmp_path: Path
) -> None:
    template = template_of_0_1("container")
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
