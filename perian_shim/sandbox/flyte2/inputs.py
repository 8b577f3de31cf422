"""Inputs from the command line, by Flyte 2's own parameter types: what ``flyte run`` takes."""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from perian_shim.flyte2 import sdk
from perian_shim.sandbox.running import PROGRAM, HelpShown, InputError

LONGEST = 300
"""Characters of an SDK's error that are shown."""


def parsed(task: Any, name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Read the inputs of a task.

    Args:
        task: what is to be run.
        name: what it is called, for its help.
        arguments: ``--input value …``.

    Returns:
        Python values, by name.

    Raises:
        InputError: an argument is wrong, or one is missing.
        HelpShown: help was asked for.
    """
    try:
        options = sdk.options_of(task.native_interface)
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"{name}: its inputs cannot be given here: {error}") from error
    function = getattr(task, "func", None)
    about = "A container." if function is None else inspect.getdoc(function)
    command = click.Command(name, params=options, help=about)
    # Files are taken where they are, as a local run of flyte's own takes them.
    local = SimpleNamespace(run_args=SimpleNamespace(local=True))
    program = f"{PROGRAM} {name}"
    try:
        values = dict(command.make_context(program, list(arguments), obj=local).params)
    except click.exceptions.Exit:
        raise HelpShown from None
    except click.ClickException as error:
        text = error.format_message().rstrip(".")
        raise InputError(f"{name}: {text} (--help after {name} lists the inputs)") from error
    except Exception as error:
        # Flyte's own parameter types raise what they meet.
        raise InputError(f"an input of {name} cannot be read: {a_line_of(error)}") from error
    expect_complete(name, options, values)
    expect_types(name, task, values)
    return values


def expect_complete(name: str, options: Sequence[Any], values: Mapping[str, Any]) -> None:
    """Expect all inputs that have no default, and files that are there.

    Raises:
        InputError: one is missing.
    """
    for option in options:  # from 8.3 on click takes a default of None for a value
        if option.required and values.get(option.name) is None:
            raise InputError(f"{name}: Missing option '--{option.name}'.")
    for key, value in values.items():
        path = local_path(value)
        if path is not None and not Path(path).exists():
            raise InputError(f"{name}: Invalid value for '--{key}': there is no {path}")


def expect_types(name: str, task: Any, values: Mapping[str, Any]) -> None:
    """Expect values that become literals; what is a local file does only when the task is run.

    Raises:
        InputError: one is not of its type.
    """
    if any(local_path(value) for value in values.values()):
        return
    try:
        asyncio.run(sdk.expect_inputs(task.native_interface, dict(values)))
    except Exception as error:
        raise InputError(f"an input of {name} is not of its type: {a_line_of(error)}") from error


def local_path(value: object) -> str | None:
    """Return where a file, directory or dataset is on this machine, None for anything else."""
    path = getattr(value, "path", None) or getattr(value, "uri", None)
    return path if isinstance(path, str) and "://" not in path else None


def a_line_of(error: Exception) -> str:
    """Return what an error says in its end, where an SDK names the cause; of bounded length."""
    line = next(reversed(str(error).strip().splitlines()), type(error).__name__)
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
