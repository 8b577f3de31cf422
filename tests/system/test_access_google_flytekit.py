"""Through flytekit's door, with its own file system, a task has its data on Google as well."""

from collections.abc import Iterator

import pytest
from flytekit.types.file import FlyteFile
from support.doors import Door
from support.flyte import Harness
from support.functions import on_google as functions
from support.gcs_verifier import GoogleCloud
from support.google_desk import Desk
from support.google_pods import BUCKET
from support.job_gate import JobGate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("harness", [Door.FLYTEKIT], indirect=True, ids=["flytekit"]),
]


@pytest.fixture
def desk(harness: Harness) -> Iterator[Desk]:
    pytest.importorskip("gcsfs")
    with GoogleCloud(BUCKET) as google, JobGate() as gate:
        google.put(BUCKET, "in/file", b"of google")
        yield Desk(harness, google, gate)


def test_a_function_task_runs_from_inputs_to_outputs(desk: Desk) -> None:
    inputs = {"file": FlyteFile(f"gs://{BUCKET}/in/file"), "gate": desk.gate.listener.port}
    ran = desk.run(desk.on(), functions.shouted, inputs, lambda *_: {})
    assert ran.left_below("o0") == {"": b"OF GOOGLE"}
    assert ran.integer("o1") == len("of google")
    assert ran.grants_left == [404, 404]
