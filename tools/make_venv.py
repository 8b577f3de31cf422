"""Make a virtual environment at the path given, also where Python came without ensurepip.

Debian and Ubuntu package ``venv`` apart from Python. There the fallback is virtualenv, installed
into a temporary folder with the pip at hand, so nothing outside the project changes.

Usage: ``python tools/make_venv.py .venv``. Exits with 1 and a sentence when neither way works.
"""

import os
import subprocess
import sys
import tempfile
import venv


def main(path: str) -> int:
    """Make the environment at ``path``; return a process exit code."""
    if sys.version_info < (3, 10):  # noqa: UP036 - this runs before anything checks the version
        print(f"perian-shim needs Python 3.10 or newer, this is {sys.version.split()[0]}")
        return 1
    try:
        venv.create(path, with_pip=True, symlinks=os.name == "posix")
    except (OSError, subprocess.CalledProcessError, SystemExit):
        print("python -m venv does not work here, falling back to virtualenv")
    else:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "virtualenv"]
        if subprocess.call(pip) != 0:
            print("could not make a virtual environment: install your system's python3-venv")
            return 1
        environment = {**os.environ, "PYTHONPATH": folder}
        command = [sys.executable, "-m", "virtualenv", "--quiet", "--clear", path]
        return subprocess.call(command, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
