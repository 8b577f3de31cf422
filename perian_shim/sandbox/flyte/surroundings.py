"""What surrounds a run on a sandbox: the cluster's pods, and the settings of registration."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from flytekit.configuration import (
    FastSerializationSettings,
    Image,
    ImageConfig,
    SerializationSettings,
)

from perian_shim.sandbox.flyte.cluster import Cluster
from perian_shim.sandbox.sandbox import Sandbox

POLL_SECONDS = "0.2"
"""Jobs here take about a second; the default pause would be most of what one sees."""

OUTAGE_SECONDS = "60"
"""A sandbox that does not answer has been killed; its pods need not wait for it."""

POD_IMAGE = "example.org/resolver:latest"
"""What the tasks' pods are registered with; nothing runs it."""

BIN = Path(sys.executable).parent

ENTRYPOINT = (sys.executable, "-m", "perian_shim.entrypoint")
"""What the executor image's ENTRYPOINT runs."""

QUIET, VERBOSE = "50", "20"
"""flytekit's log levels; below the first it reports s3fs's unclosed sessions when a pod exits."""


def cluster_on(
    sandbox: Sandbox, secrets: Mapping[tuple[str, str], str], *, verbose: bool
) -> Cluster:
    """Return a cluster whose pods talk to a sandbox and find the object store there."""
    variables = sandbox.environment()
    return Cluster(
        bucket=sandbox.bucket,
        environment={
            **storage_of(variables),
            "PERIAN_API_URL": variables["PERIAN_API_URL"],
            "PERIAN_POLL_MIN_SECONDS": POLL_SECONDS,
            "PERIAN_OUTAGE_SECONDS": OUTAGE_SECONDS,
            "FLYTE_SDK_LOGGING_LEVEL": VERBOSE if verbose else QUIET,
        },
        secrets=secrets,
        bin_dir=BIN,
        entrypoint=ENTRYPOINT,
    )


def storage_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return those of a sandbox's variables that are about its object store."""
    return {
        name: value for name, value in variables.items() if name.startswith(("AWS_", "FLYTE_AWS_"))
    }


class AnyImages(ImageConfig):
    """Knows an image for every name: an ``ImageSpec`` is not built, a placeholder has a value."""

    def find_image(self, name: str) -> Image:
        """Return an image of that name."""
        known: Image | None = super().find_image(name)
        return known or Image(name, re.sub(r"[^a-z0-9]+", "-", name.lower()), "latest")


def serialization_settings(code: str, *, images_are_here: bool = True) -> SerializationSettings:
    """Return the settings with which everything is registered.

    Args:
        code: URI of the archive of the user's code.
        images_are_here: whether images stand for this machine.
    """
    # Lines are to be seen as they are printed. An image finds its own programs; this machine's
    # are where this process has them.
    # Pods are processes of this machine as well: of their image only that there is one counts.
    env = {"PYTHONUNBUFFERED": "1", "PERIAN_SHIM_IMAGE": POD_IMAGE}
    if images_are_here:
        env["PATH"] = os.pathsep.join([str(BIN), os.defpath])
    return SerializationSettings(
        # A list, for else flytekit puts a config of its own in its place when it meets a dynamic.
        image_config=AnyImages(Image("default", "user", "latest"), []),
        project="flytesnacks",
        domain="development",
        version="v1",
        env=env,
        fast_serialization_settings=FastSerializationSettings(
            enabled=True, destination_dir=".", distribution_location=code
        ),
    )


def storage_variables(sandbox: Sandbox) -> AbstractContextManager[None]:
    """Let flytekit in this process upload to the sandbox."""
    return variables_set(storage_of(sandbox.environment()))


@contextmanager
def variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
