"""What many tests need: the helpers' path, one sandbox per process, a cluster stand-in on it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.flyte import Harness, running_harness


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A started sandbox and a cluster stand-in whose pods talk to it."""
    with running_harness(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
