"""What surrounds a run on a sandbox: the cluster's pods, and the settings of registration."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from flytekit.configuration import (
    FastSerializationSettings,
    Image,
    ImageConfig,
    SerializationSettings,
)
from flytekit.core.context_manager import FlyteEntities
from flytekit.image_spec import ImageSpec

from perian_shim.sandbox.flyte.cluster import Cluster
from perian_shim.sandbox.sandbox import Sandbox

POLL_SECONDS = "0.2"
"""Jobs here take about a second; the default pause would be most of what one sees."""

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


def serialization_settings(code: str) -> SerializationSettings:
    """Return the settings with which everything is registered.

    Args:
        code: URI of the archive of the user's code.
    """
    # An ImageSpec that has a name already is not built: every image is this machine.
    specs = {
        image.id: image
        for entity in FlyteEntities.entities
        for name in ("container_image", "image")
        if isinstance(image := getattr(entity, name, None), ImageSpec)
    }
    images = [Image(id_, "image-spec", id_.lower()) for id_ in specs]
    return SerializationSettings(
        image_config=ImageConfig(Image("default", "user", "latest"), images),
        project="flytesnacks",
        domain="development",
        version="v1",
        # An image with the user's environment would find its programs; the job's is this machine.
        env={"PATH": os.pathsep.join([str(BIN), os.defpath])},
        fast_serialization_settings=FastSerializationSettings(
            enabled=True, destination_dir=".", distribution_location=code
        ),
    )


@contextlib.contextmanager
def storage_variables(sandbox: Sandbox) -> Iterator[None]:
    """Let flytekit in this process upload to the sandbox."""
    ours = storage_of(sandbox.environment())
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
