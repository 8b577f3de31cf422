"""What several tests of whole runs need."""

from collections.abc import Iterator

import pytest
from support.cells import Lab, open_lab
from support.containers import BuiltImage, build_image, folder_of_the_run
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


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    """The executor image."""
    return build_image(folder_of_the_run(tmp_path_factory))


@pytest.fixture(scope="session")
def image_with_flytekit(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    """The one with flytekit."""
    return build_image(folder_of_the_run(tmp_path_factory), "flytekit")
