"""What the guide to the deck shows can be pasted."""

import re
from pathlib import Path

import pytest
from flytekit.core.base_task import PythonTask

from perian_shim import settings
from perian_shim.sandbox.flyte.source import Source

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guides/console.md").read_text()


def test_the_tasks_shown_have_decks(tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    file = tmp_path / "console_guide_example.py"
    file.write_text(source)
    found = Source.load(file).entities()
    for name in ("train", "evaluate"):
        task = found[name]
        assert isinstance(task, PythonTask)
        assert task.enable_deck


def test_every_variable_named_is_a_setting() -> None:
    named = set(re.findall(r"\bPERIAN_[A-Z_]+\b", GUIDE))
    assert named
    assert named <= set(settings.SETTINGS)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / "docs/guides" / target).exists()
