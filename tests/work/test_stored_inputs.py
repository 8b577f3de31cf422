"""Inputs are kept as bytes, and are what was given."""

import pytest
from flyteidl.core.literals_pb2 import Literal, LiteralMap
from support.flyte_values import encoded

from perian_shim.work.stored_inputs import StoredInputs

GIVEN = {"a": encoded([1, 2], list[int]), "b": encoded("text", str)}


def test_they_are_what_was_given() -> None:
    document = LiteralMap(literals=GIVEN).SerializeToString()
    assert dict(StoredInputs.of_document(document)) == dict(StoredInputs.of(GIVEN)) == GIVEN


def test_what_flyte_keeps_apart_is_fetched() -> None:
    read = StoredInputs.read(GIVEN, lambda name, literal: GIVEN["b"] if name == "a" else literal)
    assert dict(read) == {"a": GIVEN["b"], "b": GIVEN["b"]}


def test_a_message_is_nobody_elses() -> None:
    stored = StoredInputs.of(GIVEN)
    stored["b"].scalar.primitive.string_value = "changed"
    assert stored["b"] == GIVEN["b"]


@pytest.mark.parametrize("document", [b"\xff", b"\x0a\x05\x0a\x01a\x12\xff"])
def test_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"flyteidl\.core\.LiteralMap"):
        StoredInputs.of_document(document)


def test_what_holds_no_literals_is_refused() -> None:
    entry = b"\x0a\x01a\x12\x02\xff\xff"
    document = b"\x0a" + bytes([len(entry)]) + entry
    with pytest.raises(ValueError, match=r"not a flyteidl\.core\.Literal"):
        StoredInputs.of_document(document)
    assert isinstance(StoredInputs.of(GIVEN)["a"], Literal)
