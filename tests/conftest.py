"""What many tests need: the helpers' path, one sandbox per process, a cluster stand-in on it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "tools"), str(TESTS.parent / "images")]

from hypothesis import settings  # noqa: E402 - after the path
from support.flyte import Harness, running_harness  # noqa: E402 - after the path

# A busy machine is slow now and then; what is too slow always shows in the suite's own time.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A started sandbox and a cluster stand-in whose pods talk to it."""
    with running_harness(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
