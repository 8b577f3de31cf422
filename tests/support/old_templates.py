"""Templates that version 0.1 of perian-shim registered, as FlyteAdmin keeps them."""

from pathlib import Path

from flyteidl.core import tasks_pb2
from flytekit.models.task import TaskTemplate

FOLDER = Path(__file__).parent.parent / "data" / "templates-0.1"


def template_of_0_1(name: str) -> TaskTemplate:
    """Return a template by the name of its file."""
    content = (FOLDER / f"{name}.pb").read_bytes()
    template: TaskTemplate = TaskTemplate.from_flyte_idl(tasks_pb2.TaskTemplate.FromString(content))
    return template
