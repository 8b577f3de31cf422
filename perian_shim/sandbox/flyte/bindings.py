"""What a node's inputs are: bindings resolved as FlytePropeller resolves them.

A binding names another node's output, or a part of it (``output.field[0]``), or is a value. Parts
of a dataclass are looked up in its data: msgpack, or the protobuf Struct of older flytekits.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import json_format, struct_pb2

from perian_shim.sandbox.flyte.failures import NodeFault

Literals = Mapping[str, literals_pb2.Literal]

START_NODES = ("", "start-node")
"""The workflow's own inputs as a node: flytekit's name and FlyteAdmin's."""

MSGPACK = "msgpack"


def bound(bindings: Iterable[literals_pb2.Binding], produced: Mapping[str, Literals]) -> Literals:
    """Return a node's inputs, or a workflow's outputs.

    Args:
        bindings: by name.
        produced: the outputs of the nodes that have run; the workflow's inputs as a start node's.

    Raises:
        NodeFault: an output, or a part of it, is not there.
    """
    return {binding.var: resolve(binding.binding, produced) for binding in bindings}


def resolve(
    data: literals_pb2.BindingData, produced: Mapping[str, Literals]
) -> literals_pb2.Literal:
    """Return the value that a binding means."""
    kind = data.WhichOneof("value")
    if kind == "promise":
        return promised(data.promise, produced)
    if kind == "collection":
        items = [resolve(item, produced) for item in data.collection.bindings]
        return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    if kind == "map":
        entries = {key: resolve(item, produced) for key, item in data.map.bindings.items()}
        return literals_pb2.Literal(map=literals_pb2.LiteralMap(literals=entries))
    if kind == "offloaded_metadata":
        return literals_pb2.Literal(offloaded_metadata=data.offloaded_metadata)
    return literals_pb2.Literal(scalar=data.scalar)


def promised(
    reference: types_pb2.OutputReference, produced: Mapping[str, Literals]
) -> literals_pb2.Literal:
    """Return another node's output, or the part of it that is asked for."""
    outputs = produced.get(reference.node_id, {})
    name = f"{reference.node_id or 'the workflow'}.{reference.var}"
    if reference.var not in outputs:
        message = f"no output {name} to bind to; there are {sorted(outputs)}"
        raise NodeFault("BindingResolutionError", message)
    literal = outputs[reference.var]
    path = [getattr(step, step.WhichOneof("value")) for step in reference.attr_path]
    while path:
        kind = literal.WhichOneof("value")
        if kind == "scalar" and literal.scalar.HasField("union"):
            literal = literal.scalar.union.value
        elif kind == "collection":
            literal = found(literal.collection.literals, path.pop(0), name)
        elif kind == "map":
            literal = found(dict(literal.map.literals), path.pop(0), name)
        else:
            return within_data(literal.scalar, path, name)
    return literal


def within_data(scalar: literals_pb2.Scalar, path: list[Any], name: str) -> literals_pb2.Literal:
    """Return a part of a dataclass's data."""
    if scalar.HasField("binary") and scalar.binary.tag == MSGPACK:
        value = msgpack.unpackb(scalar.binary.value, strict_map_key=False)
        for step in path:
            value = found(value, step, name)
        binary = literals_pb2.Binary(value=msgpack.packb(value), tag=MSGPACK)
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=binary))
    if scalar.HasField("generic"):
        value = json_format.MessageToDict(scalar.generic)
        for step in path:
            value = found(value, step, name)
        return of_struct(value)
    message = f"{name} has no parts, yet {path} is asked for"
    raise NodeFault("BindingResolutionError", message)


def found(values: Any, step: Any, name: str) -> Any:
    """Return an item of a list or a map."""
    try:
        return values[step]
    except (KeyError, IndexError, TypeError):
        message = f"{name} has no part {step!r}"
        raise NodeFault("BindingResolutionError", message) from None


def of_struct(value: Any) -> literals_pb2.Literal:
    """Turn a value of a protobuf Struct into a literal; its numbers are floats."""
    if isinstance(value, dict):
        struct = json_format.ParseDict(value, struct_pb2.Struct())
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(generic=struct))
    if isinstance(value, list):
        items = [of_struct(item) for item in value]
        return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    if value is None:
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    if isinstance(value, bool):
        primitive = literals_pb2.Primitive(boolean=value)
    elif isinstance(value, str):
        primitive = literals_pb2.Primitive(string_value=value)
    else:
        primitive = literals_pb2.Primitive(float_value=value)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))
