"""Outputs for Flyte: inline, or kept apart where the backend asks for it, as flytekit has them."""

import pytest
from flyteidl.core.interface_pb2 import Variable
from flyteidl.core.literals_pb2 import Literal, LiteralMap
from flyteidl.core.types_pb2 import LiteralType, SimpleType
from flytekit.utils.pbhash import compute_hash_string

from perian_shim.errors import OutputInvalid
from perian_shim.values.serialized import serialize
from perian_shim.work.offloading import hash_of, output_documents

MEBIBYTE = 1024**2
PREFIX = "s3://bucket/n0/data/0"
TEXT = Variable(type=LiteralType(simple=SimpleType.STRING))
DECLARED = {"small": TEXT, "large": TEXT}
ENABLED = {"_F_L_MIN_SIZE_MB": "1", "_F_L_MAX_SIZE_MB": "2"}


def text(value: str) -> Literal:
    literal = Literal()
    literal.scalar.primitive.string_value = value
    return literal


SMALL = text("small")
LARGE = text("x" * MEBIBYTE)
OUTPUTS = {"small": serialize(SMALL), "large": serialize(LARGE)}


def documents(environ: dict[str, str]) -> dict[str, bytes]:
    return output_documents(OUTPUTS, DECLARED, PREFIX, environ)


def test_outputs_are_one_document_where_the_backend_does_not_offload() -> None:
    (name, content) = documents({}).popitem()
    assert name == "outputs.pb"
    assert LiteralMap.FromString(content).literals["large"] == LARGE


def test_a_large_output_is_a_document_of_its_own_that_comes_first() -> None:
    written = documents(ENABLED)
    assert list(written) == ["large_offloaded_metadata.pb", "outputs.pb"]
    assert Literal.FromString(written["large_offloaded_metadata.pb"]) == LARGE


def test_what_stands_in_for_it_is_what_flytekit_would_write() -> None:
    outputs = LiteralMap.FromString(documents(ENABLED)["outputs.pb"]).literals
    assert outputs["small"] == SMALL
    expected = Literal(hash=compute_hash_string(LARGE))
    expected.offloaded_metadata.uri = f"{PREFIX}/large_offloaded_metadata.pb"
    expected.offloaded_metadata.size_bytes = LARGE.ByteSize()
    expected.offloaded_metadata.inferred_type.CopyFrom(TEXT.type)
    assert outputs["large"] == expected


def test_a_hash_that_the_literal_has_is_kept() -> None:
    own = text("x" * MEBIBYTE)
    own.hash = "of its own"
    written = output_documents({"large": serialize(own)}, DECLARED, PREFIX, ENABLED)
    assert LiteralMap.FromString(written["outputs.pb"]).literals["large"].hash == "of its own"


def test_the_hash_is_flytekits() -> None:
    assert hash_of(LARGE) == compute_hash_string(LARGE)


def test_what_the_backend_would_not_take_is_an_error_that_says_so() -> None:
    outputs = {"large": serialize(text("x" * 2 * MEBIBYTE))}
    with pytest.raises(OutputInvalid, match=r"Output 'large' has 2097\d+ bytes.*_F_L_MAX_SIZE_MB"):
        output_documents(outputs, DECLARED, PREFIX, ENABLED)
