"""Whether a job can import the function that a task was made of.

flytekit's default resolver remembers a module and a name: in the job it imports the module and
takes what stands there under that name. That has to be the task. What can be told when the task is
made is told then; the name is bound only after the decorator has returned, so that the rest is told
when the task is registered.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from flytekit.core.python_auto_container import default_task_resolver
from flytekit.core.python_function_task import PythonFunctionTask
from flytekit.core.tracker import istestfunction

MAIN = "__main__"

RIGHT = (
    "In the job the module is imported and the task is taken from it by the function's name, so"
    " write it at the top level of a module, as `@task(task_config=…)` above `def {name}(…)`"
)
OF_ANOTHER = (
    "{right}; a function that comes from elsewhere is called by one:"
    " `def my_{name}(…): return {name}(…)`"
)


def wrong_when_made(function: Callable[..., Any]) -> str:
    """Return why no job could find a task made of this object, with the right form; "" if it could.

    As with flytekit, functions of test modules may be anywhere: they are never registered.
    """
    if isinstance(function, partial):
        return (
            "a functools.partial has no name in a module by which a job could find it. Write a"
            " function with `def` that calls it, and decorate that"
        )
    name = getattr(function, "__name__", None)
    plain = inspect.unwrap(function)
    if name is None or not inspect.isfunction(plain):
        kind = type(function).__name__
        return f"expected a function that is written with `def`, got {function!r} ({kind})"
    return "" if istestfunction(function) else wrong_place(function, name, plain.__globals__)


def wrong_place(function: Callable[..., Any], name: str, namespace: Mapping[str, Any]) -> str:
    """Return why no job could find a function where it stands; "" if it could.

    Args:
        function: the function.
        name: its name.
        namespace: that of the module in which it was written.
    """
    if name == "<lambda>":
        return "a lambda has no name by which a job could find it. Write it with `def`"
    place, _, _ = getattr(function, "__qualname__", name).rpartition(".")
    right = RIGHT.format(name=name)
    if place:
        return f"it is inside {place.removesuffix('.<locals>')}. {right}"
    if namespace.get(name) is function and not is_running(namespace):
        return (
            f"it comes from {namespace.get('__name__')}, where {name!r} is the plain function and"
            f" not this task. {OF_ANOTHER.format(right=right, name=name)}"
        )
    return ""


def is_running(namespace: Mapping[str, Any]) -> bool:
    """Whether the body of the module with this namespace is being executed."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        if frame.f_globals is namespace and frame.f_code.co_name == "<module>":
            return True
        frame = frame.f_back
    return False


def wrong_when_registered(task: PythonFunctionTask[Any], origin: object) -> str:
    """Return why no job will find a task, with the right form; "" if it will.

    Args:
        task: the task; one of another resolver is that resolver's to find.
        origin: the object that the job is to find: the task itself, or what it is a variant of.
    """
    function = task.task_function
    namespace = inspect.unwrap(function).__globals__
    if istestfunction(function):
        return ""
    if function.__module__ == MAIN and not namespace.get("__file__"):
        return (
            "it is defined in a notebook or an interactive session, which no job can import. Put"
            " the function into a module of its own (a .py file beside the notebook) and import it"
            " from there"
        )
    if task.task_resolver is not default_task_resolver:
        return ""
    _, module, _, name, *_ = task.task_resolver.loader_args(None, task)  # type: ignore[arg-type]  # it looks at none
    found = namespace.get(name)
    if found is not origin:
        what = "nothing" if found is None else f"another {type(found).__name__}"
        return f"in {module}, {name!r} stands for {what}. {RIGHT.format(name=name)}"
    return wrong_module(module, namespace)


def wrong_module(module: str, namespace: Mapping[str, Any]) -> str:
    """Return why ``import module`` would not give the module with this namespace."""
    file = namespace.get("__file__")
    if not file:
        return ""
    path = Path(file).resolve()
    if "." in path.stem:
        return (
            f"its file {path.name} cannot be imported, since a dot in an import separates packages."
            f" Name the file {path.stem.replace('.', '_')}{path.suffix}"
        )
    other = getattr(sys.modules.get(module), "__file__", None)
    if module in sys.modules and (other is None or Path(other).resolve() != path):
        return (
            f"its file is {path}, but `import {module}` gives {other or 'a built-in module'}. Give"
            " the file another name"
        )
    return ""
