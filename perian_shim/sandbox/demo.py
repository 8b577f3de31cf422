"""The demo: ``perian-shim run`` with the example workflow."""

from pathlib import Path

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.run import run_file
from perian_shim.sandbox.run_options import RunOptions


def find_examples() -> Path:
    """Return the folder of the examples: beside the package's source, or installed with it.

    Raises:
        SandboxError: neither is there.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "examples", package.parent / "examples"):
        if (folder / "penguins.py").is_file():
            return folder
    raise SandboxError("the examples are not installed; get them with the project's source")


def run_demo() -> int:
    """Run the demo and return a process exit code."""
    examples = find_examples()
    table = examples / "data" / "penguins.csv"
    return run_file(RunOptions(examples / "penguins.py", "penguins", ["--csv", str(table)]))
