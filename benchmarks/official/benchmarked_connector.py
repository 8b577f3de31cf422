"""What runs inside the official connector's environment, which has nothing of perian-shim.

As a module of ``pyflyte serve connector --modules benchmarked_connector`` it points the connector,
whose API address is a constant, at ``PERIAN_API_URL``. As a program with a job's argv as its
arguments it writes the serialized template of the plugin's container task to standard output.
"""

import importlib
import os
import sys

from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.models.task import TaskSpec
from flytekit.tools.translator import get_serializable

IMAGE = "python:3"

plugin = importlib.import_module("flytekitplugins.perian_job")


def point_at(url: str) -> None:
    """Let the connector call the API at another address."""
    connector = importlib.import_module("flytekitplugins.perian_job.connector")
    connector.PERIAN_API_URL = url  # type: ignore[attr-defined]  # the plugin's own constant


def template(argv: list[str]) -> bytes:
    """Return the template that registering a container task of the plugin would store."""
    task = plugin.PerianContainerTask(
        name="benchmarks.official",
        task_config=plugin.PerianConfig(cores=1),
        image=IMAGE,
        command=argv,
    )
    images = ImageConfig(Image("default", "example.org/unused", "latest"))
    settings = SerializationSettings(images, "flytesnacks", "development", "v1")
    specification = get_serializable({}, settings, task)  # type: ignore[arg-type]  # only written to
    assert isinstance(specification, TaskSpec)
    serialized: bytes = specification.template.to_flyte_idl().SerializeToString()
    return serialized


if __name__ == "__main__":
    sys.stdout.buffer.write(template(sys.argv[1:]))
elif "PERIAN_API_URL" in os.environ:
    point_at(os.environ["PERIAN_API_URL"])
