"""The commands that need no account: ``demo``, ``run`` and ``sandbox``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from perian_shim.sandbox import Sandbox

EVERY_IMAGE = ("*",)

ENGINES = click.Choice(["docker", "podman"])

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
def demo() -> int:
    """Run the example workflow on an embedded sandbox."""
    from perian_shim.sandbox.demo import run_demo  # noqa: PLC0415 - needs the extra

    return run_demo()


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[options]",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("workflow", required=False)
@click.argument("inputs", nargs=-1, type=click.UNPROCESSED, metavar="[--input value ...]")
@click.option("--state-dir", type=FOLDER, help="Where to keep the jobs and their logs.")
@click.option("--output-dir", type=FOLDER, help="Where to save files that it returns.")
@click.option("--runner", type=ENGINES, help="Run jobs as containers of this engine.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="PATTERN",
    help="An image that stands for this machine, all by default; may be repeated.",
)
@click.option(
    "--copy",
    type=click.Choice(["auto", "all"]),
    default="auto",
    help="Code for the tasks: the modules imported (auto), or all files beside them.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
def run(
    file: Path,
    workflow: str | None,
    inputs: tuple[str, ...],
    state_dir: Path | None,
    output_dir: Path | None,
    runner: str | None,
    images: tuple[str, ...],
    copy: Literal["auto", "all"],
    verbose: bool,
) -> int:
    """Run a workflow, task or launch plan on an embedded Perian and S3, as a Flyte cluster would.

    Inputs are given as to `pyflyte run`, those of a task of Flyte 2 as to `flyte run`; WORKFLOW
    --help lists them.
    """
    if workflow == "--help":  # of the command, not of a workflow
        click.echo(click.get_current_context().get_help())
        return 0
    from perian_shim.sandbox.run import run_file  # noqa: PLC0415 - needs the extra
    from perian_shim.sandbox.run_options import RunOptions  # noqa: PLC0415 - the same

    options = RunOptions(
        file,
        workflow,
        inputs,
        state_dir=state_dir,
        runner=runner,
        images=images,
        output_dir=output_dir,
        copy=copy,
        verbose=verbose,
    )
    return run_file(options)


@click.command()
@click.option(
    "--state-dir",
    type=FOLDER,
    help="Where jobs are kept (perian-shim/sandbox in ~/.local/state, or in XDG_STATE_HOME).",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=0, help="The API's port; 0: a free one.")
@click.option("--s3-port", type=int, default=0, help="The S3's port; 0: a free one.")
@click.option("--token", help="The token to ask for; a random one by default.")
@click.option("--runner", type=ENGINES, help="Run jobs as containers of this engine.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="PATTERN",
    help="Only these images, beside the usual ones, stand for this machine, e.g."
    " 'example.org/*'; may be repeated; without it all images do.",
)
def sandbox(
    state_dir: Path | None,
    host: str,
    port: int,
    s3_port: int,
    token: str | None,
    runner: str | None,
    images: tuple[str, ...],
) -> None:
    """Serve an embedded Perian and S3 until stopped, and print what to export."""
    from perian_shim.sandbox import Sandbox  # noqa: PLC0415 - needs the extra
    from perian_shim.sandbox.state import default_state_dir  # noqa: PLC0415 - needs the extra

    server = Sandbox(
        state_dir or default_state_dir(),
        host=host,
        api_port=port,
        s3_port=s3_port,
        token=token,
        runner=runner,
        host_images=images or EVERY_IMAGE,
    )
    server.serve_forever(announce, cancel_jobs=True)


def announce(server: "Sandbox") -> None:
    """Print what a shell has to export, as lines that it can evaluate."""
    print(f"# perian-shim sandbox, jobs in {server.state_dir}; stop it with Ctrl-C")
    print(f"# {server.isolation.statement}")
    if server.isolation.engine is None:
        print(f"# images: {server.images.statement}")
    for name, value in server.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(flush=True)
