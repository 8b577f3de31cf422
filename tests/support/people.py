"""What tests of handles and of commands need: a sandbox's API, and a process that uses it.

A conftest.py that imports these has them as fixtures.
"""

from collections.abc import Iterator

import pytest
from support.command import Use, use_api
from support.sandbox_api import Api, running_api


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    return use_api(monkeypatch)


@pytest.fixture
def api(server: Api, use: Use) -> Api:
    use(server.server.url)
    return server
