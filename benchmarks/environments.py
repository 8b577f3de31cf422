"""The virtual environments that contenders run in, made once and kept in a cache folder.

``lean`` is what the executor image holds: the hash-locked requirements without flytekit,
perian-shim as a wheel, bytecode compiled, started by the image's entry point. ``flytekit`` is what
the image with flytekit holds, started by flytekit's own program; beside it the floor's one module.
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
from pathlib import Path

from benchmarks import floor
from benchmarks.records import FLOOR, OURS, OURS_FLYTEKIT
from perian_shim import entrypoint

ROOT = Path(__file__).parent.parent
"""The checkout."""

HERE = Path(__file__).parent
DEFAULT_CACHE = ROOT / ".bench"
IMAGE_ENVIRONMENT = "PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1"
"""What the image sets for Python."""


def pod_folders(cache: Path, contenders: Iterable[str]) -> dict[str, Path]:
    """Make the environments of pods if need be.

    Args:
        cache: folder of all environments.
        contenders: who is to be measured.

    Returns:
        For each contender that is a pod per task the folder of its ``pyflyte-execute``.
    """
    wanted = set(contenders)
    folders: dict[str, Path] = {}
    if OURS in wanted:
        folders[OURS] = lean_environment(cache) / "entry"
    if with_flytekit := [name for name in (OURS_FLYTEKIT, FLOOR) if name in wanted]:
        programs = flytekit_environment(cache) / "bin"
        folders.update(dict.fromkeys(with_flytekit, programs))
    return folders


def lean_environment(cache: Path) -> Path:
    """Make what the image without flytekit holds."""
    environment = locked_environment(cache / "lean", ROOT / "requirements" / "executor.txt")
    stamp = Stamp(environment / "package.sha256", package_sources())
    if not stamp.fits():
        install_package(environment)
        install_entry(environment / "bin" / "python", environment / "entry")
        stamp.write()
    return environment


def flytekit_environment(cache: Path) -> Path:
    """Make what an image with flytekit holds, and add the floor."""
    lock = ROOT / "requirements" / "executor-flytekit.txt"
    environment = locked_environment(cache / "flytekit", lock)
    stamp = Stamp(environment / "package.sha256", [*package_sources(), Path(floor.__file__)])
    if not stamp.fits():
        install_package(environment)
        install_floor(environment)
        stamp.write()
    return environment


def package_sources() -> list[Path]:
    """Return what perian-shim in an environment is made of."""
    package = ROOT / "perian_shim"
    return [ROOT / "pyproject.toml", Path(__file__), *sorted(package.rglob("*"))]


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


def install_entry(python: Path, folder: Path) -> Path:
    """Add the program that starts a pod as the image does; return the folder that holds it.

    Args:
        python: runs it.
        folder: for nothing else.
    """
    program = folder / "pyflyte-execute"
    folder.mkdir(exist_ok=True)
    command = f'exec {shlex.quote(str(python))} -m {entrypoint.__name__} {program.name} "$@"'
    program.write_text(f"#!/bin/sh\nexport {IMAGE_ENVIRONMENT}\n{command}\n")
    program.chmod(0o755)
    return folder


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
