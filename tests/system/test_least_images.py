"""Container tasks in images with next to nothing in them, from the pod to what Flyte gets.

Each image is a root file system in which the sandbox runs the job.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flytekit.types.file import FlyteFile
from support.bare_root import IMAGES, bare_root, image_root
from support.doors import Door
from support.flyte import DAYS, Harness, harness_in
from support.outcomes import state_of
from support.shell_task import shell

from perian_shim import PerianContainerTask
from perian_shim.sandbox import Isolation, Sandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a root file system"),
]

IMAGE = "example/least:1"


@contextmanager
def harness_with(folder: Path, root: Path) -> Iterator[Harness]:
    """Start a sandbox in which the image is that directory."""
    with Sandbox(
        folder / "state", isolation=Isolation.OVERLAY, images={IMAGE: root}, clock_tolerance=DAYS
    ) as sandbox:
        door = Door.ENTRYPOINT
        yield harness_in(folder, sandbox, door, door.bin_dir(folder / "bin"), {})


def copying() -> PerianContainerTask:
    """Return a task that copies its input, by nothing but the shell."""
    script = "read -r words < /var/inputs/text; echo $words > /var/outputs/copy"
    return shell(script, image=IMAGE, inputs={"text": FlyteFile}, outputs={"copy": str})


@pytest.mark.parametrize("image", IMAGES)
def test_a_container_task_runs_in_an_image_with_the_least_that_it_needs(
    tmp_path: Path, image: str
) -> None:
    with harness_with(tmp_path, image_root(tmp_path, image)) as harness:
        uploaded = f"s3://{harness.sandbox.bucket}/text"
        harness.store.write(uploaded, b"some words\n")
        outputs = harness.outputs(copying(), {"text": FlyteFile(uploaded)})
    assert harness.value(outputs["copy"], str) == "some words\n"


def test_an_image_without_a_shell_is_refused_with_what_it_needs_and_not_tried_again(
    tmp_path: Path,
) -> None:
    with harness_with(tmp_path, bare_root(tmp_path / "root", [], shell="")) as harness:
        uploaded = f"s3://{harness.sandbox.bucket}/text"
        harness.store.write(uploaded, b"some words\n")
        attempt = harness.run(copying(), {"text": FlyteFile(uploaded)})
    assert state_of(attempt) == "PERIAN:JobUnsuitable USER", attempt.log
    assert 'exec: "/bin/sh": no such file or directory' in str(attempt.error)
    assert "Use an image with /bin/sh, and with python3, curl, wget or busybox" in str(
        attempt.error
    )
