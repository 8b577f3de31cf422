"""Inputs from the command line: what ``pyflyte run`` takes, and one line for what it does not."""

# ruff: noqa: ARG001
# mypy: disable-error-code="return-value,arg-type"
# flytekit's annotations do not know what a workflow is once it is decorated.

import datetime
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from flytekit import LaunchPlan, task, workflow
from flytekit.types.file import FlyteFile

from perian_shim.sandbox.flyte.inputs import parsed
from perian_shim.sandbox.running import HelpShown, InputError


@dataclass
class Plan:
    times: int
    word: str = "a"


class Color(Enum):
    RED = "red"


@task
def everything(
    n: int,
    rate: float = 0.5,
    name: str | None = None,
    plan: Plan = Plan(1),  # noqa: B008 - as users write it
    color: Color = Color.RED,
    words: list[str] = ["x"],  # noqa: B006 - the same
    on: bool = False,
    since: datetime.timedelta = datetime.timedelta(hours=1),
) -> int:
    """Take one of everything."""
    return n


@task
def of_file(file: FlyteFile) -> int:
    return 0


@workflow
def flow(n: int, m: int = 2) -> int:
    return everything(n=m)


PLAN = LaunchPlan.get_or_create(
    flow, name="fixed_n", fixed_inputs={"n": 1}, default_inputs={"m": 3}
)


def test_values_are_read_as_their_types() -> None:
    arguments = ["--n", "3", "--rate", "1e-3", "--name", "b", "--plan", '{"times": 2}', "--on"]
    values = parsed(everything, "everything", [*arguments, "--words", '["y"]', "--since", "2h"])
    assert values == {
        "n": 3,
        "rate": 0.001,
        "name": "b",
        "plan": Plan(2),
        "color": Color.RED,
        "words": ["y"],
        "on": True,
        "since": datetime.timedelta(hours=2),
    }


def test_defaults_are_the_workflows() -> None:
    values = parsed(everything, "everything", ["--n", "3"])
    assert values["plan"] == Plan(1)
    assert values["name"] is None
    assert values["words"] == ["x"]


@pytest.mark.parametrize(("name", "content"), [("p.json", '{"times": 4}'), ("p.yaml", "times: 4")])
def test_a_dataclass_may_be_a_file(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    arguments = ["--n", "1", "--plan", str(tmp_path / name)]
    assert parsed(everything, "everything", arguments)["plan"] == Plan(4)


def test_a_launch_plan_has_defaults_and_fixed_inputs_of_its_own() -> None:
    assert parsed(PLAN, "fixed_n", []) == {"m": 3}
    with pytest.raises(InputError, match="--n"):
        parsed(PLAN, "fixed_n", ["--n", "2"])


@pytest.mark.parametrize(
    ("entity", "arguments", "reason"),
    [
        (everything, [], "Missing option '--n'"),
        (everything, ["--n", "x"], "'x' is not a valid integer"),
        (everything, ["--n", "1", "--plan", "{"], "plan"),
        (everything, ["--n", "1", "--color", "blue"], "blue"),
        (everything, ["--n", "1", "--since", "soon"], "cannot be read"),
        (everything, ["--n", "1", "--other", "2"], "--other"),
        (of_file, ["--file", "/no/such/file"], "/no/such/file"),
    ],
)
def test_a_wrong_input_is_one_line(entity: Any, arguments: list[str], reason: str) -> None:
    with pytest.raises(InputError) as wrong:
        parsed(entity, "it", arguments)
    assert reason in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_help_lists_the_inputs_and_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HelpShown):
        parsed(everything, "everything", ["--help"])
    shown = capsys.readouterr().out
    assert "perian-shim run FILE everything" in shown
    assert "Take one of everything." in shown
    assert "--n INTEGER" in shown
    assert "--color [red]" in shown
    assert "[default: (0.5)]" in shown
