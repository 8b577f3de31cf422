"""What FlyteAdmin says of bindings whose types do not fit, when a workflow is registered.

flytekit compiles them: it does not look at the types of what a node hands over. Here only what can
never fit is refused: two simple types that differ, or one that is simple and one that is not.
"""

from collections.abc import Iterable, Mapping

from flyteidl.core import interface_pb2, literals_pb2, types_pb2, workflow_pb2

from perian_shim.sandbox.flyte.bindings import START_NODES
from perian_shim.sandbox.flyte.failures import NotSupported
from perian_shim.sandbox.flyte.graph import nested
from perian_shim.sandbox.flyte.registry import Registry, all_nodes

Variables = Mapping[str, interface_pb2.Variable]

SimpleType = types_pb2.SimpleType

ANYTHING = {types_pb2.NONE, types_pb2.STRUCT}
"""``None`` fits an optional, and what is in a struct is not said."""


def check_types(workflow: workflow_pb2.WorkflowTemplate, registry: Registry) -> None:
    """Refuse a workflow with a binding that FlyteAdmin would refuse.

    Raises:
        NotSupported: the first; names both ends and both types.
    """
    interfaces = {node.id: interface_of(node, registry) for node in workflow.nodes}
    made: dict[str, Variables] = {
        name: interface.outputs.variables for name, interface in interfaces.items() if interface
    }
    made |= dict.fromkeys(START_NODES, workflow.interface.inputs.variables)
    for outer in all_nodes(workflow):
        for node in (outer, *nested(outer)):
            interface = interface_of(node, registry)
            if interface is not None:
                fit(f"node {node.id}", node.inputs, interface.inputs.variables, made)
    fit("the workflow's output", workflow.outputs, workflow.interface.outputs.variables, made)


def interface_of(
    node: workflow_pb2.Node, registry: Registry
) -> interface_pb2.TypedInterface | None:
    """Return what a node takes and gives, None if that is not said by one declaration."""
    kind = node.WhichOneof("target")
    if kind == "task_node":
        return registry.task(node.task_node.reference_id).interface
    if kind != "workflow_node":
        return None
    identifier = node.workflow_node.sub_workflow_ref
    if node.workflow_node.HasField("launchplan_ref"):
        identifier = registry.launch_plan(node.workflow_node.launchplan_ref).workflow_id
    return registry.workflow(identifier).interface


def fit(
    where: str,
    bindings: Iterable[literals_pb2.Binding],
    wanted: Variables,
    made: Mapping[str, Variables],
) -> None:
    """Expect that what is handed over fits what is declared."""
    for binding in bindings:
        promise = binding.binding.promise
        if not binding.binding.HasField("promise") or promise.attr_path:
            continue
        given = made.get(promise.node_id, {}).get(promise.var)
        declared = wanted.get(binding.var)
        if given is None or declared is None or may_fit(given.type, declared.type):
            continue
        message = (
            f"{where}: {binding.var} is declared as {told(declared.type)}, and"
            f" {promise.node_id or 'the workflow'}.{promise.var} is {told(given.type)}; Flyte"
            " refuses that when it is registered"
        )
        raise NotSupported(message)


def may_fit(given: types_pb2.LiteralType, declared: types_pb2.LiteralType) -> bool:
    """Whether a value of one type may be one of another."""
    kinds = [each.WhichOneof("type") for each in (given, declared)]
    if kinds == ["simple", "simple"]:
        return given.simple == declared.simple or bool(ANYTHING & {given.simple, declared.simple})
    if "simple" not in kinds or {"union_type", "enum_type"} & {*kinds}:
        return True
    simple = given if kinds[0] == "simple" else declared
    return simple.simple in ANYTHING


def told(kind: types_pb2.LiteralType) -> str:
    """Return how a type is called."""
    if kind.WhichOneof("type") == "simple":
        return SimpleType.Name(kind.simple).lower()
    return str(kind.WhichOneof("type")).replace("_type", "").replace("_", " ")
