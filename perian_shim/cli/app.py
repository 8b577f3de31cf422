"""The program: its commands by name, its exit codes, and what becomes of errors.

Exit codes: 0 well, 1 it failed (one line says why), 2 wrong arguments, 130 ended by Ctrl-C.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from perian_shim.api.errors import PerianError
from perian_shim.version import __version__

FAILED, WRONG, INTERRUPTED = 1, 2, 130

PROGRAM = "perian-shim"


@dataclass(frozen=True)
class Lazy:
    """A command that is imported when it is asked for.

    Attributes:
        module: below ``perian_shim.cli``.
        summary: what the list of commands says of it.
        name: of the ``click.Command`` there; None: the command's own name.
    """

    module: str
    summary: str
    name: str | None = None


COMMANDS: dict[str, Lazy] = {
    "demo": Lazy("embedded", "Run the example workflow on an embedded sandbox."),
    "run": Lazy("embedded", "Run a workflow of yours on an embedded sandbox."),
    "sandbox": Lazy("embedded", "Serve an embedded Perian and S3 until stopped."),
    "jobs": Lazy("jobs", "List jobs at Perian, the newest first."),
    "job": Lazy("job", "Show a job: whose it is, where it runs, what it costs."),
    "logs": Lazy("logs", "Print what a job, or an execution's jobs, have printed."),
    "cancel": Lazy("cancel", "End jobs at Perian: by id, key, execution, or all orphans."),
    "completion": Lazy("completion", "Print what a shell needs to complete commands."),
    "gpus": Lazy("offers", "List the kinds of accelerators that can be rented."),
    "offers": Lazy("offers", "List machines that can be rented, the cheapest first."),
    "quote": Lazy("quote", "Say what the tasks of a Python file would cost."),
    "credits": Lazy("money", "Show what the organization can still spend.", "credit"),
    "cost": Lazy("money", "Show what jobs cost, by project, task, owner or day."),
    "doctor": Lazy("doctor", "Say whether the set-up works, and what to do if not."),
}


class Program(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order in which they are shown."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None if there is none of this name."""
        del ctx
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module = importlib.import_module(f"perian_shim.cli.{lazy.module}")
        command = getattr(module, lazy.name or cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def program() -> None:
    """Flyte tasks on Perian, with nothing in the Flyte backend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return a process exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    named = next((word for word in given if not word.startswith("-")), "")
    where = f"{PROGRAM} {named}" if named in COMMANDS else PROGRAM
    try:
        code = program.main(given, prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print(file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        print(f"{where}: {missing(error)}", file=sys.stderr)
        return FAILED
    except (PerianError, ImportError, RuntimeError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):  # whoever reads it has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            print(f"{where}: {error}", file=sys.stderr)
        return FAILED
    return code if isinstance(code, int) else 0


def missing(error: ModuleNotFoundError) -> str:
    """Say which package is not installed, and what installs it."""
    from perian_shim.sandbox.errors import ADVICE  # noqa: PLC0415 - seldom needed

    return f"the package {error.name} is not installed: {ADVICE}"
