"""What the guide to environments shows can be pasted, and what its tables say is so."""

import re
import sys
import types
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from perian_shim import PerianEnvironment, Resources
from perian_shim.api.errors import PerianError
from perian_shim.definition.gpus import NAMES, parse_gpu
from perian_shim.flyte1.known_settings import REFUSED

GUIDE = (Path(__file__).parent.parent / "docs/guides/environments.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
LEVELS = GUIDE.split("## Three levels")[1].split("\n## ")[0]
KINDS = GUIDE.split("## Resources")[1].split("\n## ")[0]
REFUSALS = GUIDE.split("## What is refused")[1]


def test_the_example_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "environments_example.py").write_text(EXAMPLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    module: types.ModuleType = __import__("environments_example")
    try:
        names = [node.flyte_entity.name for node in module.experiment.nodes]
        # That of a node with a config of its own has the config's digest behind it.
        assert [re.sub(r"_[0-9a-f]{8}$", "", name) for name in names] == [
            "environments_example.smoke",
            "environments_example.train",
            "training.measure",
        ]
        assert module.train(rate=3.0) == 1.5
    finally:
        del sys.modules["environments_example"]


def test_every_setting_is_in_the_table() -> None:
    rows = [line for line in LEVELS.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in rows)))
    settings = {field.name for field in fields(PerianEnvironment)}
    assert settings <= named
    assert named - settings == {"max_queued_time", "max_runtime"}


def test_every_name_of_a_gpu_is_perians() -> None:
    rows = re.findall(r"^\| (`.*`) \| (`.*`) \|$", KINDS, re.MULTILINE)
    assert len(rows) == 6
    for flytes, perians in rows:
        kinds = {NAMES[name] for name in re.findall(r"`(\w+)`", flytes)}
        assert kinds == set(re.findall(r"`(\w+)`", perians))
    assert parse_gpu("NVIDIA_A100_80:2").kind == "NVIDIA_A100_80"


def test_what_is_named_as_refused_is() -> None:
    named = {name for name in re.findall(r"`(\w+)`", REFUSALS) if name in REFUSED}
    assert {"shm", "reusable", "queue", "triggers", "pod_template", "depends_on"} <= named
    kind: Any = PerianEnvironment
    for name in named:
        with pytest.raises(PerianError, match=f"{name}: cannot be honoured"):
            kind("e", **{name: None})
    with pytest.raises(PerianError, match="cpu: cannot be honoured"):
        Resources(cpu=(1, 2))  # type: ignore[arg-type]  # on purpose
