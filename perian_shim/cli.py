"""``perian-shim``: the command line.

``sandbox`` serves an embedded Perian and S3 until it is stopped and prints what to export;
``run`` runs a workflow of yours on one, ``demo`` the example. ``jobs`` lists an organization's jobs
at Perian, ``cancel`` ends some; both take the credentials from the environment. Exit codes: 0 well,
1 it failed (one line says why), 2 wrong arguments.
"""

import argparse
import itertools
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import ApiError, JobAlreadyDone, JobNotFound, PerianError
from perian_shim.api.jobs import Job
from perian_shim.api.server_text import tidy
from perian_shim.errors import ConfigError
from perian_shim.version import __version__

if TYPE_CHECKING:
    from perian_shim.sandbox import Sandbox

EVERY_IMAGE = ("*",)

COLUMNS = ("JOB", "STATUS", "CREATED", "KEY", "EXECUTION")

PAGE = 100
"""Jobs to ask for at a time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return a process exit code."""
    top = parser()
    options = top.parse_args(arguments)
    if options.command == "cancel" and bool(options.job_ids) == bool(options.key):
        top.error("cancel: expected either job ids or --key")
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except ModuleNotFoundError as error:
        print(f"perian-shim {options.command}: {missing(error)}", file=sys.stderr)
        return 1
    except (PerianError, ImportError, RuntimeError, OSError, ValueError) as error:
        print(f"perian-shim {options.command}: {error}", file=sys.stderr)
        return 1


def missing(error: ModuleNotFoundError) -> str:
    """Say which package is not installed, and what installs it."""
    from perian_shim.sandbox.errors import ADVICE  # noqa: PLC0415 - seldom needed

    return f"the package {error.name} is not installed: {ADVICE}"


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    top = argparse.ArgumentParser(
        prog="perian-shim", description="Flyte tasks on Perian, with nothing in the Flyte backend."
    )
    top.add_argument("--version", action="version", version=f"perian-shim {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    example = commands.add_parser("demo", help="run the example workflow on an embedded sandbox")
    example.set_defaults(run=demo)
    flow = commands.add_parser(
        "run",
        help="run a workflow of yours on an embedded sandbox, as a Flyte cluster would",
        description="Run a workflow, task or launch plan on an embedded Perian and S3, as a Flyte"
        " cluster would. Inputs are given as to `pyflyte run`; WORKFLOW --help lists them.",
        usage="perian-shim run [options] FILE WORKFLOW [--input value ...]",
    )
    flow.add_argument("file", type=Path, metavar="FILE", help="a Python file")
    flow.add_argument("workflow", nargs="?", metavar="WORKFLOW", help="what to run in it")
    flow.add_argument("inputs", nargs=argparse.REMAINDER, help="its inputs: --input value ...")
    flow.add_argument("--state-dir", type=Path, help="where to keep the jobs and their logs")
    flow.add_argument("--output-dir", type=Path, help="where to save files that it returns")
    flow.add_argument(
        "--runner", choices=("docker", "podman"), help="run jobs as containers of this engine"
    )
    flow.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="PATTERN",
        help="an image that stands for this machine, all by default; may be repeated",
    )
    flow.add_argument(
        "--copy",
        choices=("auto", "all"),
        default="auto",
        help="code for the tasks: the modules imported (auto), or all files beside them",
    )
    flow.add_argument("-v", "--verbose", action="store_true", help="print more")
    flow.set_defaults(run=run)
    serve = commands.add_parser("sandbox", help="serve an embedded Perian and S3 until stopped")
    serve.add_argument(
        "--state-dir",
        type=Path,
        help="where jobs are kept (perian-shim/sandbox in ~/.local/state, or in XDG_STATE_HOME)",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=int, default=0, help="the API's port; 0: a free one")
    serve.add_argument("--s3-port", type=int, default=0, help="the S3's port; 0: a free one")
    serve.add_argument("--token", help="the token to ask for; a random one by default")
    serve.add_argument(
        "--runner", choices=("docker", "podman"), help="run jobs as containers of this engine"
    )
    serve.add_argument(
        "--image",
        action="append",
        metavar="PATTERN",
        help="only these images, beside the usual ones, stand for this machine, e.g."
        " 'example.org/*'; may be repeated; without it all images do",
    )
    serve.set_defaults(run=sandbox)
    listing = commands.add_parser("jobs", help="list jobs at Perian, the newest first")
    listing.add_argument("--key", help=f"only jobs that carry this {settings.JOB_KEY}")
    listing.add_argument(
        "--limit", type=positive, default=25, metavar="N", help="how many at most (%(default)s)"
    )
    listing.set_defaults(run=jobs)
    ending = commands.add_parser("cancel", help="cancel jobs at Perian, without asking")
    ending.add_argument("job_ids", nargs="*", metavar="JOB_ID", help="id of a job")
    ending.add_argument("--key", help=f"all jobs that carry this {settings.JOB_KEY}")
    ending.set_defaults(run=cancel)
    return top


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run(options: argparse.Namespace) -> int:
    """Run a workflow of the user's."""
    from perian_shim.sandbox.flyte.run import RunOptions, run_file  # noqa: PLC0415 - takes a second

    return run_file(
        RunOptions(
            options.file,
            options.workflow,
            options.inputs,
            state_dir=options.state_dir,
            runner=options.runner,
            images=options.image,
            output_dir=options.output_dir,
            copy=options.copy,
            verbose=options.verbose,
        )
    )


def demo(_: argparse.Namespace) -> int:
    """Run the demo."""
    from perian_shim.sandbox.flyte.demo import run_demo  # noqa: PLC0415 - needs the extra

    return run_demo()


def sandbox(options: argparse.Namespace) -> int:
    """Serve a sandbox until a signal ends it."""
    from perian_shim.sandbox import Sandbox  # noqa: PLC0415 - needs the extra
    from perian_shim.sandbox.state import default_state_dir  # noqa: PLC0415 - needs the extra

    server = Sandbox(
        options.state_dir or default_state_dir(),
        host=options.host,
        api_port=options.port,
        s3_port=options.s3_port,
        token=options.token,
        runner=options.runner,
        host_images=EVERY_IMAGE if options.image is None else options.image,
    )
    server.serve_forever(announce, cancel_jobs=True)
    return 0


def announce(server: "Sandbox") -> None:
    """Print what a shell has to export, as lines that it can evaluate."""
    print(f"# perian-shim sandbox, jobs in {server.state_dir}; stop it with Ctrl-C")
    print(f"# {server.isolation.statement}")
    if server.isolation.engine is None:
        print(f"# images: {server.images.statement}")
    for name, value in server.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(flush=True)


def connect() -> PerianClient:
    """Return a client for the organization that the environment names.

    Raises:
        ConfigError: it names none.
    """
    names = (settings.ORGANIZATION, settings.TOKEN)
    organization, token = map(settings.text, names)
    if not organization or not token:
        message = f"Set {' and '.join(names)} to the credentials of your Perian organization."
        raise ConfigError(message, remedy="")
    return PerianClient(
        settings.text(settings.API_URL, settings.DEFAULT_API_URL),
        organization,
        token,
        read_timeout=settings.seconds(settings.READ_TIMEOUT_SECONDS, 30.0),
    )


def jobs(options: argparse.Namespace) -> int:
    """List jobs, those with a key if one is given."""
    with connect() as client:
        found = (
            client.iter_jobs(min(options.limit, PAGE))
            if options.key is None
            else jobs_with(client, options.key)
        )
        shown = sorted(itertools.islice(found, options.limit), key=age, reverse=True)
    rows = [COLUMNS, *map(row, shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("  ".join(padded).rstrip())
    return 0


def jobs_with(client: PerianClient, key: str) -> Iterator[Job]:
    """Yield the jobs that carry a key."""
    for listed in client.iter_jobs(PAGE):
        job = listed
        if settings.JOB_KEY not in job.env_variables and not job.env_complete:
            try:
                job = client.get_job(job.id)
            except JobNotFound:
                continue
        if job.env_variables.get(settings.JOB_KEY) == key:
            yield job


def age(job: Job) -> datetime:
    """Sort key: when a job was submitted."""
    return job.created_at or datetime.min.replace(tzinfo=timezone.utc)


def row(job: Job) -> tuple[str, ...]:
    """Return what is shown of a job: nothing in it can move the cursor."""
    created = job.created_at.astimezone(timezone.utc) if job.created_at else None
    variables = (settings.JOB_KEY, settings.EXECUTION_ID)
    cells = (
        job.id,
        job.status,
        created.strftime("%Y-%m-%d %H:%M:%SZ") if created else "",
        *(job.env_variables.get(name, "") for name in variables),
    )
    return tuple(tidy(cell) or "-" for cell in cells)


def cancel(options: argparse.Namespace) -> int:
    """Cancel jobs by their ids or by their key."""
    with connect() as client:
        if options.key is None:
            ended = [cancel_one(client, job_id) for job_id in options.job_ids]
        else:
            ended = [
                already_ended(job.id, job.status)
                if job.phase.terminal
                else cancel_one(client, job.id)
                for job in jobs_with(client, options.key)
            ]
    if not ended:
        print(f"perian-shim cancel: no job has the key {options.key!r}", file=sys.stderr)
    return 0 if ended and all(ended) else 1


def cancel_one(client: PerianClient, job_id: str) -> bool:
    """Cancel a job and say what came of it; return whether it has ended or will."""
    try:
        client.cancel_job(job_id)
    except JobAlreadyDone:
        return already_ended(job_id)
    except ApiError as error:
        print(f"{tidy(job_id)}: {error}")
        return False
    print(f"{job_id}: cancelling")
    return True


def already_ended(job_id: str, status: str = "") -> bool:
    """Say that a job had ended before."""
    print(f"{job_id}: ended already{f' ({tidy(status)})' if status else ''}")
    return True


if __name__ == "__main__":
    sys.exit(main())
