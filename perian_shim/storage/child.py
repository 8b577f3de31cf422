"""A short program in a process of its own, for what would stay in memory if it were loaded here.

The program gets our ``sys.path`` as JSON on its standard input and prints one JSON object. What it
prints may be a secret: it is never part of an error.
"""

import json
import subprocess
import sys
from collections.abc import Mapping

from perian_shim.errors import StorageFailed

CHILD_SECONDS = 120.0
"""Bound of its life: it may ask servers, with time limits of its own."""


def answer_of(source: str, environ: Mapping[str, str], what: str) -> dict[str, str]:
    """Run a program and return what it prints.

    Args:
        source: the program, in Python.
        environ: its environment.
        what: names what it does, for errors.

    Raises:
        StorageFailed: it printed no object, or did not end.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", source],
            input=json.dumps([path for path in sys.path if path]),
            capture_output=True,
            text=True,
            env=dict(environ),
            timeout=CHILD_SECONDS,
            check=False,
            start_new_session=True,  # a signal to the group of processes is for us
        )
        answer: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        failure = StorageFailed(f"{what} failed: {type(error).__name__} of a process of its own.")
        failure.passing = True
        raise failure from None
    return answer
