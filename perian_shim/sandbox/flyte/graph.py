"""The order of a workflow's nodes: which wait for which, which can start."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from flyteidl.core import literals_pb2, workflow_pb2

from perian_shim.sandbox.flyte.bindings import START_NODES


def dependencies(node: workflow_pb2.Node) -> set[str]:
    """Return the ids of the nodes of the same workflow that must have ended before this one."""
    wanted: set[str] = set()
    for each in (node, *nested(node)):
        wanted.update(each.upstream_node_ids)
        for binding in each.inputs:
            wanted.update(referred(binding.binding))
    # A branch's nodes refer to this workflow's, not to each other: their ids are counted anew.
    return wanted - {node.id, *START_NODES}


def referred(data: literals_pb2.BindingData) -> Iterator[str]:
    """Yield the ids of the nodes that a binding refers to."""
    if data.HasField("promise"):
        yield data.promise.node_id
    for item in data.collection.bindings:
        yield from referred(item)
    for item in data.map.bindings.values():
        yield from referred(item)


def nested(node: workflow_pb2.Node) -> Iterator[workflow_pb2.Node]:
    """Yield the nodes within a node: those of its branches, the one that it maps."""
    inner: list[workflow_pb2.Node] = []
    if node.HasField("array_node"):
        inner.append(node.array_node.node)
    elif node.HasField("branch_node"):
        block = node.branch_node.if_else
        inner += [case.then_node for case in (block.case, *block.other)]
        if block.HasField("else_node"):
            inner.append(block.else_node)
    for each in inner:
        yield each
        yield from nested(each)


def ready(
    waiting: Mapping[str, workflow_pb2.Node], done: Collection[str]
) -> Sequence[workflow_pb2.Node]:
    """Return the nodes that wait for nothing any more, in their order.

    Args:
        waiting: the nodes that have not been started.
        done: ids of the nodes that have succeeded.
    """
    finished = set(done)
    return [node for node in waiting.values() if dependencies(node) <= finished]
