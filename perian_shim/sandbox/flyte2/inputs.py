"""Inputs from the command line, by Flyte 2's own parameter types: what ``flyte run`` takes."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from perian_shim.flyte2 import sdk
from perian_shim.sandbox.running import PROGRAM, HelpShown, InputError


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
        raise InputError(f"{name}: {error.format_message()}") from error
    for option in options:  # from 8.3 on click takes a default of None for a value
        if option.required and values.get(option.name) is None:
            raise InputError(f"{name}: Missing option '--{option.name}'.")
    for key, value in values.items():
        path = getattr(value, "path", None)
        if isinstance(path, str) and "://" not in path and not Path(path).exists():
            raise InputError(f"{name}: Invalid value for '--{key}': there is no {path}")
    return values
