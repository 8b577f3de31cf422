"""What of a task's template a run needs: the record that every door hands in."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from flyteidl.core import interface_pb2, tasks_pb2

from perian_shim.spec import JobSpec
from perian_shim.values.decoding import struct_value

Variables = Mapping[str, interface_pb2.Variable]


@dataclass(frozen=True)
class TaskRecord:
    """A task.

    Attributes:
        name: the task's name.
        spec: its job.
        interface: its declared inputs and outputs.
        timeout_seconds: how long its job may run, None for no limit.
        version: the task's version, "" if it has none.
    """

    name: str
    spec: JobSpec
    interface: interface_pb2.TypedInterface
    timeout_seconds: int | None = None
    version: str = ""

    @classmethod
    def from_template(cls, template: tasks_pb2.TaskTemplate) -> "TaskRecord":
        """Read a template.

        Raises:
            TemplateTooNew: a newer version wrote it.
            InvalidTemplate: it is not one of ours, or is damaged.
        """
        timeout = template.metadata.timeout
        seconds = math.ceil(timeout.seconds + timeout.nanos / 1e9)
        return cls(
            name=template.id.name,
            spec=JobSpec.from_custom(custom_of(template)),
            interface=template.interface,
            timeout_seconds=seconds or None,
            version=template.id.version,
        )

    @property
    def inputs(self) -> Variables:
        """The declared inputs by name."""
        return self.interface.inputs.variables

    @property
    def outputs(self) -> Variables:
        """The declared outputs by name."""
        return self.interface.outputs.variables


def custom_of(template: tasks_pb2.TaskTemplate) -> dict[str, object]:
    """Return a template's ``custom``; all its numbers are floats."""
    return {str(name): value for name, value in struct_value(template.custom).items()}
