"""Inputs from the command line, by flytekit's own parameter types: what ``pyflyte run`` takes.

Reading them needs no object store; files go there when they become literals.
"""

import warnings
from collections.abc import Sequence
from enum import Enum
from types import SimpleNamespace
from typing import Any, get_args

import click
from flyteidl.core import literals_pb2
from flytekit.clis.sdk_in_container.run import to_click_option
from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.data_persistence import FileAccessProvider
from flytekit.core.launch_plan import LaunchPlan
from flytekit.core.type_engine import TypeEngine

from perian_shim.sandbox.flyte.bindings import Literals
from perian_shim.sandbox.flyte.registry import Runnable
from perian_shim.sandbox.flyte.source import kind_of
from perian_shim.sandbox.running import PROGRAM, HelpShown, InputError


def declared(entity: Runnable) -> dict[str, tuple[Any, Any]]:
    """Return an entity's inputs that can be given: their Python types and defaults."""
    if not isinstance(entity, LaunchPlan):
        return dict(entity.python_interface.inputs_with_defaults)
    types, own = entity.workflow.python_interface.inputs_with_defaults, entity.saved_inputs
    return {
        name: (types[name][0], own.get(name, types[name][1]))
        for name in entity.parameters.parameters
    }


def parsed(entity: Runnable, name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Read the inputs of a workflow, task or launch plan.

    Args:
        entity: what is to be run.
        name: what it is called, for its help.
        arguments: ``--input value …``.

    Returns:
        Python values, by name, of what was given or has a default.

    Raises:
        InputError: an argument is wrong, or one is missing.
        HelpShown: help was asked for.
    """
    inputs = declared(entity)
    level = SimpleNamespace(is_remote=False, verbose=0)
    command = click.Command(name)
    building = click.Context(command, obj=level)
    flyte = FlyteContextManager.current_context()
    variables = entity.interface.inputs
    try:
        command.params = [
            to_click_option(
                building,
                flyte,
                each,
                variables[each],
                python_type,
                default,
                type(None) not in get_args(python_type) and default is None,
            )
            for each, (python_type, default) in inputs.items()
        ]
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"{name}: its inputs cannot be given here: {error}") from error
    command.help = help_of(entity, name)
    for option, (_, default) in zip(command.params, inputs.values(), strict=True):
        if isinstance(option, click.Option) and default is not None:
            # It is a Python value already; flytekit's types cannot read all of them again.
            text = option.default if isinstance(option.default, str) else default
            option.show_default = str(text.value if isinstance(text, Enum) else text)
            option.default = None
    # Values stay Python's; files among them are to be uploaded later all the same.
    level.is_remote = True
    try:
        with warnings.catch_warnings():
            # flytekit declares a switch's name twice.
            warnings.simplefilter("ignore", UserWarning)
            values = command.make_context(f"{PROGRAM} {name}", list(arguments), obj=level).params
    except click.exceptions.Exit:
        raise HelpShown from None
    except click.ClickException as error:
        text = " ".join(error.format_message().split())
        raise InputError(f"{text} (--help after {name} lists the inputs)") from error
    except Exception as error:  # flytekit's types let some of their own mistakes through
        text = " ".join(str(error).split())
        raise InputError(f"an input of {name} cannot be read: {text}") from error
    given = {
        each: complete(values.get(each), python_type, default)
        for each, (python_type, default) in inputs.items()
    }
    for each, value in given.items():
        # Whether click finds a missing option itself depends on its version.
        if value is None and type(None) not in get_args(inputs[each][0]):
            raise InputError(f"Missing option '--{each}' (--help after {name} lists the inputs)")
    return given


def complete(value: Any, python_type: Any, default: Any) -> Any:
    """Return an input's value; one that equals its default comes as None from flytekit."""
    if value is None:
        value = default
    return False if value is None and python_type is bool else value


def help_of(entity: Runnable, name: str) -> str:
    """Return the first words of the help."""
    # A task without a docstring of its own has that of its class.
    own = getattr(getattr(entity, "task_function", None), "__doc__", None)
    text = own if isinstance(entity, PythonTask) else getattr(entity, "__doc__", None)
    about = "" if isinstance(entity, LaunchPlan) or not text else f"\n\n{text}"
    return f"The {kind_of(entity)} {name}.{about}"


def literals(entity: Runnable, values: dict[str, Any], folder: str, prefix: str) -> Literals:
    """Turn inputs into literals; local files and directories are uploaded.

    Args:
        entity: declares the types.
        values: the inputs.
        folder: for temporary files.
        prefix: URI below which uploads go.

    Raises:
        InputError: a value is not of its type.
    """
    access = FileAccessProvider(folder, raw_output_prefix=prefix)
    context = FlyteContextManager.current_context().with_file_access(access).build()
    interface = entity.workflow if isinstance(entity, LaunchPlan) else entity
    types = {name: interface.python_interface.inputs[name] for name in values}
    with FlyteContextManager.with_context(context.new_builder()) as active:
        try:
            made = TypeEngine.dict_to_literal_map(active, values, types)
        except Exception as error:
            text = " ".join(str(error).split())
            raise InputError(f"an input is not of its type: {text}") from error
    message: literals_pb2.LiteralMap = made.to_flyte_idl()
    return dict(message.literals)
