"""The command line in a test: against an API, without a terminal."""

import re
from collections.abc import Callable

import pytest
from support.sandbox_api import ORGANIZATION, TOKEN

Printed = pytest.CaptureFixture[str]

Use = Callable[[str], None]
"""Makes the process use the API at a URL."""


def use_api(monkeypatch: pytest.MonkeyPatch, outage: str = "0.2") -> Use:
    """Return what makes this process use an API; an outage is ridden out for a moment only."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("PERIAN_ORGANIZATION", ORGANIZATION)
    monkeypatch.setenv("PERIAN_TOKEN", TOKEN)
    monkeypatch.setenv("PERIAN_OUTAGE_SECONDS", outage)
    monkeypatch.setenv("PERIAN_POLL_MIN_SECONDS", "0.05")
    monkeypatch.setenv("FLYTECTL_CONFIG", "")
    monkeypatch.delenv("FLYTE_PLATFORM_URL", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")  # nobody's own configuration of Flyte
    monkeypatch.setattr("perian_shim.remote.connection._current", None)
    return lambda url: monkeypatch.setenv("PERIAN_API_URL", url)


def lines(capsys: Printed) -> list[str]:
    """Return the lines printed since."""
    return capsys.readouterr().out.splitlines()


def columns(line: str) -> list[str]:
    """Return the cells of a line of a table."""
    return re.split(r" {2,}", line)
