"""Inputs that Flyte keeps apart are fetched."""

import pytest
from flyteidl.core.literals_pb2 import Literal
from support.memory_store import MemoryStore

from perian_shim.errors import InvalidInput
from perian_shim.pod.inputs import fetched

URI = "s3://b/data/0/x_offloaded_metadata.pb"


def text(value: str) -> Literal:
    literal = Literal()
    literal.scalar.primitive.string_value = value
    return literal


def reference() -> Literal:
    literal = Literal(hash="h")
    literal.offloaded_metadata.uri = URI
    return literal


def holding(content: bytes | None) -> MemoryStore:
    store = MemoryStore()
    if content is not None:
        store.write(URI, content)
    return store


def test_an_input_that_is_inline_is_kept() -> None:
    assert fetched(lambda _: holding(None), "x", text("here")) == text("here")


def test_an_input_that_is_kept_apart_is_fetched() -> None:
    store = holding(text("there").SerializeToString())
    assert fetched(lambda _: store, "x", reference()) == text("there")


def test_one_that_is_gone_is_named_with_its_place() -> None:
    with pytest.raises(InvalidInput, match=rf"Input 'x'.*{URI}, which is gone"):
        fetched(lambda _: holding(None), "x", reference())


def test_one_that_is_damaged_is_named_with_its_place() -> None:
    with pytest.raises(InvalidInput, match=rf"Input 'x'.*{URI} is not a literal"):
        fetched(lambda _: holding(b"\xff\xff"), "x", reference())
