"""What many tests need: the helpers' path, one sandbox per process, a cluster stand-in on it."""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "tools"), str(TESTS.parent / "images")]

from support.doors import FLYTE_1  # noqa: E402 - after the path
from support.flyte import Harness, harness_on, running_sandbox  # noqa: E402 - the same
from support.object_stores import without_flytes_stores  # noqa: E402 - after the path
from support.profiles import USUAL, examples, load_profile  # noqa: E402 - the same
from support.s3 import Bucket, new_bucket  # noqa: E402 - the same
from support.signals import hear_signals  # noqa: E402 - the same
from support.variants import spared  # noqa: E402 - the same
from support.waiting import TEST_SECONDS, time_limit  # noqa: E402 - the same

from perian_shim.sandbox import Sandbox  # noqa: E402 - the same

hear_signals()
load_profile()


def bounded(what: str) -> AbstractContextManager[None]:
    """Let nothing that is waited for last for ever; who tries more examples has more time."""
    return time_limit(what, TEST_SECONDS * max(1.0, examples(USUAL) / USUAL))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let all variants be tested, and the recorded page be written anew."""
    text = "run each case with every door, tool and Python, not with one of them"
    parser.addoption("--every-variant", action="store_true", help=text)
    text = "write what the commands of docs/commands.md print into that page"
    parser.addoption("--record", action="store_true", help=text)


FLYTE_2 = re.compile(
    r"^(import flyte\b(?!kit)|from (flyte|perian_shim\.flyte2|support\.flyte2)\b)", re.MULTILINE
)
"""What a file of tests that needs Flyte 2's SDK has."""

HAS_FLYTE_2 = importlib.util.find_spec("flyte") is not None


def pytest_report_header() -> str | None:
    """Say if tests are left out."""
    return None if HAS_FLYTE_2 else "flyte is not installed: what needs it is left out"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what needs Flyte 2's SDK where that is not: beside an old flytekit it cannot be."""
    if HAS_FLYTE_2 or collection_path.suffix != ".py":
        return None
    return True if FLYTE_2.search(collection_path.read_text()) else None


def pytest_collection_finish() -> None:
    """Give fsspec its own stores back: importing flyte has put its own in their place."""
    without_flytes_stores()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what differs from another case in a variant only."""
    if config.getoption("--every-variant"):
        return
    left_out = spared(items)
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Bound it."""
    with bounded(f"setting up {item.nodeid}"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Bound it."""
    with bounded(item.nodeid):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Bound it."""
    with bounded(f"cleaning up after {item.nodeid}"):
        return (yield)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Perian and an S3."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture(scope="session", params=FLYTE_1, ids=lambda door: door.value)
def harness(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harness]:
    """A sandbox and a cluster stand-in whose pods talk to it, through each door."""
    with harness_on(sandbox, tmp_path_factory.mktemp("cluster"), request.param) as running:
        yield running


@pytest.fixture
def bucket() -> Bucket:
    """An empty bucket of the session's own S3."""
    return new_bucket()


@pytest.fixture
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out what tells this process of an object store: a sandbox's, if it has begun before."""
    for name in os.environ:
        if "AWS_" in name:
            monkeypatch.delenv(name)
