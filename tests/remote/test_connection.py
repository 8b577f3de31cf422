"""Who asks Perian: what is said, the environment, a program, and Flyte's secret."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.front import Behaviour, Received

from perian_shim import remote
from perian_shim.api.errors import ClientConfigError, Unauthorized
from perian_shim.errors import ConfigError
from perian_shim.remote.connection import connection_of

VARIABLES = ("PERIAN_ORGANIZATION", "PERIAN_TOKEN", "PERIAN_TOKEN_COMMAND", "PERIAN_API_URL")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("perian_shim.remote.connection._current", None)
    monkeypatch.setenv("FLYTE_SECRETS_DEFAULT_DIR", str(tmp_path / "secrets"))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


class Door(FaultyServer):
    """An API that lets in whoever has the token of the moment."""

    def __init__(self, token: str) -> None:
        self.token = token
        super().__init__(by_request(self.judged))

    def __enter__(self) -> "Door":  # noqa: PYI034 - Self needs Python 3.11
        super().__enter__()
        return self

    def judged(self, request: Received) -> Behaviour:
        known = request.headers["authorization"] == f"Bearer {self.token}"
        return reply(body={"current_amount": 1}) if known else reply(401)

    @property
    def seen(self) -> list[str]:
        return [each.headers["authorization"].split()[1] for each in self.requests]


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    with Door("first") as server:
        monkeypatch.setenv("PERIAN_API_URL", server.url)
        monkeypatch.setenv("PERIAN_ORGANIZATION", "acme")
        yield server


def printing(file: Path) -> str:
    """A command that prints what is in a file."""
    program = f"import pathlib; print(pathlib.Path({str(file)!r}).read_text())"
    return shlex.join([sys.executable, "-c", program])


def mounted(tmp_path: Path, key: str, value: str) -> Path:
    file = tmp_path / "secrets" / "perian" / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value)
    return file


def test_what_is_said_comes_before_the_environment(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERIAN_TOKEN", "other")
    remote.init(token="first")
    assert remote.Credits.get().amount == 1
    assert door.seen == ["first"]


def test_a_token_of_the_environment_comes_before_a_program(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERIAN_TOKEN", "first")
    monkeypatch.setenv("PERIAN_TOKEN_COMMAND", "false")
    remote.init()
    assert remote.Credits.get().amount == 1
    assert door.seen == ["first"]


def test_a_program_is_run_again_when_its_token_is_refused(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    monkeypatch.setenv("PERIAN_TOKEN_COMMAND", printing(file))
    remote.init()
    remote.Credits.get()
    file.write_text("second")
    door.token = "second"
    assert remote.Credits.get().amount == 1
    assert door.seen == ["first", "first", "second"]


def test_a_program_comes_before_flytes_secret(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounted(tmp_path, "perian_token", "other")
    file = tmp_path / "token"
    file.write_text("first")
    monkeypatch.setenv("PERIAN_TOKEN_COMMAND", printing(file))
    remote.init()
    remote.Credits.get()
    assert door.seen == ["first"]


def test_flytes_secret_is_read_again_when_it_is_refused(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PERIAN_ORGANIZATION")
    mounted(tmp_path, "perian_organization", "acme\n")
    mounted(tmp_path, "perian_token", "first\n")
    remote.init()
    remote.Credits.get()
    mounted(tmp_path, "perian_token", "second\n")
    door.token = "second"
    assert remote.Credits.get().amount == 1
    assert door.seen == ["first", "first", "second"]
    assert {each.headers["x-perian-auth-org"] for each in door.requests} == {"acme"}


def test_flytes_secret_may_be_a_variable(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_FSEC_PERIAN_PERIAN_TOKEN", "first\n")
    remote.init()
    remote.Credits.get()
    assert door.seen == ["first"]


def test_a_token_that_stays_refused_is_an_error(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("stale-token")
    monkeypatch.setenv("PERIAN_TOKEN_COMMAND", printing(file))
    remote.init()
    with pytest.raises(Unauthorized) as caught:
        remote.Credits.get()
    assert "stale-token" not in str(caught.value)
    assert door.seen == ["stale-token"]


def test_a_program_that_fails_is_named_without_its_arguments(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERIAN_TOKEN_COMMAND", "false --password hunter2")
    remote.init()
    with pytest.raises(ClientConfigError, match="'false', failed with exit code 1") as caught:
        remote.Credits.get()
    assert "hunter2" not in str(caught.value)
    assert not door.requests


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"Set PERIAN_ORGANIZATION and PERIAN_TOKEN to .*COMMAND"):
        connection_of()
    monkeypatch.setenv("PERIAN_TOKEN", "t")
    with pytest.raises(ConfigError, match=r"Set PERIAN_ORGANIZATION to the credentials"):
        connection_of()


def test_no_token_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIAN_TOKEN_COMMAND", "print-token --password hunter2")
    for made in (connection_of("acme", "secret-token"), connection_of("acme")):
        assert "secret-token" not in repr(made)
        assert "hunter2" not in repr(made)
