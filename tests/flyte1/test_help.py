"""What ``help`` and an editor show of our classes is ours, and complete."""

import inspect
import pydoc
import re
from typing import Any

import pytest
from flytekit import task

from perian_shim import PerianConfig, PerianContainerTask, PerianTask

CLASSES: list[Any] = [PerianContainerTask, PerianTask, PerianConfig]

OURS = pytest.mark.parametrize("cls", CLASSES)


def described(doc: str | None) -> set[str]:
    """Return the arguments that a docstring explains."""
    return set(re.findall(r"^\s+\*{0,2}(\w+): ", inspect.cleandoc(doc or ""), re.MULTILINE))


@OURS
def test_a_constructor_has_the_signature_that_its_class_shows(cls: Any) -> None:
    names = list(inspect.signature(cls).parameters)
    assert ["self", *names] == list(inspect.signature(cls.__init__).parameters)
    assert "task_config" in names or "cores" in names


@OURS
def test_every_argument_is_typed_and_explained(cls: Any) -> None:
    parameters = inspect.signature(cls).parameters
    assert set(parameters) <= described(cls.__doc__)
    assert all(entry.annotation is not inspect.Parameter.empty for entry in parameters.values())


@OURS
def test_help_on_the_constructor_shows_our_words(cls: Any) -> None:
    shown = pydoc.plain(pydoc.render_doc(cls.__init__))
    assert inspect.getdoc(cls.__init__) == inspect.getdoc(cls)
    assert "Perian" in shown
    assert "container_image (str)" not in shown


def test_a_task_itself_keeps_the_signature_of_its_call() -> None:
    def body(number: int) -> int:
        return number

    made: Any = task(body, task_config=PerianConfig(cores=1), container_image="a")
    assert "task_config" not in inspect.signature(made).parameters
