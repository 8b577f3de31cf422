"""Conditions are met as FlytePropeller finds them met."""

import datetime
import operator
from collections.abc import Callable
from typing import Any

import pytest
from flyteidl.core import condition_pb2, literals_pb2, types_pb2, workflow_pb2
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.sandbox.flyte.branches import chosen, holds
from perian_shim.sandbox.flyte.failures import NodeFault

Comparison = condition_pb2.ComparisonExpression
Expression = condition_pb2.BooleanExpression
Conjunction = condition_pb2.ConjunctionExpression

OPERATORS: dict[Any, Callable[[Any, Any], bool]] = {
    Comparison.EQ: operator.eq,
    Comparison.NEQ: operator.ne,
    Comparison.GT: operator.gt,
    Comparison.GTE: operator.ge,
    Comparison.LT: operator.lt,
    Comparison.LTE: operator.le,
}


def literal(value: object, python_type: Any = None) -> literals_pb2.Literal:
    context = FlyteContextManager.current_context()
    python_type = python_type or type(value)
    made = TypeEngine.to_literal(
        context, value, python_type, TypeEngine.to_literal_type(python_type)
    )
    message: literals_pb2.Literal = made.to_flyte_idl()
    return message


def compared(left: object, how: Any, right: object, left_type: Any = None) -> bool:
    """Compare an input of the branch node with a constant."""
    constant = literal(right).scalar
    operand = (
        condition_pb2.Operand(scalar=constant)
        if right is None
        else condition_pb2.Operand(primitive=constant.primitive)
    )
    expression = Expression(
        comparison=Comparison(
            operator=how, left_value=condition_pb2.Operand(var=".x"), right_value=operand
        )
    )
    return holds(expression, {".x": literal(left, left_type)})


VALUES = st.one_of(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    st.tuples(st.text(max_size=2), st.text(max_size=2)),
    st.tuples(*2 * [st.timedeltas(datetime.timedelta(-1), datetime.timedelta(1))]),
)


@given(VALUES, st.sampled_from(sorted(OPERATORS)))
def test_values_of_a_type_are_compared_as_python_does(values: Any, how: Any) -> None:
    left, right = values
    assert compared(left, how, right) is OPERATORS[how](left, right)


@pytest.mark.parametrize(
    ("left", "how", "right", "expected"),
    [
        (True, Comparison.EQ, True, True),
        (True, Comparison.NEQ, True, False),
        (None, Comparison.EQ, None, True),
        (3, Comparison.EQ, None, False),
        (3, Comparison.NEQ, None, True),
        (3, Comparison.GT, 2, True),
    ],
)
def test_an_optional_is_compared_with_a_value_or_none(
    left: object, how: Any, right: object, expected: bool
) -> None:
    types = bool | None if isinstance(left, bool) else int | None
    assert compared(left, how, right, types) is expected


@pytest.mark.parametrize(
    ("left", "how", "right"),
    [(1, Comparison.EQ, 1.0), (True, Comparison.GT, False), (1, Comparison.LT, None), ("a", 0, 1)],
)
def test_what_cannot_be_compared_is_the_nodes_fault(left: object, how: Any, right: object) -> None:
    with pytest.raises(NodeFault) as fault:
        compared(left, how, right)
    assert fault.value.error.code == "MalformedBranchUserError"


def constant(value: bool) -> Expression:
    primitive = literals_pb2.Primitive(boolean=True)
    other = literals_pb2.Primitive(boolean=value)
    return Expression(
        comparison=Comparison(
            operator=Comparison.EQ,
            left_value=condition_pb2.Operand(primitive=primitive),
            right_value=condition_pb2.Operand(primitive=other),
        )
    )


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("right", [True, False])
def test_conjunctions(left: bool, right: bool) -> None:
    def joined(how: Any) -> Expression:
        return Expression(
            conjunction=Conjunction(
                operator=how, left_expression=constant(left), right_expression=constant(right)
            )
        )

    assert holds(joined(Conjunction.AND), {}) is (left and right)
    assert holds(joined(Conjunction.OR), {}) is (left or right)


def block(*conditions: bool, **last: Any) -> workflow_pb2.IfElseBlock:
    first, *others = (
        workflow_pb2.IfBlock(condition=constant(met), then_node=workflow_pb2.Node(id=f"n{index}"))
        for index, met in enumerate(conditions)
    )
    return workflow_pb2.IfElseBlock(case=first, other=others, **last)


def test_the_first_branch_whose_condition_is_met_is_taken() -> None:
    assert chosen(block(False, True, True), {}).id == "n1"


def test_else_is_taken_when_none_is_met() -> None:
    last = workflow_pb2.Node(id="n9")
    assert chosen(block(False, False, else_node=last), {}).id == "n9"


def test_a_workflow_may_fail_when_none_is_met() -> None:
    error = types_pb2.Error(message="neither one nor the other")
    with pytest.raises(NodeFault, match="neither one") as fault:
        chosen(block(False, error=error), {})
    assert (fault.value.error.code, fault.value.error.kind) == ("UserProvidedError", "USER")
