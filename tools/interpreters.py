"""Finds the Pythons of a machine: by name on the PATH, and among pyenv's."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

ANSWER_SECONDS = 30.0


def pyenv_roots(environ: Mapping[str, str]) -> list[Path]:
    """Return where pyenv keeps its Pythons, if there is a pyenv."""
    roots = [environ.get("PYENV_ROOT", "")]
    if pyenv := shutil.which("pyenv", path=environ.get("PATH")):
        told = subprocess.run(
            [pyenv, "root"], capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
        roots.append(told.stdout.strip())
    return [Path(root) for root in dict.fromkeys(roots) if root]


def candidates(version: str, path: str | None, roots: Iterable[Path]) -> list[Path]:
    """Return what may be a Python of a minor version: on the PATH, then pyenv's, newest first."""
    found = [Path(program)] if (program := shutil.which(f"python{version}", path=path)) else []
    for root in roots:
        folders = (root / "versions").glob(f"{version}.*")
        numbered = [folder for folder in folders if folder.name.replace(".", "").isdigit()]
        numbered.sort(key=lambda folder: int(folder.name.rpartition(".")[2]), reverse=True)
        found += [folder / "bin" / f"python{version}" for folder in numbered]
    return found


def full_version(program: Path) -> str:
    """Return a Python's full version; nothing if it does not run, as pyenv's shims may not."""
    command: list[str | Path] = [program, "-c", "import platform; print(platform.python_version())"]
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def interpreter(version: str, environ: Mapping[str, str]) -> tuple[Path, str] | None:
    """Find a Python of a minor version; return it with its full version, or None."""
    for program in candidates(version, environ.get("PATH"), pyenv_roots(environ)):
        if (full := full_version(program)).startswith(f"{version}."):
            return program, full
    return None
