"""Whole workflows on the session's sandbox, as a Flyte cluster would run them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flyteidl.core.literals_pb2 import Literal
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal as LiteralModel
from support.flyte import Harness
from support.function_harness import IMAGE_ENVIRONMENT

from perian_shim.sandbox.flyte.cluster import NodeError
from perian_shim.sandbox.flyte.engine import Engine
from perian_shim.sandbox.flyte.registry import Registry
from perian_shim.sandbox.flyte.reporting import Step
from perian_shim.sandbox.flyte.surroundings import serialization_settings


@dataclass
class Recorder:
    """Remembers what an engine tells."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    retries: list[tuple[str, int, NodeError]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def line(self, node: str, text: str) -> None:
        self.lines.append((node, text))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def retrying(self, node: str, attempt: int, error: NodeError) -> None:
        self.retries.append((node, attempt, error))

    def ended(self, step: Step) -> None:
        self.steps.append(step)

    def step(self, node: str) -> Step:
        """Return what became of a node that has ended once."""
        (step,) = [step for step in self.steps if step.node == node]
        return step


def run_workflow(
    harness: Harness, workflow: Any, inputs: Mapping[str, object], **variables: str
) -> dict[str, LiteralModel]:
    """Run a workflow of tasks on Perian and return its outputs.

    Args:
        harness: a sandbox and a cluster.
        workflow: the workflow.
        inputs: Python values.
        **variables: of the image of function tasks, beside the usual.
    """
    settings = replace(
        serialization_settings(""),
        fast_serialization_settings=None,
        env={**IMAGE_ENVIRONMENT, **variables},
    )
    context = FlyteContextManager.current_context()
    types = dict(workflow.python_interface.inputs)
    given = TypeEngine.dict_to_literal_map(context, dict(inputs), types).to_flyte_idl()
    outputs = Engine(harness.cluster, Recorder()).run(
        Registry(settings), workflow, dict(given.literals), harness.execution()
    )
    return {name: LiteralModel.from_flyte_idl(each) for name, each in outputs.items()}


def plain(literals: Mapping[str, Literal], name: str, python_type: Any) -> object:
    """Return an output as a Python value."""
    literal = LiteralModel.from_flyte_idl(literals[name])
    return TypeEngine.to_python_value(FlyteContextManager.current_context(), literal, python_type)
