"""``perian-shim``: the command line.

``sandbox`` serves an embedded Perian and S3 until it is stopped and prints what to export;
``demo`` runs the example on one. Exit codes: 0 well, 1 it failed (one line says why), 2 wrong
arguments.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perian_shim.version import __version__

if TYPE_CHECKING:
    from perian_shim.sandbox import Sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return a process exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "demo":
            return demo()
        return sandbox(options)
    except (ImportError, RuntimeError, OSError, ValueError) as error:
        print(f"perian-shim {options.command}: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    top = argparse.ArgumentParser(
        prog="perian-shim", description="Flyte tasks on Perian, with nothing in the Flyte backend."
    )
    top.add_argument("--version", action="version", version=f"perian-shim {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="run the example workflow on an embedded sandbox")
    serve = commands.add_parser("sandbox", help="serve an embedded Perian and S3 until stopped")
    serve.add_argument(
        "--state-dir", type=Path, default=Path(".sandbox"), help="where jobs are kept (%(default)s)"
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
        default=[],
        metavar="PATTERN",
        help="further images that stand for this machine, e.g. 'example.org/*'; may be repeated",
    )
    return top


def demo() -> int:
    """Run the demo."""
    from perian_shim.sandbox.flyte.demo import run_demo  # noqa: PLC0415 - needs the extra

    return run_demo()


def sandbox(options: argparse.Namespace) -> int:
    """Serve a sandbox until a signal ends it."""
    from perian_shim.sandbox import Sandbox  # noqa: PLC0415 - needs the extra

    server = Sandbox(
        options.state_dir,
        host=options.host,
        api_port=options.port,
        s3_port=options.s3_port,
        token=options.token,
        runner=options.runner,
        host_images=options.image,
    )
    server.serve_forever(announce, cancel_jobs=True)
    return 0


def announce(server: "Sandbox") -> None:
    """Print what a shell has to export, as lines that it can evaluate."""
    print(f"# perian-shim sandbox, jobs in {server.state_dir}; stop it with Ctrl-C")
    print(f"# {server.isolation.statement}")
    for name, value in server.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
