"""Literals as flytekit makes them, for tests of code that reads and writes literals without it."""

from __future__ import annotations

from typing import Any

from flyteidl.core.literals_pb2 import Literal, LiteralMap
from flyteidl.core.types_pb2 import LiteralType
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models import literals as models
from flytekit.models.types import LiteralType as LiteralTypeModel

from perian_shim.values.serialized import SerializedLiteral, literal_map

PythonType = Any
"""A type or one of typing's special forms, which are no types to mypy."""


def declared(python_type: PythonType) -> LiteralType:
    """The literal type of a Python type as a task reads it from its template."""
    made: Any = TypeEngine.to_literal_type(python_type)
    return LiteralType.FromString(made.to_flyte_idl().SerializeToString())


def encoded(value: object, python_type: PythonType) -> Literal:
    """The literal that flytekit makes of a value."""
    context = FlyteContextManager.current_context()
    model: Any = LiteralTypeModel
    literal_type = model.from_flyte_idl(declared(python_type))
    made: Any = TypeEngine.to_literal(context, value, python_type, literal_type)
    return message(SerializedLiteral(made.to_flyte_idl().SerializeToString()))


def decoded(literal: SerializedLiteral, python_type: PythonType) -> object:
    """What a Python task gets of a literal that stands in a document of outputs."""
    context = FlyteContextManager.current_context()
    model: Any = models.LiteralMap
    received = model.from_flyte_idl(LiteralMap.FromString(literal_map({"out": literal})))
    value: object = TypeEngine.to_python_value(context, received.literals["out"], python_type)
    return value


def message(literal: SerializedLiteral) -> Literal:
    """The message of a serialized literal."""
    return Literal.FromString(literal)
