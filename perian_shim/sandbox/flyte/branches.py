"""Which branch of a ``conditional`` is taken, decided as FlytePropeller decides."""

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from flyteidl.core import condition_pb2, literals_pb2, workflow_pb2

from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.failures import NodeFault

Expression: TypeAlias = condition_pb2.BooleanExpression
Comparison: TypeAlias = condition_pb2.ComparisonExpression

OPERATORS: dict[int, Callable[[Any, Any], bool]] = {
    Comparison.EQ: operator.eq,
    Comparison.NEQ: operator.ne,
    Comparison.GT: operator.gt,
    Comparison.GTE: operator.ge,
    Comparison.LT: operator.lt,
    Comparison.LTE: operator.le,
}

EQUALITY = (Comparison.EQ, Comparison.NEQ)


def chosen(block: workflow_pb2.IfElseBlock, inputs: Literals) -> workflow_pb2.Node:
    """Return the node of the branch to take.

    Args:
        block: the conditions and their nodes.
        inputs: of the branch node: what the conditions compare.

    Raises:
        NodeFault: none is to be taken, or a comparison is not possible.
    """
    for case in (block.case, *block.other):
        if holds(case.condition, inputs):
            return case.then_node
    if block.HasField("else_node"):
        return block.else_node
    if block.HasField("error"):
        raise NodeFault("UserProvidedError", block.error.message)
    raise NodeFault("NoBranchTaken", "no condition holds, and there is neither else nor error")


def holds(expression: Expression, inputs: Literals) -> bool:
    """Whether a condition is met; both sides of a conjunction are looked at."""
    if expression.HasField("comparison"):
        return compare(expression.comparison, inputs)
    conjunction = expression.conjunction
    left = holds(conjunction.left_expression, inputs)
    right = holds(conjunction.right_expression, inputs)
    both = conjunction.operator == condition_pb2.ConjunctionExpression.AND
    return left and right if both else left or right


def compare(comparison: Comparison, inputs: Literals) -> bool:
    """Compare two values of the same type."""
    left_type, left = operand(comparison.left_value, inputs)
    right_type, right = operand(comparison.right_value, inputs)
    if left_type == right_type and (ordered(left_type) or comparison.operator in EQUALITY):
        return OPERATORS[comparison.operator](left, right)
    if "None" in {left_type, right_type} and comparison.operator in EQUALITY:
        return comparison.operator == Comparison.NEQ
    sign = Comparison.Operator.Name(comparison.operator)
    message = f"comparison {sign} between {left_type} and {right_type} is not possible"
    raise NodeFault("MalformedBranchUserError", message)


def ordered(kind: str) -> bool:
    """Whether values of a type are greater or less than one another."""
    return kind not in {"boolean", "None"}


def operand(value: condition_pb2.Operand, inputs: Literals) -> tuple[str, Any]:
    """Return one side of a comparison: the name of its type, and what can be compared."""
    kind = value.WhichOneof("val")
    if kind == "primitive":
        return primitive(value.primitive)
    if kind == "scalar":
        return simple(value.scalar, "a constant")
    if value.var not in inputs:
        raise NodeFault("MalformedBranchUserError", f"the condition's {value.var} is not bound")
    return simple(inputs[value.var].scalar, value.var)


def simple(scalar: literals_pb2.Scalar, name: str) -> tuple[str, Any]:
    """Return a scalar as ``operand`` does."""
    while scalar.HasField("union"):
        scalar = scalar.union.value.scalar
    if scalar.HasField("none_type"):
        return "None", None
    if scalar.HasField("primitive"):
        return primitive(scalar.primitive)
    raise NodeFault("MalformedBranchUserError", f"the condition's {name} is no plain value")


def primitive(value: literals_pb2.Primitive) -> tuple[str, Any]:
    """Return a primitive as ``operand`` does."""
    kind = value.WhichOneof("value")
    content = getattr(value, kind)
    if kind in {"datetime", "duration"}:
        content = (content.seconds, content.nanos)
    return kind, content
