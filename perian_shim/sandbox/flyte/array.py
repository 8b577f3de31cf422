"""What an ArrayNode makes of a map task: its items, when it has failed, its outputs."""

import math
from collections.abc import Mapping, Sequence

from flyteidl.core import literals_pb2, tasks_pb2, workflow_pb2

from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.cluster import NodeError
from perian_shim.sandbox.flyte.failures import NodeFault


def item_count(inputs: Literals, shared: Sequence[str]) -> int:
    """Return how many items a map task has.

    Args:
        inputs: of the node.
        shared: names of the inputs that all items get as they are.

    Raises:
        NodeFault: nothing is mapped over, or lists are of different lengths.
    """
    lists = {
        name: len(literal.collection.literals)
        for name, literal in inputs.items()
        if literal.HasField("collection") and name not in shared
    }
    if not lists:
        raise NodeFault("InvalidArrayLength", "no input of the map task is a list")
    if len(set(lists.values())) > 1:
        lengths = ", ".join(f"{name} has {count}" for name, count in sorted(lists.items()))
        raise NodeFault("InvalidArrayLength", f"lists of different lengths: {lengths}")
    return next(iter(lists.values()))


def failures_allowed(node: workflow_pb2.ArrayNode, count: int) -> int:
    """Return how many of so many items may fail."""
    criterion = node.WhichOneof("success_criteria")
    if criterion == "min_successes":
        return max(0, count - node.min_successes)
    if criterion == "min_success_ratio":
        # The ratio is a 32 bit float: 0.7 of 10 must be 7 items and not 8.
        return count - math.ceil(round(node.min_success_ratio * count, 4))
    return 0


def item_template(template: tasks_pb2.TaskTemplate) -> tasks_pb2.TaskTemplate:
    """Return the template that an item's pod gets: its outputs are one item's."""
    single = tasks_pb2.TaskTemplate()
    single.CopyFrom(template)
    for variable in single.interface.outputs.variables.values():
        if variable.type.HasField("collection_type"):
            variable.type.CopyFrom(variable.type.collection_type)
    return single


def collected(names: Sequence[str], items: Sequence[Literals | None]) -> Literals:
    """Return the outputs of a map task; None stands in the lists for what has failed."""
    nothing = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    return {
        name: literals_pb2.Literal(
            collection=literals_pb2.LiteralCollection(
                literals=[nothing if item is None else item[name] for item in items]
            )
        )
        for name in names
    }


def array_error(errors: Mapping[int, NodeError]) -> NodeError:
    """Return the error of a map task too many of whose items have failed; Flyte gives no code."""
    message = "\n".join(f"[{index}]: {errors[index].message}" for index in sorted(errors))
    return NodeError("", message, "UNKNOWN", recoverable=False)
