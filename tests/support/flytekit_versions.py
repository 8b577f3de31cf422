"""What an older flytekit lacks: tests of it are skipped there."""

import inspect
from collections.abc import Iterable

import flytekit
import pytest
from _pytest.mark import ParameterSet
from flytekit.core import type_engine
from flytekit.extras import accelerators
from flytekit.models.task import TaskMetadata

OLDEST = flytekit.__version__.startswith("1.14.")
"""Whether this is the oldest one that perian-shim runs with."""


def having(name: str, where: object) -> pytest.MarkDecorator:
    """Skip a test where flytekit has no such name."""
    reason = f"flytekit {flytekit.__version__} has no {name}"
    return pytest.mark.skipif(not hasattr(where, name), reason=reason)


def taking(argument: str) -> pytest.MarkDecorator:
    """Skip a test where ``@task`` takes no such argument."""
    reason = f"flytekit {flytekit.__version__} has no @task({argument}=…)"
    missing = argument not in inspect.signature(flytekit.task).parameters
    return pytest.mark.skipif(missing, reason=reason)


def only(mark: pytest.MarkDecorator, cases: Iterable[tuple[object, ...]]) -> list[ParameterSet]:
    """Return parameters that a mark may skip."""
    return [pytest.param(*case, marks=mark) for case in cases]


needs_cache = having("Cache", flytekit)
needs_decks_in_templates = having("generates_deck", TaskMetadata)
needs_literal_types = having("LiteralTypeTransformer", type_engine)
needs_newer_gpus = having("H100", accelerators)
needs_runtime_packages = having("runtime_packages", flytekit.ImageSpec)
needs_resources = taking("resources")
needs_shared_memory = taking("shared_memory")

needs_optional_datasets = pytest.mark.skipif(
    OLDEST, reason="flytekit 1.14 cannot read an optional dataset of its own from the wire"
)
needs_launch_plans_in_scripts = pytest.mark.skipif(
    OLDEST, reason="flytekit 1.14 asks for a workflow without a version before it launches its plan"
)
