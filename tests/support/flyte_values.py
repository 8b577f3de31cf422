"""Literals as flytekit makes them, for tests of code that reads and writes literals without it."""

from __future__ import annotations

from typing import Any

from flyteidl.core import types_pb2
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal
from flytekit.models.types import LiteralType

PythonType = Any
"""A type or one of typing's special forms, which are no types to mypy."""


def declared(python_type: PythonType) -> LiteralType:
    """The literal type of a Python type as a task reads it from its template: through protobuf."""
    made: Any = TypeEngine.to_literal_type(python_type)
    model: Any = LiteralType
    sent = types_pb2.LiteralType.FromString(made.to_flyte_idl().SerializeToString())
    received: LiteralType = model.from_flyte_idl(sent)
    return received


def encoded(value: object, python_type: PythonType) -> Literal:
    """The literal that flytekit makes of a value."""
    context = FlyteContextManager.current_context()
    return TypeEngine.to_literal(context, value, python_type, declared(python_type))


def decoded(literal: Literal, python_type: PythonType) -> object:
    """What a Python task gets of a literal."""
    context = FlyteContextManager.current_context()
    value: object = TypeEngine.to_python_value(context, literal, python_type)
    return value


def wire(literal: Literal) -> bytes:
    """The bytes of a literal: unlike ``==`` they compare NaN with NaN as equal."""
    model: Any = literal
    data: bytes = model.to_flyte_idl().SerializeToString(deterministic=True)
    return data
