"""What several tests of whole runs need."""

from collections.abc import Iterator

import pytest
from support.cells import Lab, open_lab
from support.flyte import Harness
from support.function_harness import FunctionHarness


@pytest.fixture(scope="module")
def lab(harness: Harness) -> Iterator[Lab]:
    """What cells of the fault matrix share."""
    with open_lab(harness) as opened:
        yield opened


@pytest.fixture(scope="module")
def functions(harness: Harness) -> FunctionHarness:
    """Runs function tasks."""
    return FunctionHarness(harness)
