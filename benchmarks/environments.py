"""The virtual environments that contenders run in, made once and kept in a cache folder.

``executor`` is what the executor image holds: the hash-locked requirements, perian-shim as a wheel,
bytecode compiled, started by the image's entry point; beside it the floor's one module.
``official`` is the connector with what it can import. An environment is made anew when its lock
file or the Python that makes it changes; perian-shim in it is installed anew when its source
changes. A failing ``pip`` ends the benchmark with ``CalledProcessError``.
"""

import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import floor
from perian_shim import entrypoint

ROOT = Path(__file__).parent.parent
"""The checkout."""

HERE = Path(__file__).parent
DEFAULT_CACHE = ROOT / ".bench"
ENTRY = "entry"


@dataclass(frozen=True)
class ExecutorEnvironment:
    """Where the executors' ``pyflyte-execute`` is.

    Attributes:
        plain: folder of flytekit's own program.
        image: folder of a program of that name which goes through the image's entry point.
    """

    plain: Path
    image: Path


def executor_environment(cache: Path) -> ExecutorEnvironment:
    """Make the executors' environment if need be."""
    environment = locked_environment(cache / "executor", ROOT / "requirements" / "executor.txt")
    package = ROOT / "perian_shim"
    sources = [
        ROOT / "pyproject.toml",
        Path(__file__),
        Path(floor.__file__),
        *sorted(package.rglob("*")),
    ]
    stamp = Stamp(environment / "package.sha256", sources)
    if not stamp.fits():
        install_package(environment)
        install_floor(environment)
        install_entry(environment)
        stamp.write()
    return ExecutorEnvironment(environment / "bin", environment / ENTRY)


def official_environment(cache: Path) -> Path:
    """Make the official connector's environment if need be and return its ``bin`` folder."""
    return locked_environment(cache / "official", HERE / "official.txt") / "bin"


def locked_environment(folder: Path, lock: Path) -> Path:
    """Return an environment with exactly what a lock file names."""
    stamp = Stamp(folder / "lock.sha256", [lock], sys.version)
    if not stamp.fits():
        shutil.rmtree(folder, ignore_errors=True)
        run(sys.executable, ROOT / "tools" / "make_venv.py", folder)
        pip(folder, "--require-hashes", "-r", lock)
        stamp.write()
    return folder


def install_package(environment: Path) -> None:
    """Install perian-shim as users get it: from a wheel."""
    with tempfile.TemporaryDirectory() as folder:
        build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
        run(*build, "--no-build-isolation", "--wheel-dir", folder, ROOT)
        pip(environment, "--no-deps", "--force-reinstall", *Path(folder).glob("*.whl"))


def install_floor(environment: Path) -> None:
    """Put the floor's executor where it is imported under the name that it has here."""
    [site] = environment.glob("lib/python*/site-packages")
    package = site / floor.__name__.partition(".")[0]
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    shutil.copy(floor.__file__, package)
    run(environment / "bin" / "python", "-m", "compileall", "-q", package)


def install_entry(environment: Path) -> None:
    """Add the program that starts an executor as the image does."""
    program = environment / ENTRY / "pyflyte-execute"
    program.parent.mkdir(exist_ok=True)
    python = shlex.quote(str(environment / "bin" / "python"))
    command = f'exec {python} -m {entrypoint.__name__} {program.name} "$@"'
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)


def pip(environment: Path, *arguments: str | Path) -> None:
    """Install into an environment; pip compiles what it installs."""
    run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", *arguments)


def run(*command: str | Path) -> None:
    """Run a command to its end, its complaints on our standard error."""
    subprocess.run(command, check=True, stdout=sys.stderr)


class Stamp:
    """What an environment was made of, kept in it as a digest.

    Args:
        path: where the digest is kept.
        sources: the files that it was made of; folders and bytecode are skipped.
        *more: further text that it depends on.
    """

    def __init__(self, path: Path, sources: Iterable[Path], *more: str) -> None:
        self.path = path
        digest = hashlib.sha256("\0".join(more).encode())
        for source in sources:
            if source.is_file() and source.suffix != ".pyc":
                content = hashlib.sha256(source.read_bytes()).hexdigest()
                digest.update(f"{source.name} {content}\n".encode())
        self.value = digest.hexdigest()

    def fits(self) -> bool:
        """Whether the environment is made of the same."""
        return self.path.is_file() and self.path.read_text() == self.value

    def write(self) -> None:
        """Note that the environment is complete."""
        self.path.write_text(self.value)
