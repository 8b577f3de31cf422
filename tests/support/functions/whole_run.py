"""A user's file: workflows with one of everything that a node can be."""

# mypy: disable-error-code="assignment,arg-type,return-value,union-attr,operator,call-arg"
# mypy: disable-error-code="misc,no-any-return"
# flytekit's annotations do not know what a task or workflow is once it is decorated.

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from flytekit import (
    LaunchPlan,
    Secret,
    conditional,
    current_context,
    dynamic,
    map_task,
    task,
    workflow,
)
from flytekit.types.file import FlyteFile

from perian_shim import PerianConfig, PerianContainerTask

ONE = PerianConfig(cores=1)


@dataclass
class Plan:
    """What to do."""

    times: int
    words: list[str] = field(default_factory=lambda: ["a"])


def shell(name: str, script: str, **arguments: object) -> PerianContainerTask:
    """Return a task that is a line of shell."""
    return PerianContainerTask(
        name=name, task_config=ONE, image="debian:12", command=["sh", "-c", script], **arguments
    )


count = shell(
    "run.count",
    "wc -w < /var/inputs/text > /var/outputs/words",
    inputs={"text": FlyteFile},
    outputs={"words": int},
)
double = shell(
    "run.double",
    'printf $((2 * $(cat /var/inputs/n))) > /var/outputs/twice; echo "doubling"',
    inputs={"n": int},
    outputs={"twice": int},
)
late = shell(
    "run.late",
    'test "$FLYTE_ATTEMPT_NUMBER" = 1 || exit 3; printf done > /var/outputs/word',
    outputs={"word": str},
    retries=1,
)
broken = shell("run.broken", "echo to be seen; exit 4", inputs={"n": int}, outputs={"n": int})
hanging = shell("run.hanging", "echo hanging; sleep 600", outputs={"n": int})
slow = shell("run.slow", "sleep 600", outputs={"n": int}, timeout=2)


@task(task_config=ONE, container_image="python:3.12")
def train(text: FlyteFile, plan: Plan) -> tuple[Plan, FlyteFile, pd.DataFrame]:
    """Take and return what is more than a number."""
    words = [*plan.words, *Path(text).read_text().split()] * plan.times
    Path("words.txt").write_text(" ".join(words))
    return Plan(plan.times, words), FlyteFile("words.txt"), pd.DataFrame({"word": words})


@task
def rows(frame: pd.DataFrame) -> int:
    """Run in the user's own image."""
    assert "PERIAN_TOKEN" not in os.environ
    return len(frame)


@task
def square(n: int) -> int:
    """Be mapped."""
    return n * n


@workflow
def within(n: int) -> int:
    """Be a part of another workflow, and a launch plan."""
    return double(n=n)


by_seven = LaunchPlan.get_or_create(within, name="run.by_seven", default_inputs={"n": 7})
fixed = LaunchPlan.get_or_create(within, name="run.fixed", fixed_inputs={"n": 5})


@dynamic
def spread(n: int) -> list[int]:
    """Decide at run time how many there are."""
    return [double(n=number) for number in range(n)]


class Both(NamedTuple):
    """What the workflow of two kinds of task returns."""

    words: int
    plan: Plan
    text: FlyteFile
    frame: pd.DataFrame
    rows: int


@workflow
def both(text: FlyteFile, plan: Plan) -> Both:
    """Let container, function and plain tasks work on each other's outputs."""
    made, file, frame = train(text=text, plan=plan)
    return Both(count(text=file), made, file, frame, rows(frame=frame))


class Shapes(NamedTuple):
    """What the workflow of all kinds of node returns."""

    sub: int
    plan: int
    fixed: int
    branch: int
    word: str


@workflow
def shapes(n: int) -> Shapes:
    """Use every kind of node that needs no Python."""
    sub = within(n=n)
    branch = (
        conditional("size")
        .if_((sub > 100) | (n < 0))
        .then(double(n=0))
        .elif_((sub == 6) & (n > 2))
        .then(double(n=sub))
        .else_()
        .fail("neither")
    )
    return Shapes(sub, by_seven(), fixed(), branch, late())


@workflow
def many(n: int) -> list[int]:
    """Map over what a dynamic workflow returns."""
    squares: list[int] = map_task(square)(n=spread(n=n))
    return squares


@task
def lines_in(text: str) -> int:
    """Take what is no number."""
    return text.count("\n")


@dynamic
def wrong_at_run_time(n: int) -> int:
    """Hand a number to what takes a text."""
    return lines_in(text=double(n=n))


@workflow
def wrong_within() -> int:
    """Run nodes that do not fit."""
    return wrong_at_run_time(n=1)


@workflow
def fails_beside() -> tuple[int, int]:
    """Fail while another node runs."""
    return broken(n=1), hanging()


@workflow
def hangs() -> int:
    """Never end."""
    return hanging()


@workflow
def too_slow() -> int:
    """Not end in time."""
    return slow()


@task(secret_requests=[Secret(group="team", key="word")])
def tells() -> str:
    """Print a secret, as nobody should."""
    word = current_context().secrets.get("team", "word")
    print(f"the word is {word}")
    return word


@workflow
def fails(n: int) -> int:
    """Tell the secret, then fail in the second node."""
    told = tells()
    failed = broken(n=n)
    told >> failed
    return failed
