"""What FlyteAdmin says of bindings that do not fit, when a workflow is registered.

flytekit compiles them: it does not look at the types of what a node hands over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flyteidl.core import interface_pb2, literals_pb2, types_pb2, workflow_pb2

from perian_shim.sandbox.flyte.bindings import START_NODES
from perian_shim.sandbox.flyte.castable import SimpleType, castable
from perian_shim.sandbox.flyte.failures import NotSupported
from perian_shim.sandbox.flyte.graph import nested
from perian_shim.sandbox.flyte.registry import Registry, all_nodes

Variables = Mapping[str, interface_pb2.Variable]


def check_types(workflow: workflow_pb2.WorkflowTemplate, registry: Registry) -> None:
    """Refuse a workflow with a binding that FlyteAdmin would refuse.

    Raises:
        NotSupported: the first; names both ends and both types.
    """
    made: dict[str, Variables | None] = {}
    for node in workflow.nodes:
        interface = interface_of(node, registry)
        made[node.id] = interface.outputs.variables if interface else None
    made |= dict.fromkeys(START_NODES, workflow.interface.inputs.variables)
    for outer in all_nodes(workflow):
        inner = nested(outer) if outer.HasField("branch_node") else ()
        others = {name: given for name, given in made.items() if name != outer.id}
        for node in (outer, *inner):
            interface = interface_of(node, registry)
            if interface is not None:
                bindings = Bindings(f"node {node.id}", interface.inputs.variables, others)
                bindings.check(node.inputs)
    result = Bindings("the workflow's output", workflow.interface.outputs.variables, made)
    result.check(workflow.outputs)


def interface_of(
    node: workflow_pb2.Node, registry: Registry
) -> interface_pb2.TypedInterface | None:
    """Return what a node takes and gives, None if that is not said by one declaration."""
    kind = node.WhichOneof("target")
    if kind == "task_node":
        return registry.task(node.task_node.reference_id).interface
    if kind == "array_node" and not node.array_node.is_original_sub_node_interface.value:
        return interface_of(node.array_node.node, registry)  # that of lists
    if kind == "branch_node":
        # Each of its cases gives the same. What it takes are the values that it compares.
        case = interface_of(node.branch_node.if_else.case.then_node, registry)
        return case and interface_pb2.TypedInterface(outputs=case.outputs)
    if kind != "workflow_node":
        return None
    identifier = node.workflow_node.sub_workflow_ref
    if node.workflow_node.HasField("launchplan_ref"):
        identifier = registry.launch_plan(node.workflow_node.launchplan_ref).workflow_id
    return registry.workflow(identifier).interface


@dataclass(frozen=True)
class Bindings:
    """What is handed to a node, or to the end of a workflow.

    Attributes:
        where: as people are told.
        declared: what it takes.
        made: what each node gives, None if that is not known.
    """

    where: str
    declared: Variables
    made: Mapping[str, Variables | None]

    def check(self, bindings: Iterable[literals_pb2.Binding]) -> None:
        """Expect that what is handed over fits what is declared.

        Raises:
            NotSupported: something does not.
        """
        for binding in bindings:
            wanted = self.declared.get(binding.var)
            if wanted is not None:
                self.check_one(binding.var, binding.binding, wanted.type)

    def check_one(
        self, name: str, given: literals_pb2.BindingData, declared: types_pb2.LiteralType
    ) -> None:
        """Expect the same of one value; of a list or map that is put together of what it has.

        Raises:
            NotSupported: it does not fit.
        """
        parts = [*given.collection.bindings, *given.map.bindings.values()]
        if parts and declared.HasField("union_type"):
            self.check_variants(name, given, declared)
        elif parts:
            item = declared.collection_type
            if given.HasField("map"):
                item = declared.map_value_type
            if not item.WhichOneof("type"):
                return  # flytekit has refused it, or it is a dictionary of anything
            for part in parts:
                self.check_one(name, part, item)
        elif given.HasField("promise"):
            self.check_promise(name, given.promise, declared)

    def check_variants(
        self, name: str, given: literals_pb2.BindingData, declared: types_pb2.LiteralType
    ) -> None:
        """Expect that what is put together fits one of several types.

        Raises:
            NotSupported: it fits none.
        """
        kind = "collection_type" if given.HasField("collection") else "map_value_type"
        failure = None
        for variant in declared.union_type.variants:
            if variant.HasField(kind):
                try:
                    self.check_one(name, given, variant)
                except NotSupported as error:
                    failure = error
                else:
                    return
        if failure is not None:
            raise failure

    def check_promise(
        self, name: str, promise: types_pb2.OutputReference, declared: types_pb2.LiteralType
    ) -> None:
        """Expect that what a node gives is there, and fits.

        Raises:
            NotSupported: it is not, or does not.
        """
        source = promise.node_id or "the workflow"
        if promise.node_id not in self.made:
            message = (
                f"{self.where}: {name} comes from {source}, which is no other node of this"
                " workflow's. A task that is called within then(…) is lost: call it before"
            )
            raise NotSupported(message)
        outputs = self.made[promise.node_id]
        given = None if outputs is None else outputs.get(promise.var)
        kind = None if given is None else attribute(given.type, promise.attr_path)
        if kind is None or castable(kind, declared):
            return
        message = (
            f"{self.where}: {name} is declared as {told(declared)}, and"
            f" {source}.{promise.var}{path_of(promise)} is {told(kind)}; Flyte refuses that when it"
            " compiles the workflow"
        )
        raise NotSupported(message)


def attribute(
    kind: types_pb2.LiteralType, path: Iterable[types_pb2.PromiseAttribute]
) -> types_pb2.LiteralType | None:
    """Return the type of a part of a value, None if it is not said."""
    for step in path:
        fields = kind.structure.dataclass_type
        if kind.HasField("collection_type"):
            kind = kind.collection_type
        elif kind.HasField("map_value_type"):
            kind = kind.map_value_type
        elif step.string_value in fields:
            kind = fields[step.string_value]
        else:
            return None
    return kind


def path_of(promise: types_pb2.OutputReference) -> str:
    """Return which part of an output is meant, as people write it."""
    steps = (
        f"[{step.int_value}]" if step.HasField("int_value") else f".{step.string_value}"
        for step in promise.attr_path
    )
    return "".join(steps)


def told(kind: types_pb2.LiteralType) -> str:
    """Return how a type is called."""
    name = kind.WhichOneof("type")
    if name == "simple":
        return SimpleType.Name(kind.simple).lower()
    if name == "collection_type":
        return f"list of {told(kind.collection_type)}"
    if name == "map_value_type":
        return f"map of {told(kind.map_value_type)}"
    if name == "union_type":
        return " or ".join(map(told, kind.union_type.variants))
    if name == "blob":
        single = kind.blob.dimensionality == types_pb2.BlobType.SINGLE
        what = "file" if single else "directory"
        return f"{what} of the format {kind.blob.format}" if kind.blob.format else what
    return str(name).replace("_type", "").replace("_", " ")
