"""A pod takes memory in proportion to what it hands on: 10 MB of numbers in, 10 MB out."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from flyteidl.core.types_pb2 import LiteralType, SimpleType
from support.doors import Door
from support.flyte import Harness, harness_on
from support.in_pod import peak_left
from support.plain_values import copying
from support.waiting import LONG_SECONDS

from perian_shim.sandbox import Sandbox
from perian_shim.values.parsing import parse_output
from perian_shim.values.serialized import literal_map

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

NUMBERS = LiteralType(collection_type=LiteralType(simple=SimpleType.INTEGER))
MEBIBYTE = 1024
"""In KiB."""


@pytest.fixture(scope="module")
def harness(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    folder = tmp_path_factory.mktemp("large")
    with harness_on(sandbox, folder, Door.ENTRYPOINT) as harness:
        yield harness.cold()


@dataclass(frozen=True)
class Inputs:
    """A document of inputs; as flytekit's models a million numbers take gigabytes."""

    document: bytes

    def to_flyte_idl(self) -> "Inputs":
        return self

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        return self.document


def numbers(count: int) -> bytes:
    """The inputs of a task: numbers of ten bytes each as text."""
    text = f"[{', '.join(str(10**7 + n) for n in range(count))}]"
    return literal_map({"xs": parse_output(text, NUMBERS, "xs")})


def peak(harness: Harness, count: int, file: Path) -> int:
    """How much memory a pod takes at most, in KiB, that hands on so many numbers both ways."""
    limit = {"PERIAN_MAX_OUTPUT_BYTES": "50000000"}
    measured = harness.with_variables(**peak_left(file), **limit)
    task = copying("test.large", {"xs": list[int]})
    inputs = Inputs(numbers(count))
    pod = measured.cluster.start(
        measured.cluster.serialize(task), cast("Any", inputs), measured.execution()
    )
    log, _ = pod.process.communicate(timeout=LONG_SECONDS)
    document = pod.store.read(f"{pod.pod.output_prefix}/outputs.pb")
    assert document == inputs.document, log
    return int(file.read_text())


@pytest.mark.thorough
def test_ten_megabytes_of_numbers_take_little_memory(harness: Harness, tmp_path: Path) -> None:
    idle = peak(harness, 1, tmp_path / "idle")
    assert peak(harness, 1_000_000, tmp_path / "large") - idle < 200 * MEBIBYTE
