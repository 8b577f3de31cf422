"""Bindings are resolved as FlytePropeller resolves them."""

from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no types
import pytest
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.sandbox.flyte.bindings import bound, of_struct, resolve
from perian_shim.sandbox.flyte.failures import NodeFault
from perian_shim.values.literals import literal_to_python

Scalar = literals_pb2.Scalar
Literal = literals_pb2.Literal
Data = literals_pb2.BindingData


def whole(number: int) -> Literal:
    return Literal(scalar=Scalar(primitive=literals_pb2.Primitive(integer=number)))


def binary(value: object) -> Literal:
    content = literals_pb2.Binary(value=msgpack.packb(value), tag="msgpack")
    return Literal(scalar=Scalar(binary=content))


def struct(value: dict[str, Any]) -> Literal:
    return Literal(scalar=Scalar(generic=json_format.ParseDict(value, struct_pb2.Struct())))


def promise(node: str, var: str, *path: str | int) -> Data:
    steps = [
        types_pb2.PromiseAttribute(int_value=step)
        if isinstance(step, int)
        else types_pb2.PromiseAttribute(string_value=step)
        for step in path
    ]
    return Data(promise=types_pb2.OutputReference(node_id=node, var=var, attr_path=steps))


PRODUCED = {
    "": {"n": whole(1)},
    "n0": {
        "o0": whole(2),
        "many": Literal(collection=literals_pb2.LiteralCollection(literals=[whole(3), whole(4)])),
        "named": Literal(map=literals_pb2.LiteralMap(literals={"a": whole(5)})),
        "data": binary({"x": {"y": [6, 7]}}),
        "old": struct({"x": {"y": [6, 7]}}),
    },
}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (promise("", "n"), 1),
        (promise("n0", "o0"), 2),
        (promise("n0", "many", 1), 4),
        (promise("n0", "named", "a"), 5),
        (promise("n0", "data", "x", "y", 1), 7),
        (promise("n0", "data", "x"), {"y": [6, 7]}),
        (promise("n0", "old", "x", "y", 0), 6.0),
        (promise("n0", "old", "x", "y"), [6.0, 7.0]),
        (Data(scalar=whole(8).scalar), 8),
        (Data(collection=literals_pb2.BindingDataCollection(bindings=[promise("", "n")])), [1]),
        (Data(collection=literals_pb2.BindingDataCollection()), []),
        (Data(map=literals_pb2.BindingDataMap(bindings={"k": promise("", "n")})), {"k": 1}),
    ],
)
def test_a_binding_is_the_value_that_it_refers_to(data: Data, value: object) -> None:
    assert literal_to_python(resolve(data, PRODUCED)) == value


def test_an_optional_outputs_part_is_looked_up_in_what_it_is() -> None:
    optional = Literal(scalar=Scalar(union=literals_pb2.Union(value=binary({"x": 1}))))
    found = resolve(promise("n0", "o0", "x"), {"n0": {"o0": optional}})
    assert literal_to_python(found) == 1


@pytest.mark.parametrize(
    "data",
    [
        promise("n1", "o0"),
        promise("n0", "absent"),
        promise("n0", "many", 2),
        promise("n0", "named", "b"),
        promise("n0", "data", "z"),
        promise("n0", "o0", "x"),
    ],
)
def test_what_is_not_there_is_the_nodes_fault(data: Data) -> None:
    with pytest.raises(NodeFault):
        resolve(data, PRODUCED)


def test_inputs_are_bound_by_name() -> None:
    bindings = [
        literals_pb2.Binding(var="a", binding=promise("", "n")),
        literals_pb2.Binding(var="b", binding=promise("n0", "o0")),
    ]
    assert dict(bound(bindings, PRODUCED)) == {"a": whole(1), "b": whole(2)}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_a_structs_value_stays_what_it_is(value: object) -> None:
    assert literal_to_python(of_struct(value)) == value
