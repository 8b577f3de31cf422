"""Outputs for Flyte: inline, or kept apart where the backend asks for it, as flytekit has them."""

import re
from contextlib import nullcontext

import pytest
from flyteidl.core.interface_pb2 import Variable
from flyteidl.core.literals_pb2 import Literal, LiteralMap
from flyteidl.core.types_pb2 import LiteralType, SimpleType
from flytekit.utils.pbhash import compute_hash_string

from perian_shim.errors import USER_FATAL, ConfigError, OutputTooLarge
from perian_shim.values.serialized import SerializedLiteral, serialize
from perian_shim.work.offloading import (
    check_sizes,
    hash_of,
    max_output_bytes,
    output_documents,
)

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


def sized(**sizes: int) -> dict[str, SerializedLiteral]:
    return {name: serialize(text("x" * size)) for name, size in sizes.items()}


def test_what_the_backend_would_not_take_is_an_error_that_says_so() -> None:
    with pytest.raises(OutputTooLarge) as refusal:
        check_sizes(sized(large=2 * MEBIBYTE), ENABLED, "job-1")
    assert re.search(
        r"Output 'large' of job job-1 has 2097\d+ bytes.*_F_L_MAX_SIZE_MB", str(refusal.value)
    )


def test_what_the_backend_would_not_read_is_an_error_that_names_outputs_and_sizes() -> None:
    with pytest.raises(OutputTooLarge) as refusal:
        check_sizes(sized(a=1_200_000, b=1_500_000), {}, "job-1")
    error = refusal.value
    assert re.search(
        r"job job-1 have 27\d+ bytes together, Flyte takes 2097152: 'b' has 1500\d+, 'a'",
        str(error),
    )
    assert all(word in str(error) for word in ("FlyteFile", "PERIAN_MAX_OUTPUT_BYTES"))
    assert (error.outcome, error.job_id) == (USER_FATAL, "job-1")


def test_what_is_offloaded_does_not_count() -> None:
    check_sizes(sized(a=1_500_000, b=1_500_000), ENABLED, "job-1")
    with pytest.raises(OutputTooLarge, match="'a' has 900"):
        check_sizes(sized(a=900_000, b=900_000, c=900_000), ENABLED, "job-1")


@pytest.mark.parametrize(
    ("limit", "size", "fits"),
    [("", 2_000_000, True), ("", 2_200_000, False), ("3000000", 2_200_000, True)],
)
def test_the_limit_can_be_raised(limit: str, size: int, fits: bool) -> None:
    environ = {"PERIAN_MAX_OUTPUT_BYTES": limit}
    with nullcontext() if fits else pytest.raises(OutputTooLarge, match="takes 2097152"):
        check_sizes(sized(a=size), environ, "job-1")


@pytest.mark.parametrize("limit", ["0", "-1", "2MB", "1e6", "9" * 5000])
def test_a_limit_is_a_whole_number(limit: str) -> None:
    with pytest.raises(ConfigError, match="PERIAN_MAX_OUTPUT_BYTES: expected a whole number"):
        max_output_bytes({"PERIAN_MAX_OUTPUT_BYTES": limit})


def test_of_many_outputs_the_largest_are_named() -> None:
    outputs = sized(**{f"o{n}": 300_000 + n for n in range(9)})
    with pytest.raises(OutputTooLarge, match=r"'o8' has .*'o4' has \d+ and 4 others"):
        check_sizes(outputs, {}, "job-1")
