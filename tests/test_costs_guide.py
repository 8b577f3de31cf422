"""What the guide to costs shows can be pasted, and what it names exists."""

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.command import use_api
from support.past_jobs import origin, price, put
from support.sandbox_api import running_api

from perian_shim import settings
from perian_shim.cli.app import COMMANDS, program

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guides/costs.md").read_text()


def test_every_variable_named_is_a_setting() -> None:
    assert set(re.findall(r"\bPERIAN_[A-Z_]+\b", GUIDE)) <= set(settings.SETTINGS)


@pytest.mark.parametrize("line", re.findall(r"^perian-shim .*", GUIDE, re.MULTILINE))
def test_every_command_shown_is_one_with_these_options(line: str) -> None:
    name, *words = line.partition("#")[0].split()[1:]
    assert name in COMMANDS
    shown = CliRunner().invoke(program, [name, "--help"]).output
    assert all(word in shown for word in words if word.startswith("--"))


def test_the_program_shown_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    with running_api(tmp_path) as api:
        began = datetime(2026, 2, 1, tzinfo=timezone.utc)
        put(api.store, began, began + timedelta(hours=1), price("3"), origin("vision", "x"))
        use_api(monkeypatch)(api.server.url)
        exec(source, {})
    assert capsys.readouterr().out.splitlines() == [
        "1A100.22V 1.290 USD",
        "a2-highgpu-1g 3.673 USD",
        "a2-ultragpu-8g 44.960 USD",
        "1.29 USD 2.58 USD",
        "997.00 EUR",
        "vision/production 3 3 0.000000 EUR",
    ]
