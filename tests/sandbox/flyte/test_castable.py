"""What may be handed to what, by the types that flytekit makes of Python's."""

# mypy: disable-error-code="misc,name-defined,valid-type"
# Types are made of calls and of texts, which flytekit reads and mypy does not.

import enum
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from flyteidl.core import types_pb2
from flytekit import FlyteContextManager, kwtypes
from flytekit.core.type_engine import TypeEngine
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from flytekit.types.schema import FlyteSchema
from flytekit.types.structured import StructuredDataset
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.sandbox.flyte.castable import castable


class Colour(enum.Enum):
    """One of two."""

    RED = "red"
    BLUE = "blue"


Numbers = Annotated[StructuredDataset, kwtypes(n=int)]
Words = Annotated[StructuredDataset, kwtypes(n=str)]
Wide = Annotated[StructuredDataset, kwtypes(n=int, word=str)]
Parquet = Annotated[StructuredDataset, "parquet"]
Csv = Annotated[StructuredDataset, "csv"]
Schema = FlyteSchema[kwtypes(n=int)]


def type_of(kind: Any) -> types_pb2.LiteralType:
    with FlyteContextManager.with_context(FlyteContextManager.current_context().new_builder()):
        return TypeEngine.to_literal_type(kind).to_flyte_idl()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("given", "declared"),
    [
        (int, int),
        (Colour, str),
        (str, Colour),
        (list[int], list[int]),
        (dict[str, list[int]], dict[str, list[int]]),
        (int, int | None),
        (int | None, int | None),
        (int | None, str | int | None),
        (int | str, str | int),
        (list[int], list[int | None]),
        (list[int], list[int] | None),
        (type(None), int | None),
        (FlyteFile, FlyteFile),
        (FlyteFile["txt"], FlyteFile),
        (FlyteFile, FlyteFile["txt"]),
        (StructuredDataset, Numbers),
        (Numbers, StructuredDataset),
        (Wide, Numbers),
        (Parquet, StructuredDataset),
        (Schema, Numbers),
        (Numbers, Schema),
        (Schema, FlyteSchema),
        (Annotated[int, "a note"], int),
        (dict, dict),
    ],
)
def test_what_fits(given: Any, declared: Any) -> None:
    assert castable(type_of(given), type_of(declared))


@pytest.mark.parametrize(
    ("given", "declared"),
    [
        (int, float),
        (int, str),
        (datetime, timedelta),
        (Colour, int),
        (int, Colour),
        (list[int], list[str]),
        (list[int], dict[str, int]),
        (list[list[int]], list[int]),
        (int, list[int]),
        (int, str | None),
        (int | None, int),
        (int | None, int | str),
        (int | str, float),
        (Colour, Colour | str),  # it might be either
        (FlyteFile["txt"], FlyteFile["json"]),
        (FlyteFile, str),
        (str, FlyteDirectory),
        (Words, Numbers),
        (Numbers, Wide),
        (Csv, Parquet),
        (Csv, Schema),
        (Words, Schema),
        (int, StructuredDataset),
    ],
)
def test_what_does_not_fit(given: Any, declared: Any) -> None:
    assert not castable(type_of(given), type_of(declared))


scalars = st.sampled_from([int, float, str, bool, datetime, timedelta, FlyteFile, Colour])
kinds = st.recursive(
    scalars,
    lambda inner: inner.map(lambda kind: list[kind]) | inner.map(lambda kind: dict[str, kind]),
)


@given(kinds)
def test_every_type_fits_itself_and_its_optional(kind: Any) -> None:
    assert castable(type_of(kind), type_of(kind))
    assert castable(type_of(kind), type_of(kind | None))
    assert not castable(type_of(kind | None), type_of(kind))
