"""A sandbox's API, and who asks it."""

from collections.abc import Callable, Iterator

import pytest
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api

from perian_shim import remote

Use = Callable[[str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Let an API be asked."""
    monkeypatch.setenv("NO_PROXY", "*")

    def ask(url: str) -> None:
        remote.init(ORGANIZATION, TOKEN, url)

    return ask


@pytest.fixture
def api(server: Api, use: Use) -> Api:
    use(server.server.url)
    return server
