"""How a function fails on Perian is how it would have failed in Flyte's own pod.

Everything is read from the ``error.pb`` that the resolver's pod leaves: Flyte sees nothing else.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from flytekit.core.base_task import PythonTask
from support.container_errors import AGAIN, FATAL, USER
from support.function_harness import IMAGE_ENVIRONMENT, FunctionHarness, Ran
from support.functions import failing, unimportable

from perian_shim.sandbox.records import Status

pytestmark = pytest.mark.below_the_doors


def facts(ran: Ran) -> tuple[str, int, int]:
    return ran.error.code, ran.error.kind, ran.error.origin


@dataclass(frozen=True)
class Row:
    """A way to fail, and what Flyte is to be told of it."""

    task: PythonTask[Any]
    code: str
    kind: int
    says: tuple[str, ...]
    job: Status
    given: int = 3


TABLE = [
    Row(
        failing.value_error,
        "USER:RuntimeError",
        FATAL,
        ("failing.py", "in pour", "ValueError: cannot pour 3 cups"),
        Status.DONE,
    ),
    Row(
        failing.recoverable,
        "USER:Recoverable",
        AGAIN,
        ("failing.py", "in brew", "TeapotError", "3 cups: not yet"),
        Status.DONE,
    ),
    Row(
        unimportable.unreachable,
        "USER:RuntimeError",
        FATAL,
        ("unimportable.py", "No module named 'a_package_that_the_image_lacks'"),
        Status.DONE,
    ),
    Row(
        failing.exits,
        "PERIAN:JobFailed",
        AGAIN,
        ("exited with code 3", "last words: leaving"),
        Status.USER_ERROR,
    ),
    Row(
        failing.exits,
        "PERIAN:ResultMissing",
        FATAL,
        ("neither outputs nor an error", "sys.exit(0)", "last words: leaving"),
        Status.DONE,
        given=0,
    ),
    Row(
        failing.segfaults,
        "PERIAN:JobFailed",
        AGAIN,
        ("code 139", "last words: falling"),
        Status.USER_ERROR,
    ),
    Row(
        failing.is_killed,
        "PERIAN:JobKilled",
        AGAIN,
        ("code 137", "memory", "last words: growing"),
        Status.USER_ERROR,
    ),
]


@pytest.mark.parametrize(
    "row", TABLE, ids=lambda row: f"{row.task.name.rpartition('.')[2]}({row.given})"
)
def test_an_error_is_told_as_it_is(row: Row, functions: FunctionHarness) -> None:
    (name,) = row.task.python_interface.inputs
    ran = functions.run(row.task, {name: row.given})
    assert facts(ran) == (row.code, row.kind, USER)
    for words in row.says:
        assert words in ran.error.message
    assert [job.state.status for job in ran.jobs] == [row.job]
    assert ran.attempt.exit_code == 0


@pytest.mark.parametrize(
    ("row", "in_a_pod"),
    [(TABLE[0], failing.plain_value_error), (TABLE[1], failing.plain_recoverable)],
    ids=["value_error", "recoverable"],
)
def test_the_table_is_right_about_flytes_own_pod(
    row: Row, in_a_pod: PythonTask[Any], functions: FunctionHarness
) -> None:
    ran = functions.run(
        in_a_pod,
        {"cups": 3},
        template=functions.harness.cluster.serialize(in_a_pod),
        environment=IMAGE_ENVIRONMENT,
    )
    assert ran.jobs == []
    assert facts(ran) == (row.code, row.kind, USER)
    for words in row.says:
        assert words in ran.error.message
